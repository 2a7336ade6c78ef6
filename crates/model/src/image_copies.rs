//! Copies of images that are not on nodes.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{ImageDetails, ImagePlatform};

/// Where the operator's machine has an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OperatorStore {
    /// In an archive that the operator named for this deploy.
    Archive,
    /// In the machine's own Docker. The operator did not name it: it may be old, or another image
    /// of that name.
    Docker,
}

impl fmt::Display for OperatorStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Archive => "an archive on this machine",
            Self::Docker => "this machine's Docker",
        })
    }
}

/// A copy of an image that the operator's machine can stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorImage {
    /// Where it is.
    pub store: OperatorStore,
    /// What it is.
    #[serde(flatten)]
    pub details: ImageDetails,
}

/// What a registry says of an image to the Docker of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "registry")]
pub enum RegistryAnswer {
    /// It has the image.
    Has {
        /// The digest that the name means now.
        digest: String,
        /// The machines that the image is made for; none if the registry does not say so.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        platforms: BTreeSet<ImagePlatform>,
    },
    /// It does not give the image: there is none, or the node may not have it.
    Refuses {
        /// Docker's words.
        reason: String,
    },
    /// It did not answer.
    Unreachable {
        /// Why, in words for the operator.
        reason: String,
    },
    /// It had not answered when nobody waited any longer. A pull may succeed all the same.
    Silent,
}
