//! Telling a replica that was written to from one whose intent log was reset.
//!
//! Importing the pool resets the (empty) intent log of every dataset that ever had one, which
//! rewrites the dataset's root block: ZFS counts it as `written`, and `zfs receive` does not mind
//! it. A replica for which it did count would be useless after every boot. Where another program took
//! a snapshot after one boot and before the next, it is counted more than once.
//!
//! The root block is metadata, which is kept twice, in one sector each where it can be compressed;
//! on RAID-Z each of these comes with up to three sectors of parity. So it takes two sectors to
//! eight. A change to a file rewrites seven blocks at least besides its data: the root block, five
//! levels above the dataset's list of files, and the part of that list; each of them twice.
//!
//! With `redundant_metadata=none` all of these are kept once: the root block takes four sectors at
//! most, and a change takes seven at least. With `some` the root block is kept twice and the other
//! blocks of a change once, so that it takes seven sectors or eight. Six are forgiven then, which is
//! too few for the root block on RAID-Z3: such a replica counts as written to.
//!
//! **Source**: `dsl_dataset_modified_since_snap()`, `dmu_write_policy()` and `zil_claim()` of ZFS;
//! seen on nodes after a power cut, 1024 bytes on a pool with sectors of 512.

use std::collections::BTreeMap;

use flocker_model::{ApplicationName, ByteCount, VolumeRole};

use crate::command::{Argv, CommandFailed};
use crate::dataset::Record;
use crate::observe::Records;
use crate::{ObserveError, Zfs};

/// How many sectors the root block takes at most, whatever the dataset's `redundant_metadata` is.
const ROOT_BLOCK_SECTORS: u64 = 8;
/// The size of sectors where the pool does not say.
const SMALLEST_SECTOR: u64 = 512;
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
        let sector = self.largest_sector().await?;
        for record in &mut suspects {
            let root_block = record.root_block_sectors.saturating_mul(sector);
            record.forgive(ByteCount::new(root_block));
        }
        Ok(())
    }

    /// Asks how large the sectors of the pool's devices are at most; the pool's own property is 0
    /// where ZFS chose it.
    async fn largest_sector(&self) -> Result<u64, CommandFailed> {
        let mut argv = Argv::new(&["zpool", "get", "-Hp", "-o", "value", "ashift"]);
        argv.push(self.settings().pool());
        argv.push("all-vdevs");
        let sector = parse_largest_sector(&argv.read().await?.stdout);
        Ok(sector.max(SMALLEST_SECTOR))
    }
}

/// Returns how many sectors are taken for the root block alone, which are fewer than any change takes.
///
/// **Source**: `zfsprops(7)`, property `redundant_metadata`; `dmu_write_policy()` of ZFS.
pub(crate) fn root_block_sectors(redundant_metadata: Option<&str>) -> u64 {
    match redundant_metadata {
        None | Some("all" | "most") => ROOT_BLOCK_SECTORS,
        Some("some") => 6,
        // `none`, or what no release has yet.
        Some(_) => 4,
    }
}

/// Tells whether what was written to a replica may be its root block alone.
fn is_suspect(record: &Record) -> bool {
    matches!(record.copy.role, VolumeRole::Replica { .. })
        && record.copy.mounted.is_none()
        && record.has_written_at_most(ByteCount::new(ROOT_BLOCK_SECTORS * LARGEST_SECTOR))
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
    use super::{parse_largest_sector, root_block_sectors};

    /// Fewer copies of metadata make a change to a file as small as the root block was taken for.
    #[test]
    fn no_change_to_a_file_passes_for_the_root_block() {
        let sectors = |setting| root_block_sectors(Some(setting));
        // The root block, and six more blocks.
        for (setting, change) in [("all", 14), ("most", 14), ("some", 7), ("none", 7)] {
            assert!(sectors(setting) < change, "{setting}");
        }
        assert_eq!(sectors("all"), root_block_sectors(None));
    }

    #[test]
    fn the_largest_sector_counts() {
        assert_eq!(parse_largest_sector("0\n9\n"), 512);
        assert_eq!(parse_largest_sector("0\n9\n12\n-\n"), 4096);
        assert_eq!(parse_largest_sector(""), 0);
    }
}
