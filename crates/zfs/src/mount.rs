//! Mounts volumes, which only an owner can, and unmounts them.
//!
//! By system call and not by `zfs mount`: an application is paused while its volume is unmounted,
//! and `EBUSY` is told from other errors for certain.

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use flocker_model::{ApplicationName, Epoch};
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use thiserror::Error;

use crate::command::CommandFailed;
use crate::handoff::set;
use crate::holders::{Holder, observe_mounted_elsewhere, observe_users};
use crate::mount_root::ensure_closed;
use crate::mountinfo::{Mount, mount_of, mounted_at};
use crate::observe::mounts;
use crate::{Change, ObserveError, Owned, Volume, Zfs};

/// How often unmounting a busy volume is tried, and how long apart: a process that was just
/// stopped may let go of its files a moment later, and the kernel has no event for that.
const ATTEMPTS: u32 = 50;
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(20);

/// A volume that this node owns, mounted for writing: what a container may be given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountedVolume {
    application: ApplicationName,
    epoch: Epoch,
    path: PathBuf,
}

impl MountedVolume {
    /// Returns the application whose volume it is.
    pub fn application(&self) -> &ApplicationName {
        &self.application
    }

    /// Returns the owner's turn.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Returns the directory that it is mounted at.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl AsRef<Path> for MountedVolume {
    fn as_ref(&self) -> &Path {
        self.path()
    }
}

/// A volume could not be mounted.
#[derive(Debug, Error)]
pub enum MountError {
    /// Its key is missing.
    #[error(
        "volume `{application}` is encrypted, and the key of {root} is not loaded; run `zfs load-key {root}`"
    )]
    KeyNotLoaded {
        /// Whose volume.
        application: ApplicationName,
        /// The dataset that the key belongs to.
        root: String,
    },
    /// Its properties could not be set as an owner's must be.
    #[error("volume `{application}` is not mounted: its properties cannot be set")]
    Uncorrected {
        /// Whose volume.
        application: ApplicationName,
        /// Why.
        #[source]
        cause: CommandFailed,
    },
    /// Something else is mounted at the volume's place.
    #[error("{} is taken by a mount of {found}; unmount that first", path.display())]
    Taken {
        /// The volume's place.
        path: PathBuf,
        /// The kind and source of what is mounted there.
        found: String,
    },
    /// The volume is mounted at another place.
    #[error("volume `{application}` is mounted at {} already; unmount that first", path.display())]
    Elsewhere {
        /// Whose volume.
        application: ApplicationName,
        /// Where it is.
        path: PathBuf,
    },
    /// The directory below has files, which the mount would hide.
    #[error("{} has files in it that the volume would hide; move them away", path.display())]
    NotEmpty {
        /// The volume's place.
        path: PathBuf,
    },
    /// The volume is not where it was mounted a moment ago.
    #[error("{} was mounted but is not there; something else unmounts volumes here", path.display())]
    Vanished {
        /// The volume's place.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("cannot {operation} {}", path.display())]
    System {
        /// What was to be done, as a verb.
        operation: &'static str,
        /// Where.
        path: PathBuf,
        /// Why it was refused.
        #[source]
        cause: io::Error,
    },
    /// The mounts could not be looked at.
    #[error(transparent)]
    Observe(#[from] ObserveError),
}

/// A volume could not be unmounted.
#[derive(Debug, Error)]
pub enum UnmountError {
    /// Processes use it.
    #[error("volume `{application}` is in use: {}", list(holders))]
    Busy {
        /// Whose volume.
        application: ApplicationName,
        /// Who uses it, as far as could be found.
        holders: Vec<Holder>,
    },
    /// Another mount namespace has a copy of the mount.
    #[error(
        "volume `{application}` is unmounted but not everywhere: {}",
        list(holders)
    )]
    MountedElsewhere {
        /// Whose volume.
        application: ApplicationName,
        /// One process of each such namespace.
        holders: Vec<Holder>,
    },
    /// The operating system refused.
    #[error("cannot unmount {}", path.display())]
    System {
        /// Where.
        path: PathBuf,
        /// Why it was refused.
        #[source]
        cause: io::Error,
    },
    /// The mounts could not be looked at.
    #[error(transparent)]
    Observe(#[from] ObserveError),
}

/// Writes holders with commas between them.
pub(crate) fn list(holders: &[Holder]) -> String {
    if holders.is_empty() {
        return "by whom could not be found out".to_owned();
    }
    let texts: Vec<String> = holders.iter().map(ToString::to_string).collect();
    texts.join(", ")
}

impl Volume<Owned> {
    /// Mounts the volume for writing, if it is not, and makes sure that it is where it should be.
    ///
    /// # Errors
    /// Fails when anything else is in its place: files below it or another mount.
    pub async fn mount(self) -> Result<(Change, MountedVolume), MountError> {
        self.make_mountable().await?;
        let zfs = &self.zfs;
        let path = zfs.mountpoint_of(&self.application);
        let change = zfs
            .ensure_mounted(&self.application, &self.dataset())
            .await?;
        let mounted = MountedVolume {
            application: self.application,
            epoch: self.role.epoch,
            path,
        };
        Ok((change, mounted))
    }

    /// Makes sure that ZFS lets it be mounted, accepts writes, and keeps those that it says are safe.
    pub(crate) async fn make_mountable(&self) -> Result<(), MountError> {
        if let Some(root) = &self.record.copy.key_needed {
            return Err(MountError::KeyNotLoaded {
                application: self.application.clone(),
                root: root.clone(),
            });
        }
        let corrections = self.record.corrections();
        if corrections.is_empty() {
            return Ok(());
        }
        let set = set(&self.dataset(), &corrections).await;
        set.map_err(|cause| MountError::Uncorrected {
            application: self.application.clone(),
            cause,
        })
    }
}

impl Zfs {
    /// Unmounts a volume, whoever owns it, if it is mounted.
    ///
    /// # Errors
    /// Fails when it stays in use for a second, naming who uses it, or when another mount namespace
    /// keeps it mounted.
    pub async fn unmount(&self, application: &ApplicationName) -> Result<Change, UnmountError> {
        self.unmount_dataset(application, &self.dataset_of(application))
            .await
    }

    /// Unmounts one of an application's datasets wherever it is mounted.
    pub(crate) async fn unmount_dataset(
        &self,
        application: &ApplicationName,
        dataset: &str,
    ) -> Result<Change, UnmountError> {
        let mut change = Change::Unchanged;
        while let Some(mount) = mount_of(&mounts().await?, dataset) {
            if mount.writable {
                self.remember_replayed(application);
            }
            unmount_patiently(application, &mount.path).await?;
            change = Change::Changed;
        }
        // Also when nothing was to be done: the last attempt may have ended just here.
        let holders = mounted_elsewhere(dataset).await;
        if holders.is_empty() {
            self.remove_mount_point(application).await;
            return Ok(change);
        }
        Err(UnmountError::MountedElsewhere {
            application: application.clone(),
            holders,
        })
    }

    /// Mounts one of an application's datasets at the application's place.
    pub(crate) async fn ensure_mounted(
        &self,
        application: &ApplicationName,
        dataset: &str,
    ) -> Result<Change, MountError> {
        let path = self.mountpoint_of(application);
        let table = mounts().await?;
        match mounted_at(&table, &path) {
            Some(found) if is_volume(found, dataset) => {
                self.remember_replayed(application);
                return Ok(Change::Unchanged);
            }
            Some(found) => {
                return Err(MountError::Taken {
                    path,
                    found: format!("{} ({})", found.source, found.kind),
                });
            }
            None => {}
        }
        if let Some(found) = mount_of(&table, dataset) {
            return Err(MountError::Elsewhere {
                application: application.clone(),
                path: found.path.clone(),
            });
        }
        let (source, place) = (dataset.to_owned(), path.clone());
        let settings = self.settings().clone();
        run_blocking(move || {
            ensure_closed(&settings.mount_root, &settings.dataset, &table).map_err(|cause| {
                MountError::System {
                    operation: "close to other users",
                    path: settings.mount_root,
                    cause,
                }
            })?;
            mount_at(&source, &place)
        })
        .await?;
        if !mounted_at(&mounts().await?, &path).is_some_and(|found| is_volume(found, dataset)) {
            return Err(MountError::Vanished { path });
        }
        self.remember_replayed(application);
        Ok(Change::Changed)
    }
}

/// Lists one process of each mount namespace in which the dataset is mounted.
pub(crate) async fn mounted_elsewhere(dataset: &str) -> Vec<Holder> {
    let name = dataset.to_owned();
    run_blocking(move || observe_mounted_elsewhere(&name)).await
}

/// Tells whether a mount is the whole dataset, for writing.
fn is_volume(found: &Mount, dataset: &str) -> bool {
    found.kind == "zfs" && found.source == dataset && found.whole && found.writable
}

/// Makes the directory and mounts a dataset on it.
///
/// Again if the directory is gone by then: another process may have removed it after it unmounted.
fn mount_at(dataset: &str, path: &Path) -> Result<(), MountError> {
    for _ in 1..ATTEMPTS {
        match mount_once(dataset, path) {
            Err(MountError::System { cause, .. }) if cause.kind() == io::ErrorKind::NotFound => {}
            done => return done,
        }
    }
    mount_once(dataset, path)
}

/// Makes the directory and mounts a dataset on it, unless something is in it.
fn mount_once(dataset: &str, path: &Path) -> Result<(), MountError> {
    let refused = |operation| {
        move |cause| MountError::System {
            operation,
            path: path.to_owned(),
            cause,
        }
    };
    fs::create_dir_all(path).map_err(refused("make the directory"))?;
    let mut entries = fs::read_dir(path).map_err(refused("read"))?;
    if entries.next().is_some() {
        return Err(MountError::NotEmpty {
            path: path.to_owned(),
        });
    }
    // `zfsutil` says that a dataset with a mountpoint of its own is mounted by who knows of it;
    // the kernel takes everything else from the dataset's properties (mount.zfs(8)).
    mount(
        Some(dataset),
        path,
        Some("zfs"),
        MsFlags::MS_NODEV,
        Some("zfsutil"),
    )
    .map_err(io::Error::from)
    .map_err(refused("mount a volume at"))
}

/// Unmounts `path`, trying again while it is busy.
async fn unmount_patiently(application: &ApplicationName, path: &Path) -> Result<(), UnmountError> {
    for attempt in 1.. {
        let place = path.to_owned();
        match run_blocking(move || umount2(&place, MntFlags::UMOUNT_NOFOLLOW)).await {
            // EINVAL: not a mount any more.
            Ok(()) | Err(Errno::EINVAL) => break,
            Err(Errno::EBUSY) if attempt < ATTEMPTS => {
                tokio::time::sleep(BETWEEN_ATTEMPTS).await;
            }
            Err(Errno::EBUSY) => {
                let place = path.to_owned();
                return Err(UnmountError::Busy {
                    application: application.clone(),
                    holders: run_blocking(move || observe_users(&place)).await,
                });
            }
            Err(errno) => {
                return Err(UnmountError::System {
                    path: path.to_owned(),
                    cause: errno.into(),
                });
            }
        }
    }
    Ok(())
}

/// Runs `work` where blocking is allowed.
pub(crate) async fn run_blocking<T, W>(work: W) -> T
where
    T: Send + 'static,
    W: FnOnce() -> T + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        // A panic goes on where it would have gone without the thread.
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
