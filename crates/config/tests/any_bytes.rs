//! Whatever the files contain, parsing ends, with a deployment that keeps its promises or with at
//! least one diagnostic.

use std::collections::{BTreeMap, BTreeSet};

use flocker_config::{Diagnostics, Parsed, Severity, Source, parse_with_warnings};
use flocker_model::{ApplicationName, Deployment, RoutePort};
use proptest::prelude::*;

const APPLICATIONS: &str = include_str!("seed/application_config.yml");
const NODES: &str = include_str!("seed/deployment_config.yml");

/// Pieces that YAML and its readers stumble over.
const PIECES: [&str; 30] = [
    "\n",
    "\n  ",
    "\n- ",
    " ",
    "\t",
    ":",
    ": ",
    "- ",
    "[",
    "]",
    "{",
    "}",
    ",",
    "&a ",
    "*a",
    "!x ",
    "!!str ",
    "'",
    "\"",
    "#",
    "|\n",
    ">\n",
    "---\n",
    "...\n",
    "%YAML 1.2\n",
    "? ",
    "<<: ",
    "\u{feff}",
    "\r",
    "\0",
];

fn parse(application: &[u8], deployment: &[u8]) -> Result<Parsed, Diagnostics> {
    let application = Source {
        name: "application_config.yml",
        bytes: application,
    };
    let deployment = Source {
        name: "deployment_config.yml",
        bytes: deployment,
    };
    parse_with_warnings(application, deployment)
}

/// Checks an outcome by rules that are written down here a second time.
fn check(application: &[u8], deployment: &[u8]) {
    match parse(application, deployment) {
        Ok(parsed) => {
            check_promises(&parsed.deployment);
            check_places(&parsed.warnings);
            let all_are_warnings = parsed
                .warnings
                .list
                .iter()
                .all(|diagnostic| diagnostic.severity == Severity::Warning);
            assert!(all_are_warnings, "{}", parsed.warnings);
        }
        Err(diagnostics) => {
            assert!(
                diagnostics
                    .list
                    .iter()
                    .any(|diagnostic| diagnostic.severity == Severity::Error),
                "refused without a reason"
            );
            assert!(diagnostics.list.len() <= Diagnostics::LIMIT);
            check_places(&diagnostics);
        }
    }
}

fn check_promises(deployment: &Deployment) {
    let mut placed = BTreeSet::new();
    for name in deployment.nodes.values().flatten() {
        assert!(
            deployment.applications.contains_key(name),
            "{name} is not defined"
        );
        assert!(placed.insert(name), "{name} is placed twice");
    }
    let mut external: BTreeMap<RoutePort, &ApplicationName> = BTreeMap::new();
    for (name, application) in &deployment.applications {
        for port in application.routes.keys() {
            let claimed = external.keys().find(|other| other.overlaps(*port));
            assert_eq!(claimed, None, "{port} is claimed twice");
            external.insert(*port, name);
        }
        let mut local = BTreeSet::new();
        for link in &application.links {
            assert!(
                deployment.applications.contains_key(&link.target),
                "{link:?}"
            );
            assert!(local.insert(link.local()), "{link:?} is on a taken port");
        }
    }
}

/// Checks that every place is in its line and that the text is fit for a terminal.
fn check_places(diagnostics: &Diagnostics) {
    for diagnostic in &diagnostics.list {
        for place in diagnostic.place.iter().chain(&diagnostic.related) {
            let characters = place.text.chars().count();
            assert!(place.line >= 1 && place.column >= 1 && place.length >= 1);
            assert!(place.start <= characters, "{place:?}");
        }
    }
    let text = diagnostics.to_string();
    let unfit = |c: char| c.is_control() && c != '\n';
    assert!(!text.contains(unfit), "{text:?}");
}

/// Replaces, inserts or removes at a few places.
fn mutate(text: &str, changes: &[(prop::sample::Index, usize, usize)]) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for (place, removed, piece) in changes {
        let start = place.index(bytes.len() + 1);
        let end = (start + removed).min(bytes.len());
        bytes.splice(start..end, PIECES[*piece].bytes());
    }
    bytes
}

fn changes() -> impl Strategy<Value = Vec<(prop::sample::Index, usize, usize)>> {
    let change = (any::<prop::sample::Index>(), 0..8_usize, 0..PIECES.len());
    prop::collection::vec(change, 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn arbitrary_bytes(
        application in prop::collection::vec(any::<u8>(), 0..200),
        deployment in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        check(&application, &deployment);
    }

    #[test]
    fn arbitrary_pieces(
        pieces in prop::collection::vec((0..PIECES.len(), "[a-z]{0,3}"), 0..60),
    ) {
        let text: String = pieces
            .into_iter()
            .flat_map(|(piece, word)| [PIECES[piece].to_owned(), word])
            .collect();
        check(text.as_bytes(), NODES.as_bytes());
        check(APPLICATIONS.as_bytes(), text.as_bytes());
    }

    #[test]
    fn right_files_with_a_few_changes(one in changes(), other in changes()) {
        check(&mutate(APPLICATIONS, &one), &mutate(NODES, &other));
    }

    #[test]
    fn right_files_cut_off(one in any::<prop::sample::Index>(), other in any::<prop::sample::Index>()) {
        let application = &APPLICATIONS.as_bytes()[..one.index(APPLICATIONS.len() + 1)];
        let deployment = &NODES.as_bytes()[..other.index(NODES.len() + 1)];
        check(application, deployment);
    }
}
