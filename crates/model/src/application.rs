//! What to run: one container and at most one volume.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    ApplicationName, ByteCount, ContainerFile, ContainerOptions, CpuMillis, DependencyCondition,
    DirectoryName, HealthCheck, HostMount, ImageReference, LocalPort, LoopbackAddress, MountPath,
    Port, Protocol, RestartPolicy, Route, RoutePort, Secret, ServicePort, SharedVolume,
    StopGracePeriod, StopSignal,
};

/// Where a container sees its volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum VolumeLayout {
    /// The whole volume at one mount point: the key `volume`.
    Whole {
        /// Where the container sees it.
        mountpoint: MountPath,
    },
    /// Directories of the one volume, each at its own mount point: the key `volumes`.
    Directories {
        /// The directory behind each mount point; never empty, and no directory is named twice.
        directories: BTreeMap<MountPath, DirectoryName>,
    },
}

/// The volume that an application asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeSpecification {
    /// Where the container sees it.
    #[serde(flatten)]
    pub layout: VolumeLayout,
    /// The most that it may hold, snapshots not counted (ZFS `refquota`).
    pub maximum_size: Option<ByteCount>,
}

/// A promise that `address:local_port` inside the container is `port` inside `target`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Link {
    /// The application that is reached.
    pub target: ApplicationName,
    /// The port inside the target's container.
    pub port: Port,
    /// The port at `address` inside the source's container; equal to `port` in the short form.
    pub local_port: Port,
    /// The protocol of both ports.
    #[serde(default, skip_serializing_if = "Protocol::is_tcp")]
    pub protocol: Protocol,
    /// The address inside the source's container.
    #[serde(default, skip_serializing_if = "LoopbackAddress::is_default")]
    pub address: LoopbackAddress,
}

impl Link {
    /// Returns the port inside the target's container.
    pub const fn inside(&self) -> ServicePort {
        ServicePort {
            protocol: self.protocol,
            port: self.port,
        }
    }

    /// Returns the port inside the source's container.
    pub const fn local(&self) -> LocalPort {
        LocalPort {
            address: self.address,
            port: ServicePort {
                protocol: self.protocol,
                port: self.local_port,
            },
        }
    }
}

/// One application as configured: what to run, wherever it will be placed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Application {
    /// The image that is run.
    pub image: ImageReference,
    /// The command that replaces the image's own, if given.
    pub command: Option<Vec<String>>,
    /// The environment that the container's process sees, beside the image's own.
    pub environment: BTreeMap<String, Secret>,
    /// The volume, if it has one.
    pub volume: Option<VolumeSpecification>,
    /// External port, answered on every node, to where it leads inside the container.
    pub routes: BTreeMap<RoutePort, Route>,
    /// Ports of other applications that this one reaches at loopback addresses.
    pub links: BTreeSet<Link>,
    /// The most memory that the container may use.
    pub memory: Option<ByteCount>,
    /// The most processor time that the container may use.
    pub cpu: Option<CpuMillis>,
    /// When it is started again.
    pub restart: RestartPolicy,
    /// Directories of the node that live as long as the application is placed there, and do not
    /// move with it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub scratch: BTreeSet<MountPath>,
    /// The signal that asks its process to end, if it is not the image's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<StopSignal>,
    /// How long its process may take to end before it is killed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_grace_period: Option<StopGracePeriod>,
    /// Further options of Docker.
    #[serde(default, skip_serializing_if = "ContainerOptions::is_unset")]
    pub options: ContainerOptions,
    /// The health check, if it is not the image's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_check: Option<HealthCheck>,
    /// The applications that it is started after, as far as they are placed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub depends_on: BTreeMap<ApplicationName, DependencyCondition>,
    /// Files that it sees at these paths and cannot change.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<MountPath, ContainerFile>,
    /// Another application's volume, if it sees one. It has none of its own then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared: Option<SharedVolume>,
    /// Paths of the node that do not move, by where the container sees them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub host_mounts: BTreeMap<MountPath, HostMount>,
}

impl Application {
    /// An application of which only the image is given.
    pub fn new(image: ImageReference) -> Self {
        Self {
            image,
            command: None,
            environment: BTreeMap::new(),
            volume: None,
            routes: BTreeMap::new(),
            links: BTreeSet::new(),
            memory: None,
            cpu: None,
            restart: RestartPolicy::default(),
            scratch: BTreeSet::new(),
            stop_signal: None,
            stop_grace_period: None,
            options: ContainerOptions::default(),
            health_check: None,
            depends_on: BTreeMap::new(),
            files: BTreeMap::new(),
            shared: None,
            host_mounts: BTreeMap::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nodes keep what an earlier release wrote.
    #[test]
    fn a_volume_that_an_earlier_release_recorded_is_read() {
        let text = r#"{"mountpoint":"/data","maximum_size":null}"#;
        let volume: VolumeSpecification = serde_json::from_str(text).unwrap();
        assert_eq!(
            volume.layout,
            VolumeLayout::Whole {
                mountpoint: "/data".parse().unwrap()
            }
        );
        assert_eq!(serde_json::to_string(&volume).unwrap(), text);
    }
}
