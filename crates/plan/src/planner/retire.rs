//! Taking down what is not wanted where it is.

use std::collections::{BTreeMap, BTreeSet};

use flocker_model::{ApplicationName, Endpoint, NodeName, NodeState, VolumeCopy};

use crate::steps::Because;
use crate::{Action, BlockedKind, Outcome, OutcomeKind, Scope, StepId, StopKind};

use super::order::in_order;
use super::refusing::refuse_held;
use super::state::Planner;

impl Planner<'_> {
    /// Adds a stop, which also unmounts the volume.
    pub(super) fn stop(
        &mut self,
        node: &NodeName,
        (name, kind): (&ApplicationName, StopKind),
        because: Because<'_>,
    ) -> StepId {
        let action = Action::StopApplication {
            application: name.clone(),
            kind,
        };
        self.add(node, action, because)
    }

    /// Takes an application down on the nodes that it has left, once it answers elsewhere.
    pub(super) fn leave_elsewhere(
        &mut self,
        name: &ApplicationName,
        nodes: &[NodeName],
        routed: &[StepId],
    ) {
        for node in nodes {
            let stopped = self.stops_of(node, name);
            let after: Vec<StepId> = routed.iter().chain(&stopped).copied().collect();
            let because = Because {
                after: &after,
                why: "it answers on another node now",
            };
            if self.is_down(node, name) || !stopped.is_empty() {
                self.remove(node, name, because);
            } else {
                self.take_down(node, name, because);
            }
        }
    }

    /// Lists the steps that stop an application on a node.
    pub(super) fn stops_of(&self, node: &NodeName, name: &ApplicationName) -> Vec<StepId> {
        let here = self.plan.steps().iter().filter(|step| step.node == *node);
        let stops = here.filter(|step| {
            matches!(&step.action, Action::StopApplication { application, .. } if application == name)
        });
        stops.map(|step| step.id).collect()
    }

    /// Takes down every application that the deployment does not place, wherever it is found; those
    /// that depend on others before those.
    pub(super) fn retire_unwanted(&mut self) {
        let mut unwanted: BTreeMap<ApplicationName, Vec<NodeName>> = BTreeMap::new();
        for (node, state) in self.covered() {
            let mounted = |(name, copy): (_, &VolumeCopy)| copy.mounted.is_some().then_some(name);
            // A start that came to nothing may have left no more than a record, with the passwords
            // that the application was given.
            let names: BTreeSet<&ApplicationName> = state
                .containers
                .keys()
                .chain(state.volumes.iter().filter_map(mounted))
                .chain(state.remembered.applications.keys())
                .collect();
            for name in names {
                match self.goal.deployment.place_of(name) {
                    // Its move was planned, or could not be, where it is placed.
                    Some(_) if self.goal.scope == Scope::Cluster => {}
                    Some(place) if place == node || self.skipped.contains(name) => {}
                    Some(_) | None => unwanted.entry(name.clone()).or_default().push(node.clone()),
                }
            }
        }
        let remembered = self.remembered_dependencies();
        let dependencies = |name: &ApplicationName| {
            let known = remembered.get(name).into_iter().flatten();
            known
                .filter_map(|name| unwanted.get_key_value(name))
                .map(|(name, _)| name)
                .collect::<Vec<_>>()
        };
        let order = in_order(unwanted.keys(), &dependencies, &|_| Vec::new());
        // The steps that stop those that depend on each.
        let mut dependents: BTreeMap<ApplicationName, Vec<StepId>> = BTreeMap::new();
        for name in order.into_iter().rev() {
            let before = dependents.remove(name).unwrap_or_default();
            for node in unwanted.get(name).into_iter().flatten() {
                let stopped = self.retire((node, name), &before);
                for dependency in dependencies(name) {
                    let stops = dependents.entry(dependency.clone()).or_default();
                    stops.extend(stopped);
                }
            }
        }
    }

    /// Within one node's scope, reports the applications whose volumes would have to leave; they
    /// are left as they are.
    pub(super) fn keep_unmovable(&mut self) {
        if self.goal.scope == Scope::Cluster {
            return;
        }
        for (node, state) in self.covered() {
            for name in state.volumes.keys() {
                let mut placed = self.goal.deployment.placed();
                let with_volume = placed
                    .find(|(found, application, _)| *found == name && application.volume.is_some());
                match with_volume {
                    Some((_, _, place)) if place != node && owns(state, name) => {
                        let kind = BlockedKind::NeedsOtherNode {
                            node: place.clone(),
                            what:
                                "it is placed elsewhere, and its volume must be handed over first"
                                    .to_owned(),
                        };
                        self.block_application(name, kind);
                        self.skipped.insert(name.clone());
                    }
                    _ => {}
                }
            }
        }
        for (name, application, place) in self.goal.deployment.placed() {
            let shared = application.shared.as_ref();
            let is_kept = shared.is_some_and(|shared| self.skipped.contains(&shared.application));
            if is_kept && !self.goal.covers(place) {
                self.skipped.insert(name.clone());
            }
        }
    }

    /// Takes one application down for good, after these steps; returns the step that stops it.
    fn retire(
        &mut self,
        (node, name): (&NodeName, &ApplicationName),
        before: &[StepId],
    ) -> Option<StepId> {
        let state = self.observed.node(node);
        let volume_kept = state.is_some_and(|state| owns(state, name));
        if let Some(copy) = self.copy(node, name)
            && let Err(held) = refuse_held(node, copy)
        {
            self.block_application(name, *held);
            return None;
        }
        let mut after = self.successors(node, name);
        after.extend(before);
        let because = Because {
            after: &after,
            why: "the deployment does not place it here",
        };
        let steps = self.take_down(node, name, because);
        let outcome = self
            .plan
            .outcomes
            .entry(name.clone())
            .or_insert_with(|| Outcome {
                kind: OutcomeKind::Stopped { volume_kept },
                node: node.clone(),
                done_after: BTreeSet::new(),
            });
        if volume_kept {
            outcome.kind = OutcomeKind::Stopped { volume_kept };
            outcome.node = node.clone();
        }
        outcome.done_after.extend(&steps);
        steps.first().copied()
    }

    /// Lists the steps after which other applications answer on the ports that one has so far, so
    /// that it does not stop before its successor has started.
    fn successors(&self, node: &NodeName, name: &ApplicationName) -> Vec<StepId> {
        let network = self
            .observed
            .node(node)
            .and_then(|state| state.network.as_ref());
        let mut steps = Vec::new();
        for (port, endpoint) in network.into_iter().flat_map(|it| &it.ports.routes) {
            let is_its_own = matches!(&endpoint.endpoint, Endpoint::Local { application, .. } if application == name);
            let mut placed = self.goal.deployment.placed();
            let heir = placed.find(|(_, application, _)| {
                let mut routes = application.routes.keys();
                routes.any(|route| route.overlaps(*port))
            });
            if let (true, Some((heir, ..))) = (is_its_own, heir)
                && let Some(answers) = self.answers.get(heir)
            {
                steps.extend(answers.values());
            }
        }
        steps
    }

    /// Adds the steps that stop an application and remove its container, never its volume.
    fn take_down(
        &mut self,
        node: &NodeName,
        name: &ApplicationName,
        because: Because<'_>,
    ) -> Vec<StepId> {
        let mut stopped = self.stops_of(node, name);
        if stopped.is_empty() {
            stopped.push(self.stop(node, (name, StopKind::ForGood), because));
        }
        let because = Because {
            after: &stopped,
            why: "only its volume is kept",
        };
        let removed = self.remove(node, name, because);
        stopped.push(removed);
        stopped
    }

    /// Adds the step that removes an application's container and scratch.
    fn remove(&mut self, node: &NodeName, name: &ApplicationName, because: Because<'_>) -> StepId {
        self.tell_of_removed_scratch(node, name);
        let action = Action::RemoveApplication {
            application: name.clone(),
        };
        self.add(node, action, because)
    }
}

/// Tells whether a node owns the volume of an application.
fn owns(state: &NodeState, name: &ApplicationName) -> bool {
    let copy = state.volumes.get(name);
    copy.is_some_and(|copy| copy.owned_epoch().is_some())
}
