//! Machines that were not seen, and whose names lead to other machines now; and machines that were seen,
//! and had been given up.

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

/// Lists the machines that were seen although some node was told to forget them: their volumes are out
/// of date, or were given up.
pub fn forgotten_machines(observed: &Observed) -> Vec<BlockedKind> {
    let forgotten = observed.seen().filter_map(|(node, state)| {
        let mut others = observed.identities();
        let (says, at) = others
            .find_map(|(says, _, members)| Some((says.clone(), members.forgotten(state.id)?.at)))?;
        Some(BlockedKind::MachineForgotten {
            node: node.clone(),
            id: state.id,
            at,
            says,
            dataset: state.pool.dataset.clone(),
        })
    });
    forgotten.collect()
}
