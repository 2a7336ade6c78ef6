//! Whether nodes can reach each other, as far as that can be known before it is tried.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use flocker_model::NodeName;

use crate::{Action, BlockedKind, Scope};

use super::state::Planner;

impl Planner<'_> {
    /// With more than one node, each address must lead to one of them, from every machine.
    pub(super) fn check_peers_addresses(&mut self) {
        let nodes = &self.goal.deployment.nodes;
        if nodes.len() < 2 || self.goal.scope != Scope::Cluster {
            return;
        }
        let mut found: BTreeMap<Ipv4Addr, Vec<NodeName>> = BTreeMap::new();
        for node in nodes
            .keys()
            .filter(|node| self.observed.node(node).is_some())
        {
            if let Some(address) = self.addresses.get(node) {
                found.entry(*address).or_default().push(node.clone());
            }
        }
        for (address, nodes) in found {
            if address.is_loopback() || address.is_unspecified() {
                for node in nodes {
                    self.block(BlockedKind::AddressOfItself { node, address });
                }
            } else if self.are_several_machines(&nodes) {
                self.block(BlockedKind::SharedAddress { nodes, address });
            }
        }
    }

    /// Tells whether these names, all of nodes that were seen, mean more than one machine.
    fn are_several_machines(&self, nodes: &[NodeName]) -> bool {
        let ids: BTreeSet<_> = nodes
            .iter()
            .filter_map(|node| Some(self.observed.node(node)?.id))
            .collect();
        ids.len() > 1
    }

    /// Nothing is stopped for a push to a node whose SSH server would refuse it.
    pub(super) fn check_pushes(&mut self) {
        let targets: BTreeSet<NodeName> = self
            .plan
            .steps()
            .iter()
            .filter_map(|step| match &step.action {
                Action::PushImage { to, .. } | Action::PushVolume { to, .. } => Some(to.clone()),
                _ => None,
            })
            .collect();
        for node in targets {
            let state = self.observed.node(&node);
            if let Some(refusal) = state.and_then(|state| state.refuses_peers.clone()) {
                self.block(BlockedKind::PeersRefused { node, refusal });
            }
        }
    }
}
