//! Keeps the directory that volumes are mounted in closed to everyone but root.
//!
//! A container gets its volume as a bind mount, which its container runtime opens as the host's
//! root: no user of the container needs to search the directories above it. Users of the node would
//! get through to every file that a volume's own modes leave open.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use crate::mountinfo::{Mount, mounted_at};

/// Only root may search it.
const CLOSED: u32 = 0o700;
/// How earlier releases made it.
const OPEN: u32 = 0o755;

/// Makes the directory, or closes one that an earlier release made; leaves any other as it is.
///
/// Earlier releases put only mount points into it, so that one with anything else in it, or with
/// another mode, is somebody else's decision. `volumes` is the dataset that volumes are below.
pub(crate) fn ensure_closed(root: &Path, volumes: &str, table: &[Mount]) -> io::Result<()> {
    if let Some(parent) = root.parent() {
        fs::create_dir_all(parent)?;
    }
    match DirBuilder::new().mode(CLOSED).create(root) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => return made,
    }
    let found = fs::symlink_metadata(root)?;
    let is_as_made = found.is_dir()
        && found.uid() == nix::unistd::geteuid().as_raw()
        && found.mode() & 0o7777 == OPEN;
    if is_as_made && has_only_mount_points(root, volumes, table)? {
        fs::set_permissions(root, Permissions::from_mode(CLOSED))?;
    }
    Ok(())
}

/// Tells whether everything in the directory is a mounted volume, or an empty directory.
fn has_only_mount_points(root: &Path, volumes: &str, table: &[Mount]) -> io::Result<bool> {
    let is_volume = |mount: &Mount| {
        let below = mount.source.strip_prefix(volumes);
        mount.kind == "zfs" && below.is_some_and(|below| below.starts_with('/'))
    };
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        let path = entry.path();
        let is_ours = match mounted_at(table, &path) {
            Some(mount) => is_volume(mount),
            None => entry.file_type()?.is_dir() && fs::read_dir(&path)?.next().is_none(),
        };
        if !is_ours {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mountinfo::parse_mountinfo;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    /// A directory that has a volume's mount point in it.
    fn opened(mode: u32) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("web")).unwrap();
        fs::set_permissions(root.path(), Permissions::from_mode(mode)).unwrap();
        root
    }

    #[test]
    fn a_new_mount_root_is_closed() {
        let parent = tempfile::tempdir().unwrap();
        let root = parent.path().join("below/flocker");
        for _ in 0..2 {
            ensure_closed(&root, "tank/flocker", &[]).unwrap();
            assert_eq!(mode(&root), CLOSED);
        }
        assert_eq!(mode(&parent.path().join("below")) & 0o500, 0o500);
    }

    #[test]
    fn a_mount_root_of_an_earlier_release_is_closed() {
        let root = opened(OPEN);
        let path = root.path();
        // A mounted volume may have anything in it.
        fs::create_dir_all(path.join("db/data")).unwrap();
        let table = format!(
            "36 35 0:40 / {}/db rw shared:1 - zfs tank/flocker/db rw,xattr",
            path.display()
        );
        ensure_closed(path, "tank/flocker", &parse_mountinfo(&table)).unwrap();
        assert_eq!(mode(path), CLOSED);
    }

    #[test]
    fn a_directory_that_flocker_did_not_make_keeps_its_mode() {
        let with_file = opened(OPEN);
        fs::write(with_file.path().join("file"), "").unwrap();
        let with_data = opened(OPEN);
        fs::write(with_data.path().join("web/file"), "").unwrap();
        let chosen = opened(0o750);
        for (root, before) in [(&with_file, OPEN), (&with_data, OPEN), (&chosen, 0o750)] {
            ensure_closed(root.path(), "tank/flocker", &[]).unwrap();
            assert_eq!(mode(root.path()), before);
        }
        let other_mount = opened(OPEN);
        let path = other_mount.path();
        for source in ["zfs tank/other", "zfs tank/flocker2/x", "ext4 /dev/sdb1"] {
            let table = format!("36 35 0:40 / {}/web rw - {source} rw", path.display());
            ensure_closed(path, "tank/flocker", &parse_mountinfo(&table)).unwrap();
            assert_eq!(mode(path), OPEN, "{source}");
        }
    }
}
