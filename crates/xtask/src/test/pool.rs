//! Tests that need a real ZFS pool run on a node of the lab, where one is.

use std::error::Error;
use std::path::{Path, PathBuf};

use cargo_metadata::Message;

use super::contract;
use super::outcome::Outcome;
use crate::lab;
use crate::process::Program;
use crate::terminal;

/// The file of integration tests that needs a pool.
pub(super) const TARGET: &str = "real_pool";

/// The lab's name, so that a lab that somebody works in is left alone.
const LAB: &str = "xtask-pool";
/// Where the tests are on the node: a directory from which programs may be run.
const DIRECTORY: &str = "/var/tmp";
/// Below which dataset of the node's pool the tests make theirs.
const DATASET: &str = "tank/contract";

/// Builds the tests, starts a node, runs them there, and removes the node.
pub(super) fn run() -> Outcome {
    match run_on_node() {
        Ok(outcome) => outcome,
        Err(failure) => {
            terminal::failure(failure.as_ref());
            Outcome::failed(failure.to_string())
        }
    }
}

fn run_on_node() -> Result<Outcome, Box<dyn Error>> {
    let programs = [
        (build(&["--test", TARGET])?, "--include-ignored"),
        (build(&contract::TARGET)?, contract::VOLUMES),
    ];
    let lab = lab::build_lab()?;
    Program::new(&lab)
        .args(["up", "--name", LAB, "--nodes", "1"])
        .run()?;
    let outcome = copy_and_run(&lab, &programs);
    // Also when the tests failed: what they printed says more than the node would.
    let ended = Program::new(&lab).args(["down", "--name", LAB]).run();
    let outcome = outcome?;
    ended?;
    Ok(outcome)
}

/// Runs each program with its arguments.
fn copy_and_run(lab: &Path, programs: &[(PathBuf, &str)]) -> Result<Outcome, Box<dyn Error>> {
    let on_node = |command: &str| Program::new(lab).args(["ssh", "--name", LAB, "node1", command]);
    let mut all: Option<Outcome> = None;
    for (index, (tests, arguments)) in programs.iter().enumerate() {
        let program = format!("{DIRECTORY}/pool-tests-{index}");
        let copy = format!("cat >{program} && chmod 755 {program}");
        on_node(&copy).input(tests)?.run()?;
        let command =
            format!("FLOCKER_TEST_ZFS_DATASET={DATASET} {program} {arguments} --show-output");
        let (status, lines) = on_node(&command).run_collecting()?;
        let outcome = Outcome::of_tests(&lines, status.success()).require_tests();
        all = Some(match all {
            None => outcome,
            Some(before) => before.and(outcome),
        });
    }
    all.ok_or_else(|| "there is no program with tests".into())
}

/// Compiles the tests of a target and finds the program that they are.
fn build(target: &[&str]) -> Result<PathBuf, Box<dyn Error>> {
    let messages = Program::cargo()
        .args(["test", "--workspace", "--no-run"])
        .args(target)
        .args(["--message-format", "json-render-diagnostics"])
        .read()?;
    let program = Message::parse_stream(messages.as_bytes())
        .filter_map(Result::ok)
        .find_map(|message| match message {
            Message::CompilerArtifact(artifact) if artifact.profile.test => artifact.executable,
            _ => None,
        });
    let program = program.ok_or_else(|| format!("cargo built no tests of {target:?}"))?;
    Ok(program.into_std_path_buf())
}
