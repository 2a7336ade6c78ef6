//! What must hold of steps that the operator alone can ask for.

use flocker_model::{
    ApplicationName, ByteCount, Epoch, NodeId, NodeName, NodeObservation, NodeState, SnapshotGuid,
    VolumeCopy, VolumeRole,
};

use crate::importing::is_unused_import;
use crate::setting_aside::running_on;
use crate::{Action, Step, Unseen};

use super::{Checker, Finding, require};

impl Checker<'_> {
    /// A replica becomes the volume only where nobody who was seen owns that or will.
    pub(super) fn promotion(
        &self,
        step: &Step,
        (application, owner, snapshot): (&ApplicationName, NodeId, SnapshotGuid),
        (latest, next): (Epoch, Epoch),
    ) -> Finding {
        let copies = || {
            self.observed
                .seen()
                .filter_map(|(node, state)| Some((node, state, state.volumes.get(application)?)))
        };
        let is_later = copies().all(|(_, _, copy)| match copy.role {
            VolumeRole::Owned { epoch } | VolumeRole::Replica { epoch, .. } => epoch <= latest,
            VolumeRole::Foreign { .. } => true,
        }) && latest < next;
        let owner_is_gone = copies().all(|(_, state, copy)| {
            state.id != owner || matches!(copy.role, VolumeRole::Replica { .. })
        });
        let is_whole = copies().any(|(node, _, copy)| {
            *node == step.node
                && matches!(copy.role, VolumeRole::Replica { .. })
                && copy.snapshots.contains_key(&snapshot)
                && copy.written == ByteCount::ZERO
                && copy.mounted.is_none()
        });
        require(is_later, "its epoch is not later than every other")
            .or_else(|| require(owner_is_gone, "the owner was seen, and owns it"))
            .or_else(|| require(is_whole, "the replica is not whole or was touched"))
    }

    /// A replica is told of an owner that is one, or is made one before, and of no other.
    pub(super) fn recorded_owner(
        &self,
        step: &Step,
        application: &ApplicationName,
        (owner, epoch): (NodeId, Epoch),
    ) -> Finding {
        let is_earlier = self
            .state(&step.node)?
            .volumes
            .get(application)
            .is_some_and(|copy| matches!(copy.role, VolumeRole::Replica { epoch: known, .. } if known < epoch));
        let owns = self.observed.seen().any(|(node, state)| {
            let copy = state.volumes.get(application);
            let known = copy.and_then(VolumeCopy::owned_epoch);
            let promoted = self.has_before(step, node, |action| {
                matches!(action, Action::PromoteVolume { application: other, next, .. }
                    if other == application && *next == epoch)
            });
            state.id == owner && (known == Some(epoch) || promoted)
        });
        require(is_earlier, "the copy is no replica of an earlier turn")
            .or_else(|| require(owns, "the node does not own the volume in that turn"))
    }

    /// Data is brought in only where no copy is and none can be, but for what an import left. A
    /// machine that does not answer may have one that the new epoch outranks.
    pub(super) fn importing(
        &self,
        step: &Step,
        application: &ApplicationName,
        epoch: Epoch,
    ) -> Finding {
        let mut nodes = self.observed.nodes.iter();
        let none = nodes.all(|(node, observation)| {
            if let NodeObservation::Unreachable { .. } = observation {
                return epoch > Epoch::FIRST;
            }
            let copy = observation
                .seen()
                .map(|state| state.volumes.get(application));
            let is_left =
                |copy: &VolumeCopy| *node == step.node && copy.unfinished_import().is_some();
            copy.is_some_and(|copy| copy.is_none_or(is_left))
        });
        require(
            none && epoch.is_beginning(),
            "a copy may exist, or the epoch is another's",
        )
        .or_else(|| {
            require(
                self.is_down(&step.node, application),
                "the application may run",
            )
        })
    }

    /// The only owner's copy stays, unless a replica has more, it is an unused import, or every node was seen
    /// and nothing runs on it. Nothing that may still be written is renamed.
    pub(super) fn setting_aside(&self, step: &Step, application: &ApplicationName) -> Finding {
        let owners: Vec<&NodeName> = self
            .observed
            .seen()
            .filter(|(_, state)| {
                let copy = state.volumes.get(application);
                copy.is_some_and(|copy| copy.owned_epoch().is_some())
            })
            .map(|(node, _)| node)
            .collect();
        let others = owners.iter().any(|node| **node != step.node);
        let is_owner = owners.contains(&&step.node);
        let stopped = self.has_before(step, &step.node, |action| {
            matches!(action, Action::StopApplication { application: other, .. } if other == application)
        });
        let is_quiet = self.is_quiet_before(step, (&step.node, application));
        let is_only = self
            .observed
            .seen()
            .all(|(node, state)| *node == step.node || !state.volumes.contains_key(application));
        let state = self.state(&step.node);
        let is_import = is_only && state.is_some_and(|state| is_unused_import(state, application));
        let is_idle = Unseen::of(self.observed).is_empty()
            && state.is_some_and(|state| running_on(state, application).is_empty());
        require(
            !is_owner || others || is_import || is_idle || self.is_rewound(&step.node, application),
            "it is the only owned copy that was seen, and may be in use",
        )
        .or_else(|| {
            require(
                is_quiet && (stopped || self.is_down(&step.node, application)),
                "an application may still write to it",
            )
        })
    }

    /// Tells whether another node has a snapshot of a node's volume that the owner took in its epoch or
    /// later, and no longer has.
    fn is_rewound(&self, node: &NodeName, application: &ApplicationName) -> bool {
        let copy_on = |state: &NodeState| state.volumes.get(application).cloned();
        let Some(own) = self.state(node).and_then(copy_on) else {
            return false;
        };
        let Some(epoch) = own.owned_epoch() else {
            return false;
        };
        let others = self.observed.seen().filter_map(|(_, state)| copy_on(state));
        let newest = others.map(|copy| copy.newest_counted()).max();
        newest
            .is_some_and(|newest| newest.first() >= Some(&epoch.0) && newest > own.newest_counted())
    }
}
