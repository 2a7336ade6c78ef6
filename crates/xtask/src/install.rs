//! Installs what building and testing need, and only what is missing: Debian packages, and a few
//! programs for this user alone.

mod apt;
mod packages;
mod quiet_services;
mod sources;
mod user_programs;

use std::process::ExitCode;

use crate::arguments::{CommandResult, TierSelection};
use crate::process::program_exists;
use crate::terminal;
use crate::test::TierName;
pub(crate) use apt::InstallError;
pub(crate) use packages::Need;
use packages::{PACKAGES, Package};
use user_programs::user_programs;
pub(crate) use user_programs::{CARGO_DENY, DEADNIX, NIX, NIXFMT, RUFF, TY, UserProgram, cache};

/// Installs what the selected tiers need.
pub(crate) fn run(selection: &TierSelection) -> CommandResult {
    ensure(&needs_of(&selection.tiers()))?;
    Ok(ExitCode::SUCCESS)
}

/// What a number of tiers need together.
pub(crate) fn needs_of(tiers: &[TierName]) -> Vec<Need> {
    let mut needs: Vec<Need> = tiers
        .iter()
        .flat_map(|tier| tier.needs())
        .copied()
        .collect();
    needs.sort_unstable();
    needs.dedup();
    needs
}

/// Installs what some needs are.
///
/// # Errors
///
/// When apt fails or may not be used, or another program cannot be had. What was missing before may have been installed in part.
pub(crate) fn ensure(needs: &[Need]) -> Result<(), InstallError> {
    ensure_packages(needs)?;
    for program in user_programs(needs) {
        program.ensure()?;
    }
    Ok(())
}

fn ensure_packages(needs: &[Need]) -> Result<(), InstallError> {
    if !program_exists("dpkg-query") {
        terminal::loud(
            "This is not Debian, so nothing can be installed here; provide what the table in \
             crates/xtask/src/install/packages.rs lists.",
        );
        return Ok(());
    }
    let missing = missing(needs);
    if missing.is_empty() {
        terminal::line("Every package that is needed is installed.");
        return Ok(());
    }
    terminal::line("To install:");
    for package in &missing {
        terminal::line(&format!("  {:<22} {}", package.name, package.reason));
    }
    apt::install(&missing)
}

/// The names of what a need lacks on this machine; packages only where it can be known.
pub(crate) fn missing_names(needs: &[Need]) -> Vec<String> {
    let mut names = Vec::new();
    if program_exists("dpkg-query") {
        names.extend(missing(needs).iter().map(|package| package.name.to_owned()));
    }
    let absent = user_programs(needs).filter(|program| !program.is_present());
    names.extend(absent.map(UserProgram::describe));
    names
}

fn missing(needs: &[Need]) -> Vec<&'static Package> {
    let release = sources::observe_release();
    PACKAGES
        .iter()
        .filter(|package| package.needs.iter().any(|need| needs.contains(need)))
        .filter(|package| package.first_release <= release.number)
        .filter(|package| !apt::is_present(package))
        .collect()
}
