//! What stands in the way of a plan, said so that the operator can decide.

mod access;
mod class;
mod copy;
mod doubt;
mod firewall;
mod hint;
mod image;
mod mounts;
mod text;
mod unseen;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use flocker_model::{
    ApplicationName, ByteCount, Epoch, FirewallObstacle, HostPath, ImagePlatform, ImageReference,
    LoginRefusal, MountPath, NodeId, NodeName, Obstruction, PoolProblem, RegistryAnswer, RoutePort,
    SnapshotGuid, VolumeHolder,
};
use serde::{Deserialize, Serialize};

pub use copy::CopyDescription;
pub use doubt::Doubt;
pub use image::{UnfitCopy, about_login, is_about_a_login};
pub use unseen::Unseen;

pub(crate) use crate::naming::list;
use crate::{HiddenData, Unaccounted};

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
    /// A node of the deployment is there, and did not let itself be looked at.
    NodeUnusable {
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
    /// A name leads to another machine than before, and that one was not seen.
    OtherMachine {
        /// The name.
        node: NodeName,
        /// The machine that answers.
        found: NodeId,
        /// The machine that it was.
        former: NodeId,
        /// A node that remembers it.
        says: NodeName,
    },
    /// A machine that was given up has come back.
    MachineForgotten {
        /// The name under which it answers.
        node: NodeName,
        /// Its identity.
        id: NodeId,
        /// When it was given up, in seconds since 1970.
        at: u64,
        /// A node that knows so.
        says: NodeName,
        /// Its dataset for volumes.
        dataset: String,
    },
    /// Nothing tells at which address the other nodes reach one.
    NoAddress {
        /// The node.
        node: NodeName,
    },
    /// Several nodes are reached at one address.
    SharedAddress {
        /// The nodes.
        nodes: Vec<NodeName>,
        /// The address.
        address: Ipv4Addr,
    },
    /// A node's address leads every machine to itself.
    AddressOfItself {
        /// The node.
        node: NodeName,
        /// The address.
        address: Ipv4Addr,
    },
    /// A node is to receive, and its SSH server refuses its peers.
    PeersRefused {
        /// The node.
        node: NodeName,
        /// The setting that does.
        refusal: LoginRefusal,
    },
    /// No copy was seen, or none that is current, but a node that may have it was not.
    VolumeUnknown {
        /// The nodes that may have it.
        #[serde(flatten)]
        unseen: Unseen,
    },
    /// Only replicas were seen; the owner was not.
    OwnerUnseen {
        /// The owner's identity.
        owner: NodeId,
        /// What it was called, if any node remembers.
        name: Option<NodeName>,
        /// Whether it is there all the same, and only did not let itself be looked at.
        answers: bool,
        /// The newest replica.
        replica: CopyDescription,
    },
    /// Several nodes own the volume.
    OwnersContradict {
        /// Their copies.
        copies: Vec<CopyDescription>,
    },
    /// A node owns the volume by its own account, and another knows of a later owner.
    Superseded {
        /// The copy of the one.
        copy: CopyDescription,
        /// The later owner.
        owner: NodeId,
        /// What that is called, if anybody knows.
        name: Option<NodeName>,
        /// The later owner's turn.
        epoch: Epoch,
        /// The node that knows it.
        says: NodeName,
    },
    /// A node owns the volume by its own account, and cannot be sure of it.
    OwnerDoubted {
        /// Why.
        doubt: Doubt,
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
    /// A volume would be new, and a node that may have had it remembers nothing.
    NodeForgot {
        /// The node.
        node: NodeName,
        /// The node that knows it, if the evidence is not on the node itself.
        says: Option<NodeName>,
    },
    /// A volume would be new, and a machine of the cluster that may have it is remembered by no node.
    MachineUnknown {
        /// The machine.
        owner: NodeId,
        /// The node that has a copy of another volume that the machine owns.
        node: NodeName,
        /// Whose volume that is.
        copy: ApplicationName,
    },
    /// A dataset is in the way that Flocker did not make.
    ForeignDataset {
        /// The node.
        node: NodeName,
        /// The dataset.
        dataset: String,
        /// Its newest snapshot, whoever took that: by it others can tell which dataset this is.
        newest: Option<SnapshotGuid>,
        /// What is wrong with it.
        problem: String,
    },
    /// Data is being imported as the volume, and not all of it is there.
    ImportUnfinished {
        /// The node.
        node: NodeName,
        /// Where the data comes from.
        from: String,
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
        port: RoutePort,
    },
    /// A firewall of a node drops connections to routes and links.
    FirewallDrops {
        /// The node.
        node: NodeName,
        /// The firewall.
        obstacle: FirewallObstacle,
    },
    /// Something is where the volume has to be mounted.
    PlaceObstructed {
        /// The node.
        node: NodeName,
        /// What is in the way.
        obstruction: Obstruction,
    },
    /// The target's pool cannot take the volume.
    NotEnoughSpace {
        /// The node.
        node: NodeName,
        /// The pool.
        pool: String,
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
        /// The pool.
        pool: String,
        /// What is wrong with it.
        problem: PoolProblem,
        /// Whether its volumes could be looked at all the same.
        volumes_seen: bool,
    },
    /// The node's Docker runs no copy of the image that was seen, and the registry gives none.
    NoImage {
        /// The node.
        node: NodeName,
        /// The images that its Docker runs, if it says so.
        platform: Option<ImagePlatform>,
        /// The image.
        image: ImageReference,
        /// The copies that are made for other machines.
        copies: Vec<UnfitCopy>,
        /// What the registry said.
        answer: RegistryAnswer,
    },
    /// The image declares volumes that no mount point of the application covers.
    ImageVolumes {
        /// The node.
        node: NodeName,
        /// The image.
        image: ImageReference,
        /// What is not covered.
        #[serde(flatten)]
        unaccounted: Unaccounted,
    },
    /// The container has anonymous volumes of Docker's, with data that nothing would keep.
    AnonymousVolumes {
        /// The node.
        node: NodeName,
        /// The volume's dataset, if it is not mounted.
        dataset: Option<String>,
        /// The path of each, with the directory of the node where its data belongs, if there is one.
        paths: BTreeMap<String, Option<String>>,
    },
    /// The node's Docker maps containers' users to others, which own nothing in a volume.
    UsersRemapped {
        /// The node.
        node: NodeName,
    },
    /// Directories of the volume have mount points so far, and the volume as a whole is to have one.
    LayoutChanged {
        /// The node.
        node: NodeName,
    },
    /// The application would no longer see data that it saw so far.
    DataHidden {
        /// The node that has the data.
        node: NodeName,
        /// The application whose volume it is.
        volume: ApplicationName,
        /// The data.
        hidden: Vec<HiddenData>,
    },
    /// The application is to see another's volume, and is not placed with it.
    NotWithItsVolume {
        /// The node that it is placed on.
        node: NodeName,
        /// The application whose volume it is to see.
        owner: ApplicationName,
    },
    /// In the place of paths of a node, the application would begin with empty directories.
    LeftOnNode {
        /// The node.
        node: NodeName,
        /// Where the application sees them so far, and what they are on the node.
        paths: BTreeMap<MountPath, HostPath>,
    },
    /// The application would run on other data than so far.
    OtherData {
        /// The node that has its data.
        node: NodeName,
        /// The application whose volume it sees: itself, or another.
        before: ApplicationName,
        /// The one whose volume it would see.
        next: ApplicationName,
    },
    /// The volume is encrypted, and its key is not loaded.
    KeyNotLoaded {
        /// The node.
        node: NodeName,
        /// The dataset that the key belongs to.
        dataset: String,
    },
    /// Others would keep the volume mounted after its application is stopped, so that it could not
    /// be handed over.
    HeldElsewhere {
        /// The node.
        node: NodeName,
        /// One process of each mount namespace that has it.
        holders: Vec<VolumeHolder>,
    },
    /// Within one node's scope: what is wanted needs another node.
    NeedsOtherNode {
        /// The other node.
        node: NodeName,
        /// What is needed of it, as a clause.
        what: String,
    },
}
