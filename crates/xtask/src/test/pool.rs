//! Tests that need a real ZFS pool run on nodes of the lab, where one is.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::thread;

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

type Failure = Box<dyn Error + Send + Sync>;

/// The modules whose tests the first of two nodes runs, about half of them by time; the second runs
/// all others. An emulated node has one processor, and keeps one of the machine's busy.
const FIRST_NODES_MODULES: [&str; 4] = ["handing_over::", "making::", "pools::", "sending::"];

/// Builds the tests, starts two nodes, runs them there, and removes the nodes.
pub(super) fn run() -> Outcome {
    match run_on_nodes() {
        Ok(outcome) => outcome,
        Err(failure) => {
            terminal::failure(failure.as_ref());
            Outcome::failed(failure.to_string())
        }
    }
}

/// A program with tests, and its arguments.
type Tests = (PathBuf, String);

fn run_on_nodes() -> Result<Outcome, Failure> {
    let pool = build(&["--test", TARGET])?;
    let contract = build(&contract::TARGET)?;
    let shares = [
        ("node1", vec![(pool.clone(), first_share())]),
        (
            "node2",
            vec![
                (pool, second_share()),
                (contract, contract::VOLUMES.to_owned()),
            ],
        ),
    ];
    let lab = lab::build_lab()?;
    Program::new(&lab)
        .args(["up", "--name", LAB, "--nodes", "2"])
        .run()?;
    let outcome = run_shares(&lab, &shares);
    // Also when the tests failed: what they printed says more than the nodes would.
    let ended = Program::new(&lab).args(["down", "--name", LAB]).run();
    let outcome = outcome?;
    ended?;
    Ok(outcome)
}

fn first_share() -> String {
    format!("--include-ignored {}", FIRST_NODES_MODULES.join(" "))
}

/// Whatever the first share leaves: a new module cannot be forgotten.
fn second_share() -> String {
    format!(
        "--include-ignored --skip {}",
        FIRST_NODES_MODULES.join(" --skip ")
    )
}

/// Runs each node's share, on all nodes at once.
fn run_shares(lab: &Path, shares: &[(&str, Vec<Tests>)]) -> Result<Outcome, Failure> {
    thread::scope(|scope| {
        let running: Vec<_> = shares
            .iter()
            .map(|(node, tests)| scope.spawn(move || copy_and_run(lab, node, tests)))
            .collect();
        running
            .into_iter()
            .map(|share| {
                share
                    .join()
                    .unwrap_or_else(|_| Err("a node's share of the tests panicked".into()))
            })
            .try_fold(Outcome::default(), |all, share| Ok(all.and(share?)))
    })
}

/// Runs each program with its arguments on a node.
fn copy_and_run(lab: &Path, node: &str, tests: &[Tests]) -> Result<Outcome, Failure> {
    let on_node = |command: &str| Program::new(lab).args(["ssh", "--name", LAB, node, command]);
    let mut all = Outcome::default();
    for (index, (tests, arguments)) in tests.iter().enumerate() {
        let program = format!("{DIRECTORY}/pool-tests-{index}");
        let copy = format!("cat >{program} && chmod 755 {program}");
        on_node(&copy).input(tests)?.run()?;
        let command =
            format!("FLOCKER_TEST_ZFS_DATASET={DATASET} {program} {arguments} --show-output");
        let (status, lines) = on_node(&command).run_collecting()?;
        all = all.and(Outcome::of_tests(&lines, status.success()).require_tests());
    }
    Ok(all)
}

/// Compiles the tests of a target and finds the program that they are.
fn build(target: &[&str]) -> Result<PathBuf, Failure> {
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
