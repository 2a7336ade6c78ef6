//! Paths inside containers, and directories of a volume.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::InvalidName;

/// An absolute path inside a container.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MountPath(String);

impl MountPath {
    /// Returns the path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Lists the names that the path is made of, from the root on.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &str> + Clone {
        self.0.split('/').filter(|part| !matches!(*part, "" | "."))
    }

    /// Returns the path from `self` to `inner`: empty if they are the same place, `None` if `inner`
    /// is not below `self`.
    pub fn relative<'p>(&self, inner: &'p Self) -> Option<Vec<&'p str>> {
        let mut rest = inner.components();
        for name in self.components() {
            if rest.next() != Some(name) {
                return None;
            }
        }
        Some(rest.collect())
    }

    /// Returns the same place, written with single slashes and none at the end, as Docker compares
    /// paths.
    #[must_use]
    pub fn cleaned(&self) -> Self {
        let mut text = String::with_capacity(self.0.len());
        for name in self.components() {
            text.push('/');
            text.push_str(name);
        }
        Self(text)
    }
}

impl FromStr for MountPath {
    type Err = InvalidName;

    fn from_str(path: &str) -> Result<Self, Self::Err> {
        let problem = if !path.starts_with('/') {
            Some("is not an absolute path")
        } else if path.split('/').any(|part| part == "..") {
            Some("has a `..` in it")
        } else if path.split('/').all(|part| matches!(part, "" | ".")) {
            Some("is the container's root directory")
        } else if path.chars().any(char::is_control) || path.contains([',', ':']) {
            Some("has a control character, a `,` or a `:` in it")
        } else {
            None
        };
        match problem {
            None => Ok(Self(path.to_owned())),
            Some(problem) => Err(InvalidName {
                kind: "mountpoint",
                name: path.to_owned(),
                problem,
            }),
        }
    }
}

impl TryFrom<String> for MountPath {
    type Error = InvalidName;

    fn try_from(path: String) -> Result<Self, Self::Error> {
        path.parse()
    }
}

impl From<MountPath> for String {
    fn from(path: MountPath) -> Self {
        path.0
    }
}

impl fmt::Display for MountPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

/// The name of a directory at the top of a volume.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DirectoryName(String);

impl DirectoryName {
    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Names the directory for a mount point that the user gave no name for: `/etc/gitlab` is
    /// `etc-gitlab`.
    pub fn of_path(path: &MountPath) -> Self {
        let names: Vec<&str> = path.components().collect();
        Self(names.join("-").trim_start_matches('.').to_owned())
    }
}

impl FromStr for DirectoryName {
    type Err = InvalidName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let acceptable = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let problem = if name.is_empty() {
            Some("is empty")
        } else if name.len() > 255 {
            Some("is longer than 255 characters")
        } else if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            // A name with a dot in front is the node's own, such as a directory that is being filled.
            Some("does not start with a letter or digit")
        } else if !name.chars().all(acceptable) {
            Some("has other characters than letters, digits, `.`, `_` and `-`")
        } else {
            None
        };
        match problem {
            None => Ok(Self(name.to_owned())),
            Some(problem) => Err(InvalidName {
                kind: "volume",
                name: name.to_owned(),
                problem,
            }),
        }
    }
}

impl TryFrom<String> for DirectoryName {
    type Error = InvalidName;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        name.parse()
    }
}

impl From<DirectoryName> for String {
    fn from(name: DirectoryName) -> Self {
        name.0
    }
}

impl fmt::Display for DirectoryName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> MountPath {
        text.parse().unwrap()
    }

    #[test]
    fn relative_and_dangerous_mountpoints_are_invalid() {
        for text in [
            "", "data", "/", "//", "/.", "/a/../b", "/a:ro", "/a,b", "/a\nb",
        ] {
            assert!(text.parse::<MountPath>().is_err(), "{text}");
        }
        assert!("/opt/trac/env".parse::<MountPath>().is_ok());
    }

    #[test]
    fn a_path_is_below_another_by_whole_names() {
        assert_eq!(
            path("/a").relative(&path("/a//b/./c/")),
            Some(vec!["b", "c"])
        );
        assert_eq!(path("/a/b/").relative(&path("/a/b")), Some(vec![]));
        assert_eq!(path("/a/b").relative(&path("/a/bc")), None);
        assert_eq!(path("/a/b").relative(&path("/a")), None);
        assert_eq!(path("/a//b/./").cleaned().as_str(), "/a/b");
    }

    #[test]
    fn a_directory_is_named_after_its_mountpoint() {
        assert_eq!(
            DirectoryName::of_path(&path("/etc//gitlab/")).as_str(),
            "etc-gitlab"
        );
        for name in ["", ".hidden", "a/b", "-a", "..", "a b"] {
            assert!(name.parse::<DirectoryName>().is_err(), "{name}");
        }
        assert!("data_1.0".parse::<DirectoryName>().is_ok());
    }
}
