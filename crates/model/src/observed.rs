//! What was seen of the whole cluster, and what could not be seen.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{ApplicationName, ImageId, ImageReference, NodeName, NodeState, OwnerClaim};

/// One node, seen or not. *Unknown is not absent*: what may be on an unseen node is never assumed
/// not to exist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeObservation {
    /// It answered.
    Seen(Box<NodeState>),
    /// It did not answer.
    Unreachable {
        /// Why, in words for the operator.
        reason: String,
    },
    /// It was not asked, because this plan is for another node alone.
    NotAsked,
}

impl NodeObservation {
    /// Returns the state, if the node answered.
    pub fn seen(&self) -> Option<&NodeState> {
        match self {
            Self::Seen(state) => Some(state),
            Self::Unreachable { .. } | Self::NotAsked => None,
        }
    }
}

/// What was seen of the whole cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Observed {
    /// Every node that the deployment names or that an earlier one used.
    pub nodes: BTreeMap<NodeName, NodeObservation>,
    /// Images that the operator's machine can stream.
    pub operator_images: BTreeMap<ImageReference, ImageId>,
    /// What nodes that were not seen themselves say of the owners of the volumes that they have
    /// copies of.
    #[serde(default)]
    pub claims: BTreeMap<NodeName, BTreeMap<ApplicationName, OwnerClaim>>,
}

impl Observed {
    /// Lists the nodes that answered.
    pub fn seen(&self) -> impl Iterator<Item = (&NodeName, &NodeState)> {
        self.nodes
            .iter()
            .filter_map(|(name, observation)| Some((name, observation.seen()?)))
    }

    /// Returns the state of the node called `name`, if it answered.
    pub fn node(&self, name: &NodeName) -> Option<&NodeState> {
        self.nodes.get(name)?.seen()
    }
}
