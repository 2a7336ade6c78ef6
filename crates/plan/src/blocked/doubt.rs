//! Why a node that owns a volume by its own account cannot be sure of it.

use std::fmt;

use flocker_model::NodeName;
use serde::{Deserialize, Serialize};

/// Why a node that owns a volume by its own account cannot be sure of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "why")]
pub enum Doubt {
    /// Another node answers the question about owners in a way that the node does not understand.
    PeerNotUnderstood {
        /// The node that asked.
        node: NodeName,
        /// The node that answers.
        peer: NodeName,
        /// What it said.
        reason: String,
    },
}

impl Doubt {
    /// Says what the operator can do next.
    pub(super) fn hint(&self) -> String {
        match self {
            Self::PeerNotUnderstood { node, peer, .. } => format!(
                "install the same release of flocker-node on {peer} and {node}, or switch {peer} off \
                 if it is lost; then run `flocker-node restore` on {node}"
            ),
        }
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PeerNotUnderstood { node, peer, reason } => write!(
                formatter,
                "{peer} may have become the owner of its volume: it answers {node}, which does not \
                 understand the answer: {reason}"
            ),
        }
    }
}
