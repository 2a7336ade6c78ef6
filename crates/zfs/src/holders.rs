//! Finds out who keeps a volume from being unmounted.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use crate::mountinfo::{Mount, parse_mountinfo};

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
    for (process, place) in processes_in(Path::new("/proc")) {
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

/// Lists one process of each mount namespace in which the dataset is mounted, and of each whose
/// mounts cannot be read: it may be mounted there.
///
/// A namespace that was made while the volume was mounted has its own copy of the mount, and may
/// keep it after this one let go: its processes could write still.
///
/// **Source**: `mount_namespaces(7)`, on propagation.
pub(crate) fn observe_mounted_elsewhere(dataset: &str) -> Vec<Holder> {
    mounted_elsewhere(Path::new("/proc"), dataset)
}

/// Lists them by a directory like `/proc`.
fn mounted_elsewhere(processes: &Path, dataset: &str) -> Vec<Holder> {
    let mut holders = Vec::new();
    for (process, place, table) in tables(processes) {
        let how = match table {
            Some(mounts) if mounts.iter().all(|mount| !is_dataset(mount, dataset)) => continue,
            Some(_) => "has it mounted",
            None => "may have it mounted: its table of mounts cannot be read",
        };
        holders.push(holder(process, &place, how));
    }
    holders
}

fn is_dataset(mount: &Mount, dataset: &str) -> bool {
    mount.kind == "zfs" && mount.source == dataset
}

/// A process, its directory below `/proc`, and its mounts; `None` if they cannot be read.
type Table = (u32, PathBuf, Option<Vec<Mount>>);

/// Reads the mounts that the processes of each mount namespace see: once for each root directory
/// that they have, because a process sees no mount outside of its own.
///
/// Processes that have ended are left out; another of the same namespace tells, if there is one.
pub(crate) fn tables(processes: &Path) -> Vec<Table> {
    let mut seen = BTreeSet::new();
    let mut tables = Vec::new();
    for (process, place) in processes_in(processes) {
        let namespace = match namespace_of(&place) {
            Ok(namespace) => namespace,
            Err(error) if has_ended(&error) => continue,
            Err(_) => {
                tables.push((process, place, None));
                continue;
            }
        };
        let view = (namespace, fs::read_link(place.join("root")).ok());
        if seen.contains(&view) {
            continue;
        }
        let mounts = match fs::read(place.join("mountinfo")) {
            // A process that is ending, or that sees no mount at all.
            Ok(table) if table.is_empty() => continue,
            Ok(table) => Some(parse_mountinfo(&String::from_utf8_lossy(&table))),
            Err(_) => match namespace_of(&place) {
                Err(error) if has_ended(&error) => continue,
                _ => None,
            },
        };
        seen.insert(view);
        tables.push((process, place, mounts));
    }
    tables
}

/// Names a process's mount namespace.
fn namespace_of(place: &Path) -> io::Result<PathBuf> {
    fs::read_link(place.join("ns/mnt"))
}

/// Tells by an error whether the process that was asked about has ended.
///
/// **Source**: `proc_pid_ns(5)`: the links of a process that is ending, or a zombie, are gone.
fn has_ended(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(Errno::ESRCH as i32)
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

/// Lists every process's number and directory below a directory like `/proc`.
fn processes_in(processes: &Path) -> impl Iterator<Item = (u32, PathBuf)> {
    entries(processes).into_iter().filter_map(|place| {
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
    use std::os::unix::fs::symlink;

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

    /// A directory like `/proc`, in which a process has a namespace, a root, and a table or none.
    fn proc(listed: &[(u32, &str, &str, Option<&str>)]) -> tempfile::TempDir {
        let processes = tempfile::tempdir().unwrap();
        for (process, namespace, root, table) in listed {
            let place = processes.path().join(process.to_string());
            fs::create_dir_all(place.join("ns")).unwrap();
            symlink(namespace, place.join("ns/mnt")).unwrap();
            symlink(root, place.join("root")).unwrap();
            match table {
                Some(table) => fs::write(place.join("mountinfo"), table).unwrap(),
                // Reading a directory fails, as it does where a security module forbids it.
                None => fs::create_dir(place.join("mountinfo")).unwrap(),
            }
        }
        processes
    }

    const MOUNTED: &str = "611 610 0:40 / /backup/db ro - zfs tank/flocker/db rw,xattr\n";
    const OTHER: &str = "22 1 254:1 / / rw - ext4 /dev/vda1 rw\n";

    fn found(listed: &[(u32, &str, &str, Option<&str>)]) -> Vec<u32> {
        let processes = proc(listed);
        let mut found: Vec<u32> = mounted_elsewhere(processes.path(), "tank/flocker/db")
            .iter()
            .map(|holder| holder.process)
            .collect();
        found.sort_unstable();
        found
    }

    #[test]
    fn only_namespaces_with_the_dataset_hold_it() {
        assert_eq!(found(&[(1, "a", "/", Some(OTHER))]), [0; 0]);
        let both = [(1, "a", "/", Some(OTHER)), (2, "b", "/", Some(MOUNTED))];
        assert_eq!(found(&both), [2]);
    }

    #[test]
    fn a_namespace_whose_mounts_cannot_be_read_may_hold_it() {
        assert_eq!(found(&[(1, "a", "/", None)]), [1]);
    }

    /// Neither a process that is ending nor one in a directory of its own speaks for the others.
    #[test]
    fn each_process_that_sees_other_mounts_is_asked() {
        let ending = [(1, "a", "/", Some("")), (2, "a", "/", Some(MOUNTED))];
        assert_eq!(found(&ending), [2]);
        let chroot = [
            (1, "a", "/var/empty", Some(OTHER)),
            (2, "a", "/", Some(MOUNTED)),
        ];
        assert_eq!(found(&chroot), [2]);
    }

    #[test]
    fn a_process_that_has_ended_holds_nothing() {
        let processes = tempfile::tempdir().unwrap();
        fs::create_dir(processes.path().join("1")).unwrap();
        assert_eq!(mounted_elsewhere(processes.path(), "tank/flocker/db"), []);
    }
}
