//! What becomes of a node's own copies.

use std::collections::BTreeMap;

use flocker_model::{
    ApplicationName, ByteCount, DeploymentId, Epoch, NodeId, NodeState, SnapshotGuid, VolumeCopy,
    VolumeRole,
};

use crate::{Action, Handoff, StepId, Yield};

/// Does an action on a volume.
pub(super) fn on_volume(
    state: &mut NodeState,
    action: &Action,
    yields: &BTreeMap<StepId, Yield>,
) -> Result<Yield, String> {
    match action {
        Action::CreateVolume {
            application,
            maximum_size,
            deployment,
            fill: _,
        } => create(state, application, (*maximum_size, deployment))?,
        Action::ResizeVolume {
            application,
            maximum_size,
        } => resize(copy_of(state, application)?, *maximum_size)?,
        Action::ReleaseVolume {
            application,
            epoch,
            to,
            deployment,
        } => {
            let copy = copy_of(state, application)?;
            return release(copy, (*epoch, *to), deployment).map(Yield::HandedOff);
        }
        Action::AcquireVolume {
            application,
            epoch,
            handoff,
            deployment,
        } => {
            let guid = match handoff {
                Handoff::Recorded(guid) => *guid,
                Handoff::FromStep(step) => match yields.get(step) {
                    Some(Yield::HandedOff(guid)) => *guid,
                    _ => return Err("nothing was handed off".to_owned()),
                },
            };
            acquire(copy_of(state, application)?, (*epoch, guid), deployment)?;
        }
        Action::PromoteVolume { .. }
        | Action::RecordOwner { .. }
        | Action::SetVolumeAside { .. } => decide(state, action)?,
        Action::PruneSnapshots { application, keep } => {
            let copy = copy_of(state, application)?;
            if matches!(copy.role, VolumeRole::Foreign { .. }) {
                return Err("the dataset is not Flocker's".to_owned());
            }
            let newest = copy.newest_own();
            copy.snapshots
                .retain(|guid, _| keep.contains(guid) || Some(*guid) == newest);
        }
        _ => {}
    }
    Ok(Yield::Nothing)
}

/// Does what only the operator can have decided.
fn decide(state: &mut NodeState, action: &Action) -> Result<(), String> {
    match action {
        Action::PromoteVolume {
            application,
            owner,
            epoch,
            snapshot,
            next,
            deployment,
            ..
        } => {
            let copy = copy_of(state, application)?;
            promote(copy, (*owner, *epoch, *snapshot), *next)?;
            copy.deployment.clone_from(deployment);
        }
        Action::RecordOwner {
            application, owner, ..
        } if *owner == state.id => {
            return Err(format!(
                "{application} is not acquired or promoted like that"
            ));
        }
        Action::RecordOwner {
            application,
            owner,
            epoch,
        } => record_owner(copy_of(state, application)?, *owner, *epoch)?,
        Action::SetVolumeAside { name, role, newest } => {
            if let Some(copy) = state.volumes.get(&name.application) {
                if copy.role != *role || copy.newest_snapshot != *newest {
                    return Err("the copy is another".to_owned());
                }
                if copy.mounted.is_some() && copy.unfinished_import().is_none() {
                    return Err("the copy is mounted".to_owned());
                }
                state.volumes.remove(&name.application);
            }
        }
        _ => {}
    }
    Ok(())
}

/// Finds a node's copy of a volume.
fn copy_of<'a>(
    state: &'a mut NodeState,
    application: &ApplicationName,
) -> Result<&'a mut VolumeCopy, String> {
    let copy = state.volumes.get_mut(application);
    copy.ok_or_else(|| "there is no copy".to_owned())
}

/// Makes an empty volume where nothing is.
fn create(
    state: &mut NodeState,
    application: &ApplicationName,
    (maximum_size, deployment): (Option<ByteCount>, &DeploymentId),
) -> Result<(), String> {
    let first = VolumeRole::Owned {
        epoch: Epoch::FIRST,
    };
    match state.volumes.get(application) {
        None => {
            let copy = VolumeCopy {
                maximum_size,
                deployment: Some(deployment.clone()),
                ..empty_copy(first)
            };
            state.volumes.insert(application.clone(), copy);
            Ok(())
        }
        Some(copy) if copy.role == first => Ok(()),
        Some(_) => Err("a dataset is in the way".to_owned()),
    }
}

/// Limits an owned volume.
fn resize(copy: &mut VolumeCopy, maximum_size: Option<ByteCount>) -> Result<(), String> {
    copy.owned_epoch().ok_or("the volume is not owned here")?;
    if maximum_size.is_some_and(|maximum| maximum < copy.referenced) {
        return Err("it has more in it".to_owned());
    }
    copy.maximum_size = maximum_size;
    Ok(())
}

/// Gives a volume up.
fn release(
    copy: &mut VolumeCopy,
    (epoch, to): (Epoch, NodeId),
    deployment: &DeploymentId,
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
            let guid = copy.newest_own().ok_or("it has no snapshot")?;
            copy.role = VolumeRole::Replica {
                owner: to,
                epoch: epoch.next(),
                handoff: Some(guid),
            };
            copy.deployment = Some(deployment.clone());
            Ok(guid)
        }
        _ => Err("it is not owned here in that epoch".to_owned()),
    }
}

/// Takes a volume over.
fn acquire(
    copy: &mut VolumeCopy,
    (epoch, guid): (Epoch, SnapshotGuid),
    deployment: &DeploymentId,
) -> Result<(), String> {
    match copy.role {
        VolumeRole::Owned { epoch: owned } if owned == epoch => Ok(()),
        VolumeRole::Replica { epoch: known, .. } if known < epoch => {
            check_untouched(copy, guid)?;
            copy.role = VolumeRole::Owned { epoch };
            copy.deployment = Some(deployment.clone());
            (copy.resumable, copy.is_first_copy) = (false, false);
            Ok(())
        }
        _ => Err("it is not a replica of an earlier epoch".to_owned()),
    }
}

/// Takes over a volume that its owner did not give up.
fn promote(
    copy: &mut VolumeCopy,
    (owner, epoch, guid): (NodeId, Epoch, SnapshotGuid),
    next: Epoch,
) -> Result<(), String> {
    match copy.role {
        VolumeRole::Owned { epoch: own } if own == next => Ok(()),
        VolumeRole::Replica {
            owner: named,
            epoch: known,
            ..
        } if (named, known) == (owner, epoch) && known < next => {
            check_untouched(copy, guid)?;
            copy.role = VolumeRole::Owned { epoch: next };
            (copy.resumable, copy.is_first_copy) = (false, false);
            Ok(())
        }
        _ => Err("it is not that replica".to_owned()),
    }
}

/// Has a replica name the owner of a later turn.
fn record_owner(copy: &mut VolumeCopy, owner: NodeId, epoch: Epoch) -> Result<(), String> {
    match copy.role {
        VolumeRole::Replica {
            owner: named,
            epoch: known,
            ..
        } if known < epoch || (named, known) == (owner, epoch) => {
            copy.role = VolumeRole::Replica {
                owner,
                epoch,
                handoff: None,
            };
            Ok(())
        }
        _ => Err("it is no replica of an earlier turn".to_owned()),
    }
}

/// A copy must end with a snapshot, and must not have been touched since.
fn check_untouched(copy: &VolumeCopy, guid: SnapshotGuid) -> Result<(), String> {
    if copy.mounted.is_some() {
        return Err("the copy is mounted".to_owned());
    }
    if copy.newest_own() != Some(guid) {
        return Err("the copy ends with another snapshot".to_owned());
    }
    if copy.written > ByteCount::ZERO {
        return Err("the copy was written to".to_owned());
    }
    Ok(())
}

/// A copy with nothing in it.
pub(super) fn empty_copy(role: VolumeRole) -> VolumeCopy {
    VolumeCopy {
        role,
        snapshots: BTreeMap::new(),
        newest_snapshot: None,
        written: ByteCount::ZERO,
        referenced: ByteCount::ZERO,
        maximum_size: None,
        mounted: None,
        resumable: false,
        is_first_copy: false,
        deployment: None,
        key_needed: None,
        held_by: Vec::new(),
        import: None,
    }
}
