//! Why a replica does not become the volume.

use flocker_model::{Epoch, NodeId, NodeName, PoolProblem};
use thiserror::Error;

use crate::CopyDescription;

use super::Promotion;

/// A replica does not become the volume. Nothing was done.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct NotPromoted {
    /// What was asked for.
    pub promotion: Promotion,
    /// Why it is refused.
    pub why: WhyNotPromoted,
    /// The node's copy, if it has one.
    pub copy: Option<CopyDescription>,
}

/// Why a replica does not become the volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WhyNotPromoted {
    /// The node did not answer.
    NodeUnseen {
        /// Why.
        reason: String,
    },
    /// The node has no copy.
    NoReplica,
    /// The node's copy is not Flocker's.
    Foreign {
        /// What is wrong with it, as the end of a sentence.
        problem: String,
    },
    /// The node owns an older turn of the volume.
    StaleOwner {
        /// The later owner, as far as it is known.
        later: String,
        /// The node on which it was seen, if it was.
        seen_on: Option<NodeName>,
        /// Its turn.
        epoch: Epoch,
    },
    /// The owner answers.
    OwnerSeen {
        /// The owner.
        owner: NodeName,
    },
    /// The owner has a dataset there that may be the volume, with damaged properties.
    OwnerDamaged {
        /// The owner.
        owner: NodeName,
        /// What is wrong with it, as the end of a sentence.
        problem: String,
    },
    /// The volume was given up to a node that only has to take it.
    HandedOff {
        /// That node.
        to: NodeName,
    },
    /// Nodes contradict each other on who the owner is.
    OwnersContradict {
        /// The copies that do.
        copies: Vec<CopyDescription>,
    },
    /// The pool cannot be written to.
    PoolUnusable {
        /// Its name.
        pool: String,
        /// What is wrong with it.
        problem: PoolProblem,
    },
    /// The first copy was not received whole.
    Partial,
    /// The replica was changed behind Flocker's back.
    Touched {
        /// How, as the end of a sentence.
        problem: String,
        /// The owner by the replica's account, if the node may be that with a new identity.
        owner: Option<NodeId>,
    },
    /// Another node's copy of the newest epoch was changed since its newest snapshot: it may be the
    /// volume itself, of an owner that lost its identity.
    ChangedElsewhere {
        /// That copy.
        copy: Box<CopyDescription>,
        /// How it was changed, as the end of a sentence.
        problem: String,
        /// The owner by that copy's account, if the node that has it may be that with a new identity.
        owner: Option<NodeId>,
    },
    /// Another node has more of the volume.
    NewerReplica {
        /// Its copy.
        newer: Box<CopyDescription>,
    },
    /// More would be lost than was accepted.
    LossNotAccepted {
        /// When the newest snapshot was taken, in seconds since 1970.
        taken: u64,
    },
}
