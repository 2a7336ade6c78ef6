//! The copies that stay when one is taken out of use.

use flocker_model::{Epoch, NodeId, Observed, VolumeCopy, VolumeRole};

use super::SettingAside;
use crate::Unseen;
use crate::contested::has_more;

/// The copies on the other nodes.
pub(super) struct Others<'a> {
    pub(super) copies: Vec<&'a VolumeCopy>,
    /// The latest epoch in which another node owns the volume.
    pub(super) owned: Option<Epoch>,
    pub(super) unseen: Unseen,
    pub(super) observed: &'a Observed,
}

impl<'a> Others<'a> {
    /// Collects them.
    pub(super) fn of(setting_aside: &SettingAside, observed: &'a Observed) -> Self {
        let copies: Vec<&VolumeCopy> = observed
            .seen()
            .filter(|(node, _)| **node != setting_aside.node)
            .filter_map(|(_, state)| state.volumes.get(&setting_aside.application))
            .filter(|copy| !matches!(copy.role, VolumeRole::Foreign { .. }))
            .collect();
        Self {
            owned: copies.iter().filter_map(|copy| copy.owned_epoch()).max(),
            copies,
            unseen: Unseen::of(observed),
            observed,
        }
    }

    /// Tells whether a replica has what its owner sent and no longer has itself.
    pub(super) fn have_more(&self, id: NodeId, owned: (&VolumeCopy, Epoch)) -> bool {
        self.copies.iter().any(|copy| {
            let is_its = matches!(copy.role, VolumeRole::Replica { owner, .. } if owner == id);
            is_its && has_more(&copy.newest_counted(), owned)
        })
    }

    /// Tells whether the operator may take the last copy out of use: only while every node is seen, since
    /// one that is not may have another copy, or know of a later owner.
    pub(super) fn allow_only_copy(&self, setting_aside: &SettingAside) -> bool {
        setting_aside.only_copy && self.owned.is_none() && self.unseen.is_empty()
    }

    /// Tells whether a machine was seen.
    pub(super) fn is_seen(&self, id: NodeId) -> bool {
        self.observed.seen().any(|(_, state)| state.id == id)
    }
}
