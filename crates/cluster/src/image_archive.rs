//! Which images an archive of `docker save` has in it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};

use flocker_model::{ImageDetails, ImageId, ImagePlatform};
use serde::Deserialize;
use thiserror::Error;

/// The most bytes that a list of images or an image's configuration may have; Docker's have a few
/// kilobytes.
const LARGEST_TEXT: u64 = 8 << 20;

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

/// An image in an archive.
#[derive(Debug)]
pub(crate) struct ArchivedImage {
    /// The image. The platform and volumes are in the image's configuration; an archive without
    /// one, or with one that is not understood, does not say.
    pub(crate) details: ImageDetails,
    /// Its names, as they are written in the archive.
    pub(crate) names: Vec<String>,
}

/// One entry of an archive's `manifest.json`.
///
/// **Source**: Docker image specification v1.2, "Combined Image JSON + Filesystem Changeset Format".
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ManifestEntry {
    /// The file with the image's configuration. It is called by the digest of that, which is the
    /// image's identity.
    config: String,
    /// Its names.
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
}

/// An image's configuration.
///
/// **Source**: OCI image configuration, `os`, `architecture` and `config.Volumes`.
#[derive(Debug, Default, Deserialize)]
struct ImageConfiguration {
    #[serde(default)]
    os: Option<String>,
    #[serde(default)]
    architecture: Option<String>,
    #[serde(default)]
    config: Option<ContainerDefaults>,
}

/// The defaults of an image for its containers.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ContainerDefaults {
    #[serde(default)]
    volumes: Option<serde_json::Map<String, serde_json::Value>>,
}

/// Reads which images an archive has.
pub(crate) fn read_archive(path: &Path) -> Result<Vec<ArchivedImage>, ArchiveError> {
    let read = |source| ArchiveError::Read {
        path: path.to_owned(),
        source,
    };
    let mut file = std::fs::File::open(path).map_err(read)?;
    let manifest = read_files(&mut file, |name| name == "manifest.json").map_err(read)?;
    let manifest = manifest
        .into_values()
        .next()
        .ok_or_else(|| ArchiveError::NoManifest {
            path: path.to_owned(),
        })?;
    let entries: Vec<ManifestEntry> =
        serde_json::from_slice(&manifest).map_err(|source| ArchiveError::Manifest {
            path: path.to_owned(),
            source,
        })?;
    let wanted: BTreeSet<&str> = entries.iter().map(|entry| entry.config.as_str()).collect();
    let configurations = read_files(&mut file, |name| wanted.contains(name)).map_err(read)?;
    let images = entries.iter().map(|entry| ArchivedImage {
        details: details(entry, configurations.get(&entry.config)),
        names: entry.repo_tags.clone().unwrap_or_default(),
    });
    Ok(images.collect())
}

/// Reads the small files of an archive whose names are wanted; of several with one name, the first.
fn read_files(
    file: &mut std::fs::File,
    is_wanted: impl Fn(&str) -> bool,
) -> std::io::Result<BTreeMap<String, Vec<u8>>> {
    file.rewind()?;
    let mut archive = tar::Archive::new(file);
    let mut files = BTreeMap::new();
    for entry in archive.entries_with_seek()? {
        let entry = entry?;
        let Some(name) = entry
            .path()
            .ok()
            .and_then(|name| Some(name.to_str()?.to_owned()))
        else {
            continue;
        };
        if is_wanted(&name) && !files.contains_key(&name) {
            let mut bytes = Vec::new();
            entry.take(LARGEST_TEXT).read_to_end(&mut bytes)?;
            files.insert(name, bytes);
        }
    }
    Ok(files)
}

/// Says what an image is.
fn details(entry: &ManifestEntry, configuration: Option<&Vec<u8>>) -> ImageDetails {
    let read = |bytes: &Vec<u8>| serde_json::from_slice::<ImageConfiguration>(bytes).ok();
    let configuration = configuration.and_then(read).unwrap_or_default();
    let platform = configuration
        .os
        .zip(configuration.architecture)
        .filter(|(os, architecture)| !os.is_empty() && !architecture.is_empty());
    let volumes = configuration.config.unwrap_or_default().volumes;
    ImageDetails {
        id: identity(&entry.config),
        platform: platform.map(|(os, architecture)| ImagePlatform { os, architecture }),
        volumes: volumes
            .unwrap_or_default()
            .into_iter()
            .map(|(path, _)| path)
            .collect(),
    }
}

/// Returns the identity of the image whose configuration is in this file: `blobs/sha256/1f…`, or
/// `1f….json` from Docker before 25.
fn identity(file: &str) -> ImageId {
    let digits = file
        .strip_prefix("blobs/sha256/")
        .or_else(|| file.strip_suffix(".json"));
    ImageId(match digits {
        Some(digits) => format!("sha256:{digits}"),
        None => file.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes an archive with these files.
    fn archive(files: &[(&str, &str)]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut builder = tar::Builder::new(file.reopen().unwrap());
        for (name, text) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len().try_into().unwrap());
            header.set_mode(0o644);
            header.set_cksum();
            builder
                .append_data(&mut header, name, text.as_bytes())
                .unwrap();
        }
        builder.finish().unwrap();
        file
    }

    const CONFIGURATION: &str = r#"{"os": "linux", "architecture": "arm64",
        "config": {"Volumes": {"/data": {}, "/log/": {}}, "Cmd": ["redis-server"]}}"#;

    #[test]
    fn an_archive_says_what_its_images_are() {
        for config in ["blobs/sha256/1f", "1f.json"] {
            let manifest = format!(
                r#"[{{"Config": "{config}", "RepoTags": ["redis:7", "a/b:1"], "Layers": []}}]"#
            );
            // Docker writes the list before the configuration or after it.
            for files in [
                [(config, CONFIGURATION), ("manifest.json", &manifest)],
                [("manifest.json", &manifest), (config, CONFIGURATION)],
            ] {
                let images = read_archive(archive(&files).path()).unwrap();
                assert_eq!(images.len(), 1);
                assert_eq!(images[0].names, ["redis:7", "a/b:1"]);
                let details = &images[0].details;
                assert_eq!(details.id.0, "sha256:1f");
                let platform = details.platform.as_ref().unwrap();
                assert_eq!(platform.to_string(), "linux/arm64");
                let volumes: Vec<&str> = details.volumes.iter().map(String::as_str).collect();
                assert_eq!(volumes, ["/data", "/log/"]);
            }
        }
    }

    #[test]
    fn an_archive_without_configurations_says_nothing_of_platforms() {
        let manifest = r#"[{"Config": "1f.json", "RepoTags": null}, {"Config": "2e.json"}]"#;
        let files = [("manifest.json", manifest), ("2e.json", "{\"os\": 3}")];
        let images = read_archive(archive(&files).path()).unwrap();
        for (image, id) in images.iter().zip(["sha256:1f", "sha256:2e"]) {
            assert_eq!(image.details, ImageId(id.to_owned()).into());
            assert!(image.names.is_empty());
        }
    }

    #[test]
    fn another_archive_is_refused() {
        let error = read_archive(archive(&[("file", "")]).path()).unwrap_err();
        assert!(matches!(error, ArchiveError::NoManifest { .. }), "{error}");
        let error = read_archive(archive(&[("manifest.json", "{}")]).path()).unwrap_err();
        assert!(matches!(error, ArchiveError::Manifest { .. }), "{error}");
    }
}
