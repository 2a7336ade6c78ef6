//! Which images an archive of `docker save` has in it.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use thiserror::Error;

/// An archive of images cannot be used.
#[derive(Debug, Error)]
pub(crate) enum ArchiveError {
    /// It cannot be read.
    #[error("cannot read the image archive {}", path.display())]
    Read {
        /// The archive.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It has no list of images.
    #[error("{} is not an archive made by `docker save`: it has no manifest.json", path.display())]
    NoManifest {
        /// The archive.
        path: PathBuf,
    },
    /// Its list of images is not understood.
    #[error("the manifest.json of {} is not understood", path.display())]
    Manifest {
        /// The archive.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
}

/// One entry of an archive's `manifest.json`.
///
/// **Source**: Docker image specification v1.2, "Combined Image JSON + Filesystem Changeset Format".
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ManifestEntry {
    /// The image's identity.
    pub(crate) config: String,
    /// Its names.
    #[serde(default)]
    pub(crate) repo_tags: Option<Vec<String>>,
}

/// Reads the list of images out of an archive.
pub(crate) fn read_manifest(path: &Path) -> Result<Vec<ManifestEntry>, ArchiveError> {
    let read = |source| ArchiveError::Read {
        path: path.to_owned(),
        source,
    };
    let file = std::fs::File::open(path).map_err(read)?;
    let mut archive = tar::Archive::new(file);
    for entry in archive.entries().map_err(read)? {
        let entry = entry.map_err(read)?;
        let is_manifest = entry
            .path()
            .is_ok_and(|name| name == Path::new("manifest.json"));
        if is_manifest {
            return serde_json::from_reader(entry).map_err(|source| ArchiveError::Manifest {
                path: path.to_owned(),
                source,
            });
        }
    }
    Err(ArchiveError::NoManifest {
        path: path.to_owned(),
    })
}
