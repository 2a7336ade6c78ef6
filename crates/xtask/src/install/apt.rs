//! Debian's package manager, with sudo when needed.

use std::path::Path;

use nix::unistd::Uid;

use super::packages::Package;
use super::quiet_services::{self, QuietServices};
use super::sources::{self, Addition};
use super::user_programs::UserProgramError;
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
    /// The package manager was content, and yet something is not there.
    #[error("`{0}` is still missing after apt has installed it; look at its messages above")]
    Missing(&'static str),
    /// The sources of apt have no entry to derive another from.
    #[error(
        "apt cannot install `{package}`, and no entry of apt's sources for Debian {codename} could \
         be extended with {addition}; add that and run this again"
    )]
    NoSource {
        package: String,
        codename: String,
        addition: &'static str,
    },
    /// A program for this user alone.
    #[error(transparent)]
    UserProgram(#[from] UserProgramError),
    /// A file could not be prepared.
    #[error("could not write a temporary file")]
    Temporary(#[source] std::io::Error),
}

/// Whether what the package is for is there.
///
/// A program from elsewhere does as well: asking apt for Debian's Docker on a machine with Docker's
/// own packages would remove those.
pub(super) fn is_present(package: &Package) -> bool {
    let has_programs = !package.programs.is_empty()
        && package
            .programs
            .iter()
            .all(|program| program_exists(program));
    has_programs || is_installed(package.name)
}

/// Whether dpkg has the package, fully installed.
fn is_installed(package: &str) -> bool {
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
        add_source(Addition::Contrib, package.name)?;
        update()?;
    }
    let quiet = QuietServices::begin()?;
    let outcome = run_install(packages, None)
        .or_else(|_| {
            terminal::line("Trying again with fresh package lists.");
            update()?;
            run_install(packages, None)
        })
        .or_else(|failure| {
            if has_backports() {
                install_with_backports(packages)
            } else {
                Err(failure)
            }
        });
    quiet.end()?;
    outcome?;
    quiet_services::disable(packages);
    match packages.iter().find(|package| !is_present(package)) {
        None => Ok(()),
        Some(package) => Err(InstallError::Missing(package.name)),
    }
}

fn run_install(packages: &[&Package], suite: Option<&str>) -> Result<(), InstallError> {
    let names = packages.iter().map(|package| package.name);
    // Nothing that the user has may go: rather fail, and find another way or say so.
    apt_get(&["install", "--yes", "--no-remove"])
        .args(["--no-install-recommends"])
        .args(suite.map(|suite| format!("--target-release={suite}")))
        .args(names)
        .run()
        .map_err(InstallError::Apt)
}

/// Installs one package after another, and those from backports that do not go with what is
/// installed from there: a package whose version must be that of another one, for example.
fn install_with_backports(packages: &[&Package]) -> Result<(), InstallError> {
    let mut is_added = false;
    for package in packages {
        if run_install(&[package], None).is_ok() {
            continue;
        }
        if !is_added {
            add_source(Addition::Backports, package.name)?;
            update()?;
            is_added = true;
        }
        let suite = sources::backports_of(&sources::observe_release().codename);
        run_install(&[package], Some(&suite))?;
    }
    Ok(())
}

/// Whether something on this machine came from Debian's backports, whose versions say so.
///
/// **Source**: <https://backports.debian.org/Contribute/>.
fn has_backports() -> bool {
    Program::new("dpkg-query")
        .args(["--show", "--showformat=${Version}\\n"])
        .read()
        .is_ok_and(|versions| versions.contains("~bpo"))
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

fn add_source(addition: Addition, package: &str) -> Result<(), InstallError> {
    let release = sources::observe_release();
    let text = sources::render(addition, &sources::observe_sources(), &release.codename);
    if text.is_empty() {
        return Err(InstallError::NoSource {
            package: package.to_owned(),
            codename: release.codename,
            addition: addition.name(),
        });
    }
    terminal::line(&format!(
        "apt cannot install `{package}`; adding Debian's {} in {}",
        addition.name(),
        addition.file()
    ));
    write_as_root(Path::new(addition.file()), &text, "0644")
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
