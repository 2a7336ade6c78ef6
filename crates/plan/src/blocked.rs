//! What stands in the way of a plan, said so that the operator can decide.

use std::fmt;

use flocker_model::{
    ApplicationName, ByteCount, Epoch, NodeId, NodeName, Port, SnapshotGuid, render_utc,
};
use serde::{Deserialize, Serialize};

/// One copy of a volume, as it is shown when copies contradict each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyDescription {
    /// The node that has it.
    pub node: NodeName,
    /// The epoch that it claims.
    pub epoch: Epoch,
    /// Its newest snapshot.
    pub newest: Option<SnapshotGuid>,
    /// When that was taken, in seconds since 1970.
    pub created: Option<u64>,
    /// Bytes written since.
    pub written: ByteCount,
}

impl fmt::Display for CopyDescription {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} (epoch {}", self.node, self.epoch)?;
        if let Some(newest) = self.newest {
            write!(formatter, ", newest snapshot GUID {newest}")?;
        }
        if let Some(created) = self.created {
            write!(formatter, " taken at {}", render_utc(created))?;
        }
        write!(formatter, ", {} written since)", self.written)
    }
}

/// One thing that stands in the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocked {
    /// The application that cannot be made so, or none when a whole node is concerned.
    pub application: Option<ApplicationName>,
    /// What it is.
    #[serde(flatten)]
    pub kind: BlockedKind,
}

/// What can stand in the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "blocked")]
pub enum BlockedKind {
    /// A node of the deployment did not answer.
    NodeUnreachable {
        /// The node.
        node: NodeName,
        /// Why.
        reason: String,
    },
    /// Two names of the deployment are one machine.
    SameMachine {
        /// The names.
        nodes: Vec<NodeName>,
        /// Its identity.
        id: NodeId,
    },
    /// Nothing tells at which address the other nodes reach one.
    NoAddress {
        /// The node.
        node: NodeName,
    },
    /// No copy was seen, or none that is current, but a node that may have it was not.
    VolumeUnknown {
        /// The nodes that may have it.
        unseen: Vec<NodeName>,
    },
    /// Only replicas were seen; the owner was not.
    OwnerUnseen {
        /// The owner's identity.
        owner: NodeId,
        /// What it was called, if any node remembers.
        name: Option<NodeName>,
        /// The newest replica.
        replica: CopyDescription,
    },
    /// Several nodes own the volume, or an owner is contradicted by a later epoch elsewhere.
    OwnersContradict {
        /// The copies.
        copies: Vec<CopyDescription>,
    },
    /// The volume was handed to a node that does not have what was handed off.
    HandoffLost {
        /// The node that gave it up.
        from: CopyDescription,
        /// The node that should have it.
        to: NodeName,
        /// What was handed off.
        guid: SnapshotGuid,
    },
    /// The owner was seen, but has no copy any more.
    OwnerHasNoCopy {
        /// The owner.
        owner: NodeName,
        /// The newest replica.
        replica: CopyDescription,
    },
    /// A node remembers the volume, and no copy of it is left anywhere.
    VolumeVanished {
        /// The node that it was on.
        node: NodeName,
    },
    /// A dataset is in the way that Flocker did not make.
    ForeignDataset {
        /// The node.
        node: NodeName,
        /// What is wrong with it.
        problem: String,
    },
    /// The target's replica was written to, so that nothing can be received into it.
    ReplicaWritten {
        /// The replica.
        replica: CopyDescription,
    },
    /// The target's copy has snapshots, but none in common with the owner's.
    NothingInCommon {
        /// The owner's copy.
        owner: CopyDescription,
        /// The target's copy.
        replica: CopyDescription,
    },
    /// A routed port is one that a node's own program listens on.
    PortTaken {
        /// The node.
        node: NodeName,
        /// The port.
        port: Port,
    },
    /// The target's pool cannot take the volume.
    NotEnoughSpace {
        /// The node.
        node: NodeName,
        /// Bytes that the volume refers to.
        needed: ByteCount,
        /// Bytes that the pool has.
        available: ByteCount,
    },
    /// The volume has more in it than its new maximum size.
    LargerThanMaximum {
        /// The node.
        node: NodeName,
        /// Bytes that the volume refers to.
        referenced: ByteCount,
        /// The configured maximum.
        maximum: ByteCount,
    },
    /// The pool cannot be written to.
    PoolUnusable {
        /// The node.
        node: NodeName,
        /// What is wrong with it.
        problem: String,
    },
    /// Within one node's scope: what is wanted needs another node.
    NeedsOtherNode {
        /// The other node.
        node: NodeName,
        /// What is needed of it, as a clause.
        what: String,
    },
}

impl BlockedKind {
    /// Tells whether the cause is a node that did not answer.
    pub const fn is_unreachable(&self) -> bool {
        matches!(
            self,
            Self::NodeUnreachable { .. } | Self::VolumeUnknown { .. } | Self::OwnerUnseen { .. }
        )
    }

    /// Says what the operator can do next.
    pub fn hint(&self) -> String {
        match self {
            Self::NodeUnreachable { node, .. } => format!(
                "make `ssh {node}` work, or leave {node} out of the deployment if it is gone"
            ),
            Self::SameMachine { .. } => "name each machine once in the deployment; if they are \
                 clones, remove /var/lib/flocker/node-id on one of them before its first deploy"
                .to_owned(),
            Self::NoAddress { node } => {
                format!("name {node} by its IPv4 address, or reach it over IPv4")
            }
            Self::VolumeUnknown { unseen } => format!(
                "bring {} back; nothing older or empty is used while the volume may be there",
                list(unseen)
            ),
            Self::OwnerUnseen { .. } => {
                "bring the owner back; a replica is not started in its place by itself".to_owned()
            }
            Self::OwnersContradict { .. } => "decide which copy is the right one; on the other \
                 node, rename its dataset with `zfs rename` so that it is kept but not used"
                .to_owned(),
            Self::HandoffLost { from, to, .. } => format!(
                "the data is whole on {from}; on {to}, rename any dataset that is in its place \
                 with `zfs rename`, and restore it from {from} with `zfs send`",
                from = from.node
            ),
            Self::OwnerHasNoCopy { owner, .. } => format!(
                "find the dataset on {owner} (is its pool imported?); a replica is not started in \
                 its place by itself"
            ),
            Self::VolumeVanished { node } => format!(
                "find the dataset on {node} (is its pool imported?); to start with an empty volume \
                 instead, deploy once without this application"
            ),
            Self::ForeignDataset { node, .. } => format!(
                "on {node}, rename the dataset with `zfs rename`; Flocker neither uses nor \
                 destroys what it did not make"
            ),
            Self::ReplicaWritten { replica } | Self::NothingInCommon { replica, .. } => format!(
                "on {}, rename the replica's dataset with `zfs rename`, and deploy again: the \
                 volume is then sent in full",
                replica.node
            ),
            Self::PortTaken { node, port } => {
                format!("route another port, or free port {port} on {node}")
            }
            Self::NotEnoughSpace { node, .. } => format!("free space in the pool of {node}"),
            Self::LargerThanMaximum { .. } => "raise `maximum_size`".to_owned(),
            Self::PoolUnusable { node, .. } => format!("look at `zpool status` on {node}"),
            Self::NeedsOtherNode { .. } => {
                "run `flocker-cluster deploy`, which speaks with every node".to_owned()
            }
        }
    }
}

/// Writes names with commas between them.
fn list(nodes: &[NodeName]) -> String {
    let names: Vec<&str> = nodes.iter().map(NodeName::as_str).collect();
    names.join(", ")
}

impl fmt::Display for Blocked {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(application) = &self.application {
            write!(formatter, "`{application}`: ")?;
        }
        self.kind.fmt(formatter)
    }
}

impl fmt::Display for BlockedKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NodeUnreachable { node, reason } => {
                write!(f, "{node} cannot be reached: {reason}")
            }
            Self::SameMachine { nodes, id } => {
                write!(f, "{} are one machine (node {id})", list(nodes))
            }
            Self::NoAddress { node } => write!(
                f,
                "no IPv4 address is known at which other nodes reach {node}"
            ),
            Self::PortTaken { node, port } => {
                write!(f, "routed port {port} is in use by a program on {node}")
            }
            Self::NotEnoughSpace {
                node,
                needed,
                available,
            } => write!(
                f,
                "its volume has {needed} and the pool of {node} has room for {available}"
            ),
            Self::LargerThanMaximum {
                node,
                referenced,
                maximum,
            } => write!(
                f,
                "its volume on {node} has {referenced} in it, more than the maximum size of {maximum}"
            ),
            Self::PoolUnusable { node, problem } => write!(f, "the pool of {node} {problem}"),
            Self::NeedsOtherNode { node, what } => write!(f, "{what} (on {node})"),
            Self::VolumeUnknown { .. }
            | Self::OwnerUnseen { .. }
            | Self::OwnersContradict { .. }
            | Self::HandoffLost { .. }
            | Self::OwnerHasNoCopy { .. }
            | Self::VolumeVanished { .. }
            | Self::ForeignDataset { .. }
            | Self::ReplicaWritten { .. }
            | Self::NothingInCommon { .. } => self.fmt_about_copies(f),
        }
    }
}

impl BlockedKind {
    /// Writes what is wrong with the copies of a volume.
    fn fmt_about_copies(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::VolumeUnknown { unseen } => write!(
                f,
                "no current copy of its volume was seen, and {} was not seen either",
                list(unseen)
            ),
            Self::OwnerUnseen {
                owner,
                name,
                replica,
            } => {
                let owner = match name {
                    Some(name) => format!("{name} (node {owner})"),
                    None => format!("node {owner}"),
                };
                write!(
                    f,
                    "its volume is owned by {owner}, which was not seen; the newest replica is on {replica}"
                )
            }
            Self::OwnersContradict { copies } => {
                let copies: Vec<String> = copies.iter().map(CopyDescription::to_string).collect();
                let copies = copies.join("; ");
                write!(f, "more than one node claims to own its volume: {copies}")
            }
            Self::HandoffLost { from, to, guid } => write!(
                f,
                "its volume was handed to {to} with snapshot GUID {guid}, which {to} does not have at its end; it was given up by {from}"
            ),
            Self::OwnerHasNoCopy { owner, replica } => write!(
                f,
                "its volume is owned by {owner}, which has no dataset for it; the newest replica is on {replica}"
            ),
            Self::VolumeVanished { node } => write!(
                f,
                "its volume was on {node} when it was last deployed, and no node has a copy of it now"
            ),
            Self::ForeignDataset { node, problem } => write!(
                f,
                "the dataset at the place of its volume on {node} {problem}"
            ),
            Self::ReplicaWritten { replica } => {
                write!(f, "the replica of its volume was written to on {replica}")
            }
            Self::NothingInCommon { owner, replica } => write!(
                f,
                "the copies of its volume have no snapshot in common: owner {owner}, replica {replica}"
            ),
            // Not about copies.
            _ => Ok(()),
        }
    }
}
