//! Which snapshots are still needed.

use std::collections::BTreeSet;

use flocker_model::{ApplicationName, NodeName, SnapshotGuid, VolumeCopy, VolumeRole};

use crate::steps::Because;
use crate::{Action, Scope, StepId};

use super::state::Planner;

impl Planner<'_> {
    /// Destroys snapshots that no later push can start from: of volumes that moved, after the
    /// move; of the others, what an interrupted deploy left.
    ///
    /// Each copy keeps its newest and what every other copy ends with, even a copy that is not
    /// the owner's: any of them may become the owner's, and must then have a base for each.
    pub(super) fn prune_settled(&mut self) {
        // Only with every node in sight is it known what each replica can start from.
        if self.goal.scope != Scope::Cluster || self.somebody_is_unseen() {
            return;
        }
        let names: BTreeSet<&ApplicationName> = self
            .observed
            .seen()
            .flat_map(|(_, state)| state.volumes.keys())
            .collect();
        for name in names {
            if self.is_blocked(name) {
                continue;
            }
            let after = self.steps_about(name);
            for (node, _) in self.covered() {
                if let Some(keep) = self.superfluous_but(node, name) {
                    self.prune(node, name, (keep, &after));
                }
            }
        }
    }

    /// Returns what to keep of `node`'s snapshots, its newest aside, if it has others or will; what
    /// is in a dataset that is not one of ours is left alone.
    fn superfluous_but(
        &self,
        node: &NodeName,
        name: &ApplicationName,
    ) -> Option<BTreeSet<SnapshotGuid>> {
        let source = self.moving.get(name);
        let moves_here = source.is_some() && self.goal.deployment.place_of(name) == Some(node);
        // A push replaces the beginning of a first copy.
        let is_replaced = |copy: &&VolumeCopy| moves_here && copy.is_nameless_part();
        let copy = self.copy(node, name).filter(|copy| !is_replaced(copy));
        if copy.is_some_and(|copy| matches!(copy.role, VolumeRole::Foreign { .. })) {
            return None;
        }
        let pushed = moves_here || source == Some(node);
        let mut keep = self.ends_of_others(node, name);
        if pushed {
            let from = source.and_then(|source| self.copy(source, name));
            let has = |guid: &SnapshotGuid| {
                let mut copies = [copy, from].into_iter().flatten();
                copies.any(|copy| copy.snapshots.contains_key(guid))
            };
            keep.retain(has);
            return Some(keep);
        }
        let copy = copy?;
        keep.retain(|guid| copy.snapshots.contains_key(guid));
        let newest = copy.newest_own();
        let is_superfluous = |guid: &SnapshotGuid| !keep.contains(guid) && Some(*guid) != newest;
        copy.snapshots.keys().any(is_superfluous).then_some(keep)
    }

    /// Lists what the other copies end with once the plan is done, as far as it is known now: what
    /// is pushed by the plan ends where its source does, with the newest.
    fn ends_of_others(&self, node: &NodeName, name: &ApplicationName) -> BTreeSet<SnapshotGuid> {
        let source = self.moving.get(name);
        let place = source.and_then(|_| self.goal.deployment.place_of(name));
        self.observed
            .seen()
            .filter(|(other, _)| *other != node)
            .filter(|(other, _)| Some(*other) != source && Some(*other) != place)
            .filter_map(|(_, state)| state.volumes.get(name).and_then(VolumeCopy::newest_own))
            .collect()
    }

    /// Lists what third copies end with that `from` has and `to` would miss, oldest first. When a
    /// machine is not seen, that may be any snapshot.
    pub(super) fn bases(
        &self,
        (from, to): (&NodeName, &NodeName),
        name: &ApplicationName,
    ) -> Vec<SnapshotGuid> {
        let Some(source) = self.copy(from, name) else {
            return Vec::new();
        };
        let turn = |guid: &SnapshotGuid| {
            let snapshot = source.snapshots.get(guid)?;
            Some(snapshot.counted())
        };
        let begin = self
            .copy(to, name)
            .and_then(VolumeCopy::newest_own)
            .and_then(|newest| turn(&newest));
        let ends = if self.somebody_is_unseen() {
            source.snapshots.keys().copied().collect()
        } else {
            self.ends_of_others(from, name)
        };
        let mut bases: Vec<_> = ends
            .into_iter()
            .filter_map(|guid| Some((turn(&guid)?, guid)))
            .filter(|(turn, _)| Some(turn) > begin.as_ref())
            .collect();
        bases.sort();
        bases.into_iter().map(|(_, guid)| guid).collect()
    }

    /// Adds the pruning of one copy.
    fn prune(
        &mut self,
        node: &NodeName,
        name: &ApplicationName,
        (keep, after): (BTreeSet<SnapshotGuid>, &[StepId]),
    ) {
        let action = Action::PruneSnapshots {
            application: name.clone(),
            keep,
        };
        let because = Because {
            after,
            why: "no push can start from the others",
        };
        self.add(node, action, because);
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
        let mut nodes = self.observed.nodes.values();
        nodes.any(|observation| observation.seen().is_none())
    }
}
