//! Every action as one clause for people.

use std::collections::BTreeSet;
use std::fmt;

use flocker_model::{
    ContainerSpecification, ImagePlatform, ImageReference, OperatorImage, RoutePort, short_digest,
};

use crate::{Action, ImageSource, PushKind};

impl fmt::Display for Action {
    /// Writes the action as one clause for people: `push the last changes of trac to 1.1.1.2`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AdmitMembers { members } => {
                write!(formatter, "admit {} machines as peers", members.len())
            }
            Self::PushImage { image, to, copy } => {
                write!(formatter, "stream image {image} to {to}")?;
                write_copy(formatter, copy.id.short(), copy.platform.as_ref())
            }
            Self::EnsureImage { image, from } => write_source(formatter, image, from),
            Self::CheckImage { specification } => write_check(formatter, specification),
            Self::CreateVolume { .. }
            | Self::ResizeVolume { .. }
            | Self::PushVolume { .. }
            | Self::ReleaseVolume { .. }
            | Self::AcquireVolume { .. }
            | Self::PromoteVolume { .. }
            | Self::RecordOwner { .. }
            | Self::SetVolumeAside { .. }
            | Self::ImportVolume { .. }
            | Self::SnapshotVolume { .. }
            | Self::PruneSnapshots { .. } => self.fmt_about_volume(formatter),
            Self::StopApplication { application, .. } => write!(formatter, "stop {application}"),
            Self::RemoveApplication { application } => {
                write!(formatter, "remove the container of {application}")
            }
            Self::StartApplication { specification, .. } => {
                write!(formatter, "start {}", specification.application)
            }
            Self::SetLinks { application, .. } => {
                write!(formatter, "set the links of {application}")
            }
            Self::AwaitHealth { application } => {
                write!(
                    formatter,
                    "see {application} stay up and pass its health check, if it has one"
                )
            }
            Self::AwaitCompletion { application } => {
                write!(formatter, "see {application} end without an error")
            }
            Self::HoldPorts { ports } => {
                write!(formatter, "hold new connections to {}", PortList(ports))
            }
            Self::SwitchRoutes { application, .. } => {
                write!(formatter, "switch the routes of {application}")
            }
            Self::ProgramNetwork { .. } => write!(formatter, "program the routing table"),
            Self::RecordDeployment { applied, .. } => {
                write!(formatter, "record deployment {}", applied.id)
            }
        }
    }
}

impl Action {
    /// Writes an action on a volume.
    fn fmt_about_volume(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateVolume { application, .. } => {
                write!(formatter, "create the volume of {application}")
            }
            Self::ResizeVolume {
                application,
                maximum_size: Some(size),
            } => write!(formatter, "limit the volume of {application} to {size}"),
            Self::ResizeVolume {
                application,
                maximum_size: None,
            } => write!(formatter, "lift the limit on the volume of {application}"),
            Self::PushVolume {
                application,
                to,
                kind,
                ..
            } => match kind {
                PushKind::Ahead => write!(formatter, "push {application} to {to} while it runs"),
                PushKind::Last => {
                    write!(formatter, "push the last changes of {application} to {to}")
                }
            },
            Self::ReleaseVolume {
                application, epoch, ..
            } => write!(
                formatter,
                "release the volume of {application} (epoch {epoch})"
            ),
            Self::AcquireVolume {
                application, epoch, ..
            } => write!(
                formatter,
                "acquire the volume of {application} (epoch {epoch})"
            ),
            Self::PruneSnapshots { application, .. } => {
                write!(formatter, "prune the snapshots of {application}")
            }
            _ => self.fmt_about_decision(formatter),
        }
    }

    /// Writes an action that only the operator can have decided.
    fn fmt_about_decision(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PromoteVolume {
                application,
                next,
                with_changes,
                ..
            } => write!(
                formatter,
                "make the replica of {application}{} its volume (epoch {next})",
                if *with_changes {
                    ", with what was written to it,"
                } else {
                    ""
                }
            ),
            Self::RecordOwner {
                application,
                owner,
                epoch,
            } => write!(
                formatter,
                "remember that node {owner} owns the volume of {application} (epoch {epoch})"
            ),
            Self::SetVolumeAside { name, .. } => write!(
                formatter,
                "set the copy of {} aside as {name}",
                name.application
            ),
            _ => self.fmt_about_data(formatter),
        }
    }

    /// Writes an action that brings data in or takes it out.
    fn fmt_about_data(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ImportVolume {
                application,
                content,
                ..
            } => write!(formatter, "import {content} as the volume of {application}"),
            Self::SnapshotVolume { application, .. } => {
                write!(formatter, "take a snapshot of the volume of {application}")
            }
            // Not on a volume.
            _ => Ok(()),
        }
    }
}

/// Ports, separated by commas.
/// Writes where an image comes from that no node streams, and which copy that is.
fn write_source(
    formatter: &mut fmt::Formatter<'_>,
    image: &ImageReference,
    from: &ImageSource,
) -> fmt::Result {
    match from {
        ImageSource::Operator(OperatorImage { store, details }) => {
            write!(formatter, "get image {image} from {store}")?;
            write_copy(formatter, details.id.short(), details.platform.as_ref())
        }
        ImageSource::Registry(None) => write!(formatter, "get image {image} from its registry"),
        ImageSource::Registry(Some(found)) => {
            write!(formatter, "get image {image} from its registry")?;
            write_copy(
                formatter,
                short_digest(&found.digest),
                found.platform.as_ref(),
            )
        }
    }
}

/// Says which copy of an image it is: `(sha256:ab12…, linux/amd64)`.
fn write_copy(
    formatter: &mut fmt::Formatter<'_>,
    id: &str,
    platform: Option<&ImagePlatform>,
) -> fmt::Result {
    match platform {
        Some(platform) => write!(formatter, " ({id}, {platform})"),
        None => write!(formatter, " ({id})"),
    }
}

struct PortList<'a>(&'a BTreeSet<RoutePort>);

impl fmt::Display for PortList<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, port) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(formatter, "{separator}{port}")?;
        }
        Ok(())
    }
}

/// Writes what is looked at before an application is stopped.
fn write_check(
    formatter: &mut fmt::Formatter<'_>,
    specification: &ContainerSpecification,
) -> fmt::Result {
    let image = &specification.image;
    write!(
        formatter,
        "account for the volumes that image {image} declares"
    )?;
    if specification.is_judged_by_node() {
        let name = &specification.application;
        write!(
            formatter,
            ", and see that the node can make the container of {name}"
        )?;
    }
    Ok(())
}
