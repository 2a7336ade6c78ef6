//! Volumes as they are found on nodes: copies, of which one is owned.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{ApplicationName, ByteCount, DeploymentId, NodeId};

/// Counts a volume's owners: one higher with each hand-off, and far higher when a replica takes the
/// place of an owner that is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The epoch of a volume that was just created.
    pub const FIRST: Self = Self(1);

    /// Later than every epoch of a volume.
    pub const LAST: Self = Self(u64::MAX);

    /// More hand-offs than there ever are between two looks at the whole cluster.
    const GAP: u64 = 1_000;

    /// The lowest epoch of volumes that begin again: of September 2001.
    const BEGUN_AGAIN: u64 = 1_000_000_000 * Self::GAP;

    /// Returns the epoch of the next owner.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// Returns the epoch of who takes the place of an owner that is lost.
    ///
    /// Machines that could not be seen may have handed the volume on since this epoch. The gap makes
    /// sure that none of them passes for the later owner when it comes back.
    #[must_use]
    pub const fn after_loss(self) -> Self {
        Self(self.0.saturating_add(Self::GAP))
    }

    /// Returns the epoch of a volume that begins again from outside, because the machines that had it
    /// are lost. `at` is the time, in seconds since 1970.
    ///
    /// Nobody can tell any more how high the lost epochs were. Each of them counts hand-offs and
    /// losses, and neither happens a thousand times a second: the time is beyond all of them, also
    /// beyond those of a volume that began again earlier.
    #[must_use]
    pub const fn begun_again(at: u64) -> Self {
        let beginning = at.saturating_mul(Self::GAP);
        if beginning < Self::BEGUN_AGAIN {
            // The operator's clock is not set.
            return Self::FIRST.after_loss();
        }
        Self(beginning)
    }

    /// Tells whether a volume that was created or imported begins with this epoch.
    #[must_use]
    pub const fn is_beginning(self) -> bool {
        self.0 == Self::FIRST.0 || (self.0 >= Self::BEGUN_AGAIN && self.0.is_multiple_of(Self::GAP))
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// ZFS's identity of a snapshot: equal on every pool that received it.
///
/// **Source**: `zfsprops(7)`, property `guid`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SnapshotGuid(pub u64);

impl fmt::Display for SnapshotGuid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// A snapshot of one copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotState {
    /// The part of its name after `@`.
    pub name: String,
    /// When it was taken, in seconds since 1970 by the clock of the node that took it.
    pub created: u64,
}

impl SnapshotState {
    /// Reads the numbers in its name, which count up: epoch, then turn within it.
    pub fn counted(&self) -> Vec<u64> {
        let parts = self.name.split('-');
        parts.filter_map(|part| part.parse().ok()).collect()
    }
}

/// What a copy of a volume is, by its ZFS user properties.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "role")]
pub enum VolumeRole {
    /// The node that has it may write it; there is one such copy at most.
    Owned {
        /// The owner's turn.
        epoch: Epoch,
    },
    /// A copy of what another node owns; never mounted.
    Replica {
        /// The node that owned the volume when this was last written down.
        owner: NodeId,
        /// The owner's turn, as far as this copy knows.
        epoch: Epoch,
        /// On the copy that was handed off: the snapshot that the owner must hold to acquire.
        handoff: Option<SnapshotGuid>,
    },
    /// A dataset at the volume's place that Flocker did not make or whose properties are damaged.
    Foreign {
        /// What is wrong with it, as the end of a sentence.
        problem: String,
    },
}

/// One node's copy of a volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeCopy {
    /// What it is.
    pub role: VolumeRole,
    /// Flocker's snapshots of it.
    pub snapshots: BTreeMap<SnapshotGuid, SnapshotState>,
    /// The newest snapshot of anybody's: it tells which dataset this is. What can be sent or taken
    /// over goes by Flocker's own, since other programs take snapshots whenever they like.
    pub newest_snapshot: Option<SnapshotGuid>,
    /// Bytes written since the newest of Flocker's snapshots, whatever others were taken since;
    /// without one of Flocker's, since the newest of anybody's.
    pub written: ByteCount,
    /// Bytes that it refers to (ZFS `referenced`).
    pub referenced: ByteCount,
    /// The most that it may hold (ZFS `refquota`).
    pub maximum_size: Option<ByteCount>,
    /// Where it is mounted, if it is.
    pub mounted: Option<String>,
    /// Whether an interrupted transfer into it can be continued.
    pub resumable: bool,
    /// Whether it is a first copy that does not have the volume's name yet, because not all of it
    /// was received. One that does not say whose it is either is [`VolumeRole::Foreign`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_first_copy: bool,
    /// The deployment that last changed its owner.
    pub deployment: Option<DeploymentId>,
    /// The dataset whose key has to be loaded before anything in it can be read or written (ZFS
    /// `encryptionroot`), while that key is not loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_needed: Option<String>,
    /// Who would keep it mounted after the node has unmounted it, but for its application.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held_by: Vec<VolumeHolder>,
    /// Where its content came from, if `volume import` made it. A dataset that is still being filled
    /// has this, too, and is [`VolumeRole::Foreign`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub import: Option<String>,
}

/// A process outside of an application that has the application's volume mounted, in a mount
/// namespace that does not follow the node's.
///
/// Displays as the subject of a sentence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeHolder {
    /// Its number on the node.
    pub process: u32,
    /// The name of its program.
    pub command: String,
    /// The identity of the container that it runs in, if it runs in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
}

impl VolumeHolder {
    /// Returns the container's identity in the short form that Docker prints and takes.
    pub fn short_container(&self) -> Option<&str> {
        let id = self.container.as_deref()?;
        Some(id.get(..12).unwrap_or(id))
    }
}

impl fmt::Display for VolumeHolder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "`{}` (process {}", self.command, self.process)?;
        if let Some(container) = self.short_container() {
            write!(formatter, " in container {container}")?;
        }
        formatter.write_str(")")
    }
}

impl VolumeCopy {
    /// Returns the node that owns the volume by this copy, which is a replica.
    pub const fn other_owner(&self) -> Option<NodeId> {
        match self.role {
            VolumeRole::Replica { owner, .. } => Some(owner),
            VolumeRole::Owned { .. } | VolumeRole::Foreign { .. } => None,
        }
    }

    /// Returns where its content comes from while an import of it is not finished.
    pub fn unfinished_import(&self) -> Option<&str> {
        match self.role {
            VolumeRole::Foreign { .. } => self.import.as_deref(),
            VolumeRole::Owned { .. } | VolumeRole::Replica { .. } => None,
        }
    }

    /// Tells whether it is part of a first copy that does not say whose it is, because its transfer
    /// was cut right after it had begun. A push continues or replaces it.
    pub const fn is_nameless_part(&self) -> bool {
        self.is_first_copy && self.resumable && matches!(self.role, VolumeRole::Foreign { .. })
    }

    /// Names the dataset that it is in, below the dataset of all volumes.
    pub fn dataset_name(&self, application: &ApplicationName) -> String {
        match self.unfinished_import() {
            Some(_) => format!("_importing:{application}"),
            None if self.is_first_copy => format!("_receiving:{application}"),
            None => application.to_string(),
        }
    }

    /// Returns the epoch, if this is the owned copy.
    pub const fn owned_epoch(&self) -> Option<Epoch> {
        match self.role {
            VolumeRole::Owned { epoch } => Some(epoch),
            VolumeRole::Replica { .. } | VolumeRole::Foreign { .. } => None,
        }
    }

    /// Returns the numbers in the name of the newest of Flocker's own snapshots: its epoch, and its number
    /// in that epoch. Empty without one.
    pub fn newest_counted(&self) -> Vec<u64> {
        let newest = self.newest_own().and_then(|guid| self.snapshots.get(&guid));
        newest.map_or_else(Vec::new, SnapshotState::counted)
    }

    /// Finds the newest of Flocker's own snapshots, whatever others were taken since: what can be
    /// sent from or to the copy, or taken over, goes by this one.
    pub fn newest_own(&self) -> Option<SnapshotGuid> {
        match self.newest_snapshot {
            Some(newest) if self.snapshots.contains_key(&newest) => Some(newest),
            _ => self
                .snapshots
                .iter()
                .max_by_key(|(_, snapshot)| snapshot.counted())
                .map(|(guid, _)| *guid),
        }
    }
}

/// The name of a copy that was set aside: kept below the volumes' dataset, and no volume any more.
///
/// Written `_set-aside:web-3-1795402590`: the application, the epoch that the copy claimed (0 for a
/// dataset that was not Flocker's), and when it was set aside, in seconds since 1970 by the
/// operator's clock. No application can have such a name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SetAsideName {
    /// Whose volume it was.
    pub application: ApplicationName,
    /// The epoch that the copy claimed.
    pub epoch: Epoch,
    /// When it was set aside, in seconds since 1970.
    pub at: u64,
}

impl SetAsideName {
    /// What every such name begins with.
    const PREFIX: &str = "_set-aside:";

    /// Reads a name; `None` for one that is not of this form.
    pub fn parse(name: &str) -> Option<Self> {
        let mut parts = name.strip_prefix(Self::PREFIX)?.rsplitn(3, '-');
        let at = parts.next()?.parse().ok()?;
        let epoch = Epoch(parts.next()?.parse().ok()?);
        let application = parts.next()?.parse().ok()?;
        let parsed = Self {
            application,
            epoch,
            at,
        };
        // Only the exact text, so that no two names mean the same copy.
        (parsed.to_string() == name).then_some(parsed)
    }
}

impl fmt::Display for SetAsideName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            application,
            epoch,
            at,
        } = self;
        write!(formatter, "{}{application}-{epoch}-{at}", Self::PREFIX)
    }
}

/// What one node says of another's volume: who owned it, as far as it knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerClaim {
    /// The owner.
    pub owner: NodeId,
    /// The owner's turn.
    pub epoch: Epoch,
}

/// What a node answers of its copy of a volume when another node asks who owns it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyClaim {
    /// The owner, as far as the node knows.
    pub owner: NodeId,
    /// The owner's epoch.
    pub epoch: Epoch,
    /// The numbers in the name of the copy's newest snapshot of Flocker's: the epoch in which it was
    /// taken, and its number in that epoch. Empty without one, and from releases that do not tell.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub newest: Vec<u64>,
}

#[cfg(test)]
mod tests {
    use super::{Epoch, SetAsideName};

    #[test]
    fn a_volume_that_begins_again_outranks_every_former_owner() {
        let before = Epoch::begun_again(1_795_402_590);
        let after = Epoch::begun_again(1_795_402_591);
        assert!(before > (0..10_000).fold(Epoch::FIRST, |epoch, _| epoch.after_loss()));
        assert!(after > before.next() && before.is_beginning() && after.is_beginning());
        assert!(Epoch::FIRST.is_beginning() && Epoch::begun_again(0) > Epoch::FIRST);
        for later in [
            Epoch(2),
            Epoch(1_000),
            Epoch::FIRST.after_loss(),
            before.next(),
        ] {
            assert!(!later.is_beginning(), "{later}");
        }
    }

    #[test]
    fn names_of_what_was_set_aside_round_trip() {
        let name = SetAsideName {
            application: "pgsql-trac-2".parse().unwrap(),
            epoch: Epoch(3),
            at: 1_795_402_590,
        };
        let text = name.to_string();
        assert_eq!(text, "_set-aside:pgsql-trac-2-3-1795402590");
        assert_eq!(SetAsideName::parse(&text), Some(name));
        for other in [
            "web",
            "_set-aside:web",
            "_set-aside:web-1",
            "_set-aside:web-+1-2",
            "_set-aside:web-1-02",
            "_creating:web",
        ] {
            assert_eq!(SetAsideName::parse(other), None, "{other}");
        }
    }
}
