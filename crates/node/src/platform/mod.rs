//! What the executors stand on: the traits between what a step means and the machine it is done on.
//!
//! One implementation is the machine itself ([`crate::linux`]); the other, for tests, keeps
//! everything in memory. The same contract tests run on both. Every method has a caller; a failure
//! is already in the words that the operator reads.
//!
//! The methods are declared as functions that return a future, because steps run as tasks and so
//! need to be told that the futures can move between threads.

mod containers;
mod directories;
mod peers;
mod routes;
mod units;
mod volumes;

use std::fmt::Debug;

pub(crate) use containers::{Containers, Ends, ImageProgress, Steady};
pub(crate) use directories::{Directories, WantedDirectories};
pub(crate) use peers::{PeerConnection, PeerSession, Peers};
pub(crate) use routes::Routes;
pub(crate) use units::Units;
pub(crate) use volumes::{OwnedVolume, Sending, Volumes};

/// One kind of machine: which implementations belong together.
pub(crate) trait Platform: Clone + Debug + Send + Sync + 'static {
    /// The volumes of the machine.
    type Volumes: Volumes;
    /// Its containers and images.
    type Containers: Containers;
    /// The directories behind containers' mount points.
    type Directories: Directories;
    /// The units that look after its containers.
    type Units: Units;
    /// Its routes, and the links inside its containers.
    type Routes: Routes;
    /// The machines that it may push to.
    type Peers: Peers;
}
