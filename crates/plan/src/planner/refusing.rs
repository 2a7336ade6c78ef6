//! Refuses to touch what runs for what could not end.

use flocker_model::{
    ApplicationName, ByteCount, NodeName, Observed, VolumeCopy, VolumeSpecification,
};

use crate::BlockedKind;
use crate::survey::{describe, locked};

use super::arrival::Obstacle;

/// Refuses a copy whose key is not loaded.
pub(super) fn refuse_locked(node: &NodeName, copy: &VolumeCopy) -> Result<(), Obstacle> {
    locked(node, copy).map_or(Ok(()), |locked| Err(Box::new(locked)))
}

/// Refuses to stop what writes to a volume that others would keep mounted.
pub(super) fn refuse_held(node: &NodeName, copy: &VolumeCopy) -> Result<(), Obstacle> {
    if copy.held_by.is_empty() {
        return Ok(());
    }
    Err(Box::new(BlockedKind::HeldElsewhere {
        node: node.clone(),
        holders: copy.held_by.clone(),
    }))
}

/// Refuses a limit that the volume already exceeds.
pub(super) fn refuse_smaller(
    node: &NodeName,
    copy: &VolumeCopy,
    wanted: &VolumeSpecification,
) -> Result<(), Obstacle> {
    match wanted.maximum_size {
        Some(maximum) if copy.referenced > maximum => {
            Err(Box::new(BlockedKind::LargerThanMaximum {
                node: node.clone(),
                referenced: copy.referenced,
                maximum,
            }))
        }
        _ => Ok(()),
    }
}

/// Refuses a replica into which the owner's changes cannot be received without destroying some of
/// it.
pub(super) fn refuse_diverged(
    (observed, application): (&Observed, &ApplicationName),
    (from, place): (&NodeName, &NodeName),
    (owner, replica): (&VolumeCopy, &VolumeCopy),
) -> Result<(), Obstacle> {
    let describe = |node, copy| describe(observed, (node, application), copy);
    // Others take snapshots of replicas as well, which the owner cannot have and need not.
    match replica.newest_own() {
        Some(_) if replica.written > ByteCount::ZERO => {
            Err(Box::new(BlockedKind::ReplicaWritten {
                replica: describe(place, replica),
            }))
        }
        Some(newest) if owner.snapshots.contains_key(&newest) => Ok(()),
        None if replica.resumable => Ok(()),
        _ => Err(Box::new(BlockedKind::NothingInCommon {
            owner: describe(from, owner),
            replica: describe(place, replica),
        })),
    }
}
