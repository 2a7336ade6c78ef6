//! The virtual nodes: everything here is done by `flocker-lab`, once it is built.

use std::error::Error;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use sha2::{Digest as _, Sha256};

use crate::arguments::CommandResult;
use crate::deb;
use crate::install::{self, Need};
use crate::nix_image;
use crate::process::Program;
use crate::programs::{self, ProgramsError, Purpose};
use crate::terminal;

/// The lab, and what it puts on nodes and drives them with.
#[derive(Debug)]
pub(crate) struct Built {
    lab: PathBuf,
    package: PathBuf,
    cluster: PathBuf,
}

impl Built {
    /// `flocker-lab` with arguments, told where the other parts are.
    pub(crate) fn program(&self, arguments: &[&str]) -> Program {
        let program = Program::new(&self.lab)
            .args(arguments)
            .env("FLOCKER_DEB", &self.package)
            .env("FLOCKER_CLUSTER", &self.cluster)
            .interactive();
        match commit() {
            Some(commit) => program.env("FLOCKER_COMMIT", commit),
            None => program,
        }
    }
}

/// Builds the package for the nodes, the operator's program, and the lab.
pub(crate) fn build(purpose: Purpose) -> Result<Built, Box<dyn Error>> {
    let programs = programs::build(purpose)?;
    Ok(Built {
        package: deb::build(&programs.join("flocker-node"))?,
        cluster: programs.join("flocker-cluster"),
        lab: programs.join("flocker-lab"),
    })
}

/// Builds the lab. Cargo is run for that only, so that what it compiles is seen and the lab has the
/// terminal to itself afterwards.
pub(crate) fn build_lab() -> Result<PathBuf, ProgramsError> {
    Ok(programs::build(Purpose::Lab)?.join("flocker-lab"))
}

/// Runs `flocker-lab` as the user asked.
pub(crate) fn run_lab(arguments: &[String]) -> CommandResult {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let ["test" | "scenario" | "demo", ..] = words.as_slice() {
        return build(Purpose::Lab)?.program(&words).exit_code();
    }
    let arguments = nix_image::resolve(arguments)?;
    Program::new(build_lab()?)
        .args(arguments)
        .interactive()
        .exit_code()
}

/// Installs, builds with failpoints, and lets `flocker-lab` disturb moves.
pub(crate) fn run_faults(arguments: &[String]) -> CommandResult {
    install::ensure(&[Need::Build, Need::Machines])?;
    let mut words = vec!["faults"];
    words.extend(arguments.iter().map(String::as_str));
    let mut program = build(Purpose::Faults)?.program(&words);
    if let Some(source) = source() {
        program = program.env("FLOCKER_SOURCE", source);
    }
    program.exit_code()
}

/// Names the state of the workspace, for tables that are kept and for cases that depend on it.
fn commit() -> Option<String> {
    let described = Program::new("git")
        .args(["describe", "--always", "--dirty", "--abbrev=12"])
        .read();
    described.ok().map(|text| text.trim().to_owned())
}

/// What the programs, the nodes and the cases are built of.
const BUILT_OF: [&str; 4] = ["Cargo.lock", "Cargo.toml", "crates", "vm-images"];

/// Those of it that say nothing of how a case ends: development commands, fuzz targets, and tests.
const NOT_BUILT_OF: [&str; 4] = [
    ":(exclude)crates/xtask",
    ":(exclude)crates/fuzz",
    ":(exclude,glob)crates/*/tests/**",
    ":(exclude,glob)crates/*/src/**/tests/**",
];

/// Names all that the programs and the nodes are built of: the same for commits that differ in
/// other things only. Nothing if it has changes that are not committed.
fn source() -> Option<String> {
    let changes = Program::new("git")
        .args(["status", "--porcelain", "--"])
        .args(BUILT_OF)
        .args(NOT_BUILT_OF)
        .read();
    if !changes.ok()?.trim().is_empty() {
        return None;
    }
    let listed = Program::new("git")
        .args(["ls-files", "--stage", "--"])
        .args(BUILT_OF)
        .args(NOT_BUILT_OF)
        .read();
    Some(digest(&listed.ok()?))
}

/// A short name for a text.
fn digest(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    let mut name = String::new();
    for byte in digest.iter().take(12) {
        // Writing to a string does not fail.
        let _ = write!(name, "{byte:02x}");
    }
    name
}

/// Installs, builds, and lets `flocker-lab` show what Flocker does.
pub(crate) fn run_demo(arguments: &[String]) -> CommandResult {
    terminal::heading("demo 1/3: install what is missing");
    install::ensure(&[Need::Build, Need::Machines])?;
    terminal::heading("demo 2/3: build Flocker and its Debian package");
    let built = build(Purpose::Lab)?;
    terminal::heading("demo 3/3: two nodes, a database, and its move");
    let mut words = vec!["demo"];
    words.extend(arguments.iter().map(String::as_str));
    let code = built.program(&words).exit_code()?;
    if code != ExitCode::SUCCESS {
        terminal::loud("The demo failed; its messages are above.");
    }
    Ok(code)
}
