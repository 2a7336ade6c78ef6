//! Volumes on ZFS: one dataset for each application, owned by exactly one node.
//!
//! Truth is in the dataset's own user property `flocker:ownership`: one property, because ZFS sets
//! several of them one by one when it cannot set all. [`Zfs`] reads it; a [`Volume`] of type
//! [`Owned`] or [`Replica`] is the proof that they were as expected a moment ago, and is good for
//! one action. Only `Volume<Owned>` can be mounted, so a container on a replica does not compile.
//!
//! A dataset at an application's name is always whole. Volumes are made, and first copies are
//! received, under names that no application can have (`_creating:…`, `_receiving:…`), and renamed
//! when they are complete. After a crash in between, the next attempt begins to make the volume
//! anew, or continues to receive it.
//!
//! Data that the operator brings in is a third such kind (`_importing:…`). What an interruption left
//! of it is kept, says where it comes from, and is only continued by the same import.
//!
//! What the operator takes out of use is renamed once more (`_set-aside:…`), and is no volume then.
//!
//! Nothing here rolls a dataset back (there is no `receive -F`) or destroys one, but for what was
//! never whole.

mod acquire;
mod command;
mod copy_tree;
mod create;
mod dataset;
mod elsewhere;
mod handoff;
mod holders;
mod import;
mod import_stream;
mod kernel;
mod listing;
mod log_reset;
mod mount;
mod mount_point;
mod mount_root;
mod mountinfo;
mod names;
mod observe;
mod obstruction;
pub mod output;
mod ownership;
mod pool;
mod prune;
mod pump;
mod receive;
mod send;
mod send_plan;
mod set_aside;
mod snapshot;
mod stream_flags;
mod stream_head;
mod tree_size;
mod unfinished;
mod volume;

pub use acquire::{Acquire, AcquireError, Promote};
pub use command::CommandFailed;
pub use copy_tree::{CopyTreeError, copy_tree};
pub use create::{CreateError, Making, NewVolume};
pub use handoff::{Release, ReleaseError, Released};
pub use holders::Holder;
pub use import::{ImportError, Importing, NewImport};
pub use kernel::{Cause, KernelFailed};
pub use listing::MalformedListing;
pub use mount::{MountError, MountedVolume, UnmountError};
pub use observe::ObserveError;
pub use pool::{NodeMark, read_node_mark};
pub use prune::PruneError;
pub use receive::{DiscardError, Incoming, ReceiveError, ReceiveRequest, Received};
pub use send::{SendCompletion, SendError, Sending};
pub use send_plan::{PlanSendError, SendPlan, Transfer};
pub use set_aside::{SetAside, SetAsideCopy, SetAsideError};
pub use snapshot::{Snapshot, SnapshotError};
pub use stream_flags::StreamFlags;
pub use tree_size::{MeasureError, TreeSize, measure_tree};
pub use unfinished::UnfinishedError;
pub use volume::{
    Change, Found, OpenError, Owned, Replica, ResizeError, Stale, Volume, Zfs, ZfsSettings,
};
