//! Doing what a step says. Nothing here decides what should happen: that is the planner's.

pub(crate) mod applications;
mod containers;
mod images;
mod importing;
pub(crate) mod membership;
mod push;
mod routes;
mod sharing;
mod volumes;
mod waiting;

use flocker_model::{OwnerClaim, RegistryLogins, RememberedApplication};
use flocker_plan::{Action, Handoff, ImageSource, PushKind};
use flocker_remote::protocol::{Change, Progress, StepDone, StepFailure};
use tokio::sync::mpsc;

use crate::failure::failure_of;
use crate::machine::Machine;
use crate::places::reach;
use crate::platform::Platform;

/// Where a step tells how far it is.
pub(crate) type ProgressSender = mpsc::UnboundedSender<Progress>;

/// Runs one step.
///
/// The kinds of actions each have a function, which hands on what is not of its kind; the last of
/// them lists all that is left, so that the compiler finds an action that nobody runs.
pub(crate) async fn run_action(
    machine: &Machine<impl Platform>,
    action: Action,
    progress: &ProgressSender,
) -> Result<StepDone, StepFailure> {
    run_action_with(machine, (action, &RegistryLogins::new()), progress).await
}

/// Runs one step with the operator's logins at registries.
pub(crate) async fn run_action_with(
    machine: &Machine<impl Platform>,
    (action, logins): (Action, &RegistryLogins),
    progress: &ProgressSender,
) -> Result<StepDone, StepFailure> {
    let kind = action.kind();
    reach(|| format!("{kind}.before")).await;
    let done = match action {
        Action::EnsureImage {
            image,
            from: ImageSource::Registry(_),
        } => {
            let pulled = images::pull(machine, (&image, logins), progress).await;
            pulled.map(StepDone::plain)
        }
        other => run(machine, other, progress).await,
    };
    reach(|| format!("{kind}.after")).await;
    done
}

async fn run(
    machine: &Machine<impl Platform>,
    action: Action,
    progress: &ProgressSender,
) -> Result<StepDone, StepFailure> {
    // Boxed, here and where an action is handed on: what some steps do makes large futures.
    match action {
        Action::ReleaseVolume {
            application,
            epoch,
            to,
            deployment,
        } => {
            let release = flocker_zfs::Release {
                epoch,
                to,
                snapshot: None,
                deployment,
            };
            volumes::release(machine, &application, &release).await
        }
        Action::CheckImage { specification } => images::check(machine, &specification).await,
        Action::StopApplication { application, kind } => {
            Box::pin(applications::stop(machine, (&application, kind))).await
        }
        Action::StartApplication {
            specification,
            links,
            volume,
            dependencies,
            completes,
        } => {
            let wanted = RememberedApplication {
                specification: *specification,
                links,
                volume,
                retired: false,
                dependencies,
            };
            Box::pin(applications::start(machine, (wanted, completes), progress)).await
        }
        other => {
            let change = Box::pin(run_on_volume(machine, other, progress)).await?;
            Ok(StepDone::plain(change))
        }
    }
}

/// Runs an action on one volume of this node.
async fn run_on_volume(
    machine: &Machine<impl Platform>,
    action: Action,
    progress: &ProgressSender,
) -> Result<Change, StepFailure> {
    match action {
        Action::AcquireVolume {
            application,
            epoch,
            handoff,
            deployment,
        } => {
            let Handoff::Recorded(snapshot) = handoff else {
                return Err(failure_of(
                    "the step names another step's result, not a snapshot",
                ));
            };
            let acquire = flocker_zfs::Acquire {
                epoch,
                snapshot,
                deployment,
            };
            volumes::acquire(machine, &application, &acquire).await
        }
        Action::CreateVolume {
            application,
            maximum_size,
            deployment,
            fill,
        } => {
            let new = flocker_zfs::NewVolume {
                application,
                maximum_size,
                deployment,
            };
            volumes::create(machine, (&new, &fill)).await
        }
        Action::ResizeVolume {
            application,
            maximum_size,
        } => volumes::resize(machine, &application, maximum_size).await,
        Action::PruneSnapshots { application, keep } => {
            volumes::prune(machine, &application, &keep).await
        }
        other => Box::pin(run_decision(machine, other, progress)).await,
    }
}

/// Runs an action that only the operator can have decided.
async fn run_decision(
    machine: &Machine<impl Platform>,
    action: Action,
    progress: &ProgressSender,
) -> Result<Change, StepFailure> {
    match action {
        Action::PromoteVolume {
            application,
            owner,
            epoch,
            snapshot,
            latest,
            next,
            deployment,
        } => {
            let promote = flocker_zfs::Promote {
                owner,
                epoch,
                snapshot,
                next,
                deployment,
            };
            volumes::promote(machine, &application, (&promote, latest)).await
        }
        Action::RecordOwner {
            application,
            owner,
            epoch,
        } => volumes::record_owner(machine, &application, OwnerClaim { owner, epoch }).await,
        Action::SetVolumeAside { name, role, newest } => {
            let set_aside = flocker_zfs::SetAside { name, role, newest };
            volumes::set_aside(machine, &set_aside).await
        }
        Action::ImportVolume {
            application,
            epoch,
            content,
            deployment,
        } => {
            let new = flocker_zfs::NewImport {
                application,
                from: content.to_string(),
                epoch,
                deployment,
            };
            Box::pin(importing::import(machine, (&new, &content), progress)).await
        }
        Action::SnapshotVolume { application, epoch } => {
            importing::snapshot(machine, &application, epoch).await
        }
        other => Box::pin(transfer(machine, other, progress)).await,
    }
}

/// Runs an action that brings data from one machine to another.
async fn transfer(
    machine: &Machine<impl Platform>,
    action: Action,
    progress: &ProgressSender,
) -> Result<Change, StepFailure> {
    match action {
        Action::PushVolume {
            application,
            epoch,
            to,
            kind,
            bases,
        } => {
            let push = push::Push {
                application: &application,
                epoch,
                to: &to,
                kind,
                bases: &bases,
                progress,
            };
            match kind {
                PushKind::Ahead => push::push_ahead(machine, &push).await,
                PushKind::Last => push::push_last(machine, &push).await,
            }
        }
        Action::PushImage { image, to, copy } => {
            images::push(machine, (&image, &copy, &to), progress).await
        }
        Action::EnsureImage { .. } => Err(failure_of(
            "images of the operator's machine come as a stream, not as a step",
        )),
        other => Box::pin(run_locally(machine, other, progress)).await,
    }
}

/// Runs an action on applications, the network or what is recorded: all that is left.
async fn run_locally(
    machine: &Machine<impl Platform>,
    action: Action,
    progress: &ProgressSender,
) -> Result<Change, StepFailure> {
    match action {
        Action::RemoveApplication { application } => {
            applications::remove(machine, &application).await
        }
        Action::SetLinks { application, links } => {
            applications::set_links(machine, &application, links).await
        }
        Action::AwaitHealth { application } => {
            waiting::await_health(machine, &application, progress).await
        }
        Action::AwaitCompletion { application } => {
            waiting::await_completion(machine, &application, progress).await
        }
        Action::HoldPorts { ports } => routes::hold(machine, &ports).await,
        Action::SwitchRoutes { ports, .. } => routes::switch(machine, &ports).await,
        Action::ProgramNetwork { network } => routes::program(machine, network).await,
        Action::AdmitMembers { members } => {
            membership::admit(machine, ("admit-members", &members)).await
        }
        Action::RecordDeployment { applied, members } => {
            membership::record(machine, &applied, &members).await
        }
        Action::ReleaseVolume { .. }
        | Action::CheckImage { .. }
        | Action::StopApplication { .. }
        | Action::StartApplication { .. }
        | Action::AcquireVolume { .. }
        | Action::PromoteVolume { .. }
        | Action::RecordOwner { .. }
        | Action::SetVolumeAside { .. }
        | Action::ImportVolume { .. }
        | Action::SnapshotVolume { .. }
        | Action::CreateVolume { .. }
        | Action::ResizeVolume { .. }
        | Action::PruneSnapshots { .. }
        | Action::PushVolume { .. }
        | Action::PushImage { .. }
        | Action::EnsureImage { .. } => Err(failure_of(
            "the step reached a part of the program that is not meant for it",
        )),
    }
}
