//! Reads what the `zfs` and `zpool` commands write, here or on a peer, and what the kernel says of
//! mounts, without running or asking anything.
//!
//! [`Zfs`](crate::Zfs) reads by these functions alone. They are public so that they can also be
//! given what no ZFS would write.

use std::collections::BTreeMap;

use flocker_model::{ApplicationName, ByteCount, VolumeCopy};

use crate::listing::parse_listing;
use crate::mountinfo::parse_mountinfo;
use crate::observe::{shown, sort_out};
use crate::{MalformedListing, ZfsSettings};

pub use crate::copy_tree::parse_copied_bytes;
pub use crate::elsewhere::read_holders;
pub use crate::log_reset::parse_largest_sector;
pub use crate::pool::parse_health;
pub use crate::send_plan::{DryRun, parse_dry_run};
pub use crate::stream_head::{HEAD_BYTES, read_foreign_head, read_head};

/// Reads the one number that `zfs get -Hp -o value` wrote; `None` for anything else.
///
/// **Source**: `zfs-get(8)`, option `-p`.
pub fn parse_bytes(output: &str) -> Option<ByteCount> {
    let digits = output.trim();
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.parse().ok().filter(|_| is_number)?;
    Some(ByteCount::new(number))
}

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

#[cfg(test)]
mod tests {
    use super::{ByteCount, parse_bytes};

    #[test]
    fn what_is_not_one_number_of_bytes_is_not_taken_for_any() {
        assert_eq!(parse_bytes("0\n"), Some(ByteCount::ZERO));
        let most = format!("{}\n", u64::MAX);
        assert_eq!(parse_bytes(&most), Some(ByteCount::new(u64::MAX)));
        for nonsense in [
            "",
            "-",
            "none",
            "1.5G",
            "-1",
            "+1",
            "1\n2",
            "18446744073709551616",
        ] {
            assert_eq!(parse_bytes(nonsense), None, "{nonsense:?}");
        }
    }
}
