//! Taking down what is not wanted where it is.

use flocker_model::{ApplicationName, NodeName};

use crate::steps::Because;
use crate::{Action, Outcome, OutcomeKind, Scope, StepId};

use super::state::Planner;

impl Planner<'_> {
    /// Adds a stop, which also unmounts the volume.
    pub(super) fn stop(
        &mut self,
        node: &NodeName,
        name: &ApplicationName,
        because: Because<'_>,
    ) -> StepId {
        let action = Action::StopApplication {
            application: name.clone(),
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
            self.take_down(
                node,
                name,
                Because {
                    after: routed,
                    why: "it answers on another node now",
                },
            );
        }
    }

    /// Takes down every application that the deployment does not place, wherever it is found.
    pub(super) fn retire_unwanted(&mut self) {
        for (node, state) in self.covered() {
            for name in state.containers.keys() {
                let place = self.goal.deployment.place_of(name);
                let unwanted = match place {
                    None => true,
                    // Its move was planned, or could not be, where it is placed.
                    Some(_) if self.goal.scope == Scope::Cluster => false,
                    Some(place) => place != node && !state.volumes.contains_key(name),
                };
                if !unwanted {
                    self.report_unmovable(node, name);
                    continue;
                }
                let because = Because {
                    after: &[],
                    why: "the deployment does not place it here",
                };
                let done_after = self.take_down(node, name, because);
                let outcome = Outcome {
                    kind: OutcomeKind::Stopped {
                        volume_kept: state.volumes.contains_key(name),
                    },
                    node: node.clone(),
                    done_after: done_after.into_iter().collect(),
                };
                self.plan.outcomes.insert(name.clone(), outcome);
            }
        }
    }

    /// Within one node's scope, reports an application whose volume would have to leave.
    fn report_unmovable(&mut self, node: &NodeName, name: &ApplicationName) {
        let Some(place) = self.goal.deployment.place_of(name) else {
            return;
        };
        if self.goal.scope == Scope::Cluster || place == node {
            return;
        }
        let kind = crate::BlockedKind::NeedsOtherNode {
            node: place.clone(),
            what: "it is placed elsewhere, and its volume must be handed over first".to_owned(),
        };
        self.block_application(name, kind);
    }

    /// Adds the steps that stop an application and remove its container, never its volume.
    fn take_down(
        &mut self,
        node: &NodeName,
        name: &ApplicationName,
        because: Because<'_>,
    ) -> Vec<StepId> {
        let stopped = self.stop(node, name, because);
        let action = Action::RemoveApplication {
            application: name.clone(),
        };
        let because = Because {
            after: &[stopped],
            why: "only its volume is kept",
        };
        vec![stopped, self.add(node, action, because)]
    }
}
