//! What a node that pushes and the `flocker-node receive` of another say to each other.

use std::collections::BTreeMap;

use flocker_model::{ApplicationName, ImageReference, OwnerClaim, SnapshotGuid};
use flocker_remote::protocol::{Speaks, StepFailure};
use flocker_zfs::{Incoming, ReceiveRequest};
use serde::{Deserialize, Serialize};

/// What a pushing node asks of a receiving one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "push")]
pub(crate) enum PushRequest {
    /// Says what it speaks, before anything else.
    Hello(Speaks),
    /// Tells what it has of a volume.
    Prepare {
        /// The application.
        application: ApplicationName,
    },
    /// Receives the stream that follows this message.
    Volume(ReceiveRequest),
    /// Tells who owns the volumes that it has copies of, as far as it knows.
    Claims,
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
    /// What it speaks itself. Unless that is the same, it answers nothing more.
    Hello(Speaks),
    /// What it has of a volume.
    Prepared(Incoming),
    /// Who owns the volumes that it has copies of.
    Claimed {
        /// The owners by application.
        claims: BTreeMap<ApplicationName, OwnerClaim>,
    },
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
