//! What a node's other firewalls do to what Flocker redirects.

use serde::{Deserialize, Serialize};

use crate::Protocol;

/// A firewall on a node that drops connections to routes and links before they reach a container.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FirewallObstacle {
    /// The kernel has rules of iptables-legacy that drop them. Flocker's own are nftables'.
    LegacyIptables,
    /// Docker filters by nftables itself, and was not told to accept Flocker's mark.
    DockerDropsMark,
    /// The chain FORWARD of iptables drops them, and Docker's chain DOCKER-USER, in which
    /// Flocker's rule belongs, is not called.
    DockerChainsMissing,
    /// A chain of another program drops them.
    Chain {
        /// The family and the name of the table.
        table: String,
        /// The chain.
        chain: String,
        /// The only protocol that it drops, if it lets the other pass.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        protocol: Option<Protocol>,
    },
}

impl FirewallObstacle {
    /// Tells whether it drops packets of a protocol.
    pub fn drops(&self, wanted: Protocol) -> bool {
        match self {
            Self::Chain {
                protocol: Some(only),
                ..
            } => *only == wanted,
            _ => true,
        }
    }
}
