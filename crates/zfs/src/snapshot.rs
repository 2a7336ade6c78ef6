//! Takes snapshots of owned volumes.

use flocker_model::{Epoch, SnapshotGuid};
use thiserror::Error;

use crate::command::CommandFailed;
use crate::dataset::OwnSnapshot;
use crate::handoff::set;
use crate::kernel::{self, KernelFailed};
use crate::names::SnapshotName;
use crate::{Change, MountError, ObserveError, Owned, Stale, UnmountError, Volume};

/// A snapshot that holds all that was written until it was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// [`Change::Unchanged`] if nothing was written since this one, so that none was taken.
    pub change: Change,
    /// Equal wherever it is received.
    pub guid: SnapshotGuid,
    /// The part of its name after `@`.
    pub name: String,
}

/// A snapshot could not be taken.
#[derive(Debug, Error)]
pub enum SnapshotError {
    /// The volume changed its owner meanwhile.
    #[error("{0}")]
    Stale(#[from] Stale),
    /// The volume could not be looked at.
    #[error(transparent)]
    Observe(#[from] ObserveError),
    /// ZFS refused.
    // Not transparent: what can be done about it is asked of the cause.
    #[error("{0}")]
    Kernel(#[from] KernelFailed),
    /// Further writes could not be forbidden.
    #[error("the volume cannot be made read-only before its last snapshot")]
    Unsealed(#[source] CommandFailed),
    /// Its intent log could not be replayed.
    #[error("the volume cannot be mounted to write down what its last crash left in the log")]
    Mount(#[from] MountError),
    /// Its intent log was replayed, but it stays mounted.
    #[error("the volume was mounted to write down its log, and cannot be unmounted")]
    Unmount(#[from] UnmountError),
}

impl Volume<Owned> {
    /// Takes a snapshot and holds it; or, of an unmounted volume that was not written since the
    /// last one, returns that. Of a mounted one there is no telling: ZFS counts what is on disk.
    ///
    /// Mounting writes a kilobyte of its own, so that a snapshot is taken after each time that the
    /// volume was mounted.
    ///
    /// A volume that was never mounted since a crash has writes in its intent log that a snapshot
    /// would miss, acknowledged ones; so it is mounted first, for a moment.
    ///
    /// # Errors
    /// Fails when ZFS refuses, for example in a full pool.
    pub async fn snapshot(self) -> Result<Snapshot, SnapshotError> {
        let (snapshot, _) = self.take_snapshot().await?;
        Ok(snapshot)
    }

    /// As [`Volume::snapshot`], and hands the volume back as it is with the snapshot, to send it
    /// without looking again: each look costs a process while the application is paused.
    ///
    /// # Errors
    /// As [`Volume::snapshot`].
    pub async fn take_snapshot(self) -> Result<(Snapshot, Self), SnapshotError> {
        let mut volume = self.replay_log().await?;
        if volume.record.copy.mounted.is_none()
            && let Some(settled) = volume.record.settled_at()
        {
            // A crash may have come between taking and holding it.
            kernel::hold(&volume.snapshot_path(settled.name)).await?;
            let snapshot = Snapshot {
                change: Change::Unchanged,
                guid: settled.guid,
                name: settled.name.to_string(),
            };
            return Ok((snapshot, volume));
        }
        let name = volume.next_name();
        let guid = kernel::snapshot_and_hold(&volume.snapshot_path(name)).await?;
        volume.record.add_snapshot(OwnSnapshot { name, guid });
        let snapshot = Snapshot {
            change: Change::Changed,
            guid,
            name: name.to_string(),
        };
        Ok((snapshot, volume))
    }

    /// Has ZFS refuse writes until the volume is mounted again, so that its next snapshot is its end.
    ///
    /// A program may write to an unmounted volume that no table of mounts shows: by a mount that was
    /// detached lazily, or by one that an overlay holds as its upper layer. Such a write fails from
    /// here on, and all earlier ones are in the next snapshot.
    ///
    /// **Source**: `readonly_changed_cb` and `zfs_write` (`OpenZFS`): the property counts for what is
    /// mounted or held already.
    ///
    /// # Errors
    /// Fails when ZFS refuses.
    pub async fn seal(self) -> Result<Change, SnapshotError> {
        // A mount makes it writable again, so that the log comes first.
        let volume = self.replay_log().await?;
        if volume.record.readonly {
            return Ok(Change::Unchanged);
        }
        set(&volume.dataset(), &[("readonly", "on".to_owned())])
            .await
            .map_err(SnapshotError::Unsealed)?;
        Ok(Change::Changed)
    }

    /// Makes sure that everything acknowledged is in the dataset and not in its intent log alone.
    ///
    /// **Source**: `zil_replay` (`OpenZFS`) runs when a filesystem is mounted for writing, and then
    /// only; `zfs snapshot` of an unmounted one leaves its log out.
    pub(crate) async fn replay_log(self) -> Result<Self, SnapshotError> {
        if self.zfs.is_replayed(&self.application) {
            return Ok(self);
        }
        self.make_mountable().await?;
        let dataset = self.dataset();
        self.zfs.ensure_mounted(&self.application, &dataset).await?;
        self.zfs
            .unmount_dataset(&self.application, &dataset)
            .await?;
        match self.zfs.read(&self.application).await? {
            Some(record) if record.copy.role == self.record.copy.role => {
                Ok(Self { record, ..self })
            }
            found => Err(self
                .zfs
                .stale(
                    &self.application,
                    format!("owned here in epoch {}", self.role.epoch),
                    found,
                )
                .into()),
        }
    }

    /// Returns the name after the highest that this epoch has.
    fn next_name(&self) -> SnapshotName {
        next_name(
            self.role.epoch,
            self.record.own_snapshots.iter().map(|own| own.name),
        )
    }
}

/// Returns the name after the highest of `taken` that has this epoch.
fn next_name(epoch: Epoch, taken: impl Iterator<Item = SnapshotName>) -> SnapshotName {
    let highest = taken
        .filter(|name| name.epoch == epoch)
        .map(|name| name.counter)
        .max();
    SnapshotName {
        epoch,
        counter: highest.unwrap_or(0) + 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counting_starts_anew_in_each_epoch() {
        let taken = ["flocker-1-000007", "flocker-2-000001", "flocker-2-000003"];
        let taken = || taken.iter().filter_map(|name| SnapshotName::parse(name));
        assert_eq!(next_name(Epoch(2), taken()).to_string(), "flocker-2-000004");
        assert_eq!(next_name(Epoch(3), taken()).to_string(), "flocker-3-000001");
    }
}
