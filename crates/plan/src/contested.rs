//! Whether a node that takes itself for the owner of a volume is contradicted.

use flocker_model::{ApplicationName, Epoch, NodeName, Observed, VolumeCopy, VolumeRole};

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
    later_owner(owner, copies, (application, observed))
        .or_else(|| rewound(owner, copies, (application, observed)))
        .or_else(|| unsure(owner.0, observed))
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

/// Tells whether a copy's newest snapshot, by the numbers in its name, is one that the owner took in this
/// epoch or later, and no longer has.
///
/// Only the owner takes snapshots in its epoch. It prunes them, but never its newest. If another node has
/// a newer one, the owner's disk is an older state of itself: a backup, or a clone.
pub(crate) fn has_more(newest: &[u64], (owned, epoch): (&VolumeCopy, Epoch)) -> bool {
    newest.first() >= Some(&epoch.0) && newest > owned.newest_counted().as_slice()
}

/// Finds out whether another node has received more from the owner in its epoch than the owner has.
fn rewound(
    (node, epoch): (&NodeName, Epoch),
    copies: &Copies<'_>,
    (application, observed): (&ApplicationName, &Observed),
) -> Option<BlockedKind> {
    let own = copies.get(node)?;
    let seen = copies
        .iter()
        .map(|(says, copy)| (copy.newest_counted(), *says));
    let told = observed.claims.iter().filter_map(|(says, claims)| {
        let claim = claims.get(application)?;
        Some((claim.newest.clone(), says))
    });
    let (newest, says) = seen
        .chain(told)
        .filter(|(newest, _)| has_more(newest, (*own, epoch)))
        .max()?;
    let (of, number) = match newest.as_slice() {
        [of, number, ..] => (*of, *number),
        _ => return None,
    };
    let doubt = Doubt::Rewound {
        copy: describe(observed, (node, application), own),
        says: says.clone(),
        snapshot: format!("flocker-{of}-{number:06}"),
    };
    Some(BlockedKind::OwnerDoubted { doubt })
}

/// Finds out whether a node that asked around met itself, or a peer that it does not understand. Such a
/// peer is there, and may have become the owner. Only nodes that start something by themselves ask.
fn unsure(node: &NodeName, observed: &Observed) -> Option<BlockedKind> {
    if let Some(address) = observed.twins.first() {
        let doubt = Doubt::TwinAnswers {
            node: node.clone(),
            address: *address,
        };
        return Some(BlockedKind::OwnerDoubted { doubt });
    }
    let (peer, reason) = observed.not_understood.first_key_value()?;
    let doubt = Doubt::PeerNotUnderstood {
        node: node.clone(),
        peer: peer.clone(),
        reason: reason.clone(),
    };
    Some(BlockedKind::OwnerDoubted { doubt })
}
