//! Runs `cargo test` and counts what really ran.
//!
//! Plain `cargo test` is used even where nextest is installed: one way of running is one way of
//! counting, on every machine.

use std::ffi::OsString;

use cargo_metadata::{MetadataCommand, TargetKind};
use nix::unistd::Uid;

use super::host_platform;
use super::outcome::Outcome;
use crate::process::{Program, program_exists};
use crate::workspace;

/// One file of integration tests.
#[derive(Debug)]
pub(super) struct TestTarget {
    pub(super) package: String,
    pub(super) name: String,
}

/// Asks cargo for the files of integration tests.
pub(super) fn observe_test_targets() -> Result<Vec<TestTarget>, String> {
    let metadata = MetadataCommand::new()
        .current_dir(workspace::root())
        .no_deps()
        .exec()
        .map_err(|failure| format!("cargo does not list the test targets: {failure}"))?;
    let mut targets = Vec::new();
    for package in &metadata.packages {
        for target in &package.targets {
            if target.kind.contains(&TargetKind::Test) {
                targets.push(TestTarget {
                    package: package.name.to_string(),
                    name: target.name.clone(),
                });
            }
        }
    }
    Ok(targets)
}

/// One `cargo test`.
#[derive(Debug)]
pub(super) struct TestRun {
    program: Program,
    required: Option<(&'static str, u64)>,
    is_serial: bool,
    only: Vec<String>,
}

impl TestRun {
    /// Tests of the whole workspace, so that every run compiles each dependency the same way.
    pub(super) fn new(arguments: &[&str]) -> Self {
        let program = Program::cargo()
            .args(["test", "--workspace", "--no-fail-fast"])
            .args(arguments)
            // A changed snapshot is a failure here; it is accepted by hand, elsewhere.
            .env("INSTA_UPDATE", "no")
            .env("PATH", path_with_system_programs());
        Self {
            program,
            required: None,
            is_serial: false,
            only: Vec::new(),
        }
    }

    /// Adds files of integration tests.
    pub(super) fn targets(mut self, names: &[String]) -> Self {
        for name in names {
            self.program = self.program.args(["--test", name]);
        }
        self
    }

    /// Sets an environment variable for the tests.
    pub(super) fn env(mut self, name: &str, value: &str) -> Self {
        self.program = self.program.env(name, value);
        self
    }

    /// Requires that the tests report at least so many cases, in a line `… NUMBER WORDS`.
    pub(super) fn require_cases(mut self, words: &'static str, minimum: u64) -> Self {
        self.required = Some((words, minimum));
        self
    }

    /// Runs only the tests that have one of these texts in their name.
    pub(super) fn only(mut self, names: &[&str]) -> Self {
        self.only = names.iter().map(|name| (*name).to_owned()).collect();
        self
    }

    /// Runs one test after the other: each of these takes the whole machine.
    pub(super) fn one_at_a_time(mut self) -> Self {
        self.is_serial = true;
        self
    }

    /// Runs the tests, not their compilation, as root where sudo can do that.
    pub(super) fn with_root(mut self) -> Self {
        if Uid::effective().is_root() || !program_exists("sudo") {
            return self;
        }
        if let Ok(platform) = host_platform() {
            let variable = format!(
                "CARGO_TARGET_{}_RUNNER",
                platform.to_uppercase().replace('-', "_")
            );
            self.program = self.program.env(&variable, "sudo -E").interactive();
        }
        self
    }

    /// Runs the tests; none at all is a failure.
    pub(super) fn run(self) -> Outcome {
        self.run_counting().require_tests()
    }

    /// Runs the tests, of which there may be none.
    pub(super) fn run_possibly_empty(self) -> Outcome {
        self.run_counting()
    }

    fn run_counting(self) -> Outcome {
        // The output of tests that pass says which of them skipped themselves.
        let mut program = self.program.args(["--", "--show-output"]).args(&self.only);
        if self.is_serial {
            program = program.args(["--test-threads", "1"]);
        }
        match program.run_collecting() {
            Ok((status, lines)) => {
                let outcome = Outcome::of_tests(&lines, status.success());
                match self.required {
                    Some((words, minimum)) => outcome.require_cases(&lines, words, minimum),
                    None => outcome,
                }
            }
            Err(failure) => Outcome::failed(failure.to_string()),
        }
    }
}

/// Where users other than root do not look: sshd, dockerd, nft.
fn path_with_system_programs() -> OsString {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(Into::into));
    std::env::join_paths(directories).unwrap_or(path)
}
