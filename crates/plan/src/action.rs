//! Everything that a node can be asked to do, as data.

use std::collections::BTreeSet;

use flocker_model::{
    ApplicationName, AppliedDeployment, ByteCount, ContainerLinks, ContainerSpecification,
    DeploymentId, Epoch, ImageDetails, ImagePlatform, ImageReference, ImportContent, LeadingPorts,
    Members, NodeId, NodeName, NodeNetwork, OperatorImage, RoutePort, SetAsideName, SnapshotGuid,
    VolumeFill, VolumeRole,
};
use serde::{Deserialize, Serialize};

use crate::StepId;

/// Where an image that a node lacks comes from, if no other node streams it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImageSource {
    /// The operator's machine streams this copy.
    Operator(OperatorImage),
    /// The node pulls it from its registry.
    Registry(Option<RegistryImage>),
}

/// What a registry said of an image that a plan pulls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistryImage {
    /// The digest that the image's name meant.
    pub digest: String,
    /// The machines that the copy is made for, if the registry said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<ImagePlatform>,
}

/// Which part of a move a push is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PushKind {
    /// While the application runs: repeated until what is left is small.
    Ahead,
    /// With the application stopped: what is left.
    Last,
}

impl PushKind {
    /// Returns the name of such a push in one word, for places and logs.
    pub const fn step(self) -> &'static str {
        match self {
            Self::Ahead => "push-volume.ahead",
            Self::Last => "push-volume.last",
        }
    }
}

/// Whether an application that is stopped is to run on that node again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StopKind {
    /// It is moved or made again: for as long as the node owns its volume, a boot starts it.
    ForNow,
    /// It is taken away from the node: nothing but a later deploy starts it there again.
    ForGood,
}

/// The snapshot that a new owner must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Handoff {
    /// It was recorded by the old owner and seen when this plan was made.
    Recorded(SnapshotGuid),
    /// It is what this earlier step of the plan, a release, yields.
    FromStep(StepId),
}

/// What a step yields for later steps to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Yield {
    /// Nothing.
    Nothing,
    /// A release yields the snapshot that was handed off.
    HandedOff(SnapshotGuid),
}

/// One thing that one node is asked to do. Each is idempotent, and the node checks the expected
/// state that the action names immediately before it acts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
// Tagged from outside: a tag inside would make serde buffer the value, and a buffered map cannot
// have ports as keys.
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Lets these machines push volumes to the node, and the node trust their host keys.
    AdmitMembers {
        /// Every machine of the cluster.
        members: Members,
    },
    /// Streams an image that the node has to another node.
    PushImage {
        /// The image.
        image: ImageReference,
        /// The node that lacks it.
        to: NodeName,
        /// What the node was seen to have by that name: it streams nothing else.
        copy: ImageDetails,
    },
    /// Makes an image present that no other node streams.
    EnsureImage {
        /// The image.
        image: ImageReference,
        /// Where it comes from.
        from: ImageSource,
    },
    /// Looks whether the node has a directory for every volume that the image declares, now that it
    /// is known, every path and device that the container is given, and a Docker that makes it.
    /// Nothing is changed.
    CheckImage {
        /// The container that will be made from it.
        specification: Box<ContainerSpecification>,
    },
    /// Creates a volume, owned by the node, with the image's own content at its mount points. Fails where a dataset exists already.
    CreateVolume {
        /// The application.
        application: ApplicationName,
        /// The most that it may hold.
        maximum_size: Option<ByteCount>,
        /// The deployment that asks for it.
        deployment: DeploymentId,
        /// What it is filled with.
        fill: VolumeFill,
    },
    /// Sets the most that an owned volume may hold.
    ResizeVolume {
        /// The application.
        application: ApplicationName,
        /// The most that it may hold; `None` for no limit.
        maximum_size: Option<ByteCount>,
    },
    /// Copies the volume, or what changed in it, to another node, which does not own it thereby.
    PushVolume {
        /// The application.
        application: ApplicationName,
        /// The epoch in which the pushing node must own it.
        epoch: Epoch,
        /// The node that receives.
        to: NodeName,
        /// Whether the application still runs.
        kind: PushKind,
        /// Snapshots that third copies end with, oldest first. They are sent on the way, so that
        /// the next owner has something to start from when it pushes to those.
        bases: Vec<SnapshotGuid>,
    },
    /// Gives the volume up: from then on this node never writes it again.
    ReleaseVolume {
        /// The application.
        application: ApplicationName,
        /// The epoch in which the node must own it; the next owner's is one higher.
        epoch: Epoch,
        /// The node that may acquire it.
        to: NodeId,
        /// The deployment that asks for it.
        deployment: DeploymentId,
    },
    /// Takes ownership of a volume that was released to this node.
    AcquireVolume {
        /// The application.
        application: ApplicationName,
        /// The epoch of the new owner.
        epoch: Epoch,
        /// The snapshot that the node's copy must end with.
        handoff: Handoff,
        /// The deployment that asks for it.
        deployment: DeploymentId,
    },
    /// Makes the node the owner of its replica although the owner did not give it up. Only when
    /// the operator has said that what the replica lacks may be lost.
    PromoteVolume {
        /// The application.
        application: ApplicationName,
        /// The owner that the replica must name.
        owner: NodeId,
        /// The epoch that it must name.
        epoch: Epoch,
        /// The snapshot that it must end with.
        snapshot: SnapshotGuid,
        /// What was written to it since becomes a part of the volume; without that, nothing may have been.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        with_changes: bool,
        /// The latest epoch that anybody who was seen knows of. Who knows of a later one was not
        /// seen, and has more of the volume.
        latest: Epoch,
        /// The epoch of the new owner.
        next: Epoch,
        /// The deployment that the node last applied, if there is one.
        deployment: Option<DeploymentId>,
    },
    /// Has the node's replica name an owner of a later turn than it knew of, so that it remembers
    /// who owns the volume when nobody else who does is there. Nothing in it is changed.
    RecordOwner {
        /// The application.
        application: ApplicationName,
        /// The owner.
        owner: NodeId,
        /// Its turn.
        epoch: Epoch,
    },
    /// Renames a copy so that it is kept but is no volume any more. Nothing in it is changed.
    SetVolumeAside {
        /// The name that it gets.
        name: SetAsideName,
        /// What it must be.
        role: VolumeRole,
        /// The snapshot, anybody's, that it must end with.
        newest: Option<SnapshotGuid>,
    },
    /// Makes a volume with content from outside, owned by the node. What an interrupted attempt with
    /// the same content left is gone on with. Only when the operator has asked for it.
    ImportVolume {
        /// The application.
        application: ApplicationName,
        /// The epoch that the volume begins with.
        epoch: Epoch,
        /// Where the content comes from. The operator's machine streams a stream.
        content: ImportContent,
        /// The deployment that the node last applied, if there is one.
        deployment: Option<DeploymentId>,
    },
    /// Takes a snapshot of an owned volume, whether the application runs or not.
    SnapshotVolume {
        /// The application.
        application: ApplicationName,
        /// The epoch in which the node must own it.
        epoch: Epoch,
    },
    /// Stops the application, takes it down in systemd, and unmounts the volume that it sees if no
    /// other application of the node sees that.
    StopApplication {
        /// The application.
        application: ApplicationName,
        /// Whether it is to run there again.
        kind: StopKind,
    },
    /// Removes a stopped application's container, network namespace and unit; never its volume.
    RemoveApplication {
        /// The application.
        application: ApplicationName,
    },
    /// Creates or re-creates the container and its unit as needed, and starts them.
    StartApplication {
        /// What the container is made from.
        specification: Box<ContainerSpecification>,
        /// What its loopback addresses reach.
        links: ContainerLinks,
        /// The epoch in which the node must own the volume that the container sees, if it sees one.
        volume: Option<Epoch>,
        /// The applications that it depends on.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        dependencies: BTreeSet<ApplicationName>,
        /// Whether a later step waits until it has ended without an error. That step judges a first
        /// attempt that fails and is repeated.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        completes: bool,
    },
    /// Sets what the loopback addresses inside a running container reach.
    SetLinks {
        /// The application.
        application: ApplicationName,
        /// Port inside the container to link port.
        links: ContainerLinks,
    },
    /// Waits until a container has stayed up for a while and its health check passes, if it has one.
    AwaitHealth {
        /// The application.
        application: ApplicationName,
    },
    /// Waits until an application has ended without an error.
    AwaitCompletion {
        /// The application.
        application: ApplicationName,
    },
    /// Drops new connections to these ports, so that clients try again rather than be refused.
    HoldPorts {
        /// The ports, routed ones and link ports.
        ports: BTreeSet<RoutePort>,
    },
    /// Sends these ports to where an application now runs, and forgets connections pinned to where
    /// it ran before.
    SwitchRoutes {
        /// The application.
        application: ApplicationName,
        /// Its ports, and where they lead.
        #[serde(flatten)]
        ports: LeadingPorts,
    },
    /// Makes the node's whole firewall table this.
    ProgramNetwork {
        /// The table.
        network: NodeNetwork,
    },
    /// Destroys those of Flocker's snapshots of a volume that no later push can start from; the
    /// newest is always kept.
    PruneSnapshots {
        /// The application.
        application: ApplicationName,
        /// The snapshots that are kept beside the newest.
        keep: BTreeSet<SnapshotGuid>,
    },
    /// Remembers a deployment as applied in full, and the cluster's machines with it.
    RecordDeployment {
        /// The deployment.
        applied: AppliedDeployment,
        /// Every machine of the cluster.
        members: Members,
    },
}

impl Action {
    /// Returns the action's name in one word, for places and logs.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::AdmitMembers { .. } => "admit-members",
            Self::PushImage { .. } => "push-image",
            Self::EnsureImage { .. } => "ensure-image",
            Self::CheckImage { .. } => "check-image",
            Self::CreateVolume { .. } => "create-volume",
            Self::ResizeVolume { .. } => "resize-volume",
            Self::PushVolume { kind, .. } => kind.step(),
            Self::ReleaseVolume { .. } => "release-volume",
            Self::AcquireVolume { .. } => "acquire-volume",
            Self::PromoteVolume { .. } => "promote-volume",
            Self::RecordOwner { .. } => "record-owner",
            Self::SetVolumeAside { .. } => "set-volume-aside",
            Self::ImportVolume { .. } => "import-volume",
            Self::SnapshotVolume { .. } => "snapshot-volume",
            Self::StopApplication { .. } => "stop-application",
            Self::RemoveApplication { .. } => "remove-application",
            Self::StartApplication { .. } => "start-application",
            Self::SetLinks { .. } => "set-links",
            Self::AwaitHealth { .. } => "await-health",
            Self::AwaitCompletion { .. } => "await-completion",
            Self::HoldPorts { .. } => "hold-ports",
            Self::SwitchRoutes { .. } => "switch-routes",
            Self::ProgramNetwork { .. } => "program-network",
            Self::PruneSnapshots { .. } => "prune-snapshots",
            Self::RecordDeployment { .. } => "record-deployment",
        }
    }

    /// Tells whether it takes as long as there is data to copy or somebody to wait for. What was
    /// copied by then is kept, and nothing else is changed by it: it can be given up at any time.
    pub const fn is_lengthy(&self) -> bool {
        matches!(
            self,
            Self::EnsureImage { .. }
                | Self::PushImage { .. }
                | Self::PushVolume { .. }
                | Self::ImportVolume { .. }
                | Self::AwaitHealth { .. }
                | Self::AwaitCompletion { .. }
        )
    }

    /// Returns the application that the action is about, if it is about one.
    pub fn application(&self) -> Option<&ApplicationName> {
        match self {
            Self::CreateVolume { application, .. }
            | Self::ResizeVolume { application, .. }
            | Self::PushVolume { application, .. }
            | Self::ReleaseVolume { application, .. }
            | Self::AcquireVolume { application, .. }
            | Self::PromoteVolume { application, .. }
            | Self::RecordOwner { application, .. }
            | Self::ImportVolume { application, .. }
            | Self::SnapshotVolume { application, .. }
            | Self::StopApplication { application, .. }
            | Self::RemoveApplication { application }
            | Self::SetLinks { application, .. }
            | Self::AwaitHealth { application }
            | Self::AwaitCompletion { application }
            | Self::SwitchRoutes { application, .. }
            | Self::PruneSnapshots { application, .. } => Some(application),
            Self::StartApplication { specification, .. } | Self::CheckImage { specification } => {
                Some(&specification.application)
            }
            Self::SetVolumeAside { name, .. } => Some(&name.application),
            Self::AdmitMembers { .. }
            | Self::EnsureImage { .. }
            | Self::PushImage { .. }
            | Self::HoldPorts { .. }
            | Self::ProgramNetwork { .. }
            | Self::RecordDeployment { .. } => None,
        }
    }
}
