//! How much is in a directory tree.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use flocker_model::ByteCount;
use thiserror::Error;

/// Bytes of a block that `stat(2)` counts.
const BLOCK: u64 = 512;

/// How much is in a directory tree. Files with several names in it count once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TreeSize {
    /// Names in it, of whatever kind, without its own.
    pub names: u64,
    /// Bytes of its regular files, holes included.
    pub bytes: ByteCount,
    /// Bytes that it takes on its disk.
    pub on_disk: ByteCount,
}

/// A directory tree could not be looked through.
#[derive(Debug, Error)]
#[error("cannot look through {}", path.display())]
pub struct MeasureError {
    /// The directory.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub source: io::Error,
}

/// Looks through a directory tree. Symbolic links are not followed.
///
/// # Errors
/// Fails on the first directory that cannot be read, with its name.
pub fn measure_tree(root: &Path) -> Result<TreeSize, MeasureError> {
    let mut size = TreeSize::default();
    let mut counted = BTreeSet::new();
    let mut open = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        let failed = |source| MeasureError {
            path: directory.clone(),
            source,
        };
        for entry in fs::read_dir(&directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let found = entry.metadata().map_err(failed)?;
            size.names += 1;
            if found.is_dir() {
                open.push(entry.path());
            } else if found.nlink() > 1 && !counted.insert((found.dev(), found.ino())) {
                continue;
            }
            if found.is_file() {
                size.bytes = size.bytes.saturating_add(ByteCount::new(found.len()));
            }
            let on_disk = ByteCount::new(found.blocks().saturating_mul(BLOCK));
            size.on_disk = size.on_disk.saturating_add(on_disk);
        }
    }
    Ok(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hard_links_count_once_and_symbolic_links_are_not_followed() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        fs::create_dir(at("directory")).unwrap();
        fs::write(at("directory/file"), [7; 1000]).unwrap();
        fs::hard_link(at("directory/file"), at("again")).unwrap();
        std::os::unix::fs::symlink("/usr", at("link")).unwrap();
        let size = measure_tree(root.path()).unwrap();
        assert_eq!((size.names, size.bytes), (4, ByteCount::new(1000)));
        let missing = measure_tree(&at("missing")).unwrap_err();
        assert!(missing.to_string().ends_with("/missing"), "{missing}");
    }
}
