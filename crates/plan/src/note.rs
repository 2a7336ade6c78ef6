//! What the operator has to know although it is no failure.

use std::collections::BTreeSet;
use std::fmt;

use flocker_model::{ApplicationName, ImageReference, MountPath, NodeName, StopGracePeriod};
use serde::{Deserialize, Serialize};

use crate::accounting::listed;

/// Something about one node that is no failure, and that the operator may not expect.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "note")]
pub enum Note {
    /// The application gets a volume that is new: no copy of one was seen.
    NewVolume {
        /// The application.
        application: ApplicationName,
        /// Whether no node knew of a cluster, so that only the nodes of the deployment were asked.
        is_first: bool,
    },
    /// The image declares volumes, and the application keeps nothing: they are scratch.
    ImplicitScratch {
        /// The application.
        application: ApplicationName,
        /// Its image.
        image: ImageReference,
        /// The paths.
        paths: BTreeSet<String>,
    },
    /// The image declares volumes that the application keeps in memory.
    VolumeInMemory {
        /// The application.
        application: ApplicationName,
        /// Its image.
        image: ImageReference,
        /// The paths.
        paths: BTreeSet<String>,
    },
    /// The application sees its volume where it saw scratch so far.
    ScratchHidden {
        /// The application.
        application: ApplicationName,
        /// Where its container saw the scratch.
        path: MountPath,
        /// The directory of the node that has it.
        directory: String,
    },
    /// A power cut loses acknowledged writes in the datasets below one of the node's.
    SyncDisabled {
        /// The dataset that has `sync=disabled`.
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

impl Note {
    /// Tells whether it warns of something, or only says what comes of the deploy.
    pub const fn is_warning(&self) -> bool {
        !matches!(self, Self::NewVolume { .. })
    }
}

impl fmt::Display for Note {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NewVolume {
                application,
                is_first,
            } => new_volume(formatter, application, *is_first),
            Self::ImplicitScratch {
                application,
                image,
                paths,
            } => {
                write_declared(formatter, (application, image), paths)?;
                formatter.write_str(
                    "the application has no volume: data that it writes there stays on the node and \
                     does not move with it (write `volume` or `scratch` to choose)",
                )
            }
            Self::VolumeInMemory {
                application,
                image,
                paths,
            } => {
                write_declared(formatter, (application, image), paths)?;
                formatter.write_str(
                    "`tmpfs` keeps that in memory: the application loses it at each stop (list it in \
                     `volumes` instead if it is data)",
                )
            }
            Self::ScratchHidden {
                application,
                path,
                directory,
            } => write!(
                formatter,
                "`{application}` sees its volume at {path} from now on, and not the scratch directory \
                 that it saw there so far: what it wrote to that is in {directory} on this node until \
                 the application leaves the node (copy what you need)"
            ),
            Self::SyncDisabled { dataset } => write!(
                formatter,
                "dataset {dataset} has sync=disabled: a power cut loses acknowledged writes in the \
                 datasets below it (run `zfs set sync=standard {dataset}` on this node). Flocker sets \
                 sync=standard on its own volumes when it makes, receives or mounts them; restart \
                 applications that an earlier release started"
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

/// Begins a sentence about volumes that an image declares.
fn write_declared(
    formatter: &mut fmt::Formatter<'_>,
    (application, image): (&ApplicationName, &ImageReference),
    paths: &BTreeSet<String>,
) -> fmt::Result {
    let (paths, are) = listed(paths);
    write!(
        formatter,
        "`{application}`: image {image} declares {paths} as {are}, and "
    )
}

/// Says that an application gets a volume that is new.
fn new_volume(
    formatter: &mut fmt::Formatter<'_>,
    application: &ApplicationName,
    is_first: bool,
) -> fmt::Result {
    write!(
        formatter,
        "`{application}` begins with a new volume, without earlier data: no copy of its volume was seen"
    )?;
    if is_first {
        formatter.write_str(
            " (these nodes know of no cluster, so no machine outside of the deployment was asked)",
        )?;
    }
    Ok(())
}
