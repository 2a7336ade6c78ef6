//! Makes new volumes.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use flocker_failpoint::reach;
use flocker_model::{ApplicationName, ByteCount, DeploymentId, Epoch, VolumeRole};
use thiserror::Error;

use crate::command::{Argv, CommandFailed};
use crate::dataset::{DEPLOYMENT, EPOCH, HANDOFF, NONE, OWNER};
use crate::kernel::{self, KernelFailed};
use crate::mount::run_blocking;
use crate::names::Place;
use crate::volume::refquota;
use crate::{Change, MountError, ObserveError, Stale, UnmountError, Zfs};

/// What a container of any user may do in its volume's root directory: everything.
///
/// Images run as users that only exist inside them, so there is no owner to give it to.
const EVERYBODY: u32 = 0o777;

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
    /// It could not be mounted to set its permissions.
    #[error("the new volume cannot be mounted to let every user write to it")]
    Mount(#[from] MountError),
    /// It could not be unmounted again.
    #[error("the new volume was mounted to let every user write to it, and cannot be unmounted")]
    Unmount(#[from] UnmountError),
    /// Its permissions could not be set.
    #[error("cannot let every user write to {}", path.display())]
    Permissions {
        /// Where it is mounted.
        path: PathBuf,
        /// Why it was refused.
        #[source]
        cause: io::Error,
    },
}

impl Zfs {
    /// Makes an empty volume that this node owns in the first epoch.
    ///
    /// It is made under another name and renamed when it has everything, since `zfs create` makes a
    /// dataset and sets its properties in two transactions, and its root directory's permissions
    /// take a third: whatever is at an application's name is whole. What a crash left behind under
    /// that other name is finished.
    ///
    /// # Errors
    /// [`Stale`] when anything but this node's own volume of the first epoch exists there.
    pub async fn create(&self, new: &NewVolume) -> Result<Change, CreateError> {
        let application = &new.application;
        let records = self.read_all(application).await?;
        if let Some(record) = records.volume {
            if record.copy.role
                == (VolumeRole::Owned {
                    epoch: Epoch::FIRST,
                })
            {
                return Ok(Change::Unchanged);
            }
            return Err(self
                .stale(application, "absent".to_owned(), Some(record))
                .into());
        }
        if let Some(record) = records.receiving {
            return Err(self
                .stale(application, "absent".to_owned(), Some(record))
                .into());
        }
        self.ensure_root().await?;
        let unfinished = Place::Creating(application.clone()).dataset(self.settings());
        let properties = self.properties_of_new(new);
        let mut argv;
        if records.creating.is_some() {
            argv = Argv::new(&["zfs", "set"]);
            argv.push_assignments(&properties);
        } else {
            argv = Argv::new(&["zfs", "create"]);
            argv.push_options(&properties);
        }
        argv.push(&unfinished);
        argv.change().await?;
        reach(|| "create-volume.made".to_owned()).await;
        self.ensure_mounted(application, &unfinished).await?;
        reach(|| "create-volume.mounted".to_owned()).await;
        let path = self.mountpoint_of(application);
        let place = path.clone();
        run_blocking(move || fs::set_permissions(place, Permissions::from_mode(EVERYBODY)))
            .await
            .map_err(|cause| CreateError::Permissions { path, cause })?;
        self.unmount_dataset(application, &unfinished).await?;
        reach(|| "create-volume.whole".to_owned()).await;
        kernel::rename(&unfinished, &self.dataset_of(application)).await?;
        Ok(Change::Changed)
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
            (OWNER, self.settings().node.to_string()),
            (EPOCH, Epoch::FIRST.to_string()),
            (HANDOFF, NONE.to_owned()),
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
