//! Debian's package manager, with sudo when needed.

use std::path::Path;

use nix::unistd::Uid;

use super::contrib;
use super::packages::Package;
use super::quiet_services::{self, QuietServices};
use crate::process::{Program, RunError, program_exists};
use crate::terminal;

/// Why packages could not be installed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InstallError {
    /// Neither root nor able to become root.
    #[error("packages are missing; run this as root, or install sudo and run it again")]
    NotPermitted,
    /// A package manager's program failed.
    #[error("apt did not install the packages; its messages are above")]
    Apt(#[source] RunError),
    /// The sources of apt have no entry to derive `contrib` from.
    #[error(
        "apt knows no `{package}`, and no entry of apt's sources for Debian {codename} could be \
         extended with `contrib`; add that component and run this again"
    )]
    NoSource { package: String, codename: String },
    /// A file could not be prepared.
    #[error("could not write a temporary file")]
    Temporary(#[source] std::io::Error),
}

/// Whether dpkg has the package, fully installed.
pub(super) fn is_installed(package: &str) -> bool {
    Program::new("dpkg-query")
        .args(["--show", "--showformat=${db:Status-Status} ", package])
        .succeeds_with_output("installed ")
}

/// Installs packages, none of whose services are started.
pub(super) fn install(packages: &[&Package]) -> Result<(), InstallError> {
    if !Uid::effective().is_root() && !program_exists("sudo") {
        return Err(InstallError::NotPermitted);
    }
    if packages.iter().any(|package| !has_candidate(package.name)) {
        update()?;
    }
    if let Some(package) = packages.iter().find(|package| !has_candidate(package.name)) {
        add_contrib(package.name)?;
        update()?;
    }
    let quiet = QuietServices::begin()?;
    let outcome = run_install(packages).or_else(|_| {
        terminal::line("Trying again with fresh package lists.");
        update()?;
        run_install(packages)
    });
    quiet.end()?;
    outcome?;
    quiet_services::disable(packages);
    Ok(())
}

fn run_install(packages: &[&Package]) -> Result<(), InstallError> {
    let names = packages.iter().map(|package| package.name);
    apt_get(&["install", "--yes", "--no-install-recommends"])
        .args(names)
        .run()
        .map_err(InstallError::Apt)
}

fn update() -> Result<(), InstallError> {
    apt_get(&["update"]).run().map_err(InstallError::Apt)
}

fn apt_get(arguments: &[&str]) -> Program {
    // Another apt may be at work: on a fresh cloud machine one usually is.
    privileged("env")
        .args(["DEBIAN_FRONTEND=noninteractive", "apt-get"])
        .args(["-o", "DPkg::Lock::Timeout=300", "-o", "Dpkg::Use-Pty=0"])
        .args(arguments)
}

/// A program that runs as root.
pub(super) fn privileged(name: &str) -> Program {
    if Uid::effective().is_root() {
        return Program::new(name);
    }
    Program::new("sudo").interactive().args([name])
}

/// Puts a text into a file of root's.
pub(super) fn write_as_root(path: &Path, text: &str, mode: &str) -> Result<(), InstallError> {
    let temporary = std::env::temp_dir().join(format!("flocker-xtask-{}", std::process::id()));
    std::fs::write(&temporary, text).map_err(InstallError::Temporary)?;
    let outcome = privileged("install")
        .args(["--mode", mode, "--owner=root", "--group=root"])
        .args([&temporary, path])
        .run()
        .map_err(InstallError::Apt);
    std::fs::remove_file(&temporary).map_err(InstallError::Temporary)?;
    outcome
}

fn has_candidate(package: &str) -> bool {
    Program::new("apt-cache")
        .env("LC_ALL", "C")
        .args(["policy", package])
        .read()
        .is_ok_and(|policy| parse_candidate(&policy))
}

/// Whether `apt-cache policy` names a version that could be installed.
fn parse_candidate(policy: &str) -> bool {
    policy
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Candidate:"))
        .any(|version| version.trim() != "(none)")
}

fn add_contrib(package: &str) -> Result<(), InstallError> {
    let release = contrib::observe_release();
    let sources = contrib::render_contrib(&contrib::observe_sources(), &release.codename);
    if sources.is_empty() {
        return Err(InstallError::NoSource {
            package: package.to_owned(),
            codename: release.codename,
        });
    }
    terminal::line(&format!(
        "apt has no `{package}`; adding Debian's component contrib in {}",
        contrib::ADDED_SOURCE
    ));
    write_as_root(Path::new(contrib::ADDED_SOURCE), &sources, "0644")
}

#[cfg(test)]
mod tests {
    use super::parse_candidate;

    #[test]
    fn a_package_without_a_version_is_no_candidate() {
        assert!(parse_candidate(
            "x:\n  Installed: (none)\n  Candidate: 1.2-3\n"
        ));
        assert!(!parse_candidate(
            "x:\n  Installed: (none)\n  Candidate: (none)\n"
        ));
        assert!(!parse_candidate(""));
    }
}
