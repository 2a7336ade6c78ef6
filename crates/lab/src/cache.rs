//! What was built once and is kept: images, saved nodes, disks.
//!
//! An entry is a directory named after the key of what went into it. It is
//! built under another name while a lock is held and renamed when complete, so
//! that whatever has the right name is finished, whoever was interrupted.

use std::env;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::digest::CacheKey;
use crate::progress::Progress;

/// The cache directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// Neither `XDG_CACHE_HOME` nor `HOME` says where the cache is.
    #[error("find the cache directory: set XDG_CACHE_HOME or HOME")]
    NoHome,
    /// A file operation in it failed.
    #[error("{action} {}", .path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
}

impl CacheError {
    pub(crate) fn at(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::File {
            action,
            path: path.to_owned(),
            source,
        }
    }
}

/// The directory `$XDG_CACHE_HOME/flocker-lab`.
#[derive(Debug, Clone)]
pub struct Cache {
    root: PathBuf,
}

/// What a claim on an entry found.
#[derive(Debug)]
pub enum Claim {
    /// The entry is complete.
    Ready(PathBuf),
    /// The caller is the one that builds it; everybody else waits.
    Build(Slot),
}

/// An entry that is being built. Dropping it removes what there is so far.
#[derive(Debug)]
pub struct Slot {
    partial: PathBuf,
    finished: PathBuf,
    _lock: File,
}

impl Cache {
    /// Opens the user's cache.
    ///
    /// # Errors
    /// When no place for it is known or it cannot be created.
    pub fn open() -> Result<Self, CacheError> {
        let absolute = |name: &str| {
            env::var_os(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        let base = absolute("XDG_CACHE_HOME")
            .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
            .ok_or(CacheError::NoHome)?;
        Self::at(base.join("flocker-lab"))
    }

    /// Opens a cache in a directory of the caller's.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn at(root: PathBuf) -> Result<Self, CacheError> {
        fs::create_dir_all(root.join("locks")).map_err(CacheError::at("create", &root))?;
        Ok(Self { root })
    }

    /// Where the cache is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where an entry is or would be.
    pub fn entry(&self, kind: &str, key: &CacheKey) -> PathBuf {
        self.root.join(kind).join(key.as_str())
    }

    /// Finds an entry, or the right to build it. Waits while somebody else is
    /// building it.
    ///
    /// # Errors
    /// When the cache directory cannot be written.
    pub async fn claim(
        &self,
        kind: &str,
        key: &CacheKey,
        progress: &Progress,
    ) -> Result<Claim, CacheError> {
        let finished = self.entry(kind, key);
        if mark_used(&finished)? {
            return Ok(Claim::Ready(finished));
        }
        let lock = self.lock(kind, key, progress).await?;
        if mark_used(&finished)? {
            return Ok(Claim::Ready(finished));
        }
        let partial = self.root.join(kind).join(format!("{key}.partial"));
        // Left by somebody who was killed: the lock says that nobody is at it.
        remove_directory(&partial)?;
        fs::create_dir_all(&partial).map_err(CacheError::at("create", &partial))?;
        Ok(Claim::Build(Slot {
            partial,
            finished,
            _lock: lock,
        }))
    }

    /// Removes every entry that nobody is building.
    pub(crate) fn remove_entries(&self) -> Result<(), CacheError> {
        for kind in [
            "packages",
            "images",
            "states",
            "disks",
            "keys",
            "containers",
        ] {
            for entry in self.entries(kind)? {
                self.remove_entry(kind, &entry)?;
            }
        }
        Ok(())
    }

    /// Removes entries of a kind that nobody has used since a time, but for the `keep` that were
    /// used last: what is built from sources that change would fill the disk.
    pub(crate) fn prune(
        &self,
        kind: &str,
        keep: usize,
        idle_since: SystemTime,
    ) -> Result<(), CacheError> {
        let mut entries = Vec::new();
        for path in self.entries(kind)? {
            // Somebody else may prune at the same time.
            if let Ok(used) = fs::metadata(&path).and_then(|metadata| metadata.modified()) {
                entries.push((used, path));
            }
        }
        entries.sort_by(|(left, _), (right, _)| right.cmp(left));
        for (used, path) in entries.iter().skip(keep) {
            if *used < idle_since {
                self.remove_entry(kind, path)?;
            }
        }
        Ok(())
    }

    fn entries(&self, kind: &str) -> Result<Vec<PathBuf>, CacheError> {
        let directory = self.root.join(kind);
        let Ok(entries) = fs::read_dir(&directory) else {
            return Ok(Vec::new());
        };
        entries
            .map(|entry| Ok(entry.map_err(CacheError::at("list", &directory))?.path()))
            .collect()
    }

    fn remove_entry(&self, kind: &str, path: &Path) -> Result<(), CacheError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let key = name.trim_end_matches(".partial");
        let lock = self.root.join("locks").join(format!("{kind}-{key}"));
        let file = File::create(&lock).map_err(CacheError::at("create", &lock))?;
        if file.try_lock().is_ok() {
            remove_directory(path)?;
        }
        Ok(())
    }

    async fn lock(
        &self,
        kind: &str,
        key: &CacheKey,
        progress: &Progress,
    ) -> Result<File, CacheError> {
        let path = self.root.join("locks").join(format!("{kind}-{key}"));
        let file = File::create(&path).map_err(CacheError::at("create", &path))?;
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(CacheError::at("lock", &path)(error)),
        }
        let _waiting = progress.step(format!(
            "waiting for another process that builds {kind} {key}"
        ));
        let locked = tokio::task::spawn_blocking(move || file.lock().map(|()| file)).await;
        locked
            .unwrap_or_else(|error| Err(io::Error::other(error)))
            .map_err(CacheError::at("lock", &path))
    }
}

impl Slot {
    /// The directory to build in. Its name is not the final one.
    pub fn directory(&self) -> &Path {
        &self.partial
    }

    /// Declares the entry complete and returns its final path.
    ///
    /// # Errors
    /// When it cannot be renamed.
    pub fn finish(self) -> Result<PathBuf, CacheError> {
        fs::rename(&self.partial, &self.finished)
            .map_err(CacheError::at("rename", &self.partial))?;
        Ok(self.finished.clone())
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Err(error) = remove_directory(&self.partial) {
            tracing::warn!(%error, "an unfinished cache entry stays until the next build");
        }
    }
}

/// Tells whether an entry is there, and writes down in its time that it is used.
fn mark_used(entry: &Path) -> Result<bool, CacheError> {
    let marked = File::open(entry).and_then(|directory| directory.set_modified(SystemTime::now()));
    match marked {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(CacheError::at("mark as used", entry)(error)),
    }
}

/// Removes a directory that may not be there.
pub(crate) fn remove_directory(path: &Path) -> Result<(), CacheError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(CacheError::at("remove", path)(error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::digest::KeyBuilder;

    fn fixture() -> (tempfile::TempDir, Cache, CacheKey) {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::at(directory.path().join("cache")).unwrap();
        (directory, cache, KeyBuilder::new("test").finish())
    }

    async fn claim(cache: &Cache, key: &CacheKey) -> Claim {
        cache
            .claim("thing", key, &Progress::silent())
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn a_finished_entry_is_found_again() {
        let (_directory, cache, key) = fixture();
        let Claim::Build(slot) = claim(&cache, &key).await else {
            panic!("nothing was built yet");
        };
        fs::write(slot.directory().join("disk"), "x").unwrap();
        let path = slot.finish().unwrap();
        let Claim::Ready(found) = claim(&cache, &key).await else {
            panic!("it was finished");
        };
        assert_eq!(found, path);
        assert!(found.join("disk").exists());
    }

    #[tokio::test]
    async fn what_is_used_or_new_is_not_pruned() {
        let (_directory, cache, _) = fixture();
        let now = SystemTime::now();
        let keys: Vec<CacheKey> = ["old", "used", "new"]
            .into_iter()
            .map(|name| KeyBuilder::new(name).finish())
            .collect();
        for (key, hours) in keys.iter().zip([3_u64, 2, 0]) {
            let Claim::Build(slot) = claim(&cache, key).await else {
                panic!("there was nothing")
            };
            let entry = slot.finish().unwrap();
            let age = Duration::from_secs(hours * 3600);
            File::open(entry).unwrap().set_modified(now - age).unwrap();
        }
        let hour_ago = now - Duration::from_secs(3600);
        cache.prune("thing", 3, hour_ago).unwrap();
        assert!(keys.iter().all(|key| cache.entry("thing", key).exists()));
        assert!(matches!(claim(&cache, &keys[1]).await, Claim::Ready(_)));
        cache.prune("thing", 0, hour_ago).unwrap();
        let left: Vec<bool> = keys
            .iter()
            .map(|key| cache.entry("thing", key).exists())
            .collect();
        assert_eq!(left, [false, true, true]);
    }

    #[tokio::test]
    async fn an_interrupted_build_leaves_nothing() {
        let (_directory, cache, key) = fixture();
        let Claim::Build(slot) = claim(&cache, &key).await else {
            panic!("nothing was built yet");
        };
        fs::write(slot.directory().join("half"), "x").unwrap();
        let partial = slot.directory().to_owned();
        drop(slot);
        assert!(!partial.exists());
        // And one that was killed, so that not even its destructor ran.
        fs::create_dir_all(&partial).unwrap();
        fs::write(partial.join("half"), "x").unwrap();
        let Claim::Build(slot) = claim(&cache, &key).await else {
            panic!("half a thing is not a thing");
        };
        assert_eq!(fs::read_dir(slot.directory()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn the_second_builder_waits_and_finds_the_first_ones_work() {
        let (_directory, cache, key) = fixture();
        let Claim::Build(slot) = claim(&cache, &key).await else {
            panic!("nothing was built yet");
        };
        let (other_cache, other_key) = (cache.clone(), key.clone());
        let second = tokio::spawn(async move { claim(&other_cache, &other_key).await });
        tokio::task::yield_now().await;
        assert!(!second.is_finished());
        slot.finish().unwrap();
        assert!(matches!(second.await.unwrap(), Claim::Ready(_)));
    }
}
