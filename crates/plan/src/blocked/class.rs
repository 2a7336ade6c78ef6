//! Classes of what stands in the way: by what ends it, and by the exit code that it leads to.

use flocker_model::{NodeName, PoolProblem, PoollessNode};

use super::BlockedKind;

impl BlockedKind {
    /// Says that a node's pool cannot be looked at.
    pub fn of_poolless(node: &NodeName, poolless: &PoollessNode) -> Self {
        Self::PoolUnusable {
            node: node.clone(),
            pool: poolless.pool.clone(),
            problem: poolless.problem.clone(),
            volumes_seen: false,
        }
    }

    /// Tells whether it ends as soon as somebody loads a key.
    pub const fn waits_for_key(&self) -> bool {
        matches!(
            self,
            Self::KeyNotLoaded { .. }
                | Self::PoolUnusable {
                    problem: PoolProblem::KeyNotLoaded { .. },
                    ..
                }
        )
    }

    /// Tells whether the cause is a node that did not answer.
    pub const fn is_unreachable(&self) -> bool {
        match self {
            Self::NodeUnreachable { .. } => true,
            Self::VolumeUnknown { unseen } => !unseen.away.is_empty(),
            Self::OwnerUnseen { answers, .. } => !*answers,
            _ => false,
        }
    }
}
