//! Where each volume is, worked out from every copy that was seen.

use std::collections::{BTreeMap, BTreeSet};

use flocker_model::{
    ApplicationName, ByteCount, Epoch, NodeId, NodeName, NodeObservation, Observed, SnapshotGuid,
    VolumeCopy, VolumeRole,
};

use crate::{BlockedKind, CopyDescription};

/// Where a volume is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Whereabouts {
    /// Nowhere: every node was seen, and none has a copy.
    Nowhere,
    /// One node owns it.
    Owned {
        /// The owner.
        node: NodeName,
        /// The owner's turn.
        epoch: Epoch,
    },
    /// One node gave it up and the next has not taken it yet.
    HandedOff {
        /// The node that gave it up.
        from: NodeName,
        /// The node that is to take it; it has what was handed off.
        to: NodeName,
        /// The new owner's turn.
        epoch: Epoch,
        /// What was handed off.
        guid: SnapshotGuid,
    },
    /// It cannot be said, or the copies contradict each other.
    Blocked(BlockedKind),
}

/// A volume's copies by the node that has them.
type Copies<'a> = BTreeMap<&'a NodeName, &'a VolumeCopy>;

/// Works out where the volume of `application` is.
pub(crate) fn locate(application: &ApplicationName, observed: &Observed) -> Whereabouts {
    let copies: Copies<'_> = observed
        .seen()
        .filter_map(|(node, state)| Some((node, state.volumes.get(application)?)))
        .filter(|(_, copy)| !matches!(copy.role, VolumeRole::Foreign { .. }))
        .collect();
    let owners: Vec<(&NodeName, Epoch)> = copies
        .iter()
        .filter_map(|(node, copy)| Some((*node, copy.owned_epoch()?)))
        .collect();
    match owners.as_slice() {
        [] if copies.is_empty() => locate_unseen(application, observed),
        [] => locate_without_owner(&copies, observed),
        [(node, epoch)] if !contradicted((node, *epoch), &copies, observed) => Whereabouts::Owned {
            node: (*node).clone(),
            epoch: *epoch,
        },
        _ => Whereabouts::Blocked(BlockedKind::OwnersContradict {
            copies: copies
                .iter()
                .map(|(node, copy)| describe(node, copy))
                .collect(),
        }),
    }
}

/// Describes one copy for the operator.
pub(crate) fn describe(node: &NodeName, copy: &VolumeCopy) -> CopyDescription {
    let epoch = match &copy.role {
        VolumeRole::Owned { epoch } | VolumeRole::Replica { epoch, .. } => *epoch,
        VolumeRole::Foreign { .. } => Epoch(0),
    };
    CopyDescription {
        node: node.clone(),
        epoch,
        newest: copy.newest_snapshot,
        created: copy
            .newest_snapshot
            .and_then(|guid| copy.snapshots.get(&guid))
            .map(|snapshot| snapshot.created),
        written: copy.written,
    }
}

/// Tells whether some copy knows of a later owner than the one that claims `epoch`, or of another
/// one in that epoch.
fn contradicted(
    (node, epoch): (&NodeName, Epoch),
    copies: &Copies<'_>,
    observed: &Observed,
) -> bool {
    let id = observed.node(node).map(|state| state.id);
    copies.values().any(|copy| match copy.role {
        VolumeRole::Replica {
            owner,
            epoch: known,
            ..
        } => known > epoch || (known == epoch && Some(owner) != id),
        VolumeRole::Owned { .. } | VolumeRole::Foreign { .. } => false,
    })
}

/// Finds the newest of Flocker's own snapshots, whatever others were taken since.
pub(crate) fn newest_own(copy: &VolumeCopy) -> Option<SnapshotGuid> {
    match copy.newest_snapshot {
        Some(newest) if copy.snapshots.contains_key(&newest) => Some(newest),
        _ => copy
            .snapshots
            .iter()
            .max_by_key(|(_, snapshot)| counted(&snapshot.name))
            .map(|(guid, _)| *guid),
    }
}

/// Reads the numbers in the name of a snapshot, which count up: epoch, then turn within it.
pub(crate) fn counted(name: &str) -> Vec<u64> {
    name.split('-')
        .filter_map(|part| part.parse().ok())
        .collect()
}

/// No copy was seen: it is nowhere only if every node was seen.
fn locate_unseen(application: &ApplicationName, observed: &Observed) -> Whereabouts {
    let unseen = unseen(observed);
    let foreign =
        observed.seen().find_map(
            |(node, state)| match &state.volumes.get(application)?.role {
                VolumeRole::Foreign { problem } => Some((node, problem)),
                VolumeRole::Owned { .. } | VolumeRole::Replica { .. } => None,
            },
        );
    if let Some((node, problem)) = foreign {
        return Whereabouts::Blocked(BlockedKind::ForeignDataset {
            node: node.clone(),
            problem: problem.clone(),
        });
    }
    if !unseen.is_empty() {
        return Whereabouts::Blocked(BlockedKind::VolumeUnknown { unseen });
    }
    match remembered_place(application, observed) {
        Some(node) => Whereabouts::Blocked(BlockedKind::VolumeVanished { node }),
        None => Whereabouts::Nowhere,
    }
}

/// Lists the nodes that were not seen.
fn unseen(observed: &Observed) -> Vec<NodeName> {
    observed
        .nodes
        .iter()
        .filter(|(_, observation)| observation.seen().is_none())
        .map(|(node, _)| node.clone())
        .collect()
}

/// Finds where the last applied deployment had `application`, if it had a volume then.
///
/// What a node remembers of another counts only once that other machine is gone: one node may have
/// applied a deployment by itself that no other was told of.
fn remembered_place(application: &ApplicationName, observed: &Observed) -> Option<NodeName> {
    let is_seen = |id: NodeId| observed.seen().any(|(_, state)| state.id == id);
    observed.seen().find_map(|(_, state)| {
        let applied = state.applied.as_ref()?;
        let deployment = &applied.deployment;
        deployment.applications.get(application)?.volume.as_ref()?;
        let place = deployment.place_of(application)?;
        let is_gone = state
            .members
            .get(place)
            .is_some_and(|member| !is_seen(member.id));
        (*place == applied.node || is_gone).then(|| place.clone())
    })
}

/// Copies were seen, but no owner: either a hand-off is under way, or the owner is unseen.
fn locate_without_owner(copies: &Copies<'_>, observed: &Observed) -> Whereabouts {
    let newest = copies
        .iter()
        .filter_map(|(node, copy)| match &copy.role {
            VolumeRole::Replica {
                owner,
                epoch,
                handoff,
            } => Some((*epoch, *handoff, *node, *copy, *owner)),
            VolumeRole::Owned { .. } | VolumeRole::Foreign { .. } => None,
        })
        // At one epoch, the copy that recorded the hand-off knows most.
        .max_by_key(|(epoch, handoff, ..)| (*epoch, handoff.is_some()));
    let Some((epoch, handoff, from, copy, owner)) = newest else {
        return Whereabouts::Nowhere;
    };
    let Some((to, _)) = observed.seen().find(|(_, state)| state.id == owner) else {
        return Whereabouts::Blocked(BlockedKind::OwnerUnseen {
            owner,
            name: remembered_name(owner, observed),
            replica: describe(from, copy),
        });
    };
    let there = copies.get(to);
    // What was written to it since is not what was handed off.
    let ends_with = |guid: SnapshotGuid| {
        there.is_some_and(|copy| newest_own(copy) == Some(guid) && copy.written == ByteCount::ZERO)
    };
    let unseen = unseen(observed);
    match handoff {
        Some(guid) if ends_with(guid) => Whereabouts::HandedOff {
            from: from.clone(),
            to: to.clone(),
            epoch,
            guid,
        },
        // That the next owner lacks what was handed off may be because it handed it on since, to
        // or from a node that was not seen. What this copy knows is then out of date.
        _ if !unseen.is_empty() => Whereabouts::Blocked(BlockedKind::VolumeUnknown { unseen }),
        Some(guid) => Whereabouts::Blocked(BlockedKind::HandoffLost {
            from: describe(from, copy),
            to: to.clone(),
            guid,
        }),
        None => Whereabouts::Blocked(BlockedKind::OwnerHasNoCopy {
            owner: to.clone(),
            replica: describe(from, copy),
        }),
    }
}

/// Finds what an unseen node was called, from what the others remember.
fn remembered_name(id: NodeId, observed: &Observed) -> Option<NodeName> {
    observed
        .seen()
        .flat_map(|(_, state)| &state.members)
        .find(|(_, member)| member.id == id)
        .map(|(name, _)| name.clone())
}

/// Lists the names under which one machine was seen, for machines with several.
pub(crate) fn machines_with_several_names(observed: &Observed) -> Vec<(NodeId, Vec<NodeName>)> {
    let mut names: BTreeMap<NodeId, BTreeSet<NodeName>> = BTreeMap::new();
    for (name, state) in observed.seen() {
        names.entry(state.id).or_default().insert(name.clone());
    }
    names
        .into_iter()
        .filter(|(_, names)| names.len() > 1)
        .map(|(id, names)| (id, names.into_iter().collect()))
        .collect()
}

/// Returns why a node was not seen.
pub(crate) fn unseen_reason(observation: &NodeObservation) -> Option<String> {
    match observation {
        NodeObservation::Seen(_) => None,
        NodeObservation::Unreachable { reason } => Some(reason.clone()),
        NodeObservation::NotAsked => Some("it was not asked".to_owned()),
    }
}
