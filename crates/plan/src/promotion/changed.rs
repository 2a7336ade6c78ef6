//! Copies that were changed since their newest snapshot.

use flocker_model::{ByteCount, Epoch, NodeId, NodeName, Observed, VolumeCopy, VolumeRole};

use super::{Promotion, WhyNotPromoted};
use crate::survey::{describe, name_of};

/// Says how a replica was changed since it was received, as the end of a sentence.
pub(super) fn change_of(copy: &VolumeCopy) -> Option<String> {
    match &copy.mounted {
        _ if copy.written > ByteCount::ZERO => Some(format!(
            "was written to: {} since its newest snapshot",
            copy.written
        )),
        Some(path) => Some(format!("is mounted at {path}")),
        None => None,
    }
}

/// Returns the owner by a replica's account, if the node that has the replica may be that owner with a new
/// identity: another node that is called so is not.
pub(super) fn former_identity(
    owner: NodeId,
    node: &NodeName,
    observed: &Observed,
) -> Option<NodeId> {
    let name = name_of(owner, observed);
    name.is_none_or(|name| name == *node).then_some(owner)
}

/// No copy of the newest epoch on another node may have been changed: nobody writes to a replica, but an
/// owner that lost its identity looks like one.
pub(super) fn refuse_changed(
    promotion: &Promotion,
    latest: Epoch,
    observed: &Observed,
) -> Result<(), WhyNotPromoted> {
    let Promotion {
        application, node, ..
    } = promotion;
    let changed = observed.seen().find_map(|(other, state)| {
        let copy = state.volumes.get(application).filter(|_| other != node)?;
        match copy.role {
            VolumeRole::Replica { owner, epoch, .. } if epoch == latest => {
                let owner = former_identity(owner, other, observed);
                Some((other, copy, owner, change_of(copy)?))
            }
            _ => None,
        }
    });
    match changed {
        Some((other, copy, owner, problem)) => Err(WhyNotPromoted::ChangedElsewhere {
            copy: Box::new(describe(observed, (other, application), copy)),
            problem,
            owner,
        }),
        None => Ok(()),
    }
}
