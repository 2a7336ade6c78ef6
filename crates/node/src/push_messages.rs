//! What a node that pushes and the `flocker-node receive` of another say to each other.

use flocker_model::{ApplicationName, ImageReference, SnapshotGuid};
use flocker_remote::protocol::StepFailure;
use flocker_zfs::{Incoming, ReceiveRequest};
use serde::{Deserialize, Serialize};

/// What a pushing node asks of a receiving one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "push")]
pub(crate) enum PushRequest {
    /// Tells what it has of a volume.
    Prepare {
        /// The application.
        application: ApplicationName,
    },
    /// Receives the stream that follows this message.
    Volume(ReceiveRequest),
    /// Loads the image archive that follows this message.
    Image {
        /// The image.
        image: ImageReference,
    },
}

/// What the receiving node answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "answer")]
pub(crate) enum PushAnswer {
    /// What it has of a volume.
    Prepared(Incoming),
    /// What its copy ends with now.
    Received {
        /// The snapshot.
        newest: SnapshotGuid,
    },
    /// The image is loaded.
    Loaded,
    /// It could not.
    Failed(StepFailure),
}
