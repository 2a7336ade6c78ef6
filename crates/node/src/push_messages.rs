//! What a node that pushes and the `flocker-node receive` of another say to each other.

use std::collections::BTreeMap;

use flocker_model::{ApplicationName, ImageReference, OwnerClaim, SnapshotGuid};
use flocker_remote::protocol::{OwnershipAnswer, OwnershipQuestion, Speaks, StepFailure};
use flocker_zfs::{Incoming, ReceiveRequest};
use serde::{Deserialize, Serialize};

/// What a pushing node asks of a receiving one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "push")]
pub(crate) enum PushRequest {
    /// Asks who owns the volumes that the node has copies of. Frozen: every release asks and answers
    /// this, as the only message of a session, whatever protocol it speaks otherwise.
    Ownership(OwnershipQuestion),
    /// Says what it speaks, before anything else.
    Hello(Speaks),
    /// Tells what it has of a volume.
    Prepare {
        /// The application.
        application: ApplicationName,
    },
    /// Receives the stream that follows this message.
    Volume(ReceiveRequest),
    /// The same question as releases before the frozen one ask it.
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
    /// Who owns the volumes that it has copies of. Frozen, as the question is.
    Ownership(OwnershipAnswer),
    /// What it speaks itself. Unless that is the same, it answers nothing more; but it speaks a former
    /// protocol with a former release, and answers only [`PushRequest::Claims`] in it.
    Hello(Speaks),
    /// What it has of a volume.
    Prepared(Incoming),
    /// The answer to [`PushRequest::Claims`].
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
