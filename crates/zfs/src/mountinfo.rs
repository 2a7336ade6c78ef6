//! Reads `/proc/self/mountinfo`: the kernel's own word on what is mounted where.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mount {
    /// Its number.
    pub(crate) id: u32,
    /// The number of the mount that it is mounted on.
    pub(crate) parent: u32,
    /// The directory of the filesystem that is mounted.
    pub(crate) root: PathBuf,
    /// The peer group in which mounts below it spread to others, and from others to it.
    pub(crate) shared: Option<u32>,
    /// The peer group from which mounts below it come.
    pub(crate) master: Option<u32>,
    /// Where it is mounted.
    pub(crate) path: PathBuf,
    /// Whether all of the filesystem is, and not one directory of it (a bind mount).
    pub(crate) whole: bool,
    /// The kind of filesystem.
    pub(crate) kind: String,
    /// What is mounted; the dataset's name for ZFS.
    pub(crate) source: String,
    /// Whether it can be written.
    pub(crate) writable: bool,
}

/// Reads the table. Lines that do not have the documented form are left out.
///
/// **Source**: `proc_pid_mountinfo(5)`.
pub(crate) fn parse_mountinfo(table: &str) -> Vec<Mount> {
    table.lines().filter_map(parse_line).collect()
}

/// Returns what is mounted at `path`: the last line wins, because later mounts hide earlier ones.
pub(crate) fn mounted_at<'a>(mounts: &'a [Mount], path: &Path) -> Option<&'a Mount> {
    mounts.iter().rev().find(|mount| mount.path == path)
}

/// Returns where a dataset is mounted, whole.
pub(crate) fn mount_of<'a>(mounts: &'a [Mount], dataset: &str) -> Option<&'a Mount> {
    mounts
        .iter()
        .find(|mount| mount.kind == "zfs" && mount.source == dataset && mount.whole)
}

/// Returns what a mount is mounted on.
pub(crate) fn parent_of<'a>(mounts: &'a [Mount], mount: &Mount) -> Option<&'a Mount> {
    mounts.iter().find(|parent| parent.id == mount.parent)
}

/// Reads one line: `36 35 98:0 / /mnt rw,noatime master:1 - zfs tank/x rw,xattr`.
fn parse_line(line: &str) -> Option<Mount> {
    let (left, right) = line.split_once(" - ")?;
    let left: Vec<&str> = left.split(' ').collect();
    let [id, parent, _, root, path, options, ..] = left[..] else {
        return None;
    };
    let group = |kind: &str| {
        let mut optional = left.iter().skip(6);
        optional.find_map(|field| field.strip_prefix(kind)?.parse().ok())
    };
    let mut right = right.split(' ');
    let (kind, source, super_options) = (right.next()?, right.next()?, right.next()?);
    let writable = |options: &str| options.split(',').any(|option| option == "rw");
    Some(Mount {
        id: id.parse().ok()?,
        parent: parent.parse().ok()?,
        root: PathBuf::from(OsString::from_vec(unescape(root))),
        shared: group("shared:"),
        master: group("master:"),
        path: PathBuf::from(OsString::from_vec(unescape(path))),
        whole: root == "/",
        kind: kind.to_owned(),
        source: String::from_utf8_lossy(&unescape(source)).into_owned(),
        writable: writable(options) && writable(super_options),
    })
}

/// Undoes the kernel's `\040` for spaces, tabs, line breaks and backslashes.
fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    while let Some((&byte, rest)) = bytes.split_first() {
        let octal = (byte == b'\\')
            .then(|| rest.get(..3))
            .flatten()
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        plain.push(octal.unwrap_or(byte));
        bytes = if octal.is_some() {
            rest.get(3..).unwrap_or_default()
        } else {
            rest
        };
    }
    plain
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TABLE: &str = "\
22 1 0:20 / / rw,relatime shared:1 - ext4 /dev/vda rw
40 22 0:40 / /flocker/web rw,noatime shared:9 - zfs tank/flocker/web rw,xattr,posixacl
41 22 0:41 / /flocker/old ro,noatime - zfs tank/flocker/old rw,xattr
42 22 0:40 /deep /mnt/a\\040b rw shared:9 - zfs tank/flocker/web rw
43 22 0:42 / /flocker/web rw - tmpfs tmpfs rw
nonsense
";

    #[test]
    fn the_topmost_mount_of_a_path_is_found() {
        let mounts = parse_mountinfo(TABLE);
        assert_eq!(mounts.len(), 5);
        let top = mounted_at(&mounts, Path::new("/flocker/web")).unwrap();
        assert_eq!((top.kind.as_str(), top.source.as_str()), ("tmpfs", "tmpfs"));
        assert_eq!(mounted_at(&mounts, Path::new("/flocker")), None);
    }

    #[test]
    fn a_dataset_is_found_whole_and_not_by_a_bind_mount() {
        let mounts = parse_mountinfo(TABLE);
        let web = mount_of(&mounts, "tank/flocker/web").unwrap();
        assert_eq!(
            (web.path.as_path(), web.writable),
            (Path::new("/flocker/web"), true)
        );
        assert!(!mount_of(&mounts, "tank/flocker/old").unwrap().writable);
    }

    #[test]
    fn spaces_in_paths_are_read() {
        let mounts = parse_mountinfo(TABLE);
        assert!(mounted_at(&mounts, Path::new("/mnt/a b")).is_some());
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "(?s).{0,300}") {
            parse_mountinfo(&text);
        }
    }
}
