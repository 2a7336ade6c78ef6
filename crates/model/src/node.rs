//! Everything that is seen on one node, in one look.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::{
    ApplicationName, AppliedDeployment, ByteCount, Contact, ContainerLinks, Digest,
    FirewallObstacle, ImageDetails, ImageName, ImagePlatform, LoginRefusal, Members, NodeId,
    NodeMemory, NodeNetwork, RoutePort, SshIdentity, VolumeCopy, parse_utc,
};

/// What keeps volumes from being written to a pool, or even from being looked at.
///
/// Displays as the end of a sentence about the pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PoolProblem {
    /// The machine has no pool of this name: it was exported or renamed, or its disks are missing.
    NotImported,
    /// Its devices fail, and ZFS lets everybody wait until somebody acts.
    ///
    /// **Source**: `zpoolprops(7)`, property `failmode`.
    Suspended,
    /// It was imported so that nothing can be written.
    ReadOnly,
    /// Volumes are encrypted in it, and the key is not loaded.
    ///
    /// **Source**: `zfsprops(7)`, properties `keystatus` and `encryptionroot`.
    KeyNotLoaded {
        /// The dataset that the key belongs to.
        dataset: String,
    },
    /// Something else.
    Other {
        /// What, as the end of a sentence.
        what: String,
    },
}

impl fmt::Display for PoolProblem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::KeyNotLoaded { dataset } => {
                return write!(
                    formatter,
                    "is encrypted, and the key of {dataset} is not loaded"
                );
            }
            Self::NotImported => "is not imported",
            Self::Suspended => "is suspended",
            Self::ReadOnly => "is imported read-only",
            Self::Other { what } => what,
        })
    }
}

/// Whether volumes can be written to a pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "health")]
pub enum PoolHealth {
    /// `ONLINE`, or `DEGRADED` and still redundant enough to work.
    Usable,
    /// Not imported, suspended, faulted or read-only.
    Unusable {
        /// What is wrong.
        problem: PoolProblem,
    },
}

/// The ZFS pool that a node keeps volumes in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolState {
    /// The dataset below which the volumes are.
    pub dataset: String,
    /// Whether volumes can be written to it.
    pub health: PoolHealth,
    /// Bytes that a new volume may take (ZFS `available`).
    pub available: ByteCount,
    /// The dataset that has `sync=disabled`, if the volumes' dataset has it from there: programs
    /// below it lose writes in a power cut that they were told are safe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync_disabled: Option<String>,
}

impl PoolState {
    /// Returns the pool's name: the first part of the dataset's.
    pub fn pool(&self) -> &str {
        let dataset = self.dataset.as_str();
        dataset.split_once('/').map_or(dataset, |(pool, _)| pool)
    }
}

/// What the health check, the image's or the configuration's, says of a container that runs.
///
/// **Source**: `HEALTHCHECK` in Dockerfile's reference; Docker's API, `State.Health.Status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// There is no check.
    Unchecked,
    /// It has not passed yet, and has not failed too often.
    Starting,
    /// It passes.
    Healthy,
    /// It failed too often.
    Unhealthy,
}

/// What an application's container is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "status")]
pub enum ContainerStatus {
    /// It runs.
    Running {
        /// Since when, as Docker writes it (RFC 3339).
        since: String,
        /// The result of its health check.
        health: Health,
    },
    /// It exists and does not run.
    Stopped {
        /// The exit status of its process.
        exit_code: i64,
    },
}

/// What systemd says of an application's unit.
///
/// **Source**: `org.freedesktop.systemd1(5)`, property `ActiveState`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnitState {
    /// Started.
    Active,
    /// Being started, or waiting to be started again.
    Activating,
    /// Being stopped.
    Deactivating,
    /// Stopped.
    Inactive,
    /// Ended with an error.
    Failed,
    /// Systemd has no such unit.
    Missing,
}

/// One application's container and unit as they are found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerState {
    /// Docker's id of the container.
    pub id: String,
    /// The digest of the specification that it was created from.
    pub configuration: Digest,
    /// What it is doing.
    pub status: ContainerStatus,
    /// What its unit is doing.
    pub unit: UnitState,
    /// The links that its network namespace has, if it runs.
    pub links: Option<ContainerLinks>,
    /// The paths at which it has anonymous volumes of Docker's: a release of Flocker before images'
    /// volumes were accounted for let Docker make them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub anonymous_volumes: BTreeSet<String>,
    /// The application whose volume it sees, if it sees one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume: Option<ApplicationName>,
    /// Whether it was started so shortly before the look, by the node's clock, that it may not stay up.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub just_started: bool,
}

impl ContainerStatus {
    /// Tells whether the container runs and was started less than so many seconds before a time, in
    /// seconds since 1970, or after it: clocks may be set back.
    pub fn is_younger_than(&self, seconds: u64, now: u64) -> bool {
        match self {
            Self::Running { since, .. } => {
                parse_utc(since).is_ok_and(|since| since.saturating_add(seconds) > now)
            }
            Self::Stopped { .. } => false,
        }
    }
}

impl ContainerState {
    /// Tells whether the container runs and systemd looks after it.
    pub fn is_up(&self) -> bool {
        matches!(self.status, ContainerStatus::Running { .. }) && self.unit == UnitState::Active
    }
}

/// Everything that is seen on one node, in one look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeState {
    /// Who the node is.
    pub id: NodeId,
    /// The version of its `flocker-node`.
    pub version: String,
    /// How its peers reach it, as far as the node can tell.
    pub contact: Option<Contact>,
    /// The address that the node's settings give for its peers. It wins over the node's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Ipv4Addr>,
    /// The setting with which its SSH server refuses its peers, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refuses_peers: Option<LoginRefusal>,
    /// The public halves of its keys.
    pub ssh: SshIdentity,
    /// The pool that its volumes are in.
    pub pool: PoolState,
    /// Its copies of volumes.
    pub volumes: BTreeMap<ApplicationName, VolumeCopy>,
    /// Places of volumes that something else is in, so that no volume can be mounted there.
    pub obstructed: BTreeMap<ApplicationName, Obstruction>,
    /// Its containers.
    pub containers: BTreeMap<ApplicationName, ContainerState>,
    /// Its firewall table, if it is whole, is what Flocker last programmed, and Docker's firewall
    /// accepts what it redirects.
    pub network: Option<NodeNetwork>,
    /// Firewalls of the node that drop connections to routes and links.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub firewall: BTreeSet<FirewallObstacle>,
    /// Ports that the node's own programs listen on.
    pub listening: BTreeSet<RoutePort>,
    /// Images that its Docker has, tags written out.
    pub images: BTreeMap<ImageName, ImageDetails>,
    /// The images that its Docker runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<ImagePlatform>,
    /// Whether its Docker maps containers' users to others of the node (`userns-remap`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub remaps_users: bool,
    /// The machines that it knows of.
    pub members: Members,
    /// The last deployment that was applied in full here.
    pub applied: Option<AppliedDeployment>,
    /// What it was asked to run, by whatever deployment, whether that was applied in full or not.
    pub remembered: NodeMemory,
}

impl NodeState {
    /// A node on which nothing of Flocker's ever was, whose Docker has no images, and on which nothing
    /// listens.
    pub fn fresh(id: NodeId, version: &str, pool: PoolState) -> Self {
        Self {
            id,
            version: version.to_owned(),
            contact: None,
            address: None,
            refuses_peers: None,
            ssh: SshIdentity::default(),
            pool,
            volumes: BTreeMap::new(),
            obstructed: BTreeMap::new(),
            containers: BTreeMap::new(),
            network: None,
            firewall: BTreeSet::new(),
            listening: BTreeSet::new(),
            images: BTreeMap::new(),
            platform: None,
            remaps_users: false,
            members: Members::new(),
            applied: None,
            remembered: NodeMemory::default(),
        }
    }
}

/// Something that is not a volume where a volume has to be mounted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Obstruction {
    /// The volume's place.
    pub path: String,
    /// What is there.
    pub by: Obstacle,
}

/// What is in a volume's place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Obstacle {
    /// A file, or a directory that is not empty: a mount would hide what is in it.
    Files,
    /// Another mount.
    Mount {
        /// What is mounted.
        source: String,
        /// The kind of filesystem.
        kind: String,
    },
}

/// A node that answers, and whose pool cannot be looked at.
///
/// Which volumes it has is unknown, and so there is nothing here that could pass for a list of them:
/// an unknown volume must never look like an absent one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoollessNode {
    /// Who the node is.
    pub id: NodeId,
    /// The version of its `flocker-node`.
    pub version: String,
    /// The pool that its volumes should be in.
    pub pool: String,
    /// Why it cannot be looked at.
    pub problem: PoolProblem,
    /// The machines that it knows of.
    pub members: Members,
}

/// What a node says when it looks at itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// Everything was seen.
    Whole(Box<NodeState>),
    /// Its pool could not be looked at.
    WithoutPool(Box<PoollessNode>),
}

impl Look {
    /// Returns who the node is.
    pub const fn id(&self) -> NodeId {
        match self {
            Self::Whole(state) => state.id,
            Self::WithoutPool(node) => node.id,
        }
    }

    /// Returns the machines that the node knows of.
    pub const fn members(&self) -> &Members {
        match self {
            Self::Whole(state) => &state.members,
            Self::WithoutPool(node) => &node.members,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_is_young_for_some_seconds() {
        let running = |since: &str| ContainerStatus::Running {
            since: since.to_owned(),
            health: Health::Unchecked,
        };
        let started = running("2026-11-23T02:56:30.123456789Z");
        assert!(started.is_younger_than(10, 1_795_402_599));
        assert!(!started.is_younger_than(10, 1_795_402_600));
        // The clock was set back.
        assert!(started.is_younger_than(10, 1_795_402_000));
        assert!(!running("").is_younger_than(10, 0));
        assert!(!ContainerStatus::Stopped { exit_code: 0 }.is_younger_than(10, 0));
    }
}
