//! The one mouth of the program for people.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is the one place that may print"
)]

use std::process::ExitCode;

use flocker_model::{ContainerStatus, Health, NodeState, VolumeRole, render_utc};
use flocker_remote::protocol::StepFailure;
use flocker_zfs::SetAsideCopy;
use serde::Serialize;

use crate::local::Complied;

/// The exit code for "something stands in the way", as `flocker-cluster` has it.
const BLOCKED: u8 = 4;
/// The exit code for "a step failed".
const STEP_FAILED: u8 = 5;

/// Prints a failure.
pub(crate) fn failure(failure: &StepFailure) {
    eprintln!("error: {}", failure.message);
    for cause in &failure.causes {
        eprintln!("  caused by: {cause}");
    }
    if let Some(hint) = &failure.hint {
        eprintln!("  hint: {hint}");
    }
}

/// Prints what complying came to, and tells the exit code.
pub(crate) fn complied(complied: &Complied) -> ExitCode {
    for line in &complied.lines {
        println!("{line}");
    }
    for blocked in &complied.blocked {
        eprintln!("not done: {blocked}\n  hint: {}", blocked.hint());
    }
    for one in &complied.failures {
        failure(one);
    }
    for (peer, one) in &complied.silent {
        eprintln!(
            "note: {peer} was not asked whether another node took over a volume of this one \
             meanwhile: {}",
            one.message
        );
    }
    if !complied.failures.is_empty() {
        ExitCode::from(STEP_FAILED)
    } else if !complied.blocked.is_empty() {
        ExitCode::from(BLOCKED)
    } else {
        ExitCode::SUCCESS
    }
}

/// The node's state, and what is on it that is of no more use to Flocker.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    state: &'a NodeState,
    set_aside: &'a [SetAsideCopy],
}

/// Prints the node's state.
pub(crate) fn state(state: &NodeState, set_aside: &[SetAsideCopy], json: bool) {
    if json {
        let shown = Shown { state, set_aside };
        match serde_json::to_string_pretty(&shown) {
            Ok(text) => println!("{text}"),
            Err(error) => eprintln!("error: {error}"),
        }
        return;
    }
    println!("node {} (flocker-node {})", state.id, state.version);
    println!(
        "volumes in {} ({} free)",
        state.pool.dataset, state.pool.available
    );
    for (name, copy) in &state.volumes {
        let role = match &copy.role {
            VolumeRole::Owned { epoch } => format!("owned, epoch {epoch}"),
            VolumeRole::Replica { owner, epoch, .. } => {
                format!("replica of {owner}, epoch {epoch}")
            }
            VolumeRole::Foreign { problem } => format!("not Flocker's: it {problem}"),
        };
        let mounted = copy.mounted.as_deref().unwrap_or("not mounted");
        println!("  {name}: {role}, {}, {mounted}", copy.referenced);
    }
    for copy in set_aside {
        let (name, since) = (&copy.name, render_utc(copy.name.at));
        println!(
            "  set aside: {} of {}, epoch {}, since {since}, {}",
            copy.dataset, name.application, name.epoch, copy.referenced
        );
    }
    println!("applications");
    for (name, container) in &state.containers {
        let status = match &container.status {
            ContainerStatus::Running { since, health } => {
                let health = match health {
                    Health::Unchecked => "",
                    Health::Starting => ", not yet healthy",
                    Health::Healthy => ", healthy",
                    Health::Unhealthy => ", unhealthy",
                };
                format!("running since {since}{health}")
            }
            ContainerStatus::Stopped { exit_code } => format!("stopped with status {exit_code}"),
        };
        println!("  {name}: {status}, unit {:?}", container.unit);
    }
    match &state.network {
        Some(network) => println!("{} routed ports", network.routes.len()),
        None => println!("no routing table"),
    }
}
