//! Takes copies out of use under another name. Nothing in them is changed, let alone destroyed.

use flocker_failpoint::reach;
use flocker_model::{ApplicationName, ByteCount, SetAsideName, SnapshotGuid, VolumeRole};
use serde::Serialize;
use thiserror::Error;

use crate::command::CommandFailed;
use crate::handoff::set;
use crate::kernel::{self, KernelFailed};
use crate::mount::{list as list_holders, mounted_elsewhere};
use crate::names::Place;
use crate::observe::list;
use crate::{Change, Holder, ObserveError, Stale, UnmountError, Zfs};

/// What is taken out of use, and how it is called then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAside {
    /// The name that it gets, below the dataset of all volumes.
    pub name: SetAsideName,
    /// What it must be.
    pub role: VolumeRole,
    /// The snapshot, anybody's, that it must end with.
    pub newest: Option<SnapshotGuid>,
}

/// A copy that was set aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SetAsideCopy {
    /// Whose volume it was, in which epoch, and since when it is not.
    #[serde(flatten)]
    pub name: SetAsideName,
    /// Its dataset.
    pub dataset: String,
    /// Bytes that it refers to.
    pub referenced: ByteCount,
}

/// A copy could not be set aside.
#[derive(Debug, Error)]
pub enum SetAsideError {
    /// It is not as expected.
    #[error("{0}")]
    Stale(#[from] Stale),
    /// It ends with another snapshot than expected.
    #[error("the copy of volume `{application}` changed meanwhile; look again")]
    Changed {
        /// Whose volume.
        application: ApplicationName,
    },
    /// It could not be looked at.
    #[error(transparent)]
    Observe(#[from] ObserveError),
    /// It is mounted.
    #[error("volume `{application}` is mounted at {path}; unmount it first")]
    Mounted {
        /// Whose volume.
        application: ApplicationName,
        /// Where.
        path: String,
    },
    /// Another mount namespace has it mounted.
    #[error("volume `{application}` is mounted still: {}", list_holders(holders))]
    MountedElsewhere {
        /// Whose volume.
        application: ApplicationName,
        /// One process of each such namespace.
        holders: Vec<Holder>,
    },
    /// An import that is not finished could not be unmounted.
    #[error(transparent)]
    Unmount(#[from] UnmountError),
    /// ZFS refused the new name.
    #[error(transparent)]
    Kernel(#[from] KernelFailed),
    /// It could not be made read-only, and is where it was.
    #[error("cannot make the copy of volume `{application}` read-only; it was not set aside")]
    Unprotected {
        /// Whose volume.
        application: ApplicationName,
        /// Why.
        #[source]
        cause: CommandFailed,
    },
    /// It has its new name and is read-only, but would still be mounted where the volume is.
    #[error(
        "it is set aside as {dataset}, but its mountpoint is still the volume's; run `{command}`"
    )]
    InTheWay {
        /// What it is called now.
        dataset: String,
        /// What gives it a place of its own.
        command: String,
        /// Why it has none.
        #[source]
        cause: CommandFailed,
    },
}

impl Zfs {
    /// Renames an application's copy, or the first one that is being received. What Flocker made
    /// becomes read-only, and is mounted by hand at a place of its own.
    ///
    /// Read-only first: whatever has the new name cannot be written, even if nothing comes after it.
    ///
    /// It is no volume any more then: [`Zfs::observe_volumes`] leaves it out. Without a copy nothing
    /// is done.
    ///
    /// # Errors
    /// Fails when it is not as expected, is mounted, or when ZFS refuses.
    pub async fn set_aside(&self, set_aside: &SetAside) -> Result<Change, SetAsideError> {
        let SetAside { name, role, newest } = set_aside;
        let application = &name.application;
        let records = self.read_all(application).await?;
        let Some((place, record)) = records.shown(application) else {
            return Ok(Change::Unchanged);
        };
        if record.copy.role != *role {
            let expected = "what is to be set aside".to_owned();
            return Err(self.stale(application, expected, Some(record)).into());
        }
        if record.copy.newest_snapshot != *newest {
            return Err(SetAsideError::Changed {
                application: application.clone(),
            });
        }
        let dataset = place.dataset(self.settings());
        if matches!(place, Place::Importing(_)) {
            self.unmount_dataset(application, &dataset).await?;
        } else {
            self.check_unmounted(application, (&dataset, record.copy.mounted))
                .await?;
        }
        let is_ours = !matches!(role, VolumeRole::Foreign { .. });
        let is_mountable = is_ours && matches!(place, Place::Volume(_));
        if is_mountable {
            set(&dataset, &[("readonly", "on".to_owned())])
                .await
                .map_err(|cause| SetAsideError::Unprotected {
                    application: application.clone(),
                    cause,
                })?;
            reach(|| "set-volume-aside.protected".to_owned()).await;
        }
        let renamed = format!("{}/{name}", self.settings().dataset);
        kernel::rename(&dataset, &renamed).await?;
        reach(|| "set-volume-aside.renamed".to_owned()).await;
        if is_mountable {
            self.give_own_place(name, renamed).await?;
        }
        Ok(Change::Changed)
    }

    /// Lists what was set aside.
    ///
    /// # Errors
    /// As [`Zfs::observe_volumes`].
    pub async fn observe_set_aside(&self) -> Result<Vec<SetAsideCopy>, ObserveError> {
        let root = &self.settings().dataset;
        if !kernel::exists(root).await? {
            return Ok(Vec::new());
        }
        let listed = list(&["-d", "1"], std::slice::from_ref(root)).await?;
        let below = format!("{root}/");
        Ok(listed
            .into_iter()
            .filter_map(|(dataset, listed)| {
                let name = SetAsideName::parse(dataset.strip_prefix(&below)?)?;
                Some(SetAsideCopy {
                    name,
                    referenced: ByteCount::new(listed.number("referenced")),
                    dataset,
                })
            })
            .collect())
    }

    /// Makes sure that nobody has a dataset mounted.
    async fn check_unmounted(
        &self,
        application: &ApplicationName,
        (dataset, mounted): (&str, Option<String>),
    ) -> Result<(), SetAsideError> {
        let application = application.clone();
        if let Some(path) = mounted {
            return Err(SetAsideError::Mounted { application, path });
        }
        let holders = mounted_elsewhere(dataset).await;
        if holders.is_empty() {
            return Ok(());
        }
        Err(SetAsideError::MountedElsewhere {
            application,
            holders,
        })
    }

    /// Keeps what was set aside from being mounted where the volume is.
    async fn give_own_place(
        &self,
        name: &SetAsideName,
        dataset: String,
    ) -> Result<(), SetAsideError> {
        let place = self.settings().mount_root.join(name.to_string());
        let mountpoint = ("mountpoint", place.to_string_lossy().into_owned());
        set(&dataset, &[mountpoint])
            .await
            .map_err(|cause| SetAsideError::InTheWay {
                command: cause.argv.clone(),
                dataset,
                cause,
            })
    }
}
