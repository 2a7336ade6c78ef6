//! Volumes of which no copy is left, by what nodes remember of them, and nodes that remember less than
//! they should.

use flocker_model::{
    ApplicationName, Epoch, NodeId, NodeName, NodeState, Observed, RememberedApplication,
    VolumeCopy, VolumeRole,
};

use crate::BlockedKind;

/// Finds the node that had the volume of `application` last, by what the nodes remember.
pub(crate) fn last_place(application: &ApplicationName, observed: &Observed) -> Option<NodeName> {
    started_place(application, observed).or_else(|| recorded_place(application, observed))
}

/// Finds a node that was asked to start something on the volume, which it owned then.
///
/// It remembers that from the first start on: no deploy need have succeeded since.
fn started_place(application: &ApplicationName, observed: &Observed) -> Option<NodeName> {
    let saw_volume = |remembered: &RememberedApplication| {
        !remembered.retired
            && remembered.volume.is_some()
            && remembered.specification.volume_owner() == Some(application)
    };
    let remembers = |state: &NodeState| state.remembered.applications.values().any(saw_volume);
    let found = observed.seen().find(|(_, state)| remembers(state));
    found.map(|(node, _)| node.clone())
}

/// Finds where the last applied deployment had `application`, if it had a volume then.
///
/// What a node remembers of another counts only once that other machine is gone, or remembers nothing
/// itself and is known to have owned the volume: one node may have applied a deployment by itself that no
/// other was told of.
fn recorded_place(application: &ApplicationName, observed: &Observed) -> Option<NodeName> {
    observed.seen().find_map(|(_, state)| {
        let applied = state.applied.as_ref()?;
        let place = applied.volumes.get(application)?;
        let is_lost = state.members.named(place).any(|member| {
            let mut seen = observed.seen().map(|(_, state)| state);
            let found = seen.find(|seen| seen.id == member.id);
            let has_owned = member.volumes.contains(application);
            found.is_none_or(|found| has_owned && remembers_nothing(found))
        });
        (*place == applied.node || is_lost).then(|| place.clone())
    })
}

/// Finds a reason to ask before a volume is made that is new on every node that was seen: evidence of a
/// machine or of a record that is missing.
///
/// A first deploy leaves no such evidence behind, wherever it is interrupted.
pub(crate) fn doubt(observed: &Observed) -> Option<BlockedKind> {
    forgetful_node(observed).or_else(|| unknown_owner(observed))
}

/// Finds a node that has belonged to the cluster, and remembers nothing of it.
fn forgetful_node(observed: &Observed) -> Option<BlockedKind> {
    let mut forgetful = observed
        .seen()
        .filter(|(_, state)| remembers_nothing(state));
    forgetful.find_map(|(node, state)| {
        let has_been_sent_to = state.volumes.values().any(is_from_elsewhere);
        let mut others = observed.seen().filter(|(other, _)| *other != node);
        let says = others.find(|(_, other)| has_worked_with(other, state.id));
        let says = says.map(|(other, _)| other.clone());
        (has_been_sent_to || says.is_some()).then(|| BlockedKind::NodeForgot {
            node: node.clone(),
            says,
        })
    })
}

/// Tells whether a node knows of no cluster.
fn remembers_nothing(state: &NodeState) -> bool {
    state.members.is_empty() && state.applied.is_none()
}

/// Tells whether a copy came to its node from another: only machines that know each other push.
fn is_from_elsewhere(copy: &VolumeCopy) -> bool {
    match copy.role {
        VolumeRole::Owned { epoch } => copy.import.is_none() && epoch > Epoch::FIRST,
        VolumeRole::Replica { .. } => true,
        VolumeRole::Foreign { .. } => false,
    }
}

/// Tells whether a node has received volumes from another, or has recorded that the other owned some when
/// a deployment was applied in full.
fn has_worked_with(state: &NodeState, id: NodeId) -> bool {
    let member = state.members.get(id);
    let mut copies = state.volumes.values();
    member.is_some_and(|member| !member.volumes.is_empty())
        || copies.any(|copy| copy.other_owner() == Some(id))
}

/// Finds a copy whose owner was not seen, and which no node remembers.
fn unknown_owner(observed: &Observed) -> Option<BlockedKind> {
    let is_known = |id: NodeId| {
        let mut identities = observed.identities();
        identities.any(|(_, its, members)| {
            its == id || members.contains(id) || members.forgotten(id).is_some()
        })
    };
    observed.seen().find_map(|(node, state)| {
        state.volumes.iter().find_map(|(application, copy)| {
            let owner = copy.other_owner().filter(|id| !is_known(*id))?;
            Some(BlockedKind::MachineUnknown {
                owner,
                node: node.clone(),
                copy: application.clone(),
            })
        })
    })
}
