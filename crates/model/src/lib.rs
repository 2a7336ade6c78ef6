//! The words of Flocker as types: what may run, where it should run, and what was seen on the nodes.
//!
//! Nothing here does I/O, and nothing here decides anything.

mod application;
mod container_file;
mod container_mount;
mod container_options;
mod container_specification;
mod dependency;
mod deployment;
mod digest;
mod firewall;
mod health_check;
mod host_path;
mod identity;
mod image;
mod image_copies;
mod image_details;
mod import;
mod login;
mod loopback;
mod members;
mod memory;
mod mount_path;
mod names;
mod network;
mod node;
mod observed;
mod ports;
mod printable;
mod registry_login;
mod restart;
mod route;
mod secret;
mod sharing;
mod shell_word;
mod source_network;
mod stable_hash;
mod stopping;
mod time;
mod units;
mod volume;

pub use application::{Application, Link, VolumeLayout, VolumeSpecification};
pub use container_file::{ContainerFile, FileContents, FileMode};
pub use container_mount::{ContainerMount, DIRECTORIES_MARKER, MountSource, VolumeFill};
pub use container_options::{
    BlockIo, Capability, CdiDevice, CgroupParent, ContainerOptions, ContainerSysctl, ContainerUser,
    CpuSet, DeviceMapping, DeviceRate, DeviceRule, ExtraHost, GpuRequest, GpuSelection,
    HostAddress, HostName, HostNamespace, IpcMode, IsolationOptions, LabelName, LimitOptions,
    NamespaceMode, NetworkIdentity, NetworkSysctl, ProcessOptions, ResolverOption, RuntimeName,
    SearchDomain, SecurityOption, TmpfsOptions, Ulimit, UlimitName, Upmost, WorkingDirectory,
};
pub use container_specification::ContainerSpecification;
pub use dependency::DependencyCondition;
pub use deployment::{AppliedDeployment, Deployment, DeploymentId};
pub use digest::Digest;
pub use firewall::FirewallObstacle;
pub use health_check::{CheckOrigin, CheckPeriod, CheckSettings, CheckTest, HealthCheck};
pub use host_path::{HostMount, HostPath};
pub use identity::{Contact, NodeId, SshIdentity};
pub use image::{ImageId, ImageName, ImageProblem, ImageReference, InvalidImage, short_digest};
pub use image_copies::{OperatorImage, OperatorStore, RegistryAnswer};
pub use image_details::{ImageDetails, ImagePlatform};
pub use import::{ImportContent, ImportPart, ImportTree, InvalidImport};
pub use login::{LoginRefusal, LoginSetting};
pub use loopback::{InvalidLoopback, LocalPort, LoopbackAddress};
pub use members::{ForgottenMachine, Member, Members};
pub use memory::{NodeMemory, RememberedApplication};
pub use mount_path::{DirectoryName, MountPath};
pub use names::{ApplicationName, InvalidName, NodeName};
pub use network::{ContainerLinks, Endpoint, LeadingPorts, NodeNetwork, RoutedTo};
pub use node::{
    ContainerState, ContainerStatus, Health, Look, NodeState, Obstacle, Obstruction, PoolHealth,
    PoolProblem, PoolState, PoollessNode, UnitState,
};
pub use observed::{NodeObservation, Observed};
pub use ports::{InvalidPort, Protocol, RoutePort, ServicePort};
pub use printable::{one_line, printable};
pub use registry_login::{RegistryLogin, RegistryLogins};
pub use restart::RestartPolicy;
pub use route::Route;
pub use secret::Secret;
pub use sharing::{SharedMount, SharedVolume};
pub use shell_word::shell_word;
pub use source_network::{InvalidNetwork, SourceNetwork};
pub use stable_hash::stable_hash;
pub use stopping::{StopGracePeriod, StopSignal};
pub use time::{InvalidTime, parse_utc, render_age, render_rfc3339, render_span, render_utc};
pub use units::{ByteCount, CpuMillis, Port};
pub use volume::{
    CopyClaim, Epoch, OwnerClaim, SetAsideName, SnapshotGuid, SnapshotState, VolumeCopy,
    VolumeHolder, VolumeRole,
};
