//! `cargo xtask reproduce`: faults of the past, in the code of today without what mended them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use thiserror::Error;

use crate::arguments::CommandResult;
use crate::process::Program;
use crate::terminal;
use crate::workspace;

/// Where the faults are, from the root of the workspace.
pub(crate) const DIRECTORY: &str = "docs/faults";

/// A fault cannot be reproduced.
#[derive(Debug, Error)]
enum ReproduceError {
    #[error("there is no {DIRECTORY}/{0}.patch; docs/faults/README.md lists the names")]
    Unknown(String),
    #[error("{DIRECTORY}/{name}.patch has no line `{line}: …` before the change")]
    NoLine { name: String, line: &'static str },
    #[error("the test {0} passes without what mended the fault")]
    Passes(String),
}

/// What a patch says of itself.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) name: String,
    package: String,
    target: String,
    test: String,
}

impl Fault {
    /// Reads the lines before the change.
    fn parse(name: &str, text: &str) -> Result<Self, ReproduceError> {
        let value = |line: &'static str| {
            let mut lines = text.lines().take_while(|text| !text.starts_with("diff "));
            let found = lines.find_map(|text| text.strip_prefix(line)?.strip_prefix(": "));
            found
                .map(str::to_owned)
                .ok_or_else(|| ReproduceError::NoLine {
                    name: name.to_owned(),
                    line,
                })
        };
        value("Fault")?;
        value("Mended in")?;
        Ok(Self {
            name: name.to_owned(),
            package: value("Package")?,
            target: value("Target")?,
            test: value("Test")?,
        })
    }

    fn patch(&self) -> PathBuf {
        workspace::root()
            .join(DIRECTORY)
            .join(format!("{}.patch", self.name))
    }

    /// The arguments of `cargo` that choose the test's program.
    fn program(&self) -> Vec<&str> {
        match self.target.as_str() {
            "lib" => vec!["test", "--package", &self.package, "--lib"],
            // As the tests build it, so that dependencies are not built again.
            target if target == self.package => vec!["test", "--workspace", "--bin", target],
            target => vec!["test", "--workspace", "--test", target],
        }
    }

    /// Tells whether the change still fits the code.
    pub(crate) fn applies(&self) -> bool {
        Program::new("git")
            .args(["apply", "--check"])
            .args([self.patch()])
            .succeeds()
    }
}

/// Reads the fault of this name.
fn read(name: &str) -> Result<Fault, ReproduceError> {
    let path = workspace::root()
        .join(DIRECTORY)
        .join(format!("{name}.patch"));
    let text = fs::read_to_string(path).map_err(|_| ReproduceError::Unknown(name.to_owned()))?;
    Fault::parse(name, &text)
}

/// Lists the names of all faults.
pub(crate) fn names() -> Vec<String> {
    let entries = fs::read_dir(workspace::root().join(DIRECTORY));
    let paths = entries.into_iter().flatten().flatten().map(|it| it.path());
    let patches = paths.filter(|path| path.extension().is_some_and(|it| it == "patch"));
    let mut names: Vec<String> = patches
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    names
}

/// Reads every fault; of one that cannot be read, says why.
pub(crate) fn all() -> Vec<(String, Result<Fault, String>)> {
    let faults = names().into_iter();
    let faults = faults.map(|name| {
        let fault = read(&name).map_err(|error| error.to_string());
        (name, fault)
    });
    faults.collect()
}

/// Reproduces the faults of these names, or all.
pub(crate) fn run(chosen: &[String]) -> CommandResult {
    let all = names();
    let chosen = if chosen.is_empty() { &all } else { chosen };
    let faults: Result<Vec<Fault>, _> = chosen.iter().map(|name| read(name)).collect();
    let tree = workspace::root().join("target/reproduce");
    for fault in faults? {
        terminal::heading(&format!("{}: without what mended it", fault.name));
        reproduce(&fault, &tree)?;
        terminal::line(&format!("{} is seen: its test fails", fault.name));
    }
    Ok(ExitCode::SUCCESS)
}

/// Has the test run on a copy of the code without what mended the fault.
fn reproduce(fault: &Fault, tree: &Path) -> Result<(), Box<dyn std::error::Error>> {
    copy_to(tree)?;
    let git = || Program::new("git").args(["-C"]).args([tree]);
    git().args(["apply"]).args([fault.patch()]).run()?;
    let cargo = || {
        Program::cargo()
            .args(["--config", "profile.dev.package.flocker-plan.opt-level=0"])
            .args(["--config", "profile.dev.package.flocker-model.opt-level=0"])
            .args(fault.program())
            .args(["--manifest-path"])
            .args([tree.join("Cargo.toml")])
            .env("CARGO_TARGET_DIR", workspace::root().join("target"))
    };
    // One that does not compile shows nothing.
    cargo().args(["--no-run"]).run()?;
    let failed = cargo().args(["--", fault.test.as_str()]).run().is_err();
    if failed {
        Ok(())
    } else {
        Err(ReproduceError::Passes(fault.test.clone()).into())
    }
}

/// Copies the commit that is checked out.
fn copy_to(tree: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let commit = Program::new("git").args(["rev-parse", "HEAD"]).read()?;
    if !tree.exists() {
        Program::new("git")
            .args(["clone", "--quiet", "--shared", "--no-checkout", "."])
            .args([tree])
            .run()?;
    }
    let git = || Program::new("git").args(["-C"]).args([tree]);
    git()
        .args(["checkout", "--quiet", "--force", "--detach", commit.trim()])
        .run()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "Fault: two owners\nMended in: 1a2b3c4\nPackage: flocker-plan\n\
                        Target: scenarios\nTest: one_owner\n\ndiff --git a/x b/x\nPackage: other\n";

    #[test]
    fn a_fault_names_its_test() {
        let fault = Fault::parse("owners", TEXT).unwrap();
        let program = ["test", "--workspace", "--test", "scenarios"];
        assert_eq!(fault.program(), program);
        assert_eq!(fault.test, "one_owner");
    }

    #[test]
    fn what_a_fault_lacks_is_named() {
        let text = TEXT.replace("Package: flocker-plan\n", "");
        let error = Fault::parse("owners", &text).unwrap_err();
        assert_eq!(
            error.to_string(),
            "docs/faults/owners.patch has no line `Package: …` before the change"
        );
    }
}
