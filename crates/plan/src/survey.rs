//! Where each volume is, worked out from every copy that was seen.

use std::collections::{BTreeMap, BTreeSet};

use flocker_model::{
    ApplicationName, ByteCount, ContainerState, Epoch, NodeId, NodeName, NodeObservation,
    NodeState, Observed, PoolHealth, PoollessNode, SnapshotGuid, VolumeCopy, VolumeRole,
};

use crate::contested::contradiction;
use crate::first_copies::nameless_part;
use crate::remembered::last_place;
use crate::{BlockedKind, CopyDescription, Unseen};

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
    Blocked(Box<BlockedKind>),
}

impl Whereabouts {
    fn blocked(kind: BlockedKind) -> Self {
        Self::Blocked(Box::new(kind))
    }
}

/// A volume's copies by the node that has them.
pub(crate) type Copies<'a> = BTreeMap<&'a NodeName, &'a VolumeCopy>;

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
        [] => locate_without_owner(application, &copies, observed),
        [(node, epoch)] => match contradiction((node, *epoch), &copies, (application, observed)) {
            None => Whereabouts::Owned {
                node: (*node).clone(),
                epoch: *epoch,
            },
            Some(contradicted) => Whereabouts::blocked(contradicted),
        },
        _ => Whereabouts::blocked(BlockedKind::OwnersContradict {
            copies: copies
                .iter()
                .filter(|(_, copy)| copy.owned_epoch().is_some())
                .map(|(node, copy)| describe(observed, (node, application), copy))
                .collect(),
        }),
    }
}

/// Describes one copy for the operator.
pub(crate) fn describe(
    observed: &Observed,
    (node, application): (&NodeName, &ApplicationName),
    copy: &VolumeCopy,
) -> CopyDescription {
    let epoch = match &copy.role {
        VolumeRole::Owned { epoch } | VolumeRole::Replica { epoch, .. } => *epoch,
        VolumeRole::Foreign { .. } => Epoch(0),
    };
    let created = |guid: Option<SnapshotGuid>| {
        let snapshot = copy.snapshots.get(&guid?)?;
        Some(snapshot.created)
    };
    CopyDescription {
        node: node.clone(),
        dataset: dataset_of(observed, node, &copy.dataset_name(application)),
        owned: copy.owned_epoch().is_some(),
        epoch,
        newest: copy.newest_snapshot,
        created: created(copy.newest_snapshot),
        taken: created(copy.newest_own()),
        looked_at: observed.at,
        written: copy.written,
    }
}

/// Tells whether an application neither runs on a node, nor would be started there by anything but
/// a plan, nor has left a volume mounted that nothing else sees.
pub(crate) fn is_down(state: &NodeState, application: &ApplicationName) -> bool {
    let is_left = |owner: &ApplicationName| {
        let copy = state.volumes.get(owner);
        let mounted = copy.is_some_and(|copy| copy.mounted.is_some());
        mounted && (owner == application || state.users_of(owner).next().is_none())
    };
    let seen = state.volume_seen_by(application);
    let container = state.containers.get(application);
    container.is_none_or(ContainerState::is_down)
        && !is_left(application)
        && !seen.is_some_and(is_left)
}

/// Names a dataset of a node's volumes in full.
fn dataset_of(observed: &Observed, node: &NodeName, name: &str) -> String {
    let root = observed.node(node).map(|state| state.pool.dataset.as_str());
    format!("{}/{name}", root.unwrap_or_default())
}

/// Says that what is at the place of an application's volume is not Flocker's.
pub(crate) fn foreign_dataset(
    observed: &Observed,
    (node, application): (&NodeName, &ApplicationName),
    problem: String,
) -> BlockedKind {
    let copy = observed
        .node(node)
        .and_then(|state| state.volumes.get(application));
    if let Some(from) = copy.and_then(VolumeCopy::unfinished_import) {
        return BlockedKind::ImportUnfinished {
            node: node.clone(),
            from: from.to_owned(),
        };
    }
    let dataset = copy.map(|copy| copy.dataset_name(application));
    BlockedKind::ForeignDataset {
        node: node.clone(),
        dataset: dataset_of(observed, node, &dataset.unwrap_or_default()),
        newest: copy.and_then(|copy| copy.newest_snapshot),
        problem,
    }
}

/// Says that a node's pool cannot be worked with, if that is so.
pub(crate) fn unusable_pool(node: &NodeName, state: &NodeState) -> Option<BlockedKind> {
    let PoolHealth::Unusable { problem } = &state.pool.health else {
        return None;
    };
    Some(BlockedKind::PoolUnusable {
        node: node.clone(),
        pool: state.pool.pool().to_owned(),
        problem: problem.clone(),
        volumes_seen: true,
    })
}

/// Says why a node cannot use its copy of a volume, if it cannot.
///
/// A key that the pool lacks for new volumes need not be that of this one.
pub(crate) fn unusable_copy(
    node: &NodeName,
    state: &NodeState,
    copy: &VolumeCopy,
) -> Option<BlockedKind> {
    locked(node, copy)
        .or_else(|| unusable_pool(node, state).filter(|unusable| !unusable.waits_for_key()))
}

/// Says that a copy's key is not loaded, if it is not.
pub(crate) fn locked(node: &NodeName, copy: &VolumeCopy) -> Option<BlockedKind> {
    let dataset = copy.key_needed.clone()?;
    Some(BlockedKind::KeyNotLoaded {
        node: node.clone(),
        dataset,
    })
}

/// No copy was seen: it is nowhere only if every node was seen.
fn locate_unseen(application: &ApplicationName, observed: &Observed) -> Whereabouts {
    let unseen = Unseen::of(observed);
    let foreign = observed
        .seen()
        .find_map(|(node, _)| Some((node, foreign(application, node, observed)?)));
    if let Some((node, problem)) = foreign {
        return Whereabouts::blocked(foreign_dataset(observed, (node, application), problem));
    }
    if !unseen.is_empty() {
        return Whereabouts::blocked(BlockedKind::VolumeUnknown { unseen });
    }
    if let Some((node, problem)) = nameless_part(application, observed) {
        return Whereabouts::blocked(foreign_dataset(observed, (node, application), problem));
    }
    match last_place(application, observed) {
        Some(node) => Whereabouts::blocked(BlockedKind::VolumeVanished { node }),
        None => Whereabouts::Nowhere,
    }
}

/// Copies were seen, but no owner: either a hand-off is under way, or the owner is unseen.
fn locate_without_owner(
    application: &ApplicationName,
    copies: &Copies<'_>,
    observed: &Observed,
) -> Whereabouts {
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
        return Whereabouts::blocked(BlockedKind::OwnerUnseen {
            owner,
            name: name_of(owner, observed),
            answers: answers(owner, observed),
            replica: newest_replica(application, copies, observed)
                .unwrap_or_else(|| describe(observed, (from, application), copy)),
        });
    };
    let there = copies.get(to);
    // What was written to it since is not what was handed off.
    let ends_with = |guid: SnapshotGuid| {
        there.is_some_and(|copy| copy.newest_own() == Some(guid) && copy.written == ByteCount::ZERO)
    };
    let unseen = Unseen::of(observed);
    let kind = match (handoff, foreign(application, to, observed)) {
        (Some(guid), _) if ends_with(guid) => {
            return Whereabouts::HandedOff {
                from: from.clone(),
                to: to.clone(),
                epoch,
                guid,
            };
        }
        // That the next owner lacks what was handed off may be because it handed it on since, to
        // or from a node that was not seen. What this copy knows is then out of date.
        _ if !unseen.is_empty() => BlockedKind::VolumeUnknown { unseen },
        // It may be the volume itself, with damaged properties and more in it than any replica.
        (_, Some(problem)) => foreign_dataset(observed, (to, application), problem),
        (Some(guid), None) => BlockedKind::HandoffLost {
            from: describe(observed, (from, application), copy),
            to: to.clone(),
            guid,
        },
        (None, None) => BlockedKind::OwnerHasNoCopy {
            owner: to.clone(),
            replica: newest_replica(application, copies, observed)
                .unwrap_or_else(|| describe(observed, (from, application), copy)),
        },
    };
    Whereabouts::blocked(kind)
}

/// Returns why a node's dataset at the place of a volume is not Flocker's, or is damaged.
fn foreign(application: &ApplicationName, node: &NodeName, observed: &Observed) -> Option<String> {
    let copy = observed.node(node)?.volumes.get(application)?;
    match &copy.role {
        VolumeRole::Foreign { problem } if !copy.is_nameless_part() => Some(problem.clone()),
        _ => None,
    }
}

/// Describes the replica that has most, of those that were not touched if there are any.
fn newest_replica(
    application: &ApplicationName,
    copies: &Copies<'_>,
    observed: &Observed,
) -> Option<CopyDescription> {
    let (node, copy) = copies
        .iter()
        .max_by_key(|(_, copy)| (copy.written == ByteCount::ZERO, copy.newest_counted()))?;
    Some(describe(observed, (node, application), copy))
}

/// Finds what a machine is called: by its own answer, or else by what others remember.
pub(crate) fn name_of(id: NodeId, observed: &Observed) -> Option<NodeName> {
    let itself = observed.identities().find(|(_, its, _)| *its == id);
    let remembered = || {
        observed
            .identities()
            .find_map(|(_, _, members)| members.get(id))
            .map(|member| &member.name)
    };
    let forgotten = || {
        observed
            .identities()
            .find_map(|(_, _, members)| members.forgotten(id))
            .map(|machine| &machine.name)
    };
    itself
        .map(|(name, ..)| name)
        .or_else(remembered)
        .or_else(forgotten)
        .cloned()
}

/// Tells whether a machine is there, seen or not. Another machine that has its name is not it.
pub(crate) fn answers(id: NodeId, observed: &Observed) -> bool {
    let name = name_of(id, observed);
    let found = name.and_then(|name| observed.nodes.get(&name));
    found.is_some_and(|found| match found.identity() {
        Some((its, _)) => its == id,
        None => matches!(found, NodeObservation::Unusable { .. }),
    })
}

/// Lists the names under which one machine was seen, for machines with several.
pub(crate) fn machines_with_several_names(observed: &Observed) -> Vec<(NodeId, Vec<NodeName>)> {
    let mut names: BTreeMap<NodeId, BTreeSet<NodeName>> = BTreeMap::new();
    for (name, id, _) in observed.identities() {
        names.entry(id).or_default().insert(name.clone());
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
        NodeObservation::WithoutPool(node) => {
            let PoollessNode { pool, problem, .. } = node.as_ref();
            Some(format!(
                "pool {pool} {problem}, so that it is not known which volumes are there"
            ))
        }
        NodeObservation::Unreachable { reason } | NodeObservation::Unusable { reason } => {
            Some(reason.clone())
        }
        NodeObservation::NotAsked => Some("it was not asked".to_owned()),
    }
}
