//! What a container's mount points are backed by on its node.

use serde::{Deserialize, Serialize};

use crate::{ContainerUser, ImageReference, MountPath, VolumeLayout};

/// The file at the top of a volume that says that its directories are mounted, and not itself.
///
/// It travels with the data, so that neither layout is ever taken for the other.
pub const DIRECTORIES_MARKER: &str = ".flocker-directories";

/// The directory of the node that a mount point shows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "in")]
pub enum MountSource {
    /// A directory of the application's volume.
    Volume {
        /// Its path below the volume's root; empty for the root itself.
        directory: String,
    },
    /// A directory of the node that does not move.
    Scratch {
        /// Its path below the application's scratch directory.
        directory: String,
    },
}

/// One mount point of a container.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ContainerMount {
    /// Where the container sees it, written as Docker compares paths.
    pub target: MountPath,
    /// What it shows.
    pub source: MountSource,
}

/// What a new volume is filled with: the image's own content at its mount points.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeFill {
    /// The image.
    pub image: ImageReference,
    /// The volume's mount points.
    pub layout: VolumeLayout,
    /// The user whose directories they are where the image has nothing there, if it is not the
    /// image's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<ContainerUser>,
}
