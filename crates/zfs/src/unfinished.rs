//! Removes what an interrupted making of a volume left.

use flocker_model::ApplicationName;
use thiserror::Error;

use crate::command::{Argv, CommandFailed};
use crate::mount::UnmountError;
use crate::names::Place;
use crate::observe::Records;
use crate::{Change, Zfs};

/// It could not be removed.
#[derive(Debug, Error)]
pub enum UnfinishedError {
    /// It could not be unmounted.
    #[error(transparent)]
    Unmount(#[from] UnmountError),
    /// ZFS refused.
    #[error(transparent)]
    Command(#[from] CommandFailed),
}

impl Zfs {
    /// Removes it before the volume arrives from another node: it may be mounted in that volume's
    /// place, and nothing else would ever look at it.
    ///
    /// # Errors
    /// Fails when it is in use, or ZFS refuses.
    pub(crate) async fn discard_unfinished(
        &self,
        application: &ApplicationName,
        records: &Records,
    ) -> Result<Change, UnfinishedError> {
        if records.creating.is_none() {
            return Ok(Change::Unchanged);
        }
        self.destroy_unfinished(application).await?;
        Ok(Change::Changed)
    }

    /// Unmounts and destroys it.
    ///
    /// It has at most some of its first contents, which come from elsewhere: no container was ever
    /// given it. Without `-r`, `zfs destroy` refuses one that has snapshots or children.
    ///
    /// # Errors
    /// Fails when it is in use, or ZFS refuses.
    pub(crate) async fn destroy_unfinished(
        &self,
        application: &ApplicationName,
    ) -> Result<(), UnfinishedError> {
        let dataset = Place::Creating(application.clone()).dataset(self.settings());
        self.unmount_dataset(application, &dataset).await?;
        Argv::new(&["zfs", "destroy", &dataset]).change().await?;
        Ok(())
    }
}
