//! The one mouth of the program for people.

use std::io::{self, Write as _};
use std::process::ExitCode;

use flocker_config::Diagnostics;
use flocker_model::{
    ContainerStatus, Health, NodeState, PoolProblem, PoollessNode, VolumeRole, one_line, printable,
    render_utc,
};
use flocker_plan::Note;
use flocker_remote::protocol::StepFailure;
use flocker_zfs::SetAsideCopy;
use serde::Serialize;

use crate::configuration::NoDeployment;
use crate::local::Complied;

/// The exit code for "configuration error", as `flocker-cluster` has it.
const CONFIGURATION: u8 = 3;
/// The exit code for "something stands in the way".
const BLOCKED: u8 = 4;
/// The exit code for "a step failed".
const STEP_FAILED: u8 = 5;

/// The exit code of a restore for "waits for a key"; systemd then runs it again.
const WAITS_FOR_KEY: u8 = 7;

/// Writes a line of the result, for whoever still reads.
///
/// Who reads may go away first: `flocker-node observe | head`. `println!` would end the program then,
/// in a way that looks like a defect of it.
fn print_line(text: &str) {
    let _ = writeln!(io::stdout().lock(), "{text}");
}

/// Writes a line to standard error in the same way.
fn print_note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Prints a failure; peers, Docker and `zfs` may have had a say in it.
pub(crate) fn failure(failure: &StepFailure) {
    print_note(&format!("error: {}", printable(&failure.message)));
    for cause in &failure.causes {
        print_note(&format!("  caused by: {}", printable(cause)));
    }
    if let Some(hint) = &failure.hint {
        print_note(&format!("  hint: {}", printable(hint)));
    }
}

/// Prints why there is no deployment to comply with, and tells the exit code.
pub(crate) fn no_deployment(why: &NoDeployment) -> ExitCode {
    match why {
        NoDeployment::Unreadable(unreadable) => failure(unreadable),
        NoDeployment::Wrong(wrong) => diagnostics(wrong),
    }
    ExitCode::from(CONFIGURATION)
}

/// Prints what is wrong with configuration files, or is probably not meant. It says itself which.
pub(crate) fn diagnostics(diagnostics: &Diagnostics) {
    if !diagnostics.is_empty() {
        print_note(&printable(diagnostics.to_string().trim_end()));
    }
}

/// Prints what complying came to, and tells the exit code.
pub(crate) fn complied(complied: &Complied) -> ExitCode {
    for line in &complied.lines {
        print_line(line);
    }
    for blocked in &complied.blocked {
        print_note(&format!("not done: {}", printable(&blocked.to_string())));
        print_note(&format!("  hint: {}", printable(&blocked.hint())));
    }
    for one in &complied.failures {
        failure(one);
    }
    for (peer, one) in &complied.silent {
        print_note(&format!(
            "note: {peer} was not asked whether another node took over a volume of this one \
             meanwhile: {}",
            printable(&one.message)
        ));
    }
    if !complied.failures.is_empty() {
        ExitCode::from(STEP_FAILED)
    } else if !complied.blocked.is_empty() {
        ExitCode::from(BLOCKED)
    } else {
        ExitCode::SUCCESS
    }
}

/// Prints what a restore came to, and tells the exit code.
///
/// Waiting for a key comes before all else: only with that code the restore is run again.
pub(crate) fn restored(restored: &Complied) -> ExitCode {
    let code = complied(restored);
    if restored.waits_for_key() {
        return ExitCode::from(WAITS_FOR_KEY);
    }
    code
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
            Ok(text) => print_line(&text),
            Err(error) => print_note(&format!("error: {error}")),
        }
        return;
    }
    print_line(&format!(
        "node {} (flocker-node {})",
        state.id, state.version
    ));
    print_line(&format!(
        "volumes in {} ({} free)",
        state.pool.dataset, state.pool.available
    ));
    if let Some(dataset) = &state.pool.sync_disabled {
        let dataset = dataset.clone();
        print_note(&format!("warning: {}", Note::SyncDisabled { dataset }));
    }
    volumes(state);
    for copy in set_aside {
        let (name, since) = (&copy.name, render_utc(copy.name.at));
        print_line(&format!(
            "  set aside: {} of {}, epoch {}, since {since}, {}",
            copy.dataset, name.application, name.epoch, copy.referenced
        ));
    }
    print_line("applications");
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
        print_line(&format!("  {name}: {status}, unit {:?}", container.unit));
    }
    match &state.network {
        Some(network) => print_line(&format!("{} routed ports", network.ports.routes.len())),
        None => print_line("no routing table"),
    }
}

/// Prints the volumes, and who else has them mounted.
fn volumes(state: &NodeState) {
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
        let mounted = match (&copy.mounted, &copy.key_needed) {
            (Some(path), _) => path.clone(),
            (None, Some(dataset)) => format!("not mounted: needs `zfs load-key {dataset}`"),
            (None, None) => "not mounted".to_owned(),
        };
        print_line(&format!("  {name}: {role}, {}, {mounted}", copy.referenced));
        for holder in &copy.held_by {
            print_line(&format!(
                "    also mounted by {}",
                printable(&holder.to_string())
            ));
        }
    }
}

/// Writes the node's state as JSON, without the values of environments and the contents of files.
pub(crate) fn state_json(
    state: &NodeState,
    set_aside: &[SetAsideCopy],
) -> serde_json::Result<String> {
    serde_json::to_string_pretty(&Shown {
        state: &without_secrets(state),
        set_aside,
    })
}

/// Leaves out the values of environments and the contents of files: a command's output ends where
/// others may read it.
fn without_secrets(state: &NodeState) -> NodeState {
    let mut state = state.clone();
    for remembered in state.remembered.applications.values_mut() {
        remembered.specification.withhold_secrets();
    }
    state
}
