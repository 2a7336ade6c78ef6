//! What an interrupted making of a volume left, when another node made the volume in the end.

use std::fs;
use std::io;
use std::path::PathBuf;

use flocker_model::ApplicationName;
use thiserror::Error;

use crate::command::{Argv, CommandFailed};
use crate::mount::{UnmountError, run_blocking};
use crate::names::Place;
use crate::observe::Records;
use crate::{Change, Zfs};

/// It could not be removed.
#[derive(Debug, Error)]
pub enum UnfinishedError {
    /// It is not empty, although nobody was ever given it.
    #[error(
        "an interrupted deploy left {dataset}, and somebody has put files into it: move them away \
         from {}", path.display()
    )]
    HasFiles {
        /// What was left.
        dataset: String,
        /// Where it is mounted.
        path: PathBuf,
    },
    /// It could not be looked into.
    #[error("cannot look into {}", path.display())]
    Look {
        /// Where it is mounted.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// It could not be unmounted.
    #[error(transparent)]
    Unmount(#[from] UnmountError),
    /// ZFS refused.
    #[error(transparent)]
    Command(#[from] CommandFailed),
}

impl Zfs {
    /// Removes it, before the volume arrives that it would have become: it may be mounted where that
    /// has to be, and nobody else would ever look at it.
    ///
    /// No container was ever given it. What has snapshots all the same is left alone by `zfs destroy`.
    ///
    /// # Errors
    /// Fails when there is anything in it, or ZFS refuses.
    pub(crate) async fn discard_unfinished(
        &self,
        application: &ApplicationName,
        records: &Records,
    ) -> Result<Change, UnfinishedError> {
        let Some(creating) = &records.creating else {
            return Ok(Change::Unchanged);
        };
        let dataset = Place::Creating(application.clone()).dataset(self.settings());
        if let Some(path) = creating.copy.mounted.as_deref().map(PathBuf::from) {
            let place = path.clone();
            let first = run_blocking(move || fs::read_dir(place).map(|mut all| all.next())).await;
            match first {
                Ok(None) => {}
                Ok(Some(_)) => return Err(UnfinishedError::HasFiles { dataset, path }),
                Err(cause) => return Err(UnfinishedError::Look { path, cause }),
            }
        }
        self.unmount_dataset(application, &dataset).await?;
        Argv::new(&["zfs", "destroy", &dataset]).change().await?;
        Ok(Change::Changed)
    }
}
