//! What `flocker-cluster` and `flocker-node serve` say to each other.
//!
//! Frames of JSON, each after its length, on the standard input and output of one process per node.
//! The first exchange takes the node's lock and observes its state, so that a deploy which finds
//! nothing to do costs one round trip.

mod frames;
mod messages;

pub use frames::{FrameError, FrameReader, FrameWriter, MAXIMUM_FRAME};
pub use messages::{
    Begin, Change, Event, LockHolder, LockPurpose, PROTOCOL_VERSION, Progress, RefusedReason,
    Request, StepDone, StepFailure,
};
