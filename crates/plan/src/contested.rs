//! Whether a node that takes itself for the owner of a volume is contradicted.

use flocker_model::{ApplicationName, Epoch, NodeName, Observed, VolumeRole};

use crate::BlockedKind;
use crate::blocked::Doubt;
use crate::survey::{Copies, describe, name_of};

/// Finds out what contradicts the node that owns a volume in `epoch` by its own account: what was seen
/// on other nodes, and what they answered when the node asked them.
pub(crate) fn contradiction(
    owner: (&NodeName, Epoch),
    copies: &Copies<'_>,
    (application, observed): (&ApplicationName, &Observed),
) -> Option<BlockedKind> {
    later_owner(owner, copies, (application, observed)).or_else(|| unsure(owner.0, observed))
}

/// Finds out whether another node knows of a later owner, or of another one in the same epoch.
fn later_owner(
    (node, epoch): (&NodeName, Epoch),
    copies: &Copies<'_>,
    (application, observed): (&ApplicationName, &Observed),
) -> Option<BlockedKind> {
    let id = observed.node(node).map(|state| state.id);
    let seen = copies.iter().filter_map(|(says, copy)| match copy.role {
        VolumeRole::Replica { owner, epoch, .. } => Some((epoch, owner, *says)),
        VolumeRole::Owned { .. } | VolumeRole::Foreign { .. } => None,
    });
    let told = observed.claims.iter().filter_map(|(says, claims)| {
        let claim = claims.get(application)?;
        Some((claim.epoch, claim.owner, says))
    });
    let (later, owner, says) = seen
        .chain(told)
        .filter(|(known, owner, _)| *known > epoch || (*known == epoch && Some(*owner) != id))
        .max()?;
    Some(BlockedKind::Superseded {
        copy: describe(observed, (node, application), copies.get(node)?),
        owner,
        name: name_of(owner, observed),
        epoch: later,
        says: says.clone(),
    })
}

/// Finds out whether a node that asked its peers did not understand one of them. Such a peer is there,
/// and may have become the owner. Only nodes that start something by themselves ask.
fn unsure(node: &NodeName, observed: &Observed) -> Option<BlockedKind> {
    let (peer, reason) = observed.not_understood.first_key_value()?;
    let doubt = Doubt::PeerNotUnderstood {
        node: node.clone(),
        peer: peer.clone(),
        reason: reason.clone(),
    };
    Some(BlockedKind::OwnerDoubted { doubt })
}
