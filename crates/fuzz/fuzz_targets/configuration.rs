//! The two YAML files: a deployment that keeps its promises, or reasons with their places.
//!
//! Input: the application configuration, a line `====`, the deployment configuration.

#![no_main]

use std::collections::BTreeSet;

use flocker_config::{Diagnostics, Place, Severity, Source, parse_with_warnings};
use flocker_fuzz::halves;
use flocker_model::{Application, Deployment, MountPath, RoutePort, VolumeLayout};
use libfuzzer_sys::fuzz_target;

const APPLICATION: &str = "application.yml";
const DEPLOYMENT: &str = "deployment.yml";

fuzz_target!(|input: &[u8]| {
    let (application, deployment) = halves(input);
    let source = |name, bytes| Source { name, bytes };
    let parsed = parse_with_warnings(
        source(APPLICATION, application),
        source(DEPLOYMENT, deployment),
    );
    let (found, severity) = match &parsed {
        Ok(parsed) => {
            check_promises(&parsed.deployment);
            (&parsed.warnings, None)
        }
        Err(found) => (found, Some(Severity::Error)),
    };
    let worst = found.list.iter().map(|one| one.severity).min();
    assert_eq!(worst.filter(|worst| *worst == Severity::Error), severity);
    check_diagnostics(found, application, deployment);
});

/// What every later part of Flocker takes for granted.
fn check_promises(deployment: &Deployment) {
    let mut placed = BTreeSet::new();
    for name in deployment.nodes.values().flatten() {
        assert!(deployment.applications.contains_key(name), "{name}");
        assert!(placed.insert(name), "{name} is placed twice");
    }
    let mut external: BTreeSet<RoutePort> = BTreeSet::new();
    for application in deployment.applications.values() {
        for port in application.routes.keys() {
            let mut others = external.iter();
            assert!(
                !others.any(|other| other.overlaps(*port)),
                "{port} is routed twice"
            );
            external.insert(*port);
        }
        check_paths(application);
        for link in &application.links {
            assert!(deployment.applications.contains_key(&link.target));
        }
    }
    // Nodes remember it as JSON.
    let remembered = serde_json::to_vec(deployment).unwrap();
    assert_eq!(
        &serde_json::from_slice::<Deployment>(&remembered).unwrap(),
        deployment
    );
}

/// Nothing in a container hides something else, and no two paths share a directory.
fn check_paths(application: &Application) {
    let mut paths = BTreeSet::new();
    let mut take =
        |path: &MountPath| assert!(paths.insert(path.cleaned()), "{path} is there twice");
    match application.volume.as_ref().map(|volume| &volume.layout) {
        None => {}
        Some(VolumeLayout::Whole { mountpoint }) => take(mountpoint),
        Some(VolumeLayout::Directories { directories }) => {
            assert!(!directories.is_empty());
            directories.keys().for_each(&mut take);
            let names: BTreeSet<_> = directories.values().collect();
            assert_eq!(names.len(), directories.len(), "a directory is there twice");
        }
    }
    application.scratch.iter().for_each(&mut take);
    let tmpfs = &application.options.isolation.tmpfs;
    tmpfs.keys().for_each(take);
}

fn check_diagnostics(found: &Diagnostics, application: &[u8], deployment: &[u8]) {
    assert!(found.list.len() <= Diagnostics::LIMIT);
    for diagnostic in &found.list {
        for place in diagnostic.place.iter().chain(&diagnostic.related) {
            match place.file.as_str() {
                APPLICATION => check_place(place, application),
                DEPLOYMENT => check_place(place, deployment),
                other => panic!("{other} is neither file"),
            }
        }
    }
    let text = found.to_string();
    let unfit = |character: char| character.is_control() && character != '\n';
    assert!(!text.contains(unfit), "not fit for a terminal: {text:?}");
}

/// The place is in the file, and the text that is shown is what the file has there.
fn check_place(place: &Place, file: &[u8]) {
    let text = String::from_utf8_lossy(file);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let line = place
        .line
        .checked_sub(1)
        .and_then(|index| text.split('\n').nth(index));
    let line = line.unwrap_or_else(|| panic!("no such line: {place:?}"));
    let column = place.column.checked_sub(1).unwrap();
    assert!(column <= line.chars().count(), "{place:?} in {line:?}");
    assert!(place.length >= 1 && place.start <= place.text.chars().count());
    let excerpt = place.text.strip_prefix("... ").unwrap_or(&place.text);
    let excerpt = excerpt.strip_suffix(" ...").unwrap_or(excerpt);
    assert!(line.contains(excerpt), "{place:?} in {line:?}");
}
