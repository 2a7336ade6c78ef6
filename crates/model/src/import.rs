//! Where the content of a volume comes from that the operator brings in.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::DirectoryName;

/// The beginning of a source that is a Docker volume.
const DOCKER_VOLUME: &str = "docker-volume:";
/// The beginning of a source that is a stream of `zfs send`.
const STREAM: &str = "stream:";

/// A directory tree of a node.
///
/// Displays as the user writes it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImportTree {
    /// A directory, by its absolute path.
    Directory(String),
    /// The Docker volume of this name.
    DockerVolume(String),
}

impl fmt::Display for ImportTree {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => formatter.write_str(path),
            Self::DockerVolume(name) => write!(formatter, "{DOCKER_VOLUME}{name}"),
        }
    }
}

/// The whole content of a volume that is imported.
///
/// Displays as a list of what the user wrote, which identifies the import: the dataset that is being
/// filled has that text in a property, and only the same import goes on with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImportContent {
    /// One tree, which becomes the volume's root.
    Whole(ImportTree),
    /// A tree for each of these directories of the volume.
    Directories(BTreeMap<DirectoryName, ImportTree>),
    /// A stream of `zfs send`, in a file of the operator's machine; `-` for standard input.
    Stream(String),
}

impl ImportContent {
    /// Lists the trees, with the directory of the volume that each belongs in.
    pub fn trees(&self) -> Vec<(Option<&DirectoryName>, &ImportTree)> {
        match self {
            Self::Whole(tree) => vec![(None, tree)],
            Self::Directories(trees) => trees
                .iter()
                .map(|(directory, tree)| (Some(directory), tree))
                .collect(),
            Self::Stream(_) => Vec::new(),
        }
    }
}

impl fmt::Display for ImportContent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(tree) => tree.fmt(formatter),
            Self::Stream(file) => write!(formatter, "{STREAM}{file}"),
            Self::Directories(trees) => {
                for (index, (directory, tree)) in trees.iter().enumerate() {
                    let separator = if index == 0 { "" } else { ", " };
                    write!(formatter, "{separator}{directory}={tree}")?;
                }
                Ok(())
            }
        }
    }
}

/// One `--from` of an import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImportPart {
    /// It is all of the volume.
    Whole(ImportTree),
    /// It is one directory of the volume.
    Directory(DirectoryName, ImportTree),
    /// It is a stream in this file.
    Stream(String),
}

/// A `--from` that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidImport {
    /// It has none of the forms.
    #[error(
        "`{0}` is none of /PATH, docker-volume:NAME, stream:FILE, DIRECTORY=/PATH and \
         DIRECTORY=docker-volume:NAME"
    )]
    Form(String),
    /// A directory's name has characters that no directory of a volume can have.
    #[error("{0}")]
    Directory(#[from] crate::InvalidName),
    /// The path cannot be written down.
    #[error("`{0}` has control characters or `..` in it")]
    Path(String),
    /// A stream is always a whole volume.
    #[error("a stream is a whole volume and cannot become the directory `{0}` of one")]
    StreamInDirectory(DirectoryName),
    /// Several sources must each name a directory.
    #[error("with several `--from`, each must be DIRECTORY=SOURCE")]
    SeveralWhole,
    /// Two sources name the same directory.
    #[error("directory `{0}` is given twice")]
    Twice(DirectoryName),
}

impl FromStr for ImportPart {
    type Err = InvalidImport;

    fn from_str(text: &str) -> Result<Self, InvalidImport> {
        // A path and the other two forms have `/` or `:` before any `=`.
        let named = text
            .split_once('=')
            .filter(|(name, _)| !name.contains(['/', ':']));
        let Some((name, source)) = named else {
            return match text.strip_prefix(STREAM) {
                Some("") => Err(InvalidImport::Form(text.to_owned())),
                Some(file) if file.chars().any(char::is_control) => {
                    Err(InvalidImport::Path(file.to_owned()))
                }
                Some(file) => Ok(Self::Stream(file.to_owned())),
                None => tree(text).map(Self::Whole),
            };
        };
        let directory: DirectoryName = name.parse()?;
        if source.starts_with(STREAM) {
            return Err(InvalidImport::StreamInDirectory(directory));
        }
        Ok(Self::Directory(directory, tree(source)?))
    }
}

/// Reads a directory tree of a node.
fn tree(text: &str) -> Result<ImportTree, InvalidImport> {
    if let Some(name) = text.strip_prefix(DOCKER_VOLUME) {
        let acceptable = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        return if !name.is_empty() && name.chars().all(acceptable) {
            Ok(ImportTree::DockerVolume(name.to_owned()))
        } else {
            Err(InvalidImport::Form(text.to_owned()))
        };
    }
    if !text.starts_with('/') {
        return Err(InvalidImport::Form(text.to_owned()));
    }
    if text.chars().any(char::is_control) || text.split('/').any(|name| name == "..") {
        return Err(InvalidImport::Path(text.to_owned()));
    }
    Ok(ImportTree::Directory(text.to_owned()))
}

impl TryFrom<Vec<ImportPart>> for ImportContent {
    type Error = InvalidImport;

    fn try_from(parts: Vec<ImportPart>) -> Result<Self, InvalidImport> {
        let mut parts = parts.into_iter();
        let mut trees = BTreeMap::new();
        match (parts.next(), parts.len()) {
            (Some(ImportPart::Whole(tree)), 0) => return Ok(Self::Whole(tree)),
            (Some(ImportPart::Stream(file)), 0) => return Ok(Self::Stream(file)),
            (Some(ImportPart::Directory(directory, tree)), _) => trees.insert(directory, tree),
            _ => return Err(InvalidImport::SeveralWhole),
        };
        for part in parts {
            let ImportPart::Directory(directory, tree) = part else {
                return Err(InvalidImport::SeveralWhole);
            };
            if trees.contains_key(&directory) {
                return Err(InvalidImport::Twice(directory));
            }
            trees.insert(directory, tree);
        }
        Ok(Self::Directories(trees))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(parts: &[&str]) -> Result<String, String> {
        let parts: Result<Vec<ImportPart>, _> = parts.iter().map(|part| part.parse()).collect();
        let content = parts.and_then(ImportContent::try_from);
        content
            .map(|content| content.to_string())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn every_form_of_a_source_is_written_as_it_was_read() {
        for text in [
            "/srv/db",
            "/srv/a=b",
            "docker-volume:db_data",
            "stream:/backup/db.zfs",
            "stream:-",
            "stream:a=b.zfs",
            "data=/srv/db",
            "data=docker-volume:db_data",
        ] {
            assert_eq!(content(&[text]).as_deref(), Ok(text));
        }
        let several = content(&["etc=/srv/etc", "data=docker-volume:x"]);
        assert_eq!(several.as_deref(), Ok("data=docker-volume:x, etc=/srv/etc"));
    }

    #[test]
    fn a_source_that_makes_no_sense_says_what_would() {
        for (parts, problem) in [
            (&["srv/db"][..], "is none of /PATH"),
            (&["docker-volume:"], "is none of"),
            (&["docker-volume:a/b"], "is none of"),
            (&["stream:"], "is none of"),
            (&["/srv/../etc"], "`..`"),
            (&["/srv/a\nb"], "control characters"),
            (&["a b=/srv"], "other characters"),
            (&["data=stream:db.zfs"], "a stream is a whole volume"),
            (&["/a", "/b"], "each must be DIRECTORY=SOURCE"),
            (&["a=/a", "/b"], "each must be DIRECTORY=SOURCE"),
            (&["stream:a", "b=/b"], "each must be DIRECTORY=SOURCE"),
            (&["a=/a", "a=/b"], "given twice"),
        ] {
            let refused = content(parts).unwrap_err();
            assert!(refused.contains(problem), "{parts:?}: {refused}");
        }
    }
}
