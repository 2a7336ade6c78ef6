//! Which snapshots are still needed.

use std::collections::BTreeSet;

use flocker_model::{ApplicationName, NodeName, SnapshotGuid, VolumeCopy};

use crate::steps::Because;
use crate::{Action, Scope, StepId};

use super::state::Planner;

impl Planner<'_> {
    /// Destroys snapshots that no later push can start from: of volumes that moved, after the
    /// move; of the others, what an interrupted deploy left.
    pub(super) fn prune_settled(&mut self) {
        // Only with every node in sight is it known what each replica can start from.
        if self.goal.scope != Scope::Cluster || self.somebody_is_unseen() {
            return;
        }
        for (node, state) in self.covered() {
            for (name, copy) in &state.volumes {
                let blocked = self
                    .plan
                    .blocked
                    .iter()
                    .any(|blocked| blocked.application.as_ref() == Some(name));
                if !blocked && self.is_pruned(node, name, copy) {
                    self.prune(node, name, copy);
                }
            }
            self.prune_arrivals(node);
        }
    }

    /// Tells whether a copy has, or will have, a snapshot too many.
    fn is_pruned(&self, node: &NodeName, name: &ApplicationName, copy: &VolumeCopy) -> bool {
        if self.moving.contains(name) {
            return true;
        }
        let keep = self.needed(node, name, copy);
        copy.snapshots.keys().any(|guid| !keep.contains(guid))
    }

    /// Works out which snapshots of `node`'s copy a push between it and another copy starts from.
    fn needed(
        &self,
        node: &NodeName,
        name: &ApplicationName,
        copy: &VolumeCopy,
    ) -> BTreeSet<SnapshotGuid> {
        let mut needed: BTreeSet<SnapshotGuid> = newest_own(copy).into_iter().collect();
        for (other, state) in self.observed.seen() {
            let Some(theirs) = state.volumes.get(name) else {
                continue;
            };
            if other == node {
                continue;
            }
            if copy.owned_epoch().is_some() {
                needed.extend(theirs.newest_snapshot);
            }
        }
        needed
    }

    /// Adds the pruning of one copy.
    fn prune(&mut self, node: &NodeName, name: &ApplicationName, copy: &VolumeCopy) {
        let moving = self.moving.contains(name);
        let keep = if moving {
            self.kept_for_others(node, name)
        } else {
            self.needed(node, name, copy)
        };
        let after: Vec<StepId> = self.steps_about(name);
        let action = Action::PruneSnapshots {
            application: name.clone(),
            keep,
        };
        let because = Because {
            after: &after,
            why: "no push can start from the others",
        };
        self.add(node, action, because);
    }

    /// Prunes the copies that this plan makes where there was none.
    fn prune_arrivals(&mut self, node: &NodeName) {
        let arrivals: Vec<ApplicationName> = self
            .moving
            .iter()
            .filter(|name| self.goal.deployment.place_of(name) == Some(node))
            .filter(|name| self.copy(node, name).is_none())
            .cloned()
            .collect();
        for name in arrivals {
            let keep = self.kept_for_others(node, &name);
            let after = self.steps_about(&name);
            let action = Action::PruneSnapshots {
                application: name,
                keep,
            };
            let because = Because {
                after: &after,
                why: "no push can start from the others",
            };
            self.add(node, action, because);
        }
    }

    /// Lists what replicas on third nodes end with.
    fn kept_for_others(&self, node: &NodeName, name: &ApplicationName) -> BTreeSet<SnapshotGuid> {
        let place = self.goal.deployment.place_of(name);
        self.observed
            .seen()
            .filter(|(other, _)| *other != node && Some(*other) != place)
            .filter_map(|(_, state)| state.volumes.get(name)?.newest_snapshot)
            .collect()
    }

    /// Lists the steps so far that are about one application.
    fn steps_about(&self, name: &ApplicationName) -> Vec<StepId> {
        self.plan
            .steps()
            .iter()
            .filter(|step| step.action.application() == Some(name))
            .map(|step| step.id)
            .collect()
    }

    /// Tells whether a machine that may have a copy was not seen.
    fn somebody_is_unseen(&self) -> bool {
        let unseen = |observation: &flocker_model::NodeObservation| observation.seen().is_none();
        self.observed.nodes.values().any(unseen)
    }
}

/// Finds the newest of Flocker's own snapshots, by their names, which count up.
fn newest_own(copy: &VolumeCopy) -> Option<SnapshotGuid> {
    match copy.newest_snapshot {
        Some(newest) if copy.snapshots.contains_key(&newest) => Some(newest),
        _ => copy
            .snapshots
            .iter()
            .max_by_key(|(_, snapshot)| (snapshot.created, &snapshot.name))
            .map(|(guid, _)| *guid),
    }
}
