//! The one mouth of the program for people.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is the one place that may print"
)]

use std::collections::BTreeMap;
use std::process::ExitCode;

use flocker_model::{
    ContainerStatus, Health, NodeState, PoolProblem, PoollessNode, Secret, VolumeRole, one_line,
    printable, render_utc,
};
use flocker_remote::protocol::StepFailure;
use flocker_zfs::SetAsideCopy;
use serde::Serialize;

use crate::local::Complied;

/// The exit code for "something stands in the way", as `flocker-cluster` has it.
const BLOCKED: u8 = 4;
/// The exit code for "a step failed".
const STEP_FAILED: u8 = 5;

/// Prints a failure; peers, Docker and `zfs` may have had a say in it.
pub(crate) fn failure(failure: &StepFailure) {
    eprintln!("error: {}", printable(&failure.message));
    for cause in &failure.causes {
        eprintln!("  caused by: {}", printable(cause));
    }
    if let Some(hint) = &failure.hint {
        eprintln!("  hint: {}", printable(hint));
    }
}

/// Prints what complying came to, and tells the exit code.
pub(crate) fn complied(complied: &Complied) -> ExitCode {
    for line in &complied.lines {
        println!("{line}");
    }
    for blocked in &complied.blocked {
        eprintln!("not done: {}", printable(&blocked.to_string()));
        eprintln!("  hint: {}", printable(&blocked.hint()));
    }
    for one in &complied.failures {
        failure(one);
    }
    for (peer, one) in &complied.silent {
        eprintln!(
            "note: {peer} was not asked whether another node took over a volume of this one \
             meanwhile: {}",
            printable(&one.message)
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

/// Says that the node cannot look at its pool, and tells the exit code: a list without volumes
/// would be a wrong one.
pub(crate) fn without_pool(node: &PoollessNode) -> ExitCode {
    let PoollessNode { pool, problem, .. } = node;
    failure(&StepFailure {
        message: format!(
            "pool {pool} {}, so that it is not known which volumes are there",
            one_line(&problem.to_string())
        ),
        causes: Vec::new(),
        hint: Some(match problem {
            PoolProblem::NotImported => "look at `zpool import`".to_owned(),
            _ => format!("look at `zpool status {pool}`"),
        }),
        stale: false,
    });
    ExitCode::from(BLOCKED)
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
        match state_json(state, set_aside) {
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
            VolumeRole::Foreign { problem } => {
                format!("not Flocker's: it {}", one_line(problem))
            }
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

/// Writes the node's state as JSON, without the values of environments.
pub(crate) fn state_json(
    state: &NodeState,
    set_aside: &[SetAsideCopy],
) -> serde_json::Result<String> {
    serde_json::to_string_pretty(&Shown {
        state: &without_secrets(state),
        set_aside,
    })
}

/// Leaves out the values of environments: a command's output ends where others may read it.
fn without_secrets(state: &NodeState) -> NodeState {
    let mut state = state.clone();
    let applied = state
        .applied
        .iter_mut()
        .flat_map(|applied| applied.deployment.applications.values_mut())
        .map(|application| &mut application.environment);
    let remembered = state.remembered.applications.values_mut();
    let remembered = remembered.map(|remembered| &mut remembered.specification.environment);
    for value in applied.chain(remembered).flat_map(BTreeMap::values_mut) {
        *value = Secret::withheld();
    }
    state
}
