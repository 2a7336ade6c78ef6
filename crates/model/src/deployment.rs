//! Where to run it: the whole of what an operator asks for.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Application, ApplicationName, Digest, NodeName};

/// Both configuration files, validated: applications and their places.
///
/// Made by `flocker-config`, which guarantees that every placed application is defined and placed
/// once, that links have targets, and that no two applications share an external port.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Deployment {
    /// The applications by name, whether placed or not.
    pub applications: BTreeMap<ApplicationName, Application>,
    /// The applications of each node; a node may have none.
    pub nodes: BTreeMap<NodeName, BTreeSet<ApplicationName>>,
}

impl Deployment {
    /// Returns the node that `application` is placed on.
    pub fn place_of(&self, application: &ApplicationName) -> Option<&NodeName> {
        self.nodes
            .iter()
            .find(|(_, placed)| placed.contains(application))
            .map(|(node, _)| node)
    }

    /// Lists the placed applications with their node, in the order of their names.
    pub fn placed(&self) -> impl Iterator<Item = (&ApplicationName, &Application, &NodeName)> {
        self.applications.iter().filter_map(|(name, application)| {
            self.place_of(name).map(|node| (name, application, node))
        })
    }

    /// Fingerprints the deployment: equal files have equal ids.
    pub fn id(&self) -> DeploymentId {
        DeploymentId(Digest::of(self))
    }
}

/// Names one deployment by its content.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeploymentId(pub Digest);

impl fmt::Display for DeploymentId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// The last deployment that was applied in full, as every node of it remembers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppliedDeployment {
    /// Its fingerprint.
    pub id: DeploymentId,
    /// What was asked for.
    pub deployment: Deployment,
    /// What this node is called in it.
    pub node: NodeName,
}
