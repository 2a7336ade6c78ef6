//! Names for what the cache holds: a digest of everything it was made from.

use std::fmt;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// The name of one cached thing: 32 hexadecimal digits of a SHA-256 over all
/// that went into it.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct CacheKey(String);

impl CacheKey {
    /// The key as it appears in file names.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CacheKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A file or directory that should go into a key cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("read {} to find out whether it changed", .path.display())]
pub struct DigestError {
    /// What was being read.
    pub path: PathBuf,
    /// What the operating system said.
    #[source]
    pub source: io::Error,
}

/// Collects what a cached thing is made from.
#[derive(Debug, Clone)]
pub struct KeyBuilder(Sha256);

impl KeyBuilder {
    /// Starts a key for one kind of thing. The kind is part of the key.
    pub fn new(kind: &str) -> Self {
        Self(Sha256::new()).text("kind", kind)
    }

    /// Adds a labelled text. Lengths are hashed as well, so that no two
    /// sequences of fields run together into the same bytes.
    #[must_use]
    pub fn text(mut self, label: &str, value: &str) -> Self {
        self.chunk(label.as_bytes());
        self.chunk(value.as_bytes());
        self
    }

    /// Adds another key.
    #[must_use]
    pub fn key(self, label: &str, key: &CacheKey) -> Self {
        self.text(label, key.as_str())
    }

    /// Adds the contents of one file, its name and whether it is executable,
    /// but not where it lies or how old it is.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn file(mut self, path: &Path) -> Result<Self, DigestError> {
        let name = path.file_name().unwrap_or_default();
        self.contents(path, Path::new(name))?;
        Ok(self)
    }

    /// Adds every file below a directory, in a fixed order.
    ///
    /// # Errors
    /// When something in it cannot be read.
    pub fn directory(mut self, root: &Path) -> Result<Self, DigestError> {
        for relative in files_below(root)? {
            self.contents(&root.join(&relative), &relative)?;
        }
        Ok(self)
    }

    /// The key of everything added so far.
    pub fn finish(self) -> CacheKey {
        let mut first_half = [0; 16];
        first_half.copy_from_slice(&self.0.finalize()[..16]);
        CacheKey(format!("{:032x}", u128::from_be_bytes(first_half)))
    }

    fn chunk(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    fn contents(&mut self, path: &Path, name: &Path) -> Result<(), DigestError> {
        let failed = |source| DigestError {
            path: path.to_owned(),
            source,
        };
        let mut file = fs::File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        self.chunk(name.as_os_str().as_encoded_bytes());
        self.chunk(&[u8::from(metadata.permissions().mode() & 0o111 != 0)]);
        self.0.update(metadata.len().to_le_bytes());
        let mut buffer = vec![0; 1 << 20];
        loop {
            match file.read(&mut buffer).map_err(failed)? {
                0 => return Ok(()),
                length => self.0.update(&buffer[..length]),
            }
        }
    }
}

/// Every regular file below `root`, relative to it and sorted.
fn files_below(root: &Path) -> Result<Vec<PathBuf>, DigestError> {
    let mut found = Vec::new();
    let mut waiting = vec![PathBuf::new()];
    while let Some(relative) = waiting.pop() {
        let directory = root.join(&relative);
        let failed = |source| DigestError {
            path: directory.clone(),
            source,
        };
        for entry in fs::read_dir(&directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = relative.join(entry.file_name());
            if entry.file_type().map_err(failed)?.is_dir() {
                waiting.push(name);
            } else {
                found.push(name);
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe(contents: &[(&str, &str)]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in contents {
            let path = directory.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        directory
    }

    fn key_of(directory: &tempfile::TempDir) -> CacheKey {
        KeyBuilder::new("test")
            .directory(directory.path())
            .unwrap()
            .finish()
    }

    #[test]
    fn the_same_files_elsewhere_have_the_same_key() {
        let files = [("packages", "zfs\n"), ("files/etc/hosts", "x")];
        assert_eq!(key_of(&recipe(&files)), key_of(&recipe(&files)));
    }

    #[test]
    fn every_difference_changes_the_key() {
        let original = recipe(&[("packages", "zfs\n"), ("init", "sh")]);
        let key = key_of(&original);
        for other in [
            recipe(&[("packages", "zfs \n"), ("init", "sh")]),
            recipe(&[("package", "zfs\n"), ("init", "sh")]),
            recipe(&[("packages", "zfs\n")]),
            recipe(&[("packages", "zfs\n"), ("init", "sh"), ("more", "")]),
            recipe(&[("packages", "sh"), ("init", "zfs\n")]),
        ] {
            assert_ne!(key_of(&other), key);
        }
        let init = original.path().join("init");
        fs::set_permissions(&init, fs::Permissions::from_mode(0o755)).unwrap();
        assert_ne!(key_of(&original), key);
    }

    #[test]
    fn fields_do_not_run_together() {
        let one = KeyBuilder::new("test").text("ab", "c").finish();
        let other = KeyBuilder::new("test").text("a", "bc").finish();
        assert_ne!(one, other);
    }
}
