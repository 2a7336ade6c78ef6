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
    /// Whether volumes may be new although something indicates that a node or a record of them is
    /// missing: the operator says that they never existed.
    pub new_volumes: bool,
}

impl<'a> Goal<'a> {
    /// Wants a deployment, and no volume that may exist elsewhere.
    pub const fn new(deployment: &'a Deployment, scope: Scope) -> Self {
        Self {
            deployment,
            scope,
            new_volumes: false,
        }
    }

    /// Tells whether steps on `node` are within the goal.
    pub fn covers(&self, node: &NodeName) -> bool {
        match &self.scope {
            Scope::Cluster => true,
            Scope::Node(only) => only == node,
        }
    }
}
