//! Installs the Debian packages that building and testing need, and only those that are missing.

mod apt;
mod packages;
mod quiet_services;
mod sources;

use std::process::ExitCode;

use crate::arguments::{CommandResult, TierSelection};
use crate::process::program_exists;
use crate::terminal;
use crate::test::TierName;
pub(crate) use apt::InstallError;
pub(crate) use packages::Need;
use packages::{PACKAGES, Package};

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

/// Installs the packages for some needs.
///
/// # Errors
///
/// When apt fails or may not be used. What was missing before may have been installed in part.
pub(crate) fn ensure(needs: &[Need]) -> Result<(), InstallError> {
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

/// The names of the packages that a need lacks on this machine; none where it cannot be known.
pub(crate) fn missing_names(needs: &[Need]) -> Vec<&'static str> {
    if !program_exists("dpkg-query") {
        return Vec::new();
    }
    missing(needs).iter().map(|package| package.name).collect()
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
