//! What must hold of steps on volumes.

use flocker_model::{
    ApplicationName, Epoch, NodeId, NodeName, SnapshotGuid, VolumeCopy, VolumeRole,
};

use crate::{Action, Handoff, PushKind, Step, StepId};

use super::{Checker, Finding, require};

impl Checker<'_> {
    /// Checks a step on a volume.
    pub(super) fn volumes(&self, step: &Step) -> Finding {
        match &step.action {
            Action::CreateVolume { application, .. } => self.creation(step, application),
            Action::PushVolume {
                application,
                epoch,
                kind,
                ..
            } => require(
                self.is_owned(step, application, *epoch),
                "the node does not own the volume in that epoch",
            )
            .or_else(|| match kind {
                PushKind::Last => self.last_push(step, application),
                PushKind::Ahead => None,
            }),
            Action::ReleaseVolume {
                application,
                epoch,
                to,
                ..
            } => self.release(step, application, (*epoch, *to)),
            Action::AcquireVolume {
                application,
                epoch,
                handoff,
                ..
            } => self.acquisition(step, application, (*epoch, *handoff)),
            Action::ResizeVolume { application, .. } => require(
                self.owned_epoch(&step.node, application).is_some()
                    || self.has_before(step, &step.node, |action| {
                        matches!(action, Action::AcquireVolume { application: other, .. } if other == application)
                    }),
                "the node does not own the volume",
            ),
            Action::PromoteVolume {
                application,
                owner,
                snapshot,
                latest,
                next,
                ..
            } => self.promotion(step, (application, *owner, *snapshot), (*latest, *next)),
            Action::RecordOwner {
                application,
                owner,
                epoch,
            } => self.recorded_owner(step, application, (*owner, *epoch)),
            Action::SetVolumeAside { name, .. } => self.setting_aside(step, &name.application),
            Action::ImportVolume {
                application, epoch, ..
            } => self.importing(step, application, *epoch),
            Action::SnapshotVolume { application, epoch } => require(
                self.is_owned(step, application, *epoch),
                "the node does not own the volume in that epoch",
            ),
            Action::PruneSnapshots { application, keep } => {
                self.pruning(step, application, &|guid| keep.contains(guid))
            }
            _ => None,
        }
    }

    /// A volume is made only where none can be.
    fn creation(&self, step: &Step, application: &ApplicationName) -> Finding {
        let all_seen = self
            .observed
            .nodes
            .values()
            .all(|node| node.seen().is_some());
        let mut seen = self.observed.seen();
        let none = seen.all(|(_, state)| !state.volumes.contains_key(application));
        let is_other = |other: &Step| {
            other.id != step.id
                && matches!(&other.action, Action::CreateVolume { application: theirs, .. } if theirs == application)
        };
        let once = !self.plan.steps().iter().any(is_other);
        require(
            all_seen && none && once,
            "a copy may exist, and a new one would be empty",
        )
    }

    /// The last of a volume is sent when nothing can be written to it any more.
    fn last_push(&self, step: &Step, application: &ApplicationName) -> Finding {
        let state = self.state(&step.node)?;
        let mounted = state
            .volumes
            .get(application)
            .is_some_and(|copy| copy.mounted.is_some());
        let may_run = !self.is_down(&step.node, application) || mounted;
        let stopped = self.has_before(step, &step.node, |action| {
            matches!(action, Action::StopApplication { application: other, .. } if other == application)
        });
        let is_quiet = self.is_quiet_before(step, (&step.node, application));
        require(
            (!may_run || stopped) && is_quiet,
            "an application may still write to the volume",
        )
    }

    /// A volume is given up once its next owner has everything, and nothing touches it afterwards.
    fn release(
        &self,
        step: &Step,
        application: &ApplicationName,
        (epoch, to): (Epoch, NodeId),
    ) -> Finding {
        let pushed = self.has_before(step, &step.node, |action| {
            matches!(action, Action::PushVolume { application: other, epoch: theirs, to: target, kind: PushKind::Last, .. }
                if other == application && *theirs == epoch && self.id(target) == Some(to))
        });
        let touches = |other: &Step| match &other.action {
            Action::PushVolume {
                application: theirs,
                epoch: of,
                ..
            } => theirs == application && *of == epoch,
            Action::StartApplication {
                specification,
                volume,
                ..
            } => specification.volume_owner() == Some(application) && *volume == Some(epoch),
            Action::ResizeVolume {
                application: theirs,
                ..
            } => theirs == application,
            _ => false,
        };
        let late = self
            .steps_on(&step.node)
            .any(|other| touches(other) && !self.precedes(other, step));
        require(
            self.is_owned(step, application, epoch),
            "the node does not own the volume in that epoch",
        )
        .or_else(|| require(pushed, "the next owner does not have all of it yet"))
        .or_else(|| require(!late, "something still uses the volume afterwards"))
        .or_else(|| {
            require(
                self.id(&step.node) != Some(to),
                "the next owner is the old one",
            )
        })
    }

    /// A volume is taken over only when it was given up to this very node.
    fn acquisition(
        &self,
        step: &Step,
        application: &ApplicationName,
        (epoch, handoff): (Epoch, Handoff),
    ) -> Finding {
        let given_up = match handoff {
            Handoff::FromStep(from) => self.is_release(step, application, (epoch, from)),
            Handoff::Recorded(guid) => self.was_released(&step.node, application, (epoch, guid)),
        };
        require(given_up, "the old owner has not given it up to this node")
    }

    /// Tells whether an earlier step gives the volume up to the node of `step`.
    fn is_release(
        &self,
        step: &Step,
        application: &ApplicationName,
        (epoch, from): (Epoch, StepId),
    ) -> bool {
        let Some(from) = self.plan.step(from) else {
            return false;
        };
        let fits = matches!(&from.action, Action::ReleaseVolume { application: other, epoch: old, to, .. }
            if other == application && old.next() == epoch && Some(*to) == self.id(&step.node));
        fits && from.node != step.node && self.precedes(from, step)
    }

    /// Tells whether a hand-off to `node` was seen, and no owner.
    fn was_released(
        &self,
        node: &NodeName,
        application: &ApplicationName,
        (epoch, guid): (Epoch, SnapshotGuid),
    ) -> bool {
        let id = self.id(node);
        let copies = || {
            self.observed
                .seen()
                .filter_map(|(name, state)| Some((name, state.volumes.get(application)?)))
        };
        let nobody_owns = copies().all(|(_, copy)| copy.owned_epoch().is_none());
        let recorded = copies().any(|(other, copy)| {
            other != node
                && matches!(copy.role, VolumeRole::Replica { owner, epoch: next, handoff }
                    if Some(owner) == id && next == epoch && handoff == Some(guid))
        });
        let superseded = copies().any(|(_, copy)| {
            matches!(copy.role, VolumeRole::Replica { epoch: later, .. } if later > epoch)
        });
        nobody_owns && recorded && !superseded
    }

    /// What another copy ends with is what a push to or from it starts with.
    fn pruning(
        &self,
        step: &Step,
        application: &ApplicationName,
        is_kept: &dyn Fn(&SnapshotGuid) -> bool,
    ) -> Finding {
        let is_hand_over = |action: &Action| {
            matches!(
                action,
                Action::PushVolume { .. }
                    | Action::ReleaseVolume { .. }
                    | Action::AcquireVolume { .. }
            ) && action.application() == Some(application)
        };
        let hand_over = || {
            let steps = self.plan.steps().iter();
            steps.filter(|other| is_hand_over(&other.action))
        };
        let settled = hand_over().all(|other| self.precedes(other, step));
        let is_pushed = |node: &NodeName| {
            hand_over().any(|other| {
                other.node == *node
                    || matches!(&other.action, Action::PushVolume { to, .. } if to == node)
            })
        };
        let copy = self
            .state(&step.node)
            .and_then(|state| state.volumes.get(application));
        let is_lost = |guid: &SnapshotGuid| {
            copy.is_some_and(|copy| {
                copy.snapshots.contains_key(guid) && copy.newest_own() != Some(*guid)
            }) && !is_kept(guid)
        };
        let mut others = self
            .observed
            .seen()
            .filter(|(node, _)| **node != step.node && !is_pushed(node));
        let base_lost = others.any(|(_, state)| {
            let copy = state.volumes.get(application);
            let newest = copy.and_then(VolumeCopy::newest_own);
            newest.is_some_and(|newest| is_lost(&newest))
        });
        let is_foreign = copy.is_some_and(|copy| {
            let is_replaced = copy.is_nameless_part() && is_pushed(&step.node);
            matches!(copy.role, VolumeRole::Foreign { .. }) && !is_replaced
        });
        require(!is_foreign, "the dataset is not Flocker's")
            .or_else(|| require(settled, "the volume is still being handed over"))
            .or_else(|| require(!base_lost, "another copy could not be brought up to date"))
    }

    /// Tells whether the node of `step` owns the volume in `epoch` by then.
    pub(super) fn is_owned(
        &self,
        step: &Step,
        application: &ApplicationName,
        epoch: Epoch,
    ) -> bool {
        self.owned_epoch(&step.node, application) == Some(epoch)
            || self.has_before(step, &step.node, |action| {
                matches!(action, Action::AcquireVolume { application: other, epoch: theirs, .. }
                    if other == application && *theirs == epoch)
            })
    }

    /// Returns the epoch in which a node was seen to own a volume, as the only one.
    fn owned_epoch(&self, node: &NodeName, application: &ApplicationName) -> Option<Epoch> {
        let owners = self.observed.seen().filter_map(|(name, state)| {
            Some((name, state.volumes.get(application)?.owned_epoch()?))
        });
        let owners: Vec<_> = owners.collect();
        match owners.as_slice() {
            [(owner, epoch)] if *owner == node => Some(*epoch),
            _ => None,
        }
    }
}
