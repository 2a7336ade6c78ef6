//! What a node's firewall table and its containers' links should do.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::{ApplicationName, Port};

/// Where traffic for one port goes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Endpoint {
    /// To a container on this node; its address is looked up when the table is programmed.
    Local {
        /// The application whose container it is.
        application: ApplicationName,
        /// The port inside the container.
        port: Port,
    },
    /// To another node, which sends it on.
    Remote {
        /// The other node's address.
        address: Ipv4Addr,
        /// The port on the other node.
        port: Port,
    },
}

/// The whole of one node's routing, as its firewall table should have it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NodeNetwork {
    /// Ports that answer to everybody.
    pub routes: BTreeMap<Port, Endpoint>,
    /// Ports that answer only to containers here and to peers: the wire side of links.
    pub links: BTreeMap<Port, Endpoint>,
    /// The other nodes, which may use the link ports.
    pub peers: BTreeSet<Ipv4Addr>,
    /// Ports whose new connections are dropped for now, because what answers them is moving.
    pub held: BTreeSet<Port>,
}

/// Inside one container: port on `localhost` to the link port on the node.
pub type ContainerLinks = BTreeMap<Port, Port>;
