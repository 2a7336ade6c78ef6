//! The machines that this one may push to.

use std::any::Any;
use std::fmt::Debug;
use std::net::Ipv4Addr;
use std::path::Path;

use flocker_model::{LoginRefusal, Member, NodeName};
use flocker_remote::protocol::StepFailure;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::peer::NotTold;

/// The way to other machines.
pub(crate) trait Peers: Clone + Debug + Send + Sync + 'static {
    /// A connection to one of them.
    type Connection: PeerConnection;

    /// Fails unless something accepts connections where this member is reached. Where nothing does, it may
    /// take as long to tell as the network does.
    fn reach(&self, member: &Member) -> impl Future<Output = Result<(), StepFailure>> + Send;

    /// Connects to the machine that has this member's keys, and to no other, with the private key
    /// in the file `key`.
    fn connect(
        &self,
        name: &NodeName,
        member: &Member,
        key: &Path,
    ) -> impl Future<Output = Result<Self::Connection, NotTold>> + Send;

    /// Finds the setting with which this machine's own SSH server refuses a peer at `address`, whose
    /// key is in the file `keys`; `None` if there is none, or the server does not say.
    fn observe_refusal(
        &self,
        address: Ipv4Addr,
        keys: &Path,
    ) -> impl Future<Output = Option<LoginRefusal>> + Send;
}

/// A connection to one machine.
pub(crate) trait PeerConnection: Send + Sync {
    /// Starts to receive there: the key allows nothing else.
    fn begin(&self) -> impl Future<Output = Result<PeerSession, StepFailure>> + Send;
}

/// One running `flocker-node receive`.
pub(crate) struct PeerSession {
    /// Its standard input.
    pub(crate) input: Box<dyn AsyncWrite + Send + Unpin>,
    /// Its standard output.
    pub(crate) output: Box<dyn AsyncRead + Send + Unpin>,
    /// What it says of itself when it fails.
    pub(crate) errors: Box<dyn AsyncRead + Send + Unpin>,
    /// Keeps the session open until it is dropped.
    pub(crate) open: Box<dyn Any + Send>,
}
