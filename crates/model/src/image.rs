//! Container images: how people name them and what they are.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::InvalidName;

/// An image as the application configuration names it: `repository[:tag]` or `repository@digest`.
///
/// Without a tag, `latest` is meant, as everywhere in Docker.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ImageReference(String);

impl ImageReference {
    /// Returns the reference as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the reference with its tag written out, as Docker lists it.
    pub fn with_tag(&self) -> String {
        let last = self.0.rsplit('/').next().unwrap_or(&self.0);
        if last.contains(':') || last.contains('@') {
            self.0.clone()
        } else {
            format!("{}:latest", self.0)
        }
    }
}

impl FromStr for ImageReference {
    type Err = InvalidName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let acceptable =
            |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | ':' | '@');
        let problem = if name.is_empty() {
            Some("is empty")
        } else if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            Some("does not start with a letter or digit")
        } else if !name.chars().all(acceptable)
            || name.ends_with(['/', ':', '@'])
            || name.contains("//")
        {
            Some("is not of the form `repository[:tag]`")
        } else if has_capital_in_path(name) {
            Some("has a capital letter in its repository, which Docker refuses")
        } else {
            None
        };
        match problem {
            None => Ok(Self(name.to_owned())),
            Some(problem) => Err(InvalidName {
                kind: "image",
                name: name.to_owned(),
                problem,
            }),
        }
    }
}

/// Tells whether the repository, without the registry's host, the tag and the digest, has capitals.
///
/// **Source**: Docker's distribution reference grammar, `path-component`.
fn has_capital_in_path(name: &str) -> bool {
    let name = name.split('@').next().unwrap_or(name);
    let path = match name.split_once('/') {
        Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => path,
        _ => name,
    };
    let last = path.rfind('/').map_or(0, |slash| slash + 1);
    let end = path[last..]
        .find(':')
        .map_or(path.len(), |colon| last + colon);
    path[..end].chars().any(|c| c.is_ascii_uppercase())
}

impl TryFrom<String> for ImageReference {
    type Error = InvalidName;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        name.parse()
    }
}

impl From<ImageReference> for String {
    fn from(reference: ImageReference) -> Self {
        reference.0
    }
}

impl fmt::Display for ImageReference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

/// The identity of an image's content, as Docker reports it (`sha256:…`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ImageId(pub String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_tag_means_latest() {
        let with_tag = |text: &str| text.parse::<ImageReference>().unwrap().with_tag();
        assert_eq!(with_tag("flocker/trac"), "flocker/trac:latest");
        assert_eq!(with_tag("host:5000/trac"), "host:5000/trac:latest");
        assert_eq!(with_tag("trac:1.6"), "trac:1.6");
        assert_eq!(with_tag("trac@sha256:00"), "trac@sha256:00");
    }

    #[test]
    fn capitals_are_for_hosts_and_tags() {
        let is_valid = |text: &str| text.parse::<ImageReference>().is_ok();
        for text in ["Trac", "clusterHQ/trac", "host:5000/Trac:1", "a/B/c"] {
            assert!(!is_valid(text), "{text}");
        }
        for text in [
            "trac:RC1",
            "Host.example:5000/trac",
            "a/b:V2",
            "trac@sha256:AB",
        ] {
            assert!(is_valid(text), "{text}");
        }
    }

    #[test]
    fn references_that_docker_refuses_are_invalid() {
        for text in ["", ":tag", "a b", "a:", "a//b", "-a"] {
            assert!(text.parse::<ImageReference>().is_err(), "{text}");
        }
    }
}
