//! Reads what the `zfs` and `zpool` commands write and what the kernel says of mounts, without
//! running or asking anything.
//!
//! [`Zfs`](crate::Zfs) reads by these functions alone. They are public so that they can also be
//! given what no ZFS would write.

use std::collections::BTreeMap;

use flocker_model::{ApplicationName, VolumeCopy};

use crate::listing::parse_listing;
use crate::mountinfo::parse_mountinfo;
use crate::observe::{shown, sort_out};
use crate::{MalformedListing, ZfsSettings};

pub use crate::log_reset::parse_largest_sector;
pub use crate::pool::parse_health;
pub use crate::send_plan::{DryRun, parse_dry_run};

/// Reads which volumes and replicas a node has.
///
/// `listing` is what `zfs get -Hp -o name,property,value,source` wrote of the datasets below
/// [`ZfsSettings::dataset`] and their snapshots; `mounts` is `/proc/self/mountinfo`.
///
/// **Source**: `zfs-get(8)`; `proc_pid_mountinfo(5)`.
///
/// # Errors
/// Fails on the first line of `listing` that has not the documented form.
pub fn read_volumes(
    settings: &ZfsSettings,
    listing: &str,
    mounts: &str,
) -> Result<BTreeMap<ApplicationName, VolumeCopy>, MalformedListing> {
    let listed = parse_listing(listing)?;
    Ok(shown(sort_out(settings, &listed, &parse_mountinfo(mounts))))
}
