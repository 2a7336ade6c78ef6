//! Doing what a step says. Nothing here decides what should happen: that is the planner's.

pub(crate) mod applications;
mod images;
mod membership;
mod push;
mod routes;
mod volumes;

use flocker_plan::{Action, Handoff, ImageSource, PushKind, Yield};
use flocker_remote::protocol::{Progress, StepDone, StepFailure};
use tokio::sync::mpsc;

use crate::failure::failure_of;
use crate::machine::Machine;

/// Where a step tells how far it is.
pub(crate) type ProgressSender = mpsc::UnboundedSender<Progress>;

/// Runs one step.
pub(crate) async fn run_action(
    machine: &Machine,
    action: Action,
    progress: &ProgressSender,
) -> Result<StepDone, StepFailure> {
    let change = match action {
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
            return volumes::release(machine, &application, &release).await;
        }
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
        } => {
            let new = flocker_zfs::NewVolume {
                application,
                maximum_size,
                deployment,
            };
            volumes::create(machine, &new).await
        }
        Action::ResizeVolume {
            application,
            maximum_size,
        } => volumes::resize(machine, &application, maximum_size).await,
        Action::PruneSnapshots { application, keep } => {
            volumes::prune(machine, &application, &keep).await
        }
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
                bases: &bases,
                progress,
            };
            match kind {
                PushKind::Ahead => push::push_ahead(machine, &push).await,
                PushKind::Last => push::push_last(machine, &push).await,
            }
        }
        Action::PushImage { image, to } => images::push(machine, (&image, &to), progress).await,
        Action::EnsureImage {
            image,
            from: ImageSource::Registry,
        } => images::pull(machine, &image, progress).await,
        Action::EnsureImage {
            from: ImageSource::Operator,
            ..
        } => Err(failure_of(
            "images of the operator's machine come as a stream, not as a step",
        )),
        Action::StopApplication { application } => applications::stop(machine, &application).await,
        Action::RemoveApplication { application } => {
            applications::remove(machine, &application).await
        }
        Action::StartApplication {
            specification,
            links,
            volume,
        } => applications::start(machine, (specification, links, volume), progress).await,
        Action::SetLinks { application, links } => {
            applications::set_links(machine, &application, links).await
        }
        Action::HoldPorts { ports } => routes::hold(machine, &ports).await,
        Action::SwitchRoutes { routes, links, .. } => routes::switch(machine, routes, links).await,
        Action::ProgramNetwork { network } => routes::program(machine, network).await,
        Action::AdmitMembers { members } => membership::admit(machine, &members),
        Action::RecordDeployment { applied, members } => {
            membership::record(machine, &applied, &members)
        }
    };
    change.map(|change| StepDone {
        change,
        yielded: Yield::Nothing,
    })
}
