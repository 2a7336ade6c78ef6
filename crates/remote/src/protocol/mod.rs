//! What `flocker-cluster` and `flocker-node serve` say to each other.
//!
//! Frames of JSON, each after its length, on the standard input and output of one process per node.
//! The first exchange takes the node's lock and observes its state, so that a deploy which finds
//! nothing to do costs one round trip. Whoever has something to do says that it goes on.

mod frames;
mod liveness;
mod messages;
mod ownership;
mod turns;
mod version;

pub use frames::{FrameError, FrameReader, FrameWriter, MAXIMUM_FRAME};
pub use liveness::{Listener, LivingWriter, SIGN_OF_LIFE, SILENCE};
pub use messages::{
    Begin, Change, Event, LockHolder, LockPurpose, Progress, RefusedReason, Request, StepDone,
    StepFailure,
};
pub use ownership::{
    BootId, FORMER_PROTOCOLS, KnownOwners, OwnershipAnswer, OwnershipCopy, OwnershipQuestion,
};
pub use turns::{GIVING_WAY, Turn, turn};
pub use version::{PROTOCOL_VERSION, Speaks};
