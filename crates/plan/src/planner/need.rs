//! What has to be done to one container so that it runs as it should.

use flocker_model::{
    ContainerLinks, ContainerSpecification, ContainerState, ContainerStatus, NodeState,
    RestartPolicy, UnitState,
};

/// What has to be done to a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// There is none: it is made and started.
    Create,
    /// It was made from something else: it is made again and started.
    Recreate,
    /// It runs without its volume: it is stopped first.
    Restart,
    /// It is down: it is started.
    Start,
    /// Its links lead elsewhere.
    Relink,
    /// Nothing.
    Nothing,
}

/// Works out what has to be done to a container on a node, its volume aside; nothing is known of a
/// node that was not seen.
pub(super) fn need(
    state: Option<&NodeState>,
    wanted: &ContainerSpecification,
    links: &ContainerLinks,
) -> Need {
    let name = &wanted.application;
    let Some(state) = state else {
        return Need::Create;
    };
    let Some(container) = state.containers.get(name) else {
        return Need::Create;
    };
    if container.configuration != wanted.digest() {
        return Need::Recreate;
    }
    let unmounted = wanted.has_volume()
        && state
            .volumes
            .get(name)
            .is_none_or(|copy| copy.mounted.is_none());
    if !unmounted && finished(wanted.restart, container) {
        return Need::Nothing;
    }
    if !container.is_up() {
        return Need::Start;
    }
    if unmounted {
        return Need::Restart;
    }
    if container.links.as_ref() != Some(links) {
        return Need::Relink;
    }
    Need::Nothing
}

/// Tells whether the application is one that is not started again and has ended by itself.
///
/// One that was stopped has no unit, and neither has any after a reboot: it runs once more.
fn finished(restart: RestartPolicy, container: &ContainerState) -> bool {
    let ended = match container.status {
        ContainerStatus::Running { .. } => false,
        ContainerStatus::Stopped { exit_code } => match restart {
            RestartPolicy::Always => false,
            RestartPolicy::OnFailure | RestartPolicy::OnFailureUpTo(_) => exit_code == 0,
            RestartPolicy::Never => true,
        },
    };
    ended && matches!(container.unit, UnitState::Inactive | UnitState::Failed)
}
