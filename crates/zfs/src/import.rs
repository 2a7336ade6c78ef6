//! Makes volumes of data from outside.

use std::io;
use std::path::{Path, PathBuf};

use flocker_failpoint::reach;
use flocker_model::{ApplicationName, DeploymentId, Epoch};
use thiserror::Error;

use crate::command::{Argv, CommandFailed};
use crate::create::CreateRootError;
use crate::dataset::{DEPLOYMENT, IMPORT, Record};
use crate::kernel::{self, KernelFailed};
use crate::names::{Place, SnapshotName};
use crate::ownership::{NONE, Ownership, set_ownership};
use crate::unfinished::UnfinishedError;
use crate::{MountError, ObserveError, Stale, UnmountError, Zfs};

/// A volume to be made of data from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewImport {
    /// Whose it will be.
    pub application: ApplicationName,
    /// Where its content comes from, as people write it: only the same import goes on with what is
    /// there.
    pub from: String,
    /// The epoch that it begins with.
    pub epoch: Epoch,
    /// The deployment that the node last applied, if there is one.
    pub deployment: Option<DeploymentId>,
}

/// A volume could not be made of data from outside. What came of it is kept.
#[derive(Debug, Error)]
pub enum ImportError {
    /// A dataset is in its place.
    #[error("{0}")]
    Stale(#[from] Stale),
    /// An import of something else is not finished.
    #[error("an import from {found} is not finished; finish it, or set it aside first")]
    OtherSource {
        /// Where that comes from.
        found: String,
    },
    /// The place could not be looked at.
    #[error(transparent)]
    Observe(#[from] ObserveError),
    /// A command failed.
    #[error(transparent)]
    Command(#[from] CommandFailed),
    /// ZFS in the kernel refused.
    #[error(transparent)]
    Kernel(#[from] KernelFailed),
    /// What an interrupted making left could not be removed.
    #[error(transparent)]
    Unfinished(#[from] UnfinishedError),
    /// It could not be mounted to be filled.
    #[error("the new volume cannot be mounted to copy data into it")]
    Mount(#[from] MountError),
    /// It could not be unmounted again.
    #[error("the new volume has its content and cannot be unmounted")]
    Unmount(#[from] UnmountError),
    /// The stream is not one full snapshot.
    #[error("the stream cannot become a volume: {problem}")]
    Unfit {
        /// Why, as a clause.
        problem: String,
    },
    /// The stream ended early.
    #[error("the stream broke off; it has to be sent again from its beginning")]
    Interrupted(#[source] io::Error),
}

impl From<CreateRootError> for ImportError {
    fn from(error: CreateRootError) -> Self {
        match error {
            CreateRootError::Command(error) => Self::Command(error),
            CreateRootError::Kernel(error) => Self::Kernel(error),
        }
    }
}

/// A volume that is being imported: mounted, and not yet at its application's name.
///
/// Only [`Importing::finish`] makes the volume exist. What is dropped before stays as it is, for the
/// same import to go on with.
#[derive(Debug)]
pub struct Importing {
    zfs: Zfs,
    new: NewImport,
    path: PathBuf,
}

/// The dataset at the place of a volume that is to be imported.
pub(crate) enum ImportPlace {
    /// The volume, as the same import has made it.
    Finished,
    /// All of it, but for its name.
    Whole,
    /// A part that an earlier attempt left.
    Partial,
    /// Nothing.
    Empty,
}

impl Importing {
    /// Returns the directory that the volume is mounted at. It has what earlier attempts left.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the volume exist, with what is in the directory by now, and unmounts it.
    ///
    /// # Errors
    /// Fails when the directory is in use, or ZFS refuses.
    pub async fn finish(self) -> Result<(), ImportError> {
        let Self { zfs, new, .. } = self;
        reach(|| "import-volume.filled".to_owned()).await;
        let unfinished = Place::Importing(new.application.clone()).dataset(zfs.settings());
        // Unmounting writes everything to the disk.
        zfs.unmount_dataset(&new.application, &unfinished).await?;
        zfs.finish_import(&new).await
    }
}

impl Zfs {
    /// Begins or goes on to import a volume that this node owns then; `None` if the same import has
    /// made it already.
    ///
    /// # Errors
    /// [`Stale`] when any other copy of the volume exists here.
    pub async fn begin_import(&self, new: &NewImport) -> Result<Option<Importing>, ImportError> {
        let application = &new.application;
        let unfinished = Place::Importing(application.clone()).dataset(self.settings());
        match self.import_place(new).await? {
            ImportPlace::Finished => return Ok(None),
            ImportPlace::Whole => {
                self.name_import(new).await?;
                return Ok(None);
            }
            ImportPlace::Partial => {}
            ImportPlace::Empty => {
                let mut argv = Argv::new(&["zfs", "create"]);
                argv.push_options(&self.properties_of_import(new));
                argv.push(&unfinished);
                argv.change().await?;
                reach(|| "import-volume.made".to_owned()).await;
            }
        }
        self.ensure_mounted(application, &unfinished).await?;
        reach(|| "import-volume.mounted".to_owned()).await;
        Ok(Some(Importing {
            zfs: self.clone(),
            new: new.clone(),
            path: self.mountpoint_of(application),
        }))
    }

    /// Looks at the place of a volume that is to be imported, and makes sure that there is room for
    /// it: no other copy, and a dataset to put it below.
    pub(crate) async fn import_place(&self, new: &NewImport) -> Result<ImportPlace, ImportError> {
        let application = &new.application;
        let records = self.read_all(application).await?;
        let is_same = |record: &Record| record.copy.import.as_ref() == Some(&new.from);
        if let Some(record) = records.volume.or(records.receiving) {
            let epoch = record.copy.owned_epoch();
            if epoch.is_some_and(Epoch::is_beginning) && is_same(&record) {
                return Ok(ImportPlace::Finished);
            }
            let expected = "absent".to_owned();
            return Err(self.stale(application, expected, Some(record)).into());
        }
        if records.creating.is_some() {
            self.destroy_unfinished(application).await?;
        }
        self.ensure_root().await?;
        Ok(match records.importing {
            None => ImportPlace::Empty,
            Some(record) if !is_same(&record) => {
                let found = record.copy.import;
                return Err(ImportError::OtherSource {
                    found: found.unwrap_or_else(|| "an unknown source".to_owned()),
                });
            }
            Some(record) if record.copy.owned_epoch().is_some() => ImportPlace::Whole,
            Some(_) => ImportPlace::Partial,
        })
    }

    /// Takes the first snapshot of an unmounted import, then says who owns it, and gives it its name.
    pub(crate) async fn finish_import(&self, new: &NewImport) -> Result<(), ImportError> {
        let unfinished = Place::Importing(new.application.clone()).dataset(self.settings());
        let records = self.read_all(&new.application).await?;
        let record = records.importing.as_ref();
        if let Some(settled) = record.and_then(Record::settled_at) {
            // A crash may have come between taking and holding it.
            kernel::hold(&format!("{unfinished}@{}", settled.name)).await?;
        } else {
            self.snapshot_import(&unfinished, (new.epoch, record))
                .await?;
        }
        reach(|| "import-volume.snapshotted".to_owned()).await;
        let deployment = new.deployment.as_ref();
        let deployment = deployment.map_or_else(|| NONE.to_owned(), ToString::to_string);
        let ownership = Ownership::new(self.settings().node, new.epoch);
        let others = [(DEPLOYMENT, deployment)];
        set_ownership(&unfinished, ownership, (&others, false)).await?;
        reach(|| "import-volume.owned".to_owned()).await;
        self.name_import(new).await
    }

    /// Takes the first snapshot of an import. One of an attempt that was cut right after it is
    /// destroyed before: no copy and no container was ever given it.
    async fn snapshot_import(
        &self,
        unfinished: &str,
        (epoch, record): (Epoch, Option<&Record>),
    ) -> Result<(), ImportError> {
        let newest = record.and_then(Record::newest_own);
        let name = SnapshotName {
            epoch: newest.map_or(epoch, |newest| newest.name.epoch.max(epoch)),
            counter: newest.map_or(0, |newest| newest.name.counter) + 1,
        };
        let cut = record.map_or_else(Vec::new, |record| record.own_names(unfinished));
        if !cut.is_empty() {
            kernel::release_holds(&cut).await?;
            kernel::destroy(&cut).await?;
        }
        kernel::snapshot_and_hold(&format!("{unfinished}@{name}")).await?;
        Ok(())
    }

    /// Gives a whole import its name.
    async fn name_import(&self, new: &NewImport) -> Result<(), ImportError> {
        let unfinished = Place::Importing(new.application.clone()).dataset(self.settings());
        kernel::rename(&unfinished, &self.dataset_of(&new.application)).await?;
        Ok(())
    }

    /// Lists the properties that an import has from its beginning; they make no volume of it.
    pub(crate) fn properties_of_import(&self, new: &NewImport) -> Vec<(&'static str, String)> {
        let mut properties = self.properties_of_any(&new.application);
        properties.push((IMPORT, new.from.clone()));
        properties
    }
}
