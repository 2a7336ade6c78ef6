//! Destroys Flocker's own snapshots when they are of no more use.

use std::collections::BTreeSet;

use flocker_failpoint::reach;
use flocker_model::{ApplicationName, SnapshotGuid, VolumeRole};
use thiserror::Error;

use crate::kernel::{self, KernelFailed};
use crate::{Change, ObserveError, Stale, Zfs};

/// Snapshots could not be destroyed.
#[derive(Debug, Error)]
pub enum PruneError {
    /// There is no such volume of Flocker's.
    #[error("{0}")]
    Stale(#[from] Stale),
    /// The volume could not be looked at.
    #[error(transparent)]
    Observe(#[from] ObserveError),
    /// ZFS refused.
    #[error(transparent)]
    Kernel(#[from] KernelFailed),
}

impl Zfs {
    /// Destroys Flocker's snapshots of a volume or replica, but for those to be kept and the
    /// newest, which is the base of the next push. Others' snapshots are never touched, and one of
    /// ours that somebody else uses stays.
    ///
    /// # Errors
    /// Fails when the dataset is not one of ours, or when ZFS refuses.
    pub async fn prune_snapshots(
        &self,
        application: &ApplicationName,
        keep: &BTreeSet<SnapshotGuid>,
    ) -> Result<Change, PruneError> {
        let record = match self.read(application).await? {
            Some(record) if !matches!(record.copy.role, VolumeRole::Foreign { .. }) => record,
            found => {
                return Err(self
                    .stale(application, "of Flocker".to_owned(), found)
                    .into());
            }
        };
        let Some((_newest, older)) = record.own_snapshots.split_last() else {
            return Ok(Change::Unchanged);
        };
        let dataset = self.dataset_of(application);
        let names: Vec<String> = older
            .iter()
            .filter(|snapshot| !keep.contains(&snapshot.guid))
            .map(|snapshot| format!("{dataset}@{}", snapshot.name))
            .collect();
        if names.is_empty() {
            return Ok(Change::Unchanged);
        }
        kernel::release_holds(&names).await?;
        reach(|| "prune-snapshots.released".to_owned()).await;
        let in_use = kernel::destroy(&names).await?;
        if !in_use.is_empty() {
            tracing::info!(?in_use, "snapshots that somebody else uses were kept");
        }
        Ok(if in_use.len() == names.len() {
            Change::Unchanged
        } else {
            Change::Changed
        })
    }
}
