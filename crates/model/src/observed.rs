//! What was seen of the whole cluster, and what could not be seen.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::{
    ApplicationName, CopyClaim, ImageName, Look, Members, NodeId, NodeName, NodeState,
    OperatorImage, PoollessNode, RegistryAnswer,
};

/// One node, seen or not. *Unknown is not absent*: what may be on an unseen node is never assumed
/// not to exist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeObservation {
    /// It answered.
    Seen(Box<NodeState>),
    /// It answered, and its pool cannot be looked at: which volumes it has is as unknown as those
    /// of a node that was not seen.
    WithoutPool(Box<PoollessNode>),
    /// It did not answer.
    Unreachable {
        /// Why, in words for the operator.
        reason: String,
    },
    /// It is there, and did not let itself be looked at: somebody else changes it, say. It is not
    /// lost, and neither is what it has.
    Unusable {
        /// Why, in words for the operator.
        reason: String,
    },
    /// It was not asked, because this plan is for another node alone.
    NotAsked,
}

impl NodeObservation {
    /// Returns the state, if the node was seen with all that it has.
    pub fn seen(&self) -> Option<&NodeState> {
        match self {
            Self::Seen(state) => Some(state),
            Self::WithoutPool(_)
            | Self::Unreachable { .. }
            | Self::Unusable { .. }
            | Self::NotAsked => None,
        }
    }

    /// Returns who the node is and which machines it knows of, if it said so.
    pub fn identity(&self) -> Option<(NodeId, &Members)> {
        match self {
            Self::Seen(state) => Some((state.id, &state.members)),
            Self::WithoutPool(node) => Some((node.id, &node.members)),
            Self::Unreachable { .. } | Self::Unusable { .. } | Self::NotAsked => None,
        }
    }
}

impl From<Look> for NodeObservation {
    fn from(look: Look) -> Self {
        match look {
            Look::Whole(state) => Self::Seen(state),
            Look::WithoutPool(node) => Self::WithoutPool(node),
        }
    }
}

/// What was seen of the whole cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Observed {
    /// Every node that the deployment names or that an earlier one used.
    pub nodes: BTreeMap<NodeName, NodeObservation>,
    /// Images that the operator's machine can stream: by each name, every copy of it.
    pub operator_images: BTreeMap<ImageName, Vec<OperatorImage>>,
    /// What registries say of images, by the node that asked. Images of which a plan has to know
    /// nothing are not asked for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub registries: BTreeMap<NodeName, BTreeMap<ImageName, RegistryAnswer>>,
    /// What nodes that were not seen themselves say of the owners of the volumes that they have
    /// copies of.
    #[serde(default)]
    pub claims: BTreeMap<NodeName, BTreeMap<ApplicationName, CopyClaim>>,
    /// Peers that answered the same question in a way that the node which asked does not understand,
    /// each with the reason. They are there, and may know of a later owner.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub not_understood: BTreeMap<NodeName, String>,
    /// The addresses at which another machine answers that has the identity of the node which asked.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub twins: BTreeSet<Ipv4Addr>,
    /// When it was looked, in seconds since 1970 by the clock of whoever did. Nothing is decided by
    /// it; people are told by it how old things are.
    #[serde(default)]
    pub at: Option<u64>,
}

impl Observed {
    /// Lists the nodes that were seen with all that they have.
    pub fn seen(&self) -> impl Iterator<Item = (&NodeName, &NodeState)> {
        self.nodes
            .iter()
            .filter_map(|(name, observation)| Some((name, observation.seen()?)))
    }

    /// Lists the machines that said who they are, with those that they know of.
    pub fn identities(&self) -> impl Iterator<Item = (&NodeName, NodeId, &Members)> {
        self.nodes.iter().filter_map(|(name, observation)| {
            let (id, members) = observation.identity()?;
            Some((name, id, members))
        })
    }

    /// Returns the state of the node called `name`, if it was seen with all that it has.
    pub fn node(&self, name: &NodeName) -> Option<&NodeState> {
        self.nodes.get(name)?.seen()
    }
}
