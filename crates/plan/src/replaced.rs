//! Machines that were not seen, and whose names lead to other machines now.

use std::collections::BTreeMap;

use flocker_model::{NodeId, NodeName, NodeObservation, Observed};

use crate::BlockedKind;

/// Lists the machines that some node remembers, that were not seen, and by whose name another machine
/// answered.
pub(crate) fn replaced_machines(observed: &Observed) -> Vec<BlockedKind> {
    let is_seen = |id: NodeId| observed.identities().any(|(_, its, _)| its == id);
    let mut replaced: BTreeMap<NodeId, BlockedKind> = BTreeMap::new();
    for (says, _, members) in observed.identities() {
        for member in members.iter().filter(|member| !is_seen(member.id)) {
            let found = observed.nodes.get(&member.name);
            if let Some((found, _)) = found.and_then(NodeObservation::identity) {
                let kind = BlockedKind::OtherMachine {
                    node: member.name.clone(),
                    found,
                    former: member.id,
                    says: says.clone(),
                };
                replaced.entry(member.id).or_insert(kind);
            }
        }
    }
    replaced.into_values().collect()
}

/// Lists the names of those machines.
pub(crate) fn replaced_names(observed: &Observed) -> Vec<NodeName> {
    let replaced = replaced_machines(observed).into_iter();
    let names = replaced.filter_map(|kind| match kind {
        BlockedKind::OtherMachine { node, .. } => Some(node),
        _ => None,
    });
    names.collect()
}
