//! What is wanted, and of whom.

use flocker_model::{Deployment, NodeName};

/// Whose compliance is planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Every node's: `flocker-cluster deploy`.
    Cluster,
    /// One node's, with what it can do alone: `flocker-node apply`.
    Node(NodeName),
}

/// What is wanted, and of whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Goal<'a> {
    /// The applications and their places.
    pub deployment: &'a Deployment,
    /// Whose compliance is planned.
    pub scope: Scope,
}

impl Goal<'_> {
    /// Tells whether steps on `node` are within the goal.
    pub fn covers(&self, node: &NodeName) -> bool {
        match &self.scope {
            Scope::Cluster => true,
            Scope::Node(only) => only == node,
        }
    }
}
