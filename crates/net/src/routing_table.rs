//! What a node's firewall table should do, with every address looked up.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use flocker_model::{Port, RoutePort, ServicePort, SourceNetwork};

/// Longest interface name that the kernel takes, in bytes (`IFNAMSIZ` less its NUL).
const LONGEST_INTERFACE_NAME: usize = 15;

/// Longest digest that is kept in the table, in bytes; a comment has room for 127.
const LONGEST_DIGEST: usize = 64;

/// Whether an `ensure_` function had to do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The kernel already had all of it.
    Unchanged,
    /// The kernel was told.
    Changed,
}

/// An address and a port that connections are sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// A container on this node, or another node.
    pub address: Ipv4Addr,
    /// The port there.
    pub port: Port,
}

/// The whole of one node's routing, with containers' addresses in place of their names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoutingTable {
    /// The bridge that the containers are on.
    pub bridge: String,
    /// Ports that answer to everybody, unless `from` says otherwise.
    pub routes: BTreeMap<RoutePort, Target>,
    /// The networks from which a route can be reached that does not answer to everybody. No list is
    /// empty, and no networks of one overlap.
    pub from: BTreeMap<RoutePort, BTreeSet<SourceNetwork>>,
    /// Ports that answer only to containers here and to peers.
    pub links: BTreeMap<ServicePort, Target>,
    /// Ports that answer only to peers.
    pub wires: BTreeMap<ServicePort, Target>,
    /// The other nodes, by every address that they may send from.
    pub peers: BTreeSet<Ipv4Addr>,
    /// Ports whose new connections and packets are dropped for now.
    pub held: BTreeSet<RoutePort>,
    /// The caller's fingerprint of what this was made from, for [`observe_digest`](crate::observe_digest).
    pub digest: String,
}

/// A routing table that cannot be programmed as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRoutingTable {
    /// The digest could not be told from the rest of the comment that carries it.
    #[error("digest {digest:?} cannot be kept in the table; use 1 to 64 ASCII letters and digits")]
    Digest {
        /// The digest.
        digest: String,
    },
    /// The kernel would never match it.
    #[error(
        "bridge {bridge:?} is not an interface name; use 1 to 15 printable characters without blanks"
    )]
    Bridge {
        /// The name.
        bridge: String,
    },
    /// The kernel would refuse it.
    #[error("the networks of port {port} are none, or overlap")]
    Networks {
        /// The port.
        port: RoutePort,
    },
}

impl RoutingTable {
    /// Tells whether the table can be programmed.
    ///
    /// # Errors
    /// When the digest or the bridge's name would not survive being written down, or a list of
    /// networks would be refused.
    pub fn validate(&self) -> Result<(), InvalidRoutingTable> {
        let plain = self.digest.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !plain || self.digest.is_empty() || self.digest.len() > LONGEST_DIGEST {
            return Err(InvalidRoutingTable::Digest {
                digest: self.digest.clone(),
            });
        }
        let printable = self
            .bridge
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'/');
        if !printable || self.bridge.is_empty() || self.bridge.len() > LONGEST_INTERFACE_NAME {
            return Err(InvalidRoutingTable::Bridge {
                bridge: self.bridge.clone(),
            });
        }
        let is_wrong = |list: &BTreeSet<SourceNetwork>| {
            list.is_empty() || SourceNetwork::without_contained(list) != *list
        };
        match self.from.iter().find(|(_, list)| is_wrong(list)) {
            Some((port, _)) => Err(InvalidRoutingTable::Networks { port: *port }),
            None => Ok(()),
        }
    }
}
