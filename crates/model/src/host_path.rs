//! Paths of a node that containers are given as they are.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::InvalidName;

/// An absolute path of a node: a file, directory or socket that is not Flocker's.
///
/// Written with single slashes and none at the end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostPath(String);

/// A path of the node at a mount point of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostMount {
    /// The path on the node.
    pub source: HostPath,
    /// Whether the container may only read it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub read_only: bool,
}

/// Directories that are Flocker's own on each node, unless its settings name others.
const OWN: [&str; 3] = ["/flocker", "/var/lib/flocker", "/run/flocker"];

impl HostPath {
    /// Returns the path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for HostPath {
    type Err = InvalidName;

    fn from_str(path: &str) -> Result<Self, Self::Err> {
        let parts = path.split('/').filter(|part| !matches!(*part, "" | "."));
        let cleaned: String = parts.flat_map(|part| ["/", part]).collect();
        // `/var/run` is `/run` on every distribution that nodes run.
        let resolved = cleaned
            .strip_prefix("/var/run")
            .map(|rest| format!("/run{rest}"));
        let is_own = |path: &str| {
            OWN.iter().any(|own| {
                let rest = path.strip_prefix(own);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            })
        };
        let problem = if !path.starts_with('/') {
            Some("is not an absolute path")
        } else if path.split('/').any(|part| part == "..") {
            Some("has a `..` in it")
        } else if cleaned.is_empty() {
            Some("is the node's root directory, with the volumes of all applications in it")
        } else if path.chars().any(char::is_control) {
            Some("has a control character in it")
        } else if is_own(&cleaned) || resolved.as_deref().is_some_and(is_own) {
            Some("is in one of Flocker's own directories")
        } else {
            None
        };
        match problem {
            None => Ok(Self(cleaned)),
            Some(problem) => Err(InvalidName {
                kind: "path of the node",
                name: path.to_owned(),
                problem,
            }),
        }
    }
}

impl TryFrom<String> for HostPath {
    type Error = InvalidName;

    fn try_from(path: String) -> Result<Self, Self::Error> {
        path.parse()
    }
}

impl From<HostPath> for String {
    fn from(path: HostPath) -> Self {
        path.0
    }
}

impl fmt::Display for HostPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flockers_directories_and_the_root_are_no_host_paths() {
        for text in [
            "/",
            "//.",
            "etc",
            "./etc",
            "/a/../b",
            "/a\nb",
            "/flocker",
            "/flocker/db",
            "//var//lib/./flocker/scratch",
            "/run/flocker",
            "/var/run/flocker/x",
        ] {
            assert!(text.parse::<HostPath>().is_err(), "{text}");
        }
        let path = |text: &str| text.parse::<HostPath>().unwrap().to_string();
        assert_eq!(path("/var//run/docker.sock"), "/var/run/docker.sock");
        assert_eq!(path("/flocker-data/"), "/flocker-data");
    }
}
