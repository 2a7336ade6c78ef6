//! The container of an application, as it is created.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    Application, ApplicationName, ByteCount, ContainerFile, ContainerOptions, CpuMillis, Digest,
    DirectoryName, FileContents, HealthCheck, HostMount, ImageReference, IsolationOptions,
    LimitOptions, Link, MountPath, ProcessOptions, RestartPolicy, Secret, SharedVolume,
    StopGracePeriod, StopSignal, VolumeLayout,
};

/// Everything that a container is created from; its digest tells whether one must be re-created.
///
/// Routes are deliberately absent: they live in the node's firewall table and change without
/// touching the container. So is `depends_on`, which is about starts.
///
/// The digest covers the JSON text. So that an upgrade of Flocker re-creates no container, a field
/// that is added later is left out of the text while it is unset; `command`, `mountpoint`, `memory`
/// and `cpu`, which are older, stay in it as `null`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerSpecification {
    /// The application that it runs.
    pub application: ApplicationName,
    /// The image that it is created from.
    pub image: ImageReference,
    /// The command that replaces the image's own, if given.
    pub command: Option<Vec<String>>,
    /// The environment, the links' variables included.
    pub environment: BTreeMap<String, Secret>,
    /// Where the whole volume is seen, if it is seen as a whole.
    pub mountpoint: Option<MountPath>,
    /// The most memory that it may use.
    pub memory: Option<ByteCount>,
    /// The most processor time that it may use.
    pub cpu: Option<CpuMillis>,
    /// When systemd starts it again.
    pub restart: RestartPolicy,
    /// The directories of the volume that are seen, if only directories of it are.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub directories: BTreeMap<MountPath, DirectoryName>,
    /// Directories of the node that do not move.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub scratch: BTreeSet<MountPath>,
    /// The signal that asks its process to end, if it is not the image's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<StopSignal>,
    /// How long its process may take to end before it is killed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_grace_period: Option<StopGracePeriod>,
    /// What Docker is told beside that; boxed because it is large, and often nothing.
    #[serde(default, skip_serializing_if = "ContainerOptions::is_unset")]
    pub options: Box<ContainerOptions>,
    /// The health check, if it is not the image's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_check: Option<HealthCheck>,
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

impl ContainerSpecification {
    /// Derives the container of the application called `name`.
    pub fn new(name: &ApplicationName, application: &Application) -> Self {
        let mut environment = link_variables(&application.links);
        environment.extend(application.environment.clone());
        let (mountpoint, directories) =
            match application.volume.as_ref().map(|volume| &volume.layout) {
                None => (None, BTreeMap::new()),
                Some(VolumeLayout::Whole { mountpoint }) => {
                    (Some(mountpoint.clone()), BTreeMap::new())
                }
                Some(VolumeLayout::Directories { directories }) => (None, directories.clone()),
            };
        Self {
            application: name.clone(),
            image: application.image.clone(),
            command: application.command.clone(),
            environment,
            mountpoint,
            memory: application.memory,
            cpu: application.cpu,
            restart: application.restart,
            directories,
            scratch: application.scratch.clone(),
            stop_signal: application.stop_signal,
            stop_grace_period: application.stop_grace_period,
            health_check: application.health_check.clone(),
            files: application.files.clone(),
            options: Box::new(application.options.clone()),
            shared: application.shared.clone(),
            host_mounts: application.host_mounts.clone(),
        }
    }

    /// Tells whether the container sees a volume of its own application, whole or in directories.
    pub fn has_volume(&self) -> bool {
        self.mountpoint.is_some() || !self.directories.is_empty()
    }

    /// Tells whether only the node can say if it makes the container: by its paths, devices and
    /// processors, and by what its Docker takes.
    ///
    /// Names belong to the container that holds the network, and Docker takes any label.
    pub fn is_judged_by_node(&self) -> bool {
        let ContainerOptions {
            process,
            limits,
            isolation,
            network: _,
            labels: _,
            annotations,
        } = &*self.options;
        self.memory.is_some()
            || self.cpu.is_some()
            || !self.host_mounts.is_empty()
            || !annotations.is_empty()
            || *process != ProcessOptions::default()
            || *limits != LimitOptions::default()
            || *isolation != IsolationOptions::default()
    }

    /// Replaces values of the environment and contents of files by what may be shown to people.
    pub fn withhold_secrets(&mut self) {
        for value in self.environment.values_mut() {
            *value = Secret::withheld();
        }
        for file in self.files.values_mut() {
            file.contents = FileContents::withheld();
        }
    }

    /// Fingerprints the specification; kept as a label on the container.
    pub fn digest(&self) -> Digest {
        Digest::of(self)
    }
}

/// Renders the variables by which Docker announced a link: `<ALIAS>_PORT_<port>_TCP_ADDR` and so on,
/// with `UDP` in the place of `TCP` for a link of UDP.
///
/// The address is the loopback one at which the link answers.
fn link_variables(links: &BTreeSet<Link>) -> BTreeMap<String, Secret> {
    let mut variables = BTreeMap::new();
    for link in links {
        let alias: String = link
            .target
            .as_str()
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() {
                    c.to_ascii_uppercase()
                } else {
                    '_'
                }
            })
            .collect();
        let (address, port) = (link.address, link.local_port);
        let protocol = link.protocol.name();
        let prefix = format!("{alias}_PORT_{port}_{}", protocol.to_ascii_uppercase());
        let url = format!("{protocol}://{address}:{port}");
        variables.insert(prefix.clone(), url.into());
        variables.insert(format!("{prefix}_PROTO"), protocol.into());
        variables.insert(format!("{prefix}_ADDR"), address.to_string().into());
        variables.insert(format!("{prefix}_PORT"), port.to_string().into());
    }
    variables
}

#[cfg(test)]
mod tests {
    use crate::{LoopbackAddress, Port, Protocol, VolumeSpecification};

    use super::*;

    /// The environment of the container of an application with a link, one variable a line.
    fn environment_with_link(protocol: Protocol, own: &[(&str, &str)]) -> Vec<String> {
        environment_with_link_at(LoopbackAddress::LOCALHOST, protocol, own)
    }

    fn environment_with_link_at(
        address: LoopbackAddress,
        protocol: Protocol,
        own: &[(&str, &str)],
    ) -> Vec<String> {
        let port = Port::new(5432).unwrap();
        let application = Application {
            environment: own
                .iter()
                .map(|(name, value)| ((*name).to_owned(), Secret::from(*value)))
                .collect(),
            links: BTreeSet::from([Link {
                target: "pgsql-trac".parse().unwrap(),
                port: Port::new(5433).unwrap(),
                local_port: port,
                protocol,
                address,
            }]),
            ..Application::new("trac".parse().unwrap())
        };
        ContainerSpecification::new(&"trac".parse().unwrap(), &application)
            .environment
            .into_iter()
            .map(|(name, value)| format!("{name}={}", value.reveal()))
            .collect()
    }

    #[test]
    fn links_are_announced_as_docker_did() {
        assert_eq!(
            environment_with_link(Protocol::Tcp, &[("LANG", "C.UTF-8")]),
            [
                "LANG=C.UTF-8",
                "PGSQL_TRAC_PORT_5432_TCP=tcp://127.0.0.1:5432",
                "PGSQL_TRAC_PORT_5432_TCP_ADDR=127.0.0.1",
                "PGSQL_TRAC_PORT_5432_TCP_PORT=5432",
                "PGSQL_TRAC_PORT_5432_TCP_PROTO=tcp",
            ]
        );
    }

    #[test]
    fn a_link_of_udp_is_announced_as_one() {
        assert_eq!(
            environment_with_link(Protocol::Udp, &[]),
            [
                "PGSQL_TRAC_PORT_5432_UDP=udp://127.0.0.1:5432",
                "PGSQL_TRAC_PORT_5432_UDP_ADDR=127.0.0.1",
                "PGSQL_TRAC_PORT_5432_UDP_PORT=5432",
                "PGSQL_TRAC_PORT_5432_UDP_PROTO=udp",
            ]
        );
    }

    #[test]
    fn a_link_is_announced_at_its_own_address() {
        let address = std::net::Ipv4Addr::new(127, 1, 0, 5).try_into().unwrap();
        assert_eq!(
            environment_with_link_at(address, Protocol::Tcp, &[]),
            [
                "PGSQL_TRAC_PORT_5432_TCP=tcp://127.1.0.5:5432",
                "PGSQL_TRAC_PORT_5432_TCP_ADDR=127.1.0.5",
                "PGSQL_TRAC_PORT_5432_TCP_PORT=5432",
                "PGSQL_TRAC_PORT_5432_TCP_PROTO=tcp",
            ]
        );
    }

    #[test]
    fn what_an_application_sets_itself_wins_over_its_links() {
        assert_eq!(
            environment_with_link(
                Protocol::Tcp,
                &[("PGSQL_TRAC_PORT_5432_TCP_ADDR", "localhost")]
            ),
            [
                "PGSQL_TRAC_PORT_5432_TCP=tcp://127.0.0.1:5432",
                "PGSQL_TRAC_PORT_5432_TCP_ADDR=localhost",
                "PGSQL_TRAC_PORT_5432_TCP_PORT=5432",
                "PGSQL_TRAC_PORT_5432_TCP_PROTO=tcp",
            ]
        );
    }

    /// Digests are labels of containers that exist: one that changes re-creates them.
    #[test]
    fn an_upgrade_leaves_digests_unchanged() {
        let name = "web".parse().unwrap();
        let digest = |application: &Application| {
            ContainerSpecification::new(&name, application)
                .digest()
                .to_string()
        };
        let bare = Application::new("trac".parse().unwrap());
        let full = Application {
            command: Some(vec!["serve".to_owned(), "-v".to_owned()]),
            environment: BTreeMap::from([("LANG".to_owned(), "C.UTF-8".into())]),
            volume: Some(VolumeSpecification {
                layout: VolumeLayout::Whole {
                    mountpoint: "/opt/trac/env".parse().unwrap(),
                },
                maximum_size: None,
            }),
            memory: Some(ByteCount::mebibytes(256)),
            cpu: Some(CpuMillis::new(1500)),
            restart: RestartPolicy::OnFailure,
            ..bare.clone()
        };
        assert_eq!(
            [digest(&bare), digest(&full)],
            [
                "a2597a809008862a2e0d2380e3109d23",
                "61801b173a514802aa7a2e0f8480dfef"
            ]
        );
    }
}
