//! What an image is, beside its names.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ImageId;

/// The kind of machine that an image is made for, or that a Docker is on, in Go's words: `amd64`,
/// `arm64`.
///
/// **Source**: OCI image configuration, `os`, `architecture` and `variant`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ImagePlatform {
    /// The operating system: `linux`.
    pub os: String,
    /// The processor: `amd64`.
    pub architecture: String,
}

impl ImagePlatform {
    /// Tells whether a machine of this kind runs images of the other: its own, and those of its
    /// processor's 32 bit mode.
    pub fn runs(&self, image: &Self) -> bool {
        let (machine, image_processor) = (self.architecture.as_str(), image.architecture.as_str());
        self.os == image.os
            && (machine == image_processor
                || matches!(
                    (machine, image_processor),
                    ("amd64", "386") | ("arm64", "arm")
                ))
    }
}

impl fmt::Display for ImagePlatform {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.os, self.architecture)
    }
}

/// An image that is on a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageDetails {
    /// Its content.
    pub id: ImageId,
    /// The machines that it is made for, if it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<ImagePlatform>,
    /// The paths that it declares as volumes, as it writes them.
    ///
    /// **Source**: OCI image configuration, `config.Volumes`.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub volumes: BTreeSet<String>,
}

impl From<ImageId> for ImageDetails {
    fn from(id: ImageId) -> Self {
        Self {
            id,
            platform: None,
            volumes: BTreeSet::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_runs_images_of_its_own_processor() {
        let platform = |architecture: &str| ImagePlatform {
            os: "linux".to_owned(),
            architecture: architecture.to_owned(),
        };
        assert!(platform("amd64").runs(&platform("amd64")));
        assert!(platform("amd64").runs(&platform("386")));
        assert!(!platform("amd64").runs(&platform("arm64")));
        assert!(!platform("386").runs(&platform("amd64")));
    }
}
