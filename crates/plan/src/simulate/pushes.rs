//! What becomes of two nodes when one sends the other something.

use flocker_model::{
    ApplicationName, ByteCount, Epoch, NodeId, NodeName, NodeState, Observed, SnapshotGuid,
    SnapshotState, VolumeCopy, VolumeRole,
};

use crate::{Action, PushKind};

use super::seen;
use super::volumes::empty_copy;

/// Does an action that another node takes part in.
pub(super) fn push(
    observed: &mut Observed,
    node: &NodeName,
    action: &Action,
) -> Result<(), String> {
    match action {
        Action::PushImage { image, to, copy } => {
            check_acquainted(observed, (node, to))?;
            let name = image.identity();
            let found = seen(observed, node)?.images.get(&name).cloned();
            let found = found.ok_or("the image is missing")?;
            if found.id != copy.id {
                return Err("it has another image of that name".to_owned());
            }
            seen(observed, to)?.images.insert(name, found);
            Ok(())
        }
        Action::PushVolume {
            application,
            epoch,
            to,
            kind,
            bases,
        } => {
            check_acquainted(observed, (node, to))?;
            let mut sent = cut(observed, (node, application), (*epoch, *kind))?;
            let owner = seen(observed, node)?.id;
            let there = seen(observed, to)?;
            let copy = there.volumes.get(application);
            let base = copy.and_then(VolumeCopy::newest_own);
            let newest = sent.newest_own();
            sent.snapshots.retain(|guid, _| {
                bases.contains(guid) || Some(*guid) == newest || Some(*guid) == base
            });
            receive(there, application, (owner, *epoch, &sent))
        }
        _ => Ok(()),
    }
}

/// The one must know where the other is, and the other must let it in.
fn check_acquainted(
    observed: &mut Observed,
    (node, to): (&NodeName, &NodeName),
) -> Result<(), String> {
    let there = seen(observed, to)?;
    let (id, admitted) = (there.id, there.members.clone());
    let here = seen(observed, node)?;
    if here.members.get(id).map(|member| &member.name) != Some(to) {
        return Err("it does not know the target".to_owned());
    }
    if !admitted.contains(here.id) {
        return Err("the target does not admit it".to_owned());
    }
    Ok(())
}

/// Takes a snapshot of an owned volume, unless nothing was written since the last one; returns
/// what is sent.
pub(super) fn cut(
    observed: &mut Observed,
    (node, application): (&NodeName, &ApplicationName),
    (epoch, kind): (Epoch, PushKind),
) -> Result<VolumeCopy, String> {
    let fresh = fresh_guid(observed);
    let source = seen(observed, node)?;
    let copy = source
        .volumes
        .get_mut(application)
        .ok_or("there is no volume")?;
    if copy.owned_epoch() != Some(epoch) {
        return Err("the volume is not owned here in that epoch".to_owned());
    }
    if kind == PushKind::Last && copy.mounted.is_some() {
        return Err("it is mounted".to_owned());
    }
    let is_quiet = copy.written == ByteCount::ZERO && copy.mounted.is_none();
    if !is_quiet || copy.newest_own().is_none() {
        let snapshot = SnapshotState {
            name: format!("flocker-{epoch}-{fresh}"),
            created: fresh.0,
        };
        copy.snapshots.insert(fresh, snapshot);
        copy.newest_snapshot = Some(fresh);
        copy.written = ByteCount::ZERO;
    }
    Ok(copy.clone())
}

/// Makes a node's copy end with what was sent, by way of what third copies end with.
fn receive(
    state: &mut NodeState,
    application: &ApplicationName,
    (owner, epoch, sent): (NodeId, Epoch, &VolumeCopy),
) -> Result<(), String> {
    let role = VolumeRole::Replica {
        owner,
        epoch,
        handoff: None,
    };
    let copy = state
        .volumes
        .entry(application.clone())
        .or_insert_with(|| empty_copy(role.clone()));
    if copy.is_nameless_part() {
        *copy = empty_copy(role.clone());
    }
    match &copy.role {
        VolumeRole::Owned { .. } => return Err("the target owns it".to_owned()),
        VolumeRole::Foreign { .. } => return Err("a dataset is in the way".to_owned()),
        VolumeRole::Replica {
            owner: known_owner,
            epoch: known,
            ..
        } => {
            if *known > epoch || (*known == epoch && *known_owner != owner) {
                return Err("the target knows of a later owner".to_owned());
            }
        }
    }
    if copy.written > ByteCount::ZERO || copy.mounted.is_some() {
        return Err("the target's copy was touched".to_owned());
    }
    // Only Flocker's own snapshots are sent: others' neither end a copy nor continue one.
    let (base, newest) = (copy.newest_own(), sent.newest_own());
    if base == newest {
        return Ok(());
    }
    let continues = match base {
        Some(base) => sent.snapshots.contains_key(&base),
        None => copy.newest_snapshot.is_none(),
    };
    if !continues {
        return Err("the copies have nothing in common".to_owned());
    }
    let is_later = |guid: &SnapshotGuid| base.is_none_or(|base| *guid > base);
    let later = sent.snapshots.iter().filter(|(guid, _)| is_later(guid));
    copy.snapshots
        .extend(later.map(|(guid, snapshot)| (*guid, snapshot.clone())));
    copy.role = role;
    copy.newest_snapshot = newest;
    copy.referenced = sent.referenced;
    copy.maximum_size = None;
    copy.resumable = false;
    copy.is_first_copy = false;
    Ok(())
}

/// Finds a GUID that no snapshot has; later snapshots have higher ones.
pub(super) fn fresh_guid(observed: &Observed) -> SnapshotGuid {
    let used = observed
        .seen()
        .flat_map(|(_, state)| state.volumes.values())
        .flat_map(|copy| copy.snapshots.keys())
        .max();
    SnapshotGuid(used.map_or(1, |guid| guid.0 + 1))
}
