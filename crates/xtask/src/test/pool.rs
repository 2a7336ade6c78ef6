//! Tests that need a real ZFS pool run on a node of the lab, where one is.

use std::error::Error;
use std::path::{Path, PathBuf};

use cargo_metadata::Message;

use super::outcome::Outcome;
use crate::lab;
use crate::process::Program;
use crate::terminal;

/// The file of integration tests that needs a pool.
pub(super) const TARGET: &str = "real_pool";

/// The lab's name, so that a lab that somebody works in is left alone.
const LAB: &str = "xtask-pool";
/// Where the tests are on the node: a directory from which programs may be run.
const PROGRAM: &str = "/var/tmp/real_pool";
/// Below which dataset of the node's pool the tests make theirs.
const DATASET: &str = "tank/contract";

/// Builds the tests, starts a node, runs them there, and removes the node.
pub(super) fn run() -> Outcome {
    match run_on_node() {
        Ok(outcome) => outcome.require_tests(),
        Err(failure) => {
            terminal::failure(failure.as_ref());
            Outcome::failed(failure.to_string())
        }
    }
}

fn run_on_node() -> Result<Outcome, Box<dyn Error>> {
    let tests = build()?;
    let lab = lab::build_lab()?;
    Program::new(&lab)
        .args(["up", "--name", LAB, "--nodes", "1"])
        .run()?;
    let outcome = copy_and_run(&lab, &tests);
    // Also when the tests failed: what they printed says more than the node would.
    let ended = Program::new(&lab).args(["down", "--name", LAB]).run();
    let outcome = outcome?;
    ended?;
    Ok(outcome)
}

fn copy_and_run(lab: &Path, tests: &Path) -> Result<Outcome, Box<dyn Error>> {
    let on_node = |command: &str| Program::new(lab).args(["ssh", "--name", LAB, "node1", command]);
    let copy = format!("cat >{PROGRAM} && chmod 755 {PROGRAM}");
    on_node(&copy).input(tests)?.run()?;
    let command =
        format!("FLOCKER_TEST_ZFS_DATASET={DATASET} {PROGRAM} --include-ignored --show-output");
    let (status, lines) = on_node(&command).run_collecting()?;
    Ok(Outcome::of_tests(&lines, status.success()))
}

/// Compiles the tests and finds the program that they are.
fn build() -> Result<PathBuf, Box<dyn Error>> {
    let messages = Program::cargo()
        .args(["test", "--workspace", "--test", TARGET, "--no-run"])
        .args(["--message-format", "json-render-diagnostics"])
        .read()?;
    let program = Message::parse_stream(messages.as_bytes())
        .filter_map(Result::ok)
        .find_map(|message| match message {
            Message::CompilerArtifact(artifact) if artifact.target.name == TARGET => {
                artifact.executable
            }
            _ => None,
        });
    let program = program.ok_or_else(|| format!("cargo built no test program {TARGET}"))?;
    Ok(program.into_std_path_buf())
}
