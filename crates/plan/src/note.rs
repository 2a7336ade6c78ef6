//! What the operator has to know although it is no failure.

use std::collections::BTreeSet;
use std::fmt;

use flocker_model::{ApplicationName, ImageReference, NodeName, StopGracePeriod};
use serde::{Deserialize, Serialize};

use crate::accounting::listed;

/// Something about one node that is no failure, and that the operator may not expect.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "note")]
pub enum Note {
    /// The image declares volumes, and the application keeps nothing: they are scratch.
    ImplicitScratch {
        /// The application.
        application: ApplicationName,
        /// Its image.
        image: ImageReference,
        /// The paths.
        paths: BTreeSet<String>,
    },
    /// The image declares volumes that the application, which has a volume, keeps in memory.
    VolumeInMemory {
        /// The application.
        application: ApplicationName,
        /// Its image.
        image: ImageReference,
        /// The paths.
        paths: BTreeSet<String>,
    },
    /// The configuration no longer gives the application the volume that it had.
    WithoutItsVolume {
        /// The application.
        application: ApplicationName,
        /// The dataset that has its data.
        dataset: String,
    },
    /// The application did not end in time when it was asked to, and was killed.
    Killed {
        /// The application.
        application: ApplicationName,
        /// How long it was given.
        grace: StopGracePeriod,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ImplicitScratch {
                application,
                image,
                paths,
            } => {
                let (paths, are) = listed(paths);
                write!(
                    formatter,
                    "`{application}`: image {image} declares {paths} as {are}, and the application \
                     has no volume: what it writes there stays on the node and does not move with \
                     it (write `volume` or `scratch` to choose)"
                )
            }
            Self::VolumeInMemory {
                application,
                image,
                paths,
            } => {
                let (paths, are) = listed(paths);
                write!(
                    formatter,
                    "`{application}`: image {image} declares {paths} as {are}, and `tmpfs` keeps that \
                     in memory: what it writes there is lost at each stop (list it in `volumes` \
                     instead if it is data)"
                )
            }
            Self::WithoutItsVolume {
                application,
                dataset,
            } => write!(
                formatter,
                "`{application}` had a volume so far, and runs without its data from now on; the data \
                 stays in {dataset} (give the application its `volume` back to use it)"
            ),
            Self::Killed { application, grace } => write!(
                formatter,
                "`{application}` did not stop within {grace} and was killed: what it had not \
                 written by then is lost (raise `stop_grace_period` to give it more time)"
            ),
        }
    }
}

/// A note, and the node that it is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NodeNote {
    /// The node.
    pub node: NodeName,
    /// The note.
    #[serde(flatten)]
    pub note: Note,
}

impl fmt::Display for NodeNote {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.node, self.note)
    }
}
