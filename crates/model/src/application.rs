//! What to run: one container and at most one volume.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    ApplicationName, ByteCount, ContainerFile, ContainerOptions, CpuMillis, DependencyCondition,
    Digest, DirectoryName, FileContents, HealthCheck, ImageReference, MountPath, Port, Protocol,
    RestartPolicy, RoutePort, Secret, ServicePort, SourceNetwork, StopGracePeriod, StopSignal,
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

/// A promise that `localhost:local_port` inside the container is `port` inside `target`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Link {
    /// The application that is reached.
    pub target: ApplicationName,
    /// The port inside the target's container.
    pub port: Port,
    /// The port on `localhost` inside the source's container; equal to `port` in the short form.
    pub local_port: Port,
    /// What both are ports of.
    #[serde(default, skip_serializing_if = "Protocol::is_tcp")]
    pub protocol: Protocol,
}

impl Link {
    /// Returns the port inside the target's container.
    pub const fn inside(&self) -> ServicePort {
        ServicePort {
            protocol: self.protocol,
            port: self.port,
        }
    }

    /// Returns the port on `localhost`.
    pub const fn local(&self) -> ServicePort {
        ServicePort {
            protocol: self.protocol,
            port: self.local_port,
        }
    }
}

/// Where a route leads inside the container, and who may use it. It stays in its protocol.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "RouteText", into = "RouteText")]
pub struct Route {
    /// The port inside the container.
    pub port: Port,
    /// The networks that alone may connect; everybody may if it is empty.
    pub from: BTreeSet<SourceNetwork>,
}

impl From<Port> for Route {
    fn from(port: Port) -> Self {
        Self {
            port,
            from: BTreeSet::new(),
        }
    }
}

/// How a route is stored: a port alone where everybody may connect.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum RouteText {
    Open(Port),
    Limited {
        port: Port,
        from: BTreeSet<SourceNetwork>,
    },
}

impl From<RouteText> for Route {
    fn from(text: RouteText) -> Self {
        match text {
            RouteText::Open(port) => port.into(),
            RouteText::Limited { port, from } => Self { port, from },
        }
    }
}

impl From<Route> for RouteText {
    fn from(Route { port, from }: Route) -> Self {
        if from.is_empty() {
            Self::Open(port)
        } else {
            Self::Limited { port, from }
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
    /// Ports of other applications that this one reaches on `localhost`.
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
    /// What Docker is told beside that.
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
        }
    }
}

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
        }
    }

    /// Tells whether the container sees a volume, whole or in directories.
    pub fn has_volume(&self) -> bool {
        self.mountpoint.is_some() || !self.directories.is_empty()
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
/// The address is always the loopback one, because that is where a link answers.
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
        let port = link.local_port;
        let protocol = link.protocol.name();
        let prefix = format!("{alias}_PORT_{port}_{}", protocol.to_ascii_uppercase());
        let url = format!("{protocol}://127.0.0.1:{port}");
        variables.insert(prefix.clone(), url.into());
        variables.insert(format!("{prefix}_PROTO"), protocol.into());
        variables.insert(format!("{prefix}_ADDR"), "127.0.0.1".into());
        variables.insert(format!("{prefix}_PORT"), port.to_string().into());
    }
    variables
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The environment of the container of an application with a link, one variable a line.
    fn environment_with_link(protocol: Protocol, own: &[(&str, &str)]) -> Vec<String> {
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

    /// Nodes keep what an earlier release wrote, and know a deployment by its digest.
    #[test]
    fn routes_and_links_of_an_earlier_release_are_read_and_written_alike() {
        let mut application = Application::new("trac".parse().unwrap());
        let port = |number| Port::new(number).unwrap();
        application.routes = BTreeMap::from([(port(80).into(), port(8080).into())]);
        application.links = BTreeSet::from([Link {
            target: "db".parse().unwrap(),
            port: port(5432),
            local_port: port(5432),
            protocol: Protocol::Tcp,
        }]);
        let text = serde_json::to_string(&application).unwrap();
        assert!(text.contains(r#""routes":{"80":8080}"#), "{text}");
        let link = r#""links":[{"target":"db","port":5432,"local_port":5432}]"#;
        assert!(text.contains(link), "{text}");
        let read: Application = serde_json::from_str(&text).unwrap();
        assert_eq!(read, application);
        let limited = r#"{"192.0.2.1:53/udp":{"port":53,"from":["10.0.0.0/8"]}}"#;
        application.routes = serde_json::from_str(limited).unwrap();
        let again = serde_json::to_string(&application.routes).unwrap();
        assert_eq!(again, limited);
    }

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
