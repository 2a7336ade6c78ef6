//! Telling a replica that was written to from one whose intent log was reset.
//!
//! After a power cut, importing the pool resets the (empty) intent log of every dataset, which
//! rewrites the dataset's root block: ZFS counts it as `written`, and `zfs receive` does not mind
//! it. A replica for which it did count would be useless after every power cut. Where another
//! program took a snapshot after one power cut and before the next, it is counted more than once.
//!
//! **Source**: `dsl_dataset_modified_since_snap()` of ZFS; seen on a node after a power cut,
//! 1024 bytes on a pool with sectors of 512.

use std::collections::BTreeMap;

use flocker_model::{ApplicationName, ByteCount, VolumeRole};

use crate::command::{Argv, CommandFailed};
use crate::dataset::Record;
use crate::observe::Records;
use crate::{ObserveError, Zfs};

/// The size of a dataset's root block where sectors are not larger.
const ROOT_BLOCK: u64 = 1024;
/// The largest sectors that pools are made with (`ashift=16`).
const LARGEST_SECTOR: u64 = 1 << 16;

impl Zfs {
    /// Takes what was written to replicas for nothing where it is the root block alone: any change
    /// to a file writes more blocks than that one, and all of them before the same snapshot.
    pub(crate) async fn forgive_log_resets(
        &self,
        sorted: &mut BTreeMap<ApplicationName, Records>,
    ) -> Result<(), ObserveError> {
        let replicas = sorted
            .values_mut()
            .filter_map(|records| records.volume.as_mut());
        let mut suspects: Vec<&mut Record> = replicas.filter(|record| is_suspect(record)).collect();
        if suspects.is_empty() {
            return Ok(());
        }
        let root_block = ByteCount::new(self.largest_sector().await?.max(ROOT_BLOCK));
        for record in &mut suspects {
            record.forgive(root_block);
        }
        Ok(())
    }

    /// Asks for the sector size of the pool's devices; the pool's own property is 0 where ZFS
    /// chose it.
    async fn largest_sector(&self) -> Result<u64, CommandFailed> {
        let mut argv = Argv::new(&["zpool", "get", "-Hp", "-o", "value", "ashift"]);
        argv.push(self.settings().pool());
        argv.push("all-vdevs");
        Ok(parse_largest_sector(&argv.read().await?.stdout))
    }
}

/// Tells whether what was written to a replica may be its root block alone.
fn is_suspect(record: &Record) -> bool {
    matches!(record.copy.role, VolumeRole::Replica { .. })
        && record.copy.mounted.is_none()
        && record.has_written_at_most(ByteCount::new(LARGEST_SECTOR))
}

/// Reads the output of `zpool get -Hp -o value ashift`: finds the largest power of two, in bytes,
/// among the listed exponents; 0 if there is none.
///
/// **Source**: `vdevprops(7)`, property `ashift`.
pub fn parse_largest_sector(listed: &str) -> u64 {
    let exponents = listed
        .lines()
        .filter_map(|line| line.trim().parse::<u32>().ok());
    exponents
        .max()
        .and_then(|exponent| 1_u64.checked_shl(exponent))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::parse_largest_sector;

    #[test]
    fn the_largest_sector_counts() {
        assert_eq!(parse_largest_sector("0\n9\n"), 512);
        assert_eq!(parse_largest_sector("0\n9\n12\n-\n"), 4096);
        assert_eq!(parse_largest_sector(""), 0);
    }
}
