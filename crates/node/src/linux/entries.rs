//! Directories one by one: looked at without following a link, made, and removed.

use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use flocker_remote::protocol::StepFailure;

use crate::failure::{OrFailure as _, failed_to, failure_of};

/// Tells whether a directory is there.
///
/// # Errors
/// Fails on anything else of that name. A program in the container may have put a symbolic link there,
/// which the node would follow.
pub(super) fn is_directory(path: &Path) -> Result<bool, StepFailure> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => Ok(true),
        Ok(found) => {
            let what = if found.is_symlink() {
                "a symbolic link"
            } else {
                "a file"
            };
            Err(StepFailure {
                hint: Some(format!(
                    "look at it, and move it away: mv {0} {0}.away",
                    path.display()
                )),
                ..failure_of(format!(
                    "{} is {what} where a directory of the container has to be",
                    path.display()
                ))
            })
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(failed_to(
            format!("cannot look at {}", path.display()),
            &error,
        )),
    }
}

/// Tells whether `inner` below `root` is a directory, and every directory on the way.
///
/// # Errors
/// Fails where anything else is on the way.
pub(super) fn is_directory_all_the_way(root: &Path, inner: &Path) -> Result<bool, StepFailure> {
    let mut path = root.to_owned();
    for name in inner {
        path.push(name);
        if !is_directory(&path)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Removes what an interrupted filling left.
pub(super) fn remove_left_over(path: &Path) -> Result<(), StepFailure> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(failed_to(
            format!("cannot remove {}", path.display()),
            &error,
        )),
        _ => Ok(()),
    }
}

/// Makes a directory that only root gets through, and its parents, unless they are there.
pub(super) fn make_all(path: &Path) -> Result<(), StepFailure> {
    let made: io::Result<()> = DirBuilder::new().mode(0o700).recursive(true).create(path);
    made.or_failed_to(format!("cannot make the directory {}", path.display()))
}

/// Makes a directory.
pub(super) fn make(path: &Path, mode: u32) -> Result<(), StepFailure> {
    DirBuilder::new()
        .mode(mode)
        .create(path)
        .or_failed_to(format!("cannot make the directory {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A container that replaces its directory by a link must not see the node's files after its next
    /// start.
    #[test]
    fn a_link_in_a_volume_is_never_followed() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("data");
        assert!(!is_directory(&path).unwrap());
        std::os::unix::fs::symlink("/etc", &path).unwrap();
        let refused = is_directory(&path).unwrap_err();
        assert!(refused.message.contains("a symbolic link"), "{refused:?}");
        // Also where it is on the way to what is mounted.
        is_directory_all_the_way(root.path(), Path::new("data/ssh")).unwrap_err();
        let gone = is_directory_all_the_way(root.path(), Path::new("gone/too"));
        assert!(!gone.unwrap());
    }
}
