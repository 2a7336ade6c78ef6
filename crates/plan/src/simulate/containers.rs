//! What becomes of containers, their units and their mounts.

use std::collections::BTreeSet;

use flocker_model::{
    ApplicationName, ContainerLinks, ContainerSpecification, ContainerState, ContainerStatus,
    Epoch, Health, NodeState, RestartPolicy, UnitState,
};

use crate::Action;

/// Does an action on a container.
pub(super) fn on_container(state: &mut NodeState, action: &Action) -> Result<(), String> {
    match action {
        Action::StopApplication { application, .. } => {
            stop(state, application);
            Ok(())
        }
        Action::RemoveApplication { application } => {
            let runs = |container: &ContainerState| {
                matches!(container.status, ContainerStatus::Running { .. })
            };
            if state.containers.get(application).is_some_and(runs) {
                return Err("it runs".to_owned());
            }
            state.containers.remove(application);
            Ok(())
        }
        Action::StartApplication {
            specification,
            links,
            volume,
            ..
        } => start(state, (specification, links), *volume),
        Action::SetLinks { application, links } => {
            let container = state
                .containers
                .get_mut(application)
                .ok_or("it does not exist")?;
            container.links = Some(links.clone());
            Ok(())
        }
        Action::AwaitHealth { application } => await_health(state, application),
        Action::AwaitCompletion { application } => await_completion(state, application),
        _ => Ok(()),
    }
}

/// Has a check pass; one that failed for good does not.
fn await_health(state: &mut NodeState, application: &ApplicationName) -> Result<(), String> {
    let may_end = restart_of(state, application).is_some_and(|it| it != RestartPolicy::Always);
    let container = state.containers.get_mut(application);
    match container.map(|container| &mut container.status) {
        Some(ContainerStatus::Running { health, .. }) => match health {
            Health::Unhealthy => Err("it fails its health check".to_owned()),
            Health::Starting => {
                *health = Health::Healthy;
                Ok(())
            }
            Health::Unchecked | Health::Healthy => Ok(()),
        },
        Some(ContainerStatus::Stopped { exit_code: 0 }) if may_end => Ok(()),
        _ => Err("it does not run".to_owned()),
    }
}

/// Tells when an application is started again, if it was started here.
fn restart_of(state: &NodeState, application: &ApplicationName) -> Option<RestartPolicy> {
    let remembered = state.remembered.applications.get(application)?;
    Some(remembered.specification.restart)
}

/// Has an application end that may.
fn await_completion(state: &mut NodeState, application: &ApplicationName) -> Result<(), String> {
    let restart = restart_of(state, application);
    let container = state
        .containers
        .get_mut(application)
        .ok_or("it does not exist")?;
    match (&container.status, restart) {
        (ContainerStatus::Stopped { exit_code: 0 }, _) => Ok(()),
        (ContainerStatus::Stopped { .. }, _) => Err("it ended with an error".to_owned()),
        (ContainerStatus::Running { .. }, None | Some(RestartPolicy::Always)) => {
            Err("it does not end for good".to_owned())
        }
        (ContainerStatus::Running { .. }, Some(_)) => {
            container.status = ContainerStatus::Stopped { exit_code: 0 };
            container.unit = UnitState::Inactive;
            Ok(())
        }
    }
}

/// Stops a container, takes its unit down, and unmounts its volume once nothing else sees that.
fn stop(state: &mut NodeState, application: &ApplicationName) {
    let seen = state.volume_seen_by(application).cloned();
    if let Some(container) = state.containers.get_mut(application) {
        container.status = ContainerStatus::Stopped { exit_code: 0 };
        // A unit that is left says that the application ended by itself.
        container.unit = UnitState::Missing;
    }
    for owner in seen.iter().chain([application]) {
        if state.users_of(owner).next().is_none()
            && let Some(copy) = state.volumes.get_mut(owner)
        {
            copy.mounted = None;
        }
    }
}

/// Makes a container as needed and starts it; one that is made anew is stopped before.
fn start(
    state: &mut NodeState,
    (specification, links): (&ContainerSpecification, &ContainerLinks),
    epoch: Option<Epoch>,
) -> Result<(), String> {
    let name = &specification.application;
    let configuration = specification.digest();
    let exists = state
        .containers
        .get(name)
        .is_some_and(|container| container.configuration == configuration);
    if !exists {
        if !state.images.contains_key(&specification.image.identity()) {
            return Err("the image is missing".to_owned());
        }
        stop(state, name);
    }
    let owner = specification.volume_owner();
    if owner.is_some() != epoch.is_some() {
        return Err("an epoch is required exactly when there is a volume".to_owned());
    }
    if let (Some(owner), Some(epoch)) = (owner, epoch) {
        let copy = state.volumes.get_mut(owner).ok_or("there is no volume")?;
        if copy.owned_epoch() != Some(epoch) {
            return Err("the volume is not owned here in that epoch".to_owned());
        }
        copy.mounted = Some(format!("/flocker/{owner}"));
    }
    let container = ContainerState {
        id: format!("container of {name}"),
        configuration,
        status: ContainerStatus::Running {
            since: "2014-08-01T00:00:00Z".to_owned(),
            health: Health::Unchecked,
        },
        unit: UnitState::Active,
        links: Some(links.clone()),
        anonymous_volumes: BTreeSet::new(),
        volume: owner.cloned(),
        just_started: false,
    };
    state.containers.insert(name.clone(), container);
    Ok(())
}
