//! Which machines belong to the cluster, and what each of them remembers.

use std::collections::{BTreeMap, BTreeSet};

use flocker_model::{
    ApplicationName, AppliedDeployment, Member, Members, NodeId, NodeName, NodeState,
};

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
                .filter(|member| self.is_concerned(member.id))
                .all(|member| state.members.get(member.id) == Some(member))
                && state.members.all_forgotten().eq(admitted.all_forgotten());
            if !known && self.is_concerned(state.id) {
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
            let member = state.members.get(peer_state.id);
            member.is_some_and(|member| member.name == *peer)
        };
        let concerned = |node: &NodeName| {
            let state = self.observed.node(node);
            state.is_none_or(|state| self.is_concerned(state.id))
        };
        (concerned(one) && concerned(other)) || (knows(one, other) && knows(other, one))
    }

    /// The machines that have, or may have, something of ours now or afterwards, and those that
    /// anybody remembers.
    fn admitted_members(&self) -> Members {
        let mut members = self.everyone();
        members.retain(|&Member { id, .. }| {
            let mut seen = self.observed.seen();
            self.is_concerned(id) || seen.any(|(_, state)| state.members.contains(id))
        });
        members
    }

    /// Tells whether a machine has, or may have, something of ours now or afterwards.
    fn is_concerned(&self, id: NodeId) -> bool {
        self.seen_by_id(id).is_none_or(|(name, state)| {
            self.goal.deployment.nodes.contains_key(name)
                || !state.volumes.is_empty()
                || !state.containers.is_empty()
        })
    }

    /// Finds a machine that answered.
    fn seen_by_id(&self, id: NodeId) -> Option<(&NodeName, &NodeState)> {
        self.observed.seen().find(|(_, state)| state.id == id)
    }

    /// Every machine that is known: those that answered, and those that they remember.
    fn everyone(&self) -> Members {
        let remembered = self.observed.seen().flat_map(|(_, state)| &state.members);
        let unseen = remembered.filter(|member| self.seen_by_id(member.id).is_none());
        let mut everyone: Members = unseen
            .map(|member| Member {
                emptied: self.was_emptied(member.id),
                volumes: self.remembered_volumes(member.id),
                ..member.clone()
            })
            .collect();
        for machine in self
            .observed
            .seen()
            .flat_map(|(_, it)| it.members.all_forgotten())
        {
            everyone.forget(machine.clone());
        }
        for (name, state) in self.observed.seen() {
            if let Some(member) = self.member(name, state) {
                everyone.insert(member);
            }
        }
        everyone
    }

    /// The machines that still matter afterwards: those of the deployment, those that have a copy
    /// of a volume or own one by another's copy, and those of which that cannot be said.
    fn remaining(&self) -> Members {
        let mut remaining = self.everyone();
        remaining.retain(|&Member { id, .. }| {
            self.is_named_as_owner(id)
                || self.seen_by_id(id).is_none_or(|(name, state)| {
                    self.goal.deployment.nodes.contains_key(name) || !state.volumes.is_empty()
                })
        });
        for (name, state) in self.observed.seen() {
            if let Some(member) = remaining.get(state.id) {
                let settled = Member {
                    emptied: !self.goal.deployment.nodes.contains_key(name),
                    volumes: self.volumes_afterwards(name, state),
                    ..member.clone()
                };
                remaining.insert(settled);
            }
        }
        remaining
    }

    /// Lists the applications whose volumes a machine owns once everything is as wanted: those that are
    /// placed there, and those that are placed nowhere.
    fn volumes_afterwards(&self, name: &NodeName, state: &NodeState) -> BTreeSet<ApplicationName> {
        let with_volumes = self.goal.deployment.placed();
        let wanted: BTreeMap<&ApplicationName, &NodeName> = with_volumes
            .filter(|(_, application, _)| application.volume.is_some())
            .map(|(application, _, place)| (application, place))
            .collect();
        let owned = state.volumes.iter();
        let owned = owned.filter(|(_, copy)| copy.owned_epoch().is_some());
        let kept = owned
            .map(|(application, _)| application)
            .filter(|application| !wanted.contains_key(application));
        let here = wanted.iter().filter(|(_, place)| **place == name);
        let here = here.map(|(application, _)| *application);
        kept.chain(here).cloned().collect()
    }

    /// Lists the applications whose volumes a machine owned, by all that remember it.
    fn remembered_volumes(&self, id: NodeId) -> BTreeSet<ApplicationName> {
        let seen = self.observed.seen();
        let known = seen.filter_map(|(_, state)| state.members.get(id));
        known.flat_map(|member| &member.volumes).cloned().collect()
    }

    /// Tells whether all that remember a machine know that nothing of ours runs there.
    fn was_emptied(&self, id: NodeId) -> bool {
        let seen = self.observed.seen();
        let mut known = seen
            .filter_map(|(_, state)| state.members.get(id))
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
            name: name.clone(),
            contact,
            ssh: state.ssh.clone(),
            emptied: !self.goal.deployment.nodes.contains_key(name)
                && self.was_emptied(state.id)
                && state.containers.is_empty()
                && state.remembered.applications.is_empty(),
            volumes: self.remembered_volumes(state.id),
        })
    }
}
