//! What Docker and systemd say: an archive of `docker save`, Docker's own files about contexts, an
//! inspected container, and listed units. Nothing is taken for ours that does not say so, nor for
//! running.
//!
//! Input: an archive, or one of Docker's files, or its answer in JSON, or units: first names of files, a line `====`,
//! and lines of a name, whether there is a file, and what the unit is doing, by blanks.

#![no_main]

use std::io;
use std::path::Path;

use docker_endpoint::{Choice, DockerFiles, DockerVariables, locate};
use flocker_docker::output::{ListedUnit, ReadRun, read_container, read_units};
use flocker_docker::unit_name;
use flocker_fuzz::{file, halves};
use flocker_model::{ApplicationName, ContainerStatus, UnitState};
use image_archive::read_archive;
use libfuzzer_sys::fuzz_target;

// A part of a program, which has no library to take it from.
#[expect(dead_code, reason = "only what is read is looked at")]
#[path = "../../cluster/src/docker_endpoint.rs"]
mod docker_endpoint;
#[path = "../../cluster/src/image_archive.rs"]
mod image_archive;

fuzz_target!(|input: &[u8]| {
    check_archive(input);
    check_endpoint(input);
    check_container(input);
    let (files, listed) = halves(input);
    check_units(
        &String::from_utf8_lossy(files),
        &String::from_utf8_lossy(listed),
    );
});

fn check_archive(input: &[u8]) {
    let path = file("images.tar", input);
    match read_archive(&path) {
        Ok(images) => {
            for image in images {
                let names = image.names.iter().map(String::len).sum::<usize>();
                let volumes = image.details.volumes.iter().map(String::len).sum::<usize>();
                assert!(names + volumes <= input.len(), "more than there is");
                let platform = image.details.platform;
                assert!(platform.is_none_or(|it| !it.os.is_empty() && !it.architecture.is_empty()));
            }
        }
        Err(error) => assert!(
            error.to_string().contains(path.to_str().unwrap()),
            "{error}"
        ),
    }
}

/// A machine on which every file has this content.
struct Everywhere<'a>(&'a [u8]);

impl DockerFiles for Everywhere<'_> {
    fn read(&self, _path: &Path) -> io::Result<Vec<u8>> {
        Ok(self.0.to_vec())
    }

    fn exists(&self, _path: &Path) -> bool {
        false
    }
}

/// A Docker is found only where the input names it, and a problem with it is told.
fn check_endpoint(input: &[u8]) {
    let variables = DockerVariables {
        context: Some("context".to_owned()),
        home: Some("/home/operator".into()),
        ..DockerVariables::default()
    };
    let (socket, problem) = locate(&variables, &Everywhere(input));
    assert_eq!(socket.is_none(), problem.is_some());
    if let Some(socket) = socket {
        // `unix://` alone stands for the usual socket.
        let path = socket.path.to_str().unwrap();
        assert!(path == "/var/run/docker.sock" || path.len() <= input.len());
    }
    let variables = DockerVariables {
        context: None,
        ..variables
    };
    let (socket, _) = locate(&variables, &Everywhere(input));
    let chosen = socket.and_then(|socket| socket.choice);
    assert!(!matches!(chosen, Some(Choice::Host)));
}

/// What observes everything and what looks at one container make the same of it.
fn check_container(input: &[u8]) {
    let web: ApplicationName = "web".parse().unwrap();
    let Some(container) = read_container(input, &web, "flocker") else {
        return;
    };
    assert!(container.observed.len() <= 1 && !(container.is_application && container.is_namespace));
    let observed = container.observed.get(&web).cloned().unwrap_or_default();
    assert_eq!(observed.application.is_some(), container.is_application);
    assert_eq!(observed.namespace.is_some(), container.is_namespace);
    if let Some((pid, _)) = observed.namespace.and_then(|namespace| namespace.running) {
        assert_ne!(pid, 0);
    }
    let status = observed.application.map(|application| application.status);
    match (status, container.run) {
        (Some(ContainerStatus::Running { since, .. }), ReadRun::Running { since: start }) => {
            assert_eq!(since, start);
        }
        (Some(ContainerStatus::Stopped { exit_code }), ReadRun::Ended(ended)) => {
            assert_eq!(ended.exit_code.unwrap_or_default(), exit_code);
            assert!(!ended.succeeded() || exit_code == 0);
            assert!(ended.to_string().starts_with("web "));
        }
        (Some(ContainerStatus::Stopped { .. }), ReadRun::Running { .. }) => panic!("stopped"),
        _ => {}
    }
}

fn check_units(files: &str, listed: &str) {
    let lines = listed.lines().map(|line| {
        let mut columns = line.split(' ');
        let mut column = || columns.next().unwrap_or_default();
        ListedUnit {
            name: column(),
            load_state: column(),
            active_state: column(),
        }
    });
    for (application, state) in read_units(files.lines(), lines.clone()) {
        let name = unit_name(&application);
        let has_file = files.lines().any(|file| file == name);
        let mut said = lines.clone().filter(|unit| unit.name == name);
        assert!(has_file || said.clone().any(|unit| unit.load_state != "not-found"));
        let expected = match state {
            UnitState::Failed => "failed",
            UnitState::Activating => "activating",
            UnitState::Deactivating => "deactivating",
            UnitState::Active | UnitState::Inactive | UnitState::Missing => continue,
        };
        assert!(said.any(|unit| unit.active_state == expected), "{name}");
    }
}
