//! Who a node is, and how other nodes reach it.

use std::fmt;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Port;

/// The identity that a node gave itself once; volumes are owned by it, not by a name or address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(pub Uuid);

impl fmt::Display for NodeId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// The address at which a node's SSH server answers its peers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Contact {
    /// IPv4 address.
    pub address: Ipv4Addr,
    /// TCP port of the SSH server.
    pub ssh_port: Port,
}

impl Contact {
    /// Reads where this node's SSH server was reached: the third and fourth word of
    /// `SSH_CONNECTION`; `None` when that is not an IPv4 address.
    ///
    /// **Source**: `ssh(1)`, ENVIRONMENT.
    pub fn from_ssh_connection(connection: &str) -> Option<Self> {
        let mut words = connection.split_whitespace().skip(2);
        let address: Ipv4Addr = words.next()?.parse().ok()?;
        let ssh_port = words.next()?.parse().ok().and_then(Port::new)?;
        Some(Self { address, ssh_port })
    }
}

/// The public halves of a node's keys, in OpenSSH's one-line form.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SshIdentity {
    /// The key with which the node pushes volumes to its peers.
    pub public_key: String,
    /// The keys with which its SSH server proves who it is.
    pub host_keys: Vec<String>,
}
