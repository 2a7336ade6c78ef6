//! Makes new volumes.

use std::path::{Path, PathBuf};

use flocker_failpoint::reach;
use flocker_model::{ApplicationName, ByteCount, DeploymentId, Epoch, VolumeRole};
use thiserror::Error;

use crate::command::{Argv, CommandFailed};
use crate::dataset::DEPLOYMENT;
use crate::kernel::{self, KernelFailed};
use crate::names::Place;
use crate::ownership::Ownership;
use crate::unfinished::UnfinishedError;
use crate::volume::{refquota, sync_standard};
use crate::{MountError, ObserveError, Stale, UnmountError, Zfs};

/// A volume to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewVolume {
    /// Whose it will be.
    pub application: ApplicationName,
    /// The most that it may hold.
    pub maximum_size: Option<ByteCount>,
    /// The deployment that asks for it.
    pub deployment: DeploymentId,
}

/// A volume could not be made.
#[derive(Debug, Error)]
pub enum CreateError {
    /// A dataset is in its place.
    #[error("{0}")]
    Stale(#[from] Stale),
    /// The place could not be looked at.
    #[error(transparent)]
    Observe(#[from] ObserveError),
    /// A `zfs` command failed.
    #[error(transparent)]
    Command(#[from] CommandFailed),
    /// ZFS in the kernel refused.
    #[error(transparent)]
    Kernel(#[from] KernelFailed),
    /// What an interrupted making left could not be removed.
    #[error(transparent)]
    Unfinished(#[from] UnfinishedError),
    /// It could not be mounted to be filled.
    #[error("the new volume cannot be mounted to put its first contents into it")]
    Mount(#[from] MountError),
    /// It could not be unmounted again.
    #[error("the new volume has its first contents and cannot be unmounted")]
    Unmount(#[from] UnmountError),
}

/// A volume that is being made: mounted and empty, and not yet at its application's name.
///
/// Only [`Making::finish`] makes the volume exist. A `Making` that is dropped leaves a dataset that
/// the next attempt removes.
#[derive(Debug)]
pub struct Making {
    zfs: Zfs,
    application: ApplicationName,
    path: PathBuf,
}

impl Making {
    /// Returns the directory that the volume is mounted at. It is empty at first, and root's.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the volume exist, with what is in the directory by now, and unmounts it.
    ///
    /// Unmounting writes everything to the disk, so that no power cut leaves a volume with half of
    /// its first contents.
    ///
    /// # Errors
    /// Fails when the directory is in use, or ZFS refuses.
    pub async fn finish(self) -> Result<(), CreateError> {
        let Self {
            zfs, application, ..
        } = self;
        reach(|| "create-volume.filled".to_owned()).await;
        let unfinished = Place::Creating(application.clone()).dataset(zfs.settings());
        zfs.unmount_dataset(&application, &unfinished).await?;
        reach(|| "create-volume.whole".to_owned()).await;
        kernel::rename(&unfinished, &zfs.dataset_of(&application)).await?;
        Ok(())
    }

    /// Removes what there is of the volume.
    ///
    /// # Errors
    /// Fails when the directory is in use, or ZFS refuses.
    pub async fn abandon(self) -> Result<(), UnfinishedError> {
        self.zfs.destroy_unfinished(&self.application).await
    }
}

impl Zfs {
    /// Begins to make a volume that this node owns in the first epoch; `None` if it is there.
    ///
    /// It is made under another name, and renamed when it has everything: `zfs create` makes a
    /// dataset and sets its properties in two transactions, and its first contents take more. A
    /// dataset at an application's name is therefore whole. What a crash left under the other name
    /// is removed first, so that every making begins with an empty directory.
    ///
    /// # Errors
    /// [`Stale`] when anything but this node's own volume of the first epoch exists there.
    pub async fn begin_create(&self, new: &NewVolume) -> Result<Option<Making>, CreateError> {
        let application = &new.application;
        let records = self.read_all(application).await?;
        if let Some(record) = records.volume {
            if record.copy.role
                == (VolumeRole::Owned {
                    epoch: Epoch::FIRST,
                })
            {
                return Ok(None);
            }
            return Err(self
                .stale(application, "absent".to_owned(), Some(record))
                .into());
        }
        if let Some(record) = records.receiving.or(records.importing) {
            return Err(self
                .stale(application, "absent".to_owned(), Some(record))
                .into());
        }
        if records.creating.is_some() {
            self.destroy_unfinished(application).await?;
        }
        self.ensure_root().await?;
        let unfinished = Place::Creating(application.clone()).dataset(self.settings());
        let mut argv = Argv::new(&["zfs", "create"]);
        argv.push_options(&self.properties_of_new(new));
        argv.push(&unfinished);
        argv.change().await?;
        reach(|| "create-volume.made".to_owned()).await;
        self.ensure_mounted(application, &unfinished).await?;
        reach(|| "create-volume.mounted".to_owned()).await;
        Ok(Some(Making {
            zfs: self.clone(),
            application: application.clone(),
            path: self.mountpoint_of(application),
        }))
    }

    /// Makes the dataset that the volumes are below, and its parents, as far as they are missing.
    pub(crate) async fn ensure_root(&self) -> Result<(), CreateRootError> {
        let dataset = &self.settings().dataset;
        if kernel::exists(dataset).await? {
            return Ok(());
        }
        let ends = dataset.match_indices('/').map(|(end, _)| end);
        let levels = ends
            .chain([dataset.len()])
            .filter_map(|end| dataset.get(..end));
        // The first level is the pool itself, which nobody but an administrator makes.
        for level in levels.skip(1) {
            if !kernel::exists(level).await? {
                let argv = [
                    "zfs",
                    "create",
                    "-o",
                    "mountpoint=none",
                    "-o",
                    "canmount=off",
                    level,
                ];
                let created = Argv::new(&argv).change().await;
                // Several volumes may be made at once; whichever came first made this.
                if created.is_err() && !kernel::exists(level).await? {
                    created?;
                }
            }
        }
        Ok(())
    }

    /// Lists the properties that every new volume gets.
    fn properties_of_new(&self, new: &NewVolume) -> Vec<(&'static str, String)> {
        let mut properties = self.properties_of_any(&new.application);
        properties.extend([
            Ownership::new(self.settings().node, Epoch::FIRST).property(),
            (DEPLOYMENT, new.deployment.to_string()),
            refquota(new.maximum_size),
        ]);
        properties
    }

    /// Lists the properties that volumes have wherever they are; no stream carries them.
    pub(crate) fn properties_of_any(
        &self,
        application: &ApplicationName,
    ) -> Vec<(&'static str, String)> {
        vec![
            // Nothing but Flocker mounts it, at boot least of all.
            ("canmount", "noauto".to_owned()),
            (
                "mountpoint",
                self.mountpoint_of(application)
                    .to_string_lossy()
                    .into_owned(),
            ),
            ("compression", "lz4".to_owned()),
            // Reading would count as writing: every push would find something new.
            ("atime", "off".to_owned()),
            // As containers expect of a filesystem, and stored where they cost no seek.
            ("xattr", "sa".to_owned()),
            ("acltype", "posix".to_owned()),
            // A parent's `sync=disabled` would have ZFS lose what it said is safe.
            sync_standard(),
        ]
    }
}

/// The dataset that the volumes are below could not be made.
#[derive(Debug, Error)]
pub(crate) enum CreateRootError {
    #[error(transparent)]
    Command(#[from] CommandFailed),
    #[error(transparent)]
    Kernel(#[from] KernelFailed),
}

impl From<CreateRootError> for CreateError {
    fn from(error: CreateRootError) -> Self {
        match error {
            CreateRootError::Command(error) => Self::Command(error),
            CreateRootError::Kernel(error) => Self::Kernel(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use flocker_model::{Digest, NodeId};
    use uuid::Uuid;

    use super::*;
    use crate::ZfsSettings;

    #[test]
    fn a_new_volume_syncs_whatever_its_parent_does() {
        let zfs = Zfs::new(ZfsSettings {
            dataset: "tank/flocker".to_owned(),
            mount_root: PathBuf::from("/flocker"),
            node: NodeId(Uuid::from_u128(10)),
        });
        let new = NewVolume {
            application: "web".parse().unwrap(),
            maximum_size: None,
            deployment: DeploymentId(Digest::from_recorded("abc")),
        };
        let standard = ("sync", "standard".to_owned());
        assert!(zfs.properties_of_new(&new).contains(&standard));
    }
}
