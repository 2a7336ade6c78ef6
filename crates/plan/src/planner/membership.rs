//! Which machines belong to the cluster, and what each of them remembers.

use flocker_model::{AppliedDeployment, Member, Members, NodeName, NodeState};

use crate::steps::Because;
use crate::{Action, Scope, StepId};

use super::state::Planner;

impl Planner<'_> {
    /// Makes every node accept pushes from every other before any is needed.
    ///
    /// Done first, and with every machine that is known, so that a deploy that dies half-way
    /// leaves no node that nobody remembers.
    pub(super) fn admit_members(&mut self) {
        if self.goal.scope != Scope::Cluster {
            return;
        }
        let everyone = self.everyone();
        for (node, state) in self.covered() {
            let known = everyone
                .iter()
                .all(|(name, member)| state.members.get(name) == Some(member));
            if !known {
                let action = Action::AdmitMembers {
                    members: everyone.clone(),
                };
                let because = Because {
                    after: &[],
                    why: "the cluster's machines or their keys are not what it remembers",
                };
                let step = self.add(node, action, because);
                self.admitted.insert(node.clone(), step);
            }
        }
    }

    /// Makes every node remember the deployment once everything else is done.
    pub(super) fn record(&mut self) {
        let after: Vec<StepId> = self.plan.steps().iter().map(|step| step.id).collect();
        let remaining = self.remaining();
        for (node, state) in self.covered() {
            let applied = AppliedDeployment {
                id: self.goal.deployment.id(),
                deployment: self.goal.deployment.clone(),
                node: node.clone(),
            };
            let members = match self.goal.scope {
                Scope::Cluster => remaining.clone(),
                Scope::Node(_) => state.members.clone(),
            };
            if state.applied.as_ref() == Some(&applied) && state.members == members {
                continue;
            }
            let action = Action::RecordDeployment { applied, members };
            let because = Because {
                after: &after,
                why: "it restores the last deployment that was applied in full",
            };
            self.add(node, action, because);
        }
    }

    /// Every machine that is known: those that answered, and those that they remember.
    fn everyone(&self) -> Members {
        let mut everyone = Members::new();
        for (_, state) in self.observed.seen() {
            for (name, member) in &state.members {
                let answered = self.observed.seen().any(|(_, state)| state.id == member.id);
                if !answered {
                    everyone.insert(name.clone(), member.clone());
                }
            }
        }
        for (name, state) in self.observed.seen() {
            if let Some(member) = self.member(name, state) {
                everyone.insert(name.clone(), member);
            }
        }
        everyone
    }

    /// The machines that still matter afterwards: those of the deployment, those that have a copy
    /// of a volume, and those of which that cannot be said.
    fn remaining(&self) -> Members {
        let mut remaining = self.everyone();
        remaining.retain(|name, _| {
            self.goal.deployment.nodes.contains_key(name)
                || self
                    .observed
                    .node(name)
                    .is_none_or(|state| !state.volumes.is_empty())
        });
        remaining
    }

    /// Describes a machine that answered.
    fn member(&self, name: &NodeName, state: &NodeState) -> Option<Member> {
        let mut contact = state.contact?;
        contact.address = *self.addresses.get(name)?;
        Some(Member {
            id: state.id,
            contact,
            ssh: state.ssh.clone(),
        })
    }
}
