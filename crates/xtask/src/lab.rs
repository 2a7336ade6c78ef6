//! The virtual nodes: everything here is done by `flocker-lab`, once it is built.

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::arguments::CommandResult;
use crate::deb;
use crate::install::{self, Need};
use crate::process::Program;
use crate::terminal;

/// What the lab puts on nodes and drives them with.
#[derive(Debug)]
pub(crate) struct Built {
    package: PathBuf,
    cluster: PathBuf,
}

impl Built {
    /// Tells a program where the parts are.
    pub(crate) fn tell(&self, program: Program) -> Program {
        program
            .env("FLOCKER_DEB", &self.package)
            .env("FLOCKER_CLUSTER", &self.cluster)
    }
}

/// Builds the package for the nodes, the operator's program, and the lab.
pub(crate) fn build() -> Result<Built, Box<dyn Error>> {
    // One cargo for all three builds more of them at the same time.
    Program::cargo()
        .args(["build", "--release", "--package", "flocker-node"])
        .args(["--package", "flocker-cluster", "--package", "flocker-lab"])
        .run()?;
    let package = deb::build()?;
    // target/debian/… is beside target/release.
    let target = package.ancestors().nth(2).unwrap_or(&package);
    let cluster = target.join("release/flocker-cluster");
    Ok(Built { package, cluster })
}

/// `flocker-lab` with arguments.
pub(crate) fn program(arguments: &[&str]) -> Program {
    Program::cargo()
        .args([
            "run",
            "--quiet",
            "--release",
            "--package",
            "flocker-lab",
            "--",
        ])
        .args(arguments)
        .interactive()
}

/// Runs `flocker-lab` as the user asked.
pub(crate) fn run_lab(arguments: &[String]) -> CommandResult {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    program(&arguments).exit_code()
}

/// Installs, builds, and lets `flocker-lab` show what Flocker does.
pub(crate) fn run_demo(arguments: &[String]) -> CommandResult {
    terminal::heading("demo 1/3: install what is missing");
    install::ensure(&[Need::Build, Need::Machines])?;
    terminal::heading("demo 2/3: build Flocker and its Debian package");
    let built = build()?;
    terminal::heading("demo 3/3: two nodes, a database, and its move");
    let mut words = vec!["demo"];
    words.extend(arguments.iter().map(String::as_str));
    let code = built.tell(program(&words)).exit_code()?;
    if code != ExitCode::SUCCESS {
        terminal::loud("The demo failed; its messages are above.");
    }
    Ok(code)
}
