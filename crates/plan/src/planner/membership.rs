//! Which machines belong to the cluster, and what each of them remembers.

use flocker_model::{AppliedDeployment, Member, Members, NodeId, NodeName, NodeState};

use crate::steps::Because;
use crate::{Action, Scope, StepId};

use super::state::Planner;

impl Planner<'_> {
    /// Makes every node accept pushes from every other before any is needed.
    ///
    /// Done first, with every machine that may have something of ours, and forgetting none: a
    /// deploy that dies half-way leaves no node that nobody remembers.
    pub(super) fn admit_members(&mut self) {
        if self.goal.scope != Scope::Cluster {
            return;
        }
        let admitted = self.admitted_members();
        for (node, state) in self.covered() {
            let known = admitted
                .iter()
                .filter(|(name, _)| self.is_concerned(name))
                .all(|(name, member)| state.members.get(name) == Some(member));
            if !known && self.is_concerned(node) {
                let action = Action::AdmitMembers {
                    members: admitted.clone(),
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

    /// Makes every node remember the deployment once everything else is done; those that it omits
    /// first, because the others forget them with it.
    pub(super) fn record(&mut self) {
        // A deployment that something stands in the way of is not applied in full.
        if !self.plan.blocked.is_empty() {
            return;
        }
        let nodes = &self.goal.deployment.nodes;
        let (serving, omitted): (Vec<_>, Vec<_>) = self
            .covered()
            .into_iter()
            .partition(|(node, _)| nodes.contains_key(*node));
        let remaining = self.remaining();
        for part in [omitted, serving] {
            let after = self.all_steps();
            for (node, state) in part {
                self.record_on((node, state), &remaining, &after);
            }
        }
    }

    /// Makes one node remember the deployment and the machines that remain, if it does not.
    fn record_on(
        &mut self,
        (node, state): (&NodeName, &NodeState),
        remaining: &Members,
        after: &[StepId],
    ) {
        let members = match self.goal.scope {
            Scope::Cluster => remaining,
            Scope::Node(_) => &state.members,
        };
        let is_remembered = if self.admitted.contains_key(node) {
            self.admitted_members() == *members
        } else {
            state.members == *members
        };
        let applied = AppliedDeployment::new(self.goal.deployment, node);
        if state.applied.as_ref() == Some(&applied) && is_remembered {
            return;
        }
        let has_environments =
            |recorded: &AppliedDeployment| recorded.id == applied.id && recorded.has_environments;
        let why = if state.applied.as_ref().is_some_and(has_environments) {
            "its record has the environments of applications that it does not run"
        } else {
            "it restores the last deployment that was applied in full"
        };
        let action = Action::RecordDeployment {
            applied,
            members: members.clone(),
        };
        let because = Because { after, why };
        self.add(node, action, because);
    }

    /// Tells whether both nodes know each other, now or once machines are admitted.
    pub(super) fn know_each_other(&self, one: &NodeName, other: &NodeName) -> bool {
        let knows = |node: &NodeName, peer: &NodeName| {
            let (Some(state), Some(peer_state)) =
                (self.observed.node(node), self.observed.node(peer))
            else {
                return false;
            };
            let member = state.members.get(peer);
            member.is_some_and(|member| member.id == peer_state.id)
        };
        let concerned = |node: &NodeName| self.is_concerned(node);
        (concerned(one) && concerned(other)) || (knows(one, other) && knows(other, one))
    }

    /// The machines that have, or may have, something of ours now or afterwards, and those that
    /// anybody remembers.
    fn admitted_members(&self) -> Members {
        let mut members = self.everyone();
        members.retain(|name, _| {
            self.is_concerned(name)
                || self
                    .observed
                    .seen()
                    .any(|(_, state)| state.members.contains_key(name))
        });
        members
    }

    /// Tells whether a machine has, or may have, something of ours now or afterwards.
    fn is_concerned(&self, name: &NodeName) -> bool {
        self.goal.deployment.nodes.contains_key(name)
            || self
                .observed
                .node(name)
                .is_none_or(|state| !state.volumes.is_empty() || !state.containers.is_empty())
    }

    /// Every machine that is known: those that answered, and those that they remember.
    fn everyone(&self) -> Members {
        let mut everyone = Members::new();
        for (_, state) in self.observed.seen() {
            for (name, member) in &state.members {
                let answered = self.observed.seen().any(|(_, state)| state.id == member.id);
                if !answered {
                    let emptied = self.was_emptied(member.id);
                    let member = Member {
                        emptied,
                        ..member.clone()
                    };
                    everyone.insert(name.clone(), member);
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
    /// of a volume or own one by another's copy, and those of which that cannot be said.
    fn remaining(&self) -> Members {
        let mut remaining = self.everyone();
        remaining.retain(|name, member| {
            self.goal.deployment.nodes.contains_key(name)
                || self.is_named_as_owner(member.id)
                || self
                    .observed
                    .node(name)
                    .is_none_or(|state| !state.volumes.is_empty())
        });
        for (name, state) in self.observed.seen() {
            let is_omitted = !self.goal.deployment.nodes.contains_key(name);
            if let Some(member) = remaining.get_mut(name).filter(|it| it.id == state.id) {
                member.emptied = is_omitted;
            }
        }
        remaining
    }

    /// Tells whether all that remember a machine know that nothing of ours runs there.
    fn was_emptied(&self, id: NodeId) -> bool {
        let seen = self.observed.seen();
        let mut known = seen
            .flat_map(|(_, state)| state.members.values())
            .filter(|member| member.id == id)
            .peekable();
        known.peek().is_some() && known.all(|member| member.emptied)
    }

    /// Tells whether a copy that was seen names this machine as the owner of its volume.
    fn is_named_as_owner(&self, id: NodeId) -> bool {
        let mut copies = self
            .observed
            .seen()
            .flat_map(|(_, state)| state.volumes.values());
        copies.any(|copy| copy.other_owner() == Some(id))
    }

    /// Describes a machine that answered.
    fn member(&self, name: &NodeName, state: &NodeState) -> Option<Member> {
        let mut contact = state.contact?;
        contact.address = *self.addresses.get(name)?;
        Some(Member {
            id: state.id,
            contact,
            ssh: state.ssh.clone(),
            emptied: !self.goal.deployment.nodes.contains_key(name)
                && self.was_emptied(state.id)
                && state.containers.is_empty()
                && state.remembered.applications.is_empty(),
        })
    }
}
