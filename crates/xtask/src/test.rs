//! `cargo xtask test`: installs what is missing and runs the tests, cheapest first.

mod beside;
mod cargo_test;
mod contract;
mod deny;
mod fuzz;
mod images;
mod machines;
mod nix;
mod outcome;
mod pool;
mod summary;
mod tier;

use std::process::ExitCode;
use std::time::Instant;

use crate::arguments::TierSelection;
use crate::install;
use crate::process::{Program, RunError};
use crate::terminal;
use beside::DisturbedMoves;
pub(crate) use fuzz::MANIFEST as FUZZ_MANIFEST;
use images::Images;
use outcome::Outcome;
pub(crate) use outcome::PART_OF_ANOTHER_TEST;
use summary::{Report, Strictness};
pub(crate) use tier::TierName;

impl TierSelection {
    /// The tiers to run, in the order in which they run.
    pub(crate) fn tiers(&self) -> Vec<TierName> {
        TierName::ALL
            .into_iter()
            .filter(|tier| self.tiers.is_empty() || self.tiers.contains(tier))
            .filter(|tier| !self.fast || !tier.needs_machines())
            .collect()
    }
}

/// Runs the selected tiers and prints what came out of them.
pub(crate) fn run(selection: &TierSelection) -> ExitCode {
    let tiers = selection.tiers();
    terminal::heading("install what is missing");
    if let Err(failure) = install::ensure(&install::needs_of(&tiers)) {
        // The tiers that need nothing more than what is there can run all the same.
        terminal::failure(&failure);
    }
    let mut images = Images::default();
    let mut disturbed = DisturbedMoves::default();
    let reports: Vec<Report> = tiers
        .iter()
        .map(|tier| {
            images.begin_or_wait(*tier, &tiers);
            disturbed.begin_before(*tier, &tiers);
            terminal::heading(&format!("{tier}: {}", tier.purpose()));
            disturbed.wait(*tier).unwrap_or_else(|| run_tier(*tier))
        })
        .collect();
    let strictness = Strictness::observe();
    terminal::heading("summary");
    for line in summary::render(&reports, strictness) {
        terminal::line(&line);
    }
    ExitCode::from(u8::from(summary::is_failure(&reports, strictness)))
}

fn run_tier(tier: TierName) -> Report {
    let started = Instant::now();
    let outcome = match obstacle(tier) {
        None => tier.run(),
        Some(why) => Outcome::skipped(why),
    };
    finish(tier, outcome, started)
}

/// Says what must not be missed of a tier that has run.
fn finish(tier: TierName, outcome: Outcome, started: Instant) -> Report {
    for note in &outcome.notes {
        terminal::loud(&format!("{tier}: {note}"));
    }
    Report {
        tier,
        outcome,
        duration: started.elapsed(),
    }
}

/// Why a tier cannot run on this machine, if so.
fn obstacle(tier: TierName) -> Option<String> {
    let missing = install::missing_names(tier.needs());
    if !missing.is_empty() {
        return Some(format!("these are missing: {}", missing.join(" ")));
    }
    tier.needs_machines().then(machines::why_not).flatten()
}

/// The platform that this machine's compiler builds for.
///
/// # Errors
///
/// When the compiler cannot be asked.
pub(crate) fn host_platform() -> Result<String, RunError> {
    let version = Program::new("rustc").args(["-vV"]).read()?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.unwrap_or_default().to_owned())
}
