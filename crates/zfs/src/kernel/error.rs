//! What the kernel's refusals mean.

use std::{fmt, io};

use thiserror::Error;

/// A request that ZFS in the kernel refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("cannot {operation} {subject}: {cause}")]
pub struct KernelFailed {
    /// What was to be done, as a verb.
    pub operation: &'static str,
    /// What it was to be done to.
    pub subject: String,
    /// Why it was refused.
    pub cause: Cause,
}

impl KernelFailed {
    /// Says what to do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        let pool = self.subject.split(['/', '@', ',']).next()?;
        match self.cause {
            Cause::NO_SPACE => Some(format!(
                "free space in pool {pool}, without which ZFS takes no snapshot and nothing can \
                 move; `zfs list -o space -r {pool}` shows what has it"
            )),
            Cause(EAGAIN) => Some(format!(
                "look at `zpool status {pool}`; once its devices are back, `zpool clear {pool}` \
                 lets it go on"
            )),
            Cause(ETIMEDOUT) => Some(format!("look at `zpool status {pool}`")),
            Cause(_) => None,
        }
    }
}

/// An error number of the kernel or of ZFS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cause(pub i32);

impl Cause {
    /// The pool is full, or a limit above the dataset is reached.
    pub const NO_SPACE: Self = Self(ENOSPC);
}

impl fmt::Display for Cause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Numbers of `zfs_errno_t` in `sys/fs/zfs.h`, which the C library cannot name.
        let text = match self.0 {
            // ZFS's own meaning of it: `pool_status_check` in `OpenZFS`.
            EAGAIN => return formatter.write_str("the pool is suspended (os error 11)"),
            1024 => "the pool has a checkpoint",
            1027 => "a device is being removed from the pool",
            1029 => "the loaded ZFS module is too old for it",
            1034 | 1035 => "the encrypted source does not match",
            1037 => "the stream has a feature that this ZFS does not know",
            1038 => "the pool is being exported",
            number => return io::Error::from_raw_os_error(number).fmt(formatter),
        };
        write!(formatter, "{text} (ZFS error {})", self.0)
    }
}

pub(super) const ENOENT: i32 = 2;
const EAGAIN: i32 = 11;
pub(super) const EBUSY: i32 = 16;
pub(super) const EEXIST: i32 = 17;
pub(super) const EINVAL: i32 = 22;
pub(super) const ESRCH: i32 = 3;
const ENOSPC: i32 = 28;
pub(super) const ETIMEDOUT: i32 = 110;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_zfs_itself_have_a_text() {
        let failed = |number| {
            KernelFailed {
                operation: "snapshot",
                subject: "tank/flocker/web@flocker-1-000001".to_owned(),
                cause: Cause(number),
            }
            .to_string()
        };
        assert_eq!(
            failed(1038),
            "cannot snapshot tank/flocker/web@flocker-1-000001: the pool is being exported \
             (ZFS error 1038)"
        );
        assert!(failed(28).contains("No space left on device"));
    }
}
