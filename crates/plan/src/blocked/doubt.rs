//! Why a node that owns a volume by its own account cannot be sure of it.

use std::fmt;
use std::net::Ipv4Addr;

use flocker_model::{ApplicationName, NodeName};
use serde::{Deserialize, Serialize};

use super::CopyDescription;
use crate::naming::{NEW_IDENTITY, set_aside_command};

/// Why a node that owns a volume by its own account cannot be sure of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "why")]
pub enum Doubt {
    /// Another node is there, and does not answer the question about owners, or in a way that the node does
    /// not understand.
    PeerNotUnderstood {
        /// The node that asked.
        node: NodeName,
        /// The node that was asked.
        peer: NodeName,
        /// What it said, or that it said nothing.
        reason: String,
    },
    /// Another machine answers with the identity of the node.
    TwinAnswers {
        /// The node that asked.
        node: NodeName,
        /// Where the other machine answers.
        address: Ipv4Addr,
    },
    /// Another node received a snapshot from the node that the node no longer has.
    Rewound {
        /// The node's copy.
        copy: CopyDescription,
        /// The node that has the snapshot.
        says: NodeName,
        /// Its name.
        snapshot: String,
    },
}

impl Doubt {
    /// Says what the operator can do next about this volume.
    pub(super) fn hint(&self, application: Option<&ApplicationName>) -> String {
        match self {
            Self::TwinAnswers { node, .. } => format!(
                "one of the two machines is a copy of the other: switch the copy off, then run \
                 `flocker-node restore` on {node}; or {NEW_IDENTITY}"
            ),
            Self::Rewound { copy, says, .. } => {
                let set_aside = |node| match application {
                    Some(application) => set_aside_command(application, node),
                    None => format!("setting the copy on {node} aside"),
                };
                format!(
                    "if {} was restored from a backup, {} and `volume promote` on {says} go on with the \
                     newer data; to go on with the older data, {}. Nothing is destroyed",
                    copy.node,
                    set_aside(&copy.node),
                    set_aside(says)
                )
            }
            Self::PeerNotUnderstood { node, peer, .. } => format!(
                "see that {peer} answers and has the same release of flocker-node as {node}, or switch \
                 {peer} off if it is lost; then run `flocker-node restore` on {node}"
            ),
        }
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TwinAnswers { node, address } => write!(
                formatter,
                "another machine answers at {address} with the identity of {node}, and may run it"
            ),
            Self::Rewound {
                copy,
                says,
                snapshot,
            } => write!(
                formatter,
                "its volume is older than it was: {copy} lacks snapshot {snapshot}, which {says} \
                 received from there"
            ),
            Self::PeerNotUnderstood { node, peer, reason } => write!(
                formatter,
                "{peer} may have become the owner of its volume: it is there, and {node} cannot learn \
                 from it who the owner is: {reason}"
            ),
        }
    }
}
