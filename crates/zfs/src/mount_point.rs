//! Removes the directories that volumes are mounted at, while nothing is mounted there.
//!
//! A container whose volume is not mounted then fails to start, whoever starts it: Docker refuses a
//! bind mount whose source is missing. With an empty directory it would start, and write beside its
//! data.

use std::fs;
use std::io;
use std::path::Path;

use flocker_model::ApplicationName;

use crate::Zfs;
use crate::mount::{mounted_elsewhere, run_blocking};
use crate::mountinfo::mounted_at;
use crate::names::Place;
use crate::observe::mounts;

/// A mount point after an attempt to remove it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Removal {
    /// There is no such directory now.
    Gone,
    /// A program wrote into it while nothing was mounted there.
    Written,
    /// It is in use again, or cannot be removed.
    Kept,
}

impl Zfs {
    /// Removes the empty directories of volumes that are not mounted. A power cut leaves the
    /// directories of all volumes that were.
    ///
    /// A failure is only logged: nothing depends on it.
    pub async fn remove_mount_points(&self) {
        let settings = self.settings().clone();
        let names = run_blocking(move || names_in(&settings.mount_root)).await;
        for application in names {
            // The kernel would detach another namespace's mount from a directory that is removed,
            // and no table would show it any more.
            let mut is_held = false;
            for place in Place::all(&application) {
                let dataset = place.dataset(self.settings());
                is_held |= !mounted_elsewhere(&dataset).await.is_empty();
            }
            if !is_held {
                self.remove_mount_point(&application).await;
            }
        }
    }

    /// Removes the directory of a volume that no namespace has mounted.
    pub(crate) async fn remove_mount_point(&self, application: &ApplicationName) {
        let path = self.mountpoint_of(application);
        let table = match mounts().await {
            Ok(table) => table,
            Err(error) => return tracing::info!(%error, "{} is kept", path.display()),
        };
        if mounted_at(&table, &path).is_some() {
            return;
        }
        let directory = path.clone();
        match run_blocking(move || remove(&directory)).await {
            Ok(Removal::Gone | Removal::Kept) => {}
            Ok(Removal::Written) => tracing::warn!(
                "a program wrote to {} while volume `{application}` was not mounted there; look at \
                 the files in it and move them away, or the volume cannot be mounted",
                path.display()
            ),
            Err(error) => tracing::info!(%error, "cannot remove {}", path.display()),
        }
    }
}

/// Lists the applications whose volumes' directories exist.
fn names_in(root: &Path) -> Vec<ApplicationName> {
    let Ok(entries) = fs::read_dir(root) else {
        return Vec::new();
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    names.collect()
}

/// Removes a directory if it is empty, and never anything that is in it.
fn remove(path: &Path) -> io::Result<Removal> {
    match fs::remove_dir(path) {
        Ok(()) => Ok(Removal::Gone),
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound => Ok(Removal::Gone),
            io::ErrorKind::DirectoryNotEmpty => Ok(Removal::Written),
            // A file in its place, which is not Flocker's; or a volume that was just mounted.
            io::ErrorKind::NotADirectory | io::ErrorKind::ResourceBusy => Ok(Removal::Kept),
            _ => Err(error),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_empty_mount_point_is_removed() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        fs::create_dir(path("empty")).unwrap();
        fs::create_dir_all(path("written/data")).unwrap();
        fs::write(path("file"), "x").unwrap();
        let removed = |name: &str| remove(&path(name)).unwrap();
        assert_eq!(removed("empty"), Removal::Gone);
        assert_eq!(removed("empty"), Removal::Gone);
        assert!(!path("empty").exists());
        assert_eq!(removed("written"), Removal::Written);
        assert!(path("written/data").exists());
        assert_eq!(removed("file"), Removal::Kept);
        assert!(path("file").exists());
    }

    #[test]
    fn only_directories_with_an_applications_name_are_looked_at() {
        let root = tempfile::tempdir().unwrap();
        for name in ["web", "db", "_not-an-application"] {
            fs::create_dir(root.path().join(name)).unwrap();
        }
        let mut found = names_in(root.path());
        found.sort();
        let expected = ["db", "web"].map(|name| name.parse().unwrap());
        assert_eq!(found, expected);
        assert_eq!(names_in(&root.path().join("absent")), []);
    }
}
