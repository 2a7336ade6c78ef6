//! Hands a volume's ownership on: the old owner releases, and the new one acquires after that
//! (`acquire.rs`).
//!
//! In this order, so that a crash in between leaves no owner, which the next deploy mends, and
//! never two.

use flocker_failpoint::reach;
use flocker_model::{
    ApplicationName, ByteCount, DeploymentId, Epoch, NodeId, SnapshotGuid, VolumeRole,
};
use thiserror::Error;

use crate::command::{Argv, CommandFailed};
use crate::dataset::{DEPLOYMENT, OwnSnapshot};
use crate::mount::{list, mounted_elsewhere};
use crate::ownership::{Ownership, set_ownership};
use crate::{
    Change, Holder, ObserveError, OpenError, Owned, Replica, SnapshotError, Stale, Volume, Zfs,
};

/// How an owner gives a volume up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// The turn in which this node owns it; the next owner's is one higher.
    pub epoch: Epoch,
    /// The next owner.
    pub to: NodeId,
    /// The snapshot that the next owner was sent, if the caller knows it.
    pub snapshot: Option<SnapshotGuid>,
    /// The deployment that asks for it.
    pub deployment: DeploymentId,
}

/// A volume that was given up.
#[derive(Debug)]
pub struct Released {
    /// Whether it was given up now or before.
    pub change: Change,
    /// The snapshot that the next owner must hold.
    pub snapshot: SnapshotGuid,
    /// What this node has of it now.
    pub replica: Volume<Replica>,
}

/// A volume could not be given up; this node owns it still.
#[derive(Debug, Error)]
pub enum ReleaseError {
    /// It is not as expected.
    #[error("{0}")]
    Stale(#[from] Stale),
    /// It could not be looked at.
    #[error(transparent)]
    Observe(#[from] ObserveError),
    /// It is mounted.
    #[error("volume `{application}` is mounted at {path}; stop the application first")]
    Mounted {
        /// Whose volume.
        application: ApplicationName,
        /// Where.
        path: String,
    },
    /// Another mount namespace has it mounted.
    #[error("volume `{application}` is mounted still: {}", list(holders))]
    MountedElsewhere {
        /// Whose volume.
        application: ApplicationName,
        /// One process of each such namespace.
        holders: Vec<Holder>,
    },
    /// It has no snapshot to hand off.
    #[error("volume `{application}` has no snapshot of Flocker's; push it first")]
    NoSnapshot {
        /// Whose volume.
        application: ApplicationName,
    },
    /// It was written after its newest snapshot, which the next owner would lose.
    #[error(
        "volume `{application}` has {written} that its newest snapshot {snapshot} has not; push it again"
    )]
    Written {
        /// Whose volume.
        application: ApplicationName,
        /// How much.
        written: ByteCount,
        /// The name of the snapshot.
        snapshot: String,
    },
    /// The next owner was sent another snapshot than the newest.
    #[error(
        "snapshot {newest} of volume `{application}` is newer than {sent}, which was pushed; push it again"
    )]
    OtherSnapshot {
        /// Whose volume.
        application: ApplicationName,
        /// What was sent.
        sent: SnapshotGuid,
        /// What is newest.
        newest: SnapshotGuid,
    },
    /// What the last crash left in its intent log could not be written down.
    #[error(transparent)]
    Replay(#[from] SnapshotError),
    /// ZFS refused.
    #[error(transparent)]
    Command(#[from] CommandFailed),
}

impl From<OpenError> for ReleaseError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Stale(stale) => Self::Stale(stale),
            OpenError::Observe(error) => Self::Observe(error),
        }
    }
}

impl Volume<Owned> {
    /// Gives the volume up: the next owner, its epoch and the snapshot handed off are written down in
    /// one property. `readonly=on` comes with it, so that this node cannot write it from then on.
    ///
    /// In a process that has not seen the volume mounted, its intent log is replayed first, which
    /// counts as writing: push in the process that releases.
    ///
    /// # Errors
    /// Fails when it is mounted, or was written after its newest snapshot.
    pub async fn release(self, release: &Release) -> Result<Released, ReleaseError> {
        let application = self.application.clone();
        let mut volume = self;
        if volume.record.copy.mounted.is_none() {
            volume = volume.replay_log().await?;
        }
        if let Some(path) = volume.record.copy.mounted.clone() {
            return Err(ReleaseError::Mounted { application, path });
        }
        let holders = mounted_elsewhere(&volume.dataset()).await;
        if !holders.is_empty() {
            return Err(ReleaseError::MountedElsewhere {
                application,
                holders,
            });
        }
        let newest = volume.last_snapshot()?;
        reach(|| "release-volume.checked".to_owned()).await;
        if let Some(sent) = release.snapshot.filter(|sent| *sent != newest.guid) {
            return Err(ReleaseError::OtherSnapshot {
                application,
                sent,
                newest: newest.guid,
            });
        }
        let ownership = Ownership {
            owner: release.to,
            epoch: volume.role.epoch.next(),
            handoff: Some(newest.guid),
        };
        let others = [
            ("readonly", "on".to_owned()),
            (DEPLOYMENT, release.deployment.to_string()),
        ];
        let has_old_form = volume.record.has_old_form;
        set_ownership(&volume.dataset(), ownership, (&others, has_old_form)).await?;
        Ok(Released {
            change: Change::Changed,
            snapshot: newest.guid,
            replica: volume.into_released(release, newest.guid),
        })
    }

    /// Becomes what it is after a release, without looking again.
    fn into_released(self, release: &Release, handoff: SnapshotGuid) -> Volume<Replica> {
        let (owner, epoch) = (release.to, self.role.epoch.next());
        let mut record = self.record;
        record.readonly = true;
        record.copy.deployment = Some(release.deployment.clone());
        record.copy.role = VolumeRole::Replica {
            owner,
            epoch,
            handoff: Some(handoff),
        };
        Volume {
            zfs: self.zfs,
            application: self.application,
            record,
            role: Replica { owner, epoch },
        }
    }

    /// Returns the newest of Flocker's snapshots, after making sure that nothing was written after
    /// it.
    fn last_snapshot(&self) -> Result<OwnSnapshot, ReleaseError> {
        let Some(newest) = self.record.newest_own() else {
            return Err(ReleaseError::NoSnapshot {
                application: self.application.clone(),
            });
        };
        match self.record.copy.written {
            ByteCount::ZERO => Ok(newest.clone()),
            written => Err(ReleaseError::Written {
                application: self.application.clone(),
                written,
                snapshot: newest.name.to_string(),
            }),
        }
    }
}

impl Zfs {
    /// Gives a volume up, unless it was given up in the same way already.
    ///
    /// # Errors
    /// As [`Volume::release`]; [`Stale`] when this node does not own the volume in that epoch.
    pub async fn release(
        &self,
        application: &ApplicationName,
        release: &Release,
    ) -> Result<Released, ReleaseError> {
        let stale = match self.open_owned(application, release.epoch).await {
            Ok(volume) => return volume.release(release).await,
            Err(OpenError::Stale(stale)) => stale,
            Err(error) => return Err(error.into()),
        };
        let replica = match self.open_replica(application).await {
            Ok(replica) => replica,
            Err(OpenError::Stale(_)) => return Err(stale.into()),
            Err(error) => return Err(error.into()),
        };
        match replica.record.copy.role {
            VolumeRole::Replica {
                owner,
                epoch,
                handoff: Some(snapshot),
            } if owner == release.to && epoch == release.epoch.next() => Ok(Released {
                change: Change::Unchanged,
                snapshot,
                replica,
            }),
            _ => Err(stale.into()),
        }
    }
}

/// Sets properties: in one transaction, or, if that fails, each that can be set by itself. Only what
/// one property says is certain to change together.
///
/// **Source**: `zfs_set_prop_nvlist` (`OpenZFS`) hands all to one `dsl_props_set`, and after a
/// failure each to one of its own.
pub(crate) async fn set(dataset: &str, properties: &[(&str, String)]) -> Result<(), CommandFailed> {
    let mut argv = Argv::new(&["zfs", "set"]);
    argv.push_assignments(properties);
    argv.push(dataset);
    argv.change().await?;
    Ok(())
}
