//! Holding and switching the ports that lead to applications.

use std::collections::BTreeSet;

use flocker_model::{
    ApplicationName, Endpoint, LeadingPorts, NodeName, NodeNetwork, NodeState, RoutePort,
};

use crate::steps::Because;
use crate::{Action, OutcomeKind, Scope, StepId};

use super::state::Planner;

impl Planner<'_> {
    /// Gives every node that has no table of ours, or one that does not know its peers, a table
    /// that holds for what already runs where it should.
    ///
    /// Done before anything is started: the first thing that a container may do is use its links.
    pub(super) fn prepare_networks(&mut self) {
        for (node, state) in self.serving() {
            let running = self.wiring().table(node, |name, place| {
                !self.skipped.contains(name) && self.runs_at(name, place)
            });
            let mut prepared = state.network.clone().unwrap_or_default();
            prepared.peers = running.peers;
            if state.network.is_none() || self.goal.scope != Scope::Cluster {
                prepared.ports.extend(running.ports);
            } else if prepared_before_joining(state) {
                let is_elsewhere =
                    |_, endpoint: &Endpoint| matches!(endpoint, Endpoint::Remote { .. });
                prepared.ports.extend(running.ports.filtered(is_elsewhere));
            }
            if state.network.as_ref() == Some(&prepared) {
                continue;
            }
            let action = Action::ProgramNetwork {
                network: prepared.clone(),
            };
            let because = Because {
                after: &[],
                why: "it has no routing table of ours, or one that lacks its peers",
            };
            let step = self.add(node, action, because);
            self.prepared.insert(node.clone(), step);
            self.networks.insert(node.clone(), prepared);
        }
    }

    /// Tells whether an application runs at its place, as far as that can be known.
    fn runs_at(&self, name: &ApplicationName, place: &NodeName) -> bool {
        match self.observed.node(place) {
            Some(state) => state
                .containers
                .get(name)
                .is_some_and(flocker_model::ContainerState::is_up),
            // What one node does alone takes the others as they should be.
            None => self.goal.scope != Scope::Cluster,
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
        for (node, _) in self.serving() {
            let network = self.networks.entry(node.clone()).or_default();
            if ports.is_subset(&network.held) {
                continue;
            }
            network.held.extend(&ports);
            let mut after = after.to_vec();
            after.extend(self.prepared.get(node));
            let action = Action::HoldPorts {
                ports: ports.clone(),
            };
            let because = Because {
                after: &after,
                why: "a client that connects now waits instead of being refused",
            };
            steps.push(self.add(node, action, because));
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
        for (node, _) in self.serving() {
            let ports = self.wiring().ports(node, name, place);
            let network = self.networks.entry(node.clone()).or_default();
            let mut answers = started;
            if !leads_there(network, &ports) {
                network.lead(&ports);
                let mut after: Vec<StepId> = started.into_iter().collect();
                after.extend(self.prepared.get(node));
                let action = Action::SwitchRoutes {
                    application: name.clone(),
                    ports,
                };
                let because = Because {
                    after: &after,
                    why: "the application answers there now",
                };
                let step = self.add(node, action, because);
                answers = Some(step);
                steps.push(step);
            }
            if let Some(answers) = answers {
                self.answers
                    .entry(name.clone())
                    .or_default()
                    .insert(node.clone(), answers);
            }
        }
        steps.extend(if steps.is_empty() { started } else { None });
        steps
    }

    /// Makes every node's table exactly what is wanted, where the steps so far do not.
    pub(super) fn finish_networks(&mut self) {
        // Whether somebody is healthy has nothing to do with where ports lead.
        let changes = self.plan.steps().iter().filter(|step| {
            !matches!(
                step.action,
                Action::AwaitHealth { .. } | Action::AwaitCompletion { .. }
            )
        });
        let after: Vec<StepId> = changes.map(|step| step.id).collect();
        let mut programmed = BTreeSet::new();
        let mut cut = BTreeSet::new();
        for (node, state) in self.covered() {
            let wanted = self.wanted_network(node);
            // Where there is no table yet, another may be remembered for the next boot.
            let has_one = state.network.is_some() || self.prepared.contains_key(node);
            if has_one && self.networks.get(node) == Some(&wanted) {
                continue;
            }
            let action = Action::ProgramNetwork {
                network: wanted.clone(),
            };
            let because = Because {
                after: &after,
                why: "it still has ports that should lead elsewhere or nowhere",
            };
            let step = self.add(node, action, because);
            programmed.insert(step);
            if let Some(now) = self.networks.get(node) {
                cut.extend(without_a_port(now, &wanted));
            }
        }
        self.attribute(&cut, &programmed);
    }

    /// Says of applications that lost a port and nothing else that they changed.
    fn attribute(&mut self, cut: &BTreeSet<ApplicationName>, programmed: &BTreeSet<StepId>) {
        for name in cut {
            if let Some(outcome) = self.plan.outcomes.get_mut(name)
                && outcome.kind == OutcomeKind::Unchanged
            {
                outcome.kind = OutcomeKind::Changed;
                outcome.done_after.extend(programmed);
            }
        }
    }

    /// Works out what a node's table should be in the end: what the deployment says, and for
    /// applications that something stands in the way of, what it is.
    fn wanted_network(&self, node: &NodeName) -> NodeNetwork {
        let mut wanted = self
            .wiring()
            .table(node, |name, _| !self.skipped.contains(name));
        let Some(now) = self.networks.get(node) else {
            return wanted;
        };
        let skipped = &self.skipped;
        let ports: BTreeSet<RoutePort> = skipped
            .iter()
            .flat_map(|name| self.wiring().all_ports(name))
            .collect();
        let is_kept = |port: RoutePort, endpoint: &Endpoint| match endpoint {
            Endpoint::Local { application, .. } => skipped.contains(application),
            Endpoint::Remote { .. } => ports.contains(&port),
        };
        let mut kept = now.ports.filtered(is_kept);
        kept.extend(wanted.ports);
        wanted.ports = kept;
        wanted.held.extend(now.held.intersection(&ports));
        wanted
    }
}

/// Tells whether a node has a table from a time when it had no peers: it was alone, or left out of
/// the deployment. What runs elsewhere does not change by the node's joining.
fn prepared_before_joining(state: &NodeState) -> bool {
    let network = state.network.as_ref();
    network.is_some_and(|network| network.peers.is_empty())
}

/// Lists the applications of a node that answer on fewer ports afterwards.
fn without_a_port(now: &NodeNetwork, wanted: &NodeNetwork) -> BTreeSet<ApplicationName> {
    let cut = now.ports.without(&wanted.ports);
    let own = cut.endpoints().filter_map(|endpoint| match endpoint {
        Endpoint::Local { application, .. } => Some(application.clone()),
        Endpoint::Remote { .. } => None,
    });
    own.collect()
}

/// Tells whether a table already sends all ports where they should go.
fn leads_there(network: &NodeNetwork, ports: &LeadingPorts) -> bool {
    let is_held = ports.keys().any(|port| network.held.contains(&port));
    network.ports.includes(ports) && !is_held
}
