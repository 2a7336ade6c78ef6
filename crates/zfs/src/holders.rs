//! Finds out who keeps a volume from being unmounted.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::mountinfo::parse_mountinfo;

/// A process that uses a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its number.
    pub process: u32,
    /// Its name.
    pub name: String,
    /// How it uses the volume, as the end of a sentence.
    pub how: &'static str,
}

impl fmt::Display for Holder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} (process {}) {}",
            self.name, self.process, self.how
        )
    }
}

/// Lists processes that have a directory or file of the filesystem mounted at `path` in use.
///
/// Blocks, and gives its best: processes come and go, and some may not be looked into.
pub(crate) fn observe_users(path: &Path) -> Vec<Holder> {
    let Ok(volume) = fs::metadata(path) else {
        return Vec::new();
    };
    let is_inside =
        |found: PathBuf| fs::metadata(found).is_ok_and(|found| found.dev() == volume.dev());
    let mut users = Vec::new();
    for (process, place) in processes() {
        let how = if is_inside(place.join("cwd")) || is_inside(place.join("root")) {
            "has its working directory in it"
        } else if entries(&place.join("fd")).into_iter().any(is_inside) {
            "has a file open in it"
        } else {
            continue;
        };
        users.push(holder(process, &place, how));
    }
    users
}

/// Lists one process of each mount namespace in which the dataset is mounted.
///
/// A namespace that was made while the volume was mounted has its own copy of the mount, and may
/// keep it after this one let go: its processes could write still.
///
/// **Source**: `mount_namespaces(7)`, on propagation.
pub(crate) fn observe_mounted_elsewhere(dataset: &str) -> Vec<Holder> {
    let mut seen = BTreeSet::new();
    let mut holders = Vec::new();
    for (process, place) in processes() {
        let Ok(namespace) = fs::read_link(place.join("ns/mnt")) else {
            continue;
        };
        if !seen.insert(namespace) {
            continue;
        }
        let table = fs::read(place.join("mountinfo")).unwrap_or_default();
        let mounts = parse_mountinfo(&String::from_utf8_lossy(&table));
        if mounts
            .iter()
            .any(|mount| mount.kind == "zfs" && mount.source == dataset)
        {
            holders.push(holder(process, &place, "has it mounted"));
        }
    }
    holders
}

/// Describes one process.
fn holder(process: u32, place: &Path, how: &'static str) -> Holder {
    let name = fs::read_to_string(place.join("comm")).unwrap_or_default();
    Holder {
        process,
        name: name.trim().to_owned(),
        how,
    }
}

/// Lists every process's number and directory below `/proc`.
pub(crate) fn processes() -> impl Iterator<Item = (u32, PathBuf)> {
    entries(Path::new("/proc")).into_iter().filter_map(|place| {
        let process = place.file_name()?.to_str()?.parse().ok()?;
        Some((process, place))
    })
}

/// Lists a directory's entries; none where it cannot be read, because its process has ended.
fn entries(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    entries.flatten().map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_an_open_file_is_found() {
        let directory = tempfile::tempdir_in("/dev/shm").unwrap();
        let _open = fs::File::create(directory.path().join("file")).unwrap();
        let users = observe_users(directory.path());
        let us = users
            .iter()
            .find(|user| user.process == std::process::id())
            .unwrap();
        assert_eq!(us.how, "has a file open in it");
    }

    #[test]
    fn a_dataset_that_nobody_mounted_has_no_holders() {
        assert_eq!(observe_mounted_elsewhere("no/such/dataset"), []);
    }
}
