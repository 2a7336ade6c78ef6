//! Holding and switching the ports that lead to applications.

use std::collections::BTreeSet;

use flocker_model::{ApplicationName, NodeName, NodeNetwork, Port};

use crate::network::ApplicationPorts;
use crate::steps::Because;
use crate::{Action, StepId};

use super::state::Planner;

impl Planner<'_> {
    /// Gives every node that has no table of ours, or one that does not know its peers, a table
    /// that holds for what already runs where it should.
    pub(super) fn prepare_networks(&mut self) {
        for (node, state) in self.covered() {
            let running = self.wiring().table(node, |name, place| {
                self.observed
                    .node(place)
                    .and_then(|state| state.containers.get(name))
                    .is_some_and(flocker_model::ContainerState::is_up)
            });
            let prepared = match &state.network {
                None => running,
                Some(network) if network.peers != running.peers => NodeNetwork {
                    peers: running.peers,
                    ..network.clone()
                },
                Some(_) => continue,
            };
            let action = Action::ProgramNetwork {
                network: prepared.clone(),
            };
            let because = Because {
                after: &[],
                why: "it has no routing table of ours, or one that does not know its peers",
            };
            let step = self.add(node, action, because);
            self.prepared.insert(node.clone(), step);
            self.networks.insert(node.clone(), prepared);
            self.network_steps
                .entry(node.clone())
                .or_default()
                .push(step);
        }
    }

    /// Holds new connections to an application on every node, if it now runs on `from`.
    pub(super) fn hold(
        &mut self,
        name: &ApplicationName,
        from: &NodeName,
        after: &[StepId],
    ) -> Vec<StepId> {
        let runs = self
            .observed
            .node(from)
            .is_some_and(|state| state.containers.contains_key(name));
        let ports = self.wiring().all_ports(name);
        if !runs || ports.is_empty() {
            return Vec::new();
        }
        let mut steps = Vec::new();
        for (node, _) in self.covered() {
            let mut after = after.to_vec();
            after.extend(self.prepared.get(node));
            let action = Action::HoldPorts {
                ports: ports.clone(),
            };
            let because = Because {
                after: &after,
                why: "a client that connects now waits instead of being refused",
            };
            let step = self.add(node, action, because);
            self.note_network_step(node, step);
            if let Some(network) = self.networks.get_mut(node) {
                network.held.extend(&ports);
            }
            steps.push(step);
        }
        steps
    }

    /// Sends an application's ports to `place` on every node where they go elsewhere or are held.
    pub(super) fn switch_routes(
        &mut self,
        name: &ApplicationName,
        place: &NodeName,
        started: Option<StepId>,
    ) -> Vec<StepId> {
        let mut steps = Vec::new();
        for (node, _) in self.covered() {
            let ports = self.wiring().ports(node, name, place);
            let network = self.networks.entry(node.clone()).or_default();
            if leads_there(network, &ports) {
                continue;
            }
            lead_there(network, &ports);
            let mut after: Vec<StepId> = started.into_iter().collect();
            after.extend(self.prepared.get(node));
            let action = Action::SwitchRoutes {
                application: name.clone(),
                routes: ports.routes,
                links: ports.links,
            };
            let because = Because {
                after: &after,
                why: "the application answers there now",
            };
            let step = self.add(node, action, because);
            self.note_network_step(node, step);
            steps.push(step);
        }
        steps.extend(if steps.is_empty() { started } else { None });
        steps
    }

    /// Makes every node's table exactly what is wanted, where the steps so far do not.
    pub(super) fn finish_networks(&mut self) {
        for (node, _) in self.covered() {
            let blocked: BTreeSet<ApplicationName> = self
                .plan
                .blocked
                .iter()
                .filter_map(|blocked| blocked.application.clone())
                .collect();
            let wanted = self.wiring().table(node, |name, _| !blocked.contains(name));
            if self.networks.get(node) == Some(&wanted) {
                continue;
            }
            let after: Vec<StepId> = self.plan.steps().iter().map(|step| step.id).collect();
            let action = Action::ProgramNetwork { network: wanted };
            let because = Because {
                after: &after,
                why: "it still has ports that lead nowhere",
            };
            self.add(node, action, because);
        }
    }

    /// Remembers that a step changes a node's table.
    fn note_network_step(&mut self, node: &NodeName, step: StepId) {
        self.network_steps
            .entry(node.clone())
            .or_default()
            .push(step);
    }
}

/// Tells whether a table already sends all ports where they should go.
fn leads_there(network: &NodeNetwork, ports: &ApplicationPorts) -> bool {
    let held = |port: &Port| network.held.contains(port);
    ports
        .routes
        .iter()
        .all(|(port, endpoint)| network.routes.get(port) == Some(endpoint) && !held(port))
        && ports
            .links
            .iter()
            .all(|(port, endpoint)| network.links.get(port) == Some(endpoint) && !held(port))
}

/// Does to a table what the switch of an application's routes will do.
pub(crate) fn lead_there(network: &mut NodeNetwork, ports: &ApplicationPorts) {
    for port in ports.routes.keys().chain(ports.links.keys()) {
        network.held.remove(port);
    }
    network.routes.extend(ports.routes.clone());
    network.links.extend(ports.links.clone());
}
