//! The reference meaning of every action: what it makes of what was observed.
//!
//! Fakes and the model checker are built on it, so that a plan which is right here is right by
//! definition, and a real executor that differs is wrong.

use std::collections::BTreeMap;

use flocker_model::{
    ApplicationName, ByteCount, ContainerState, ContainerStatus, Epoch, NodeName, NodeState,
    Observed, SnapshotGuid, SnapshotState, UnitState, VolumeCopy, VolumeRole,
};
use thiserror::Error;

use crate::{Action, Handoff, PushKind, StepId, Yield};

/// An action whose expected state is not what it finds; nothing was done.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{node} refuses to {action}: {reason}")]
pub struct Refusal {
    /// The node.
    pub node: NodeName,
    /// The action.
    pub action: String,
    /// What was found instead.
    pub reason: String,
}

/// Does `action` on `node`; `yields` has what earlier steps yielded.
///
/// # Errors
///
/// Refuses what a real node refuses: an action whose expected state does not hold.
pub fn simulate(
    observed: &mut Observed,
    (node, action): (&NodeName, &Action),
    yields: &BTreeMap<StepId, Yield>,
) -> Result<Yield, Refusal> {
    let refuse = |reason: String| Refusal {
        node: node.clone(),
        action: action.to_string(),
        reason,
    };
    match action {
        Action::PushVolume { .. } | Action::PushImage { .. } => {
            push(observed, node, action).map_err(refuse)?;
            Ok(Yield::Nothing)
        }
        _ => {
            let state = seen(observed, node).map_err(refuse)?;
            on_one_node(state, action, yields).map_err(refuse)
        }
    }
}

/// Does an action that concerns one node alone.
fn on_one_node(
    state: &mut NodeState,
    action: &Action,
    yields: &BTreeMap<StepId, Yield>,
) -> Result<Yield, String> {
    match action {
        Action::AdmitMembers { members } => state.members.clone_from(members),
        Action::RecordDeployment { applied, members } => {
            state.members.clone_from(members);
            state.applied = Some(applied.clone());
        }
        Action::EnsureImage { image, .. } => {
            let tagged = image
                .with_tag()
                .parse()
                .map_err(|_| "no such image".to_owned())?;
            let id = flocker_model::ImageId(image.with_tag());
            state.images.insert(tagged, id);
        }
        Action::CreateVolume { .. }
        | Action::ResizeVolume { .. }
        | Action::ReleaseVolume { .. }
        | Action::AcquireVolume { .. }
        | Action::PruneSnapshots { .. } => return on_volume(state, action, yields),
        Action::StopApplication { .. }
        | Action::RemoveApplication { .. }
        | Action::StartApplication { .. }
        | Action::SetLinks { .. } => on_container(state, action)?,
        Action::HoldPorts { ports } => {
            state.network.get_or_insert_default().held.extend(ports);
        }
        Action::SwitchRoutes { routes, links, .. } => {
            let network = state.network.get_or_insert_default();
            for port in routes.keys().chain(links.keys()) {
                network.held.remove(port);
            }
            network.routes.extend(routes.clone());
            network.links.extend(links.clone());
        }
        Action::ProgramNetwork { network } => state.network = Some(network.clone()),
        Action::PushVolume { .. } | Action::PushImage { .. } => {}
    }
    Ok(Yield::Nothing)
}

/// Does an action on a volume.
fn on_volume(
    state: &mut NodeState,
    action: &Action,
    yields: &BTreeMap<StepId, Yield>,
) -> Result<Yield, String> {
    match action {
        Action::CreateVolume {
            application,
            maximum_size,
            deployment,
        } => match state.volumes.get(application).map(|copy| &copy.role) {
            None => {
                let copy = VolumeCopy {
                    maximum_size: *maximum_size,
                    deployment: Some(deployment.clone()),
                    ..empty_copy(VolumeRole::Owned {
                        epoch: Epoch::FIRST,
                    })
                };
                state.volumes.insert(application.clone(), copy);
            }
            Some(VolumeRole::Owned {
                epoch: Epoch::FIRST,
            }) => {}
            Some(_) => return Err("a dataset is in the way".to_owned()),
        },
        Action::ResizeVolume {
            application,
            maximum_size,
        } => {
            let copy = state
                .volumes
                .get_mut(application)
                .ok_or("there is no volume")?;
            copy.owned_epoch().ok_or("the volume is not owned here")?;
            copy.maximum_size = *maximum_size;
        }
        Action::ReleaseVolume {
            application,
            epoch,
            to,
            ..
        } => {
            let copy = state
                .volumes
                .get_mut(application)
                .ok_or("there is no volume")?;
            return release(copy, *epoch, *to).map(Yield::HandedOff);
        }
        Action::AcquireVolume {
            application,
            epoch,
            handoff,
            ..
        } => {
            let guid = match handoff {
                Handoff::Recorded(guid) => *guid,
                Handoff::FromStep(step) => match yields.get(step) {
                    Some(Yield::HandedOff(guid)) => *guid,
                    _ => return Err("nothing was handed off".to_owned()),
                },
            };
            let copy = state
                .volumes
                .get_mut(application)
                .ok_or("there is no copy")?;
            acquire(copy, *epoch, guid)?;
        }
        Action::PruneSnapshots {
            application, keep, ..
        } => {
            let copy = state
                .volumes
                .get_mut(application)
                .ok_or("there is no volume")?;
            let newest = copy.newest_snapshot;
            copy.snapshots
                .retain(|guid, _| keep.contains(guid) || Some(*guid) == newest);
        }
        _ => {}
    }
    Ok(Yield::Nothing)
}

/// Gives a volume up.
fn release(
    copy: &mut VolumeCopy,
    epoch: Epoch,
    to: flocker_model::NodeId,
) -> Result<SnapshotGuid, String> {
    match copy.role {
        VolumeRole::Replica {
            owner,
            epoch: next,
            handoff: Some(guid),
        } if owner == to && next == epoch.next() => Ok(guid),
        VolumeRole::Owned { epoch: owned } if owned == epoch => {
            if copy.mounted.is_some() {
                return Err("it is mounted".to_owned());
            }
            if copy.written > ByteCount::ZERO {
                return Err("it was written since its newest snapshot".to_owned());
            }
            let guid = copy.newest_snapshot.ok_or("it has no snapshot")?;
            copy.role = VolumeRole::Replica {
                owner: to,
                epoch: epoch.next(),
                handoff: Some(guid),
            };
            Ok(guid)
        }
        _ => Err("it is not owned here in that epoch".to_owned()),
    }
}

/// Takes a volume over.
fn acquire(copy: &mut VolumeCopy, epoch: Epoch, guid: SnapshotGuid) -> Result<(), String> {
    match copy.role {
        VolumeRole::Owned { epoch: owned } if owned == epoch => Ok(()),
        VolumeRole::Replica { epoch: known, .. } if known < epoch => {
            if copy.newest_snapshot != Some(guid) {
                return Err("the copy ends with another snapshot".to_owned());
            }
            if copy.written > ByteCount::ZERO {
                return Err("the copy was written to".to_owned());
            }
            copy.role = VolumeRole::Owned { epoch };
            Ok(())
        }
        _ => Err("it is not a replica of an earlier epoch".to_owned()),
    }
}

/// Does an action on a container.
fn on_container(state: &mut NodeState, action: &Action) -> Result<(), String> {
    match action {
        Action::StopApplication { application } => {
            if let Some(container) = state.containers.get_mut(application) {
                container.status = ContainerStatus::Stopped { exit_code: 0 };
                if container.unit != UnitState::Missing {
                    container.unit = UnitState::Inactive;
                }
            }
            if let Some(copy) = state.volumes.get_mut(application) {
                copy.mounted = None;
            }
        }
        Action::RemoveApplication { application } => {
            let runs = |container: &ContainerState| {
                matches!(container.status, ContainerStatus::Running { .. })
            };
            if state.containers.get(application).is_some_and(runs) {
                return Err("it runs".to_owned());
            }
            state.containers.remove(application);
        }
        Action::StartApplication {
            specification,
            links,
            volume,
        } => {
            let name = &specification.application;
            let image = specification.image.with_tag().parse();
            if !image.is_ok_and(|image| state.images.contains_key(&image)) {
                return Err("the image is missing".to_owned());
            }
            mount(state, name, *volume)?;
            let container = ContainerState {
                id: format!("container of {name}"),
                configuration: specification.digest(),
                status: ContainerStatus::Running {
                    since: "2014-08-01T00:00:00Z".to_owned(),
                },
                unit: UnitState::Active,
                links: Some(links.clone()),
            };
            state.containers.insert(name.clone(), container);
        }
        Action::SetLinks { application, links } => {
            let container = state
                .containers
                .get_mut(application)
                .ok_or("it does not exist")?;
            container.links = Some(links.clone());
        }
        _ => {}
    }
    Ok(())
}

/// Mounts the volume of an application that is started, if it has one.
fn mount(
    state: &mut NodeState,
    name: &ApplicationName,
    epoch: Option<Epoch>,
) -> Result<(), String> {
    let Some(epoch) = epoch else {
        return Ok(());
    };
    let copy = state.volumes.get_mut(name).ok_or("there is no volume")?;
    if copy.owned_epoch() != Some(epoch) {
        return Err("the volume is not owned here in that epoch".to_owned());
    }
    copy.mounted = Some(format!("/flocker/{name}"));
    Ok(())
}

/// Does an action that another node takes part in.
fn push(observed: &mut Observed, node: &NodeName, action: &Action) -> Result<(), String> {
    match action {
        Action::PushImage { image, to } => {
            let tagged = image
                .with_tag()
                .parse()
                .map_err(|_| "no such image".to_owned())?;
            let source = seen(observed, node)?.images.get(&tagged).cloned();
            let id = source.ok_or("the image is missing")?;
            seen(observed, to)?.images.insert(tagged, id);
            Ok(())
        }
        Action::PushVolume {
            application,
            epoch,
            to,
            kind,
        } => {
            let fresh = fresh_guid(observed);
            let target = seen(observed, to)?.volumes.get(application).cloned();
            let source = seen(observed, node)?;
            let (owner, members) = (source.id, source.members.clone());
            if !members.contains_key(to) {
                return Err("it does not know the target".to_owned());
            }
            let copy = source
                .volumes
                .get_mut(application)
                .ok_or("there is no volume")?;
            if copy.owned_epoch() != Some(*epoch) {
                return Err("the volume is not owned here in that epoch".to_owned());
            }
            if *kind == PushKind::Last && copy.mounted.is_some() {
                return Err("it is mounted".to_owned());
            }
            let base = target.as_ref().and_then(|copy| copy.newest_snapshot);
            if base.is_some_and(|base| !copy.snapshots.contains_key(&base)) {
                return Err("the copies have nothing in common".to_owned());
            }
            let guid = take_snapshot(copy, *epoch, fresh);
            let sent = copy.clone();
            let there = seen(observed, to)?;
            receive(there, application, (owner, *epoch, guid), &sent)
        }
        _ => Ok(()),
    }
}

/// Takes a snapshot, unless nothing was written since the last one.
fn take_snapshot(copy: &mut VolumeCopy, epoch: Epoch, fresh: SnapshotGuid) -> SnapshotGuid {
    match copy.newest_snapshot {
        Some(newest) if copy.written == ByteCount::ZERO && copy.mounted.is_none() => newest,
        _ => {
            let snapshot = SnapshotState {
                name: format!("flocker-{epoch}-{fresh}"),
                created: fresh.0,
            };
            copy.snapshots.insert(fresh, snapshot);
            copy.newest_snapshot = Some(fresh);
            copy.written = ByteCount::ZERO;
            fresh
        }
    }
}

/// Makes a node's copy end with what was sent.
fn receive(
    state: &mut NodeState,
    application: &ApplicationName,
    (owner, epoch, guid): (flocker_model::NodeId, Epoch, SnapshotGuid),
    sent: &VolumeCopy,
) -> Result<(), String> {
    let handoff = match state.volumes.get(application).map(|copy| &copy.role) {
        Some(VolumeRole::Owned { .. }) => return Err("the target owns it".to_owned()),
        Some(VolumeRole::Foreign { .. }) => return Err("a dataset is in the way".to_owned()),
        Some(VolumeRole::Replica { handoff, .. }) => *handoff,
        None => None,
    };
    let role = VolumeRole::Replica {
        owner,
        epoch,
        handoff,
    };
    let copy = state
        .volumes
        .entry(application.clone())
        .or_insert_with(|| empty_copy(role.clone()));
    copy.role = role;
    if let Some(snapshot) = sent.snapshots.get(&guid) {
        copy.snapshots.insert(guid, snapshot.clone());
    }
    copy.newest_snapshot = Some(guid);
    copy.referenced = sent.referenced;
    copy.written = ByteCount::ZERO;
    copy.resumable = false;
    Ok(())
}

/// A copy with nothing in it.
fn empty_copy(role: VolumeRole) -> VolumeCopy {
    VolumeCopy {
        role,
        snapshots: BTreeMap::new(),
        newest_snapshot: None,
        written: ByteCount::ZERO,
        referenced: ByteCount::ZERO,
        maximum_size: None,
        mounted: None,
        resumable: false,
        deployment: None,
    }
}

/// Returns a node's state for changing.
fn seen<'a>(observed: &'a mut Observed, node: &NodeName) -> Result<&'a mut NodeState, String> {
    match observed.nodes.get_mut(node) {
        Some(flocker_model::NodeObservation::Seen(state)) => Ok(state),
        _ => Err(format!("{node} cannot be reached")),
    }
}

/// Finds a GUID that no snapshot has.
fn fresh_guid(observed: &Observed) -> SnapshotGuid {
    let used = observed
        .seen()
        .flat_map(|(_, state)| state.volumes.values())
        .flat_map(|copy| copy.snapshots.keys())
        .max();
    SnapshotGuid(used.map_or(1, |guid| guid.0 + 1))
}
