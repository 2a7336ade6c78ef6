//! What to run: one container and at most one volume.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{
    ApplicationName, ByteCount, CpuMillis, Digest, ImageReference, InvalidName, Port, Secret,
};

/// An absolute path inside a container.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MountPath(String);

impl MountPath {
    /// Returns the path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for MountPath {
    type Err = InvalidName;

    fn from_str(path: &str) -> Result<Self, Self::Err> {
        let problem = if !path.starts_with('/') {
            Some("is not an absolute path")
        } else if path.split('/').any(|part| part == "..") {
            Some("has a `..` in it")
        } else if path.trim_matches('/').is_empty() {
            Some("is the container's root directory")
        } else if path.chars().any(char::is_control) || path.contains([',', ':']) {
            Some("has a control character, a `,` or a `:` in it")
        } else {
            None
        };
        match problem {
            None => Ok(Self(path.to_owned())),
            Some(problem) => Err(InvalidName {
                kind: "mountpoint",
                name: path.to_owned(),
                problem,
            }),
        }
    }
}

impl TryFrom<String> for MountPath {
    type Error = InvalidName;

    fn try_from(path: String) -> Result<Self, Self::Error> {
        path.parse()
    }
}

impl From<MountPath> for String {
    fn from(path: MountPath) -> Self {
        path.0
    }
}

impl fmt::Display for MountPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

/// The volume that an application asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeSpecification {
    /// Where the container sees it.
    pub mountpoint: MountPath,
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
}

/// When systemd starts an application's container again after it has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartPolicy {
    /// However it ended.
    #[default]
    Always,
    /// When it ended with an error.
    OnFailure,
    /// Not at all.
    Never,
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
    /// External port, answered on every node, to the port inside the container.
    pub routes: BTreeMap<Port, Port>,
    /// Ports of other applications that this one reaches on `localhost`.
    pub links: BTreeSet<Link>,
    /// The most memory that the container may use.
    pub memory: Option<ByteCount>,
    /// The most processor time that the container may use.
    pub cpu: Option<CpuMillis>,
    /// When it is started again.
    pub restart: RestartPolicy,
}

/// Everything that a container is created from; its digest tells whether one must be re-created.
///
/// Routes are deliberately absent: they live in the node's firewall table and change without
/// touching the container.
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
    /// Where the volume is seen, if there is one.
    pub mountpoint: Option<MountPath>,
    /// The most memory that it may use.
    pub memory: Option<ByteCount>,
    /// The most processor time that it may use.
    pub cpu: Option<CpuMillis>,
    /// When systemd starts it again.
    pub restart: RestartPolicy,
}

impl ContainerSpecification {
    /// Derives the container of the application called `name`.
    pub fn new(name: &ApplicationName, application: &Application) -> Self {
        let mut environment = link_variables(&application.links);
        environment.extend(application.environment.clone());
        Self {
            application: name.clone(),
            image: application.image.clone(),
            command: application.command.clone(),
            environment,
            mountpoint: application
                .volume
                .as_ref()
                .map(|volume| volume.mountpoint.clone()),
            memory: application.memory,
            cpu: application.cpu,
            restart: application.restart,
        }
    }

    /// Fingerprints the specification; kept as a label on the container.
    pub fn digest(&self) -> Digest {
        Digest::of(self)
    }
}

/// Renders the variables by which Docker announced a link: `<ALIAS>_PORT_<port>_TCP_ADDR` and so on.
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
        let prefix = format!("{alias}_PORT_{port}_TCP");
        variables.insert(prefix.clone(), format!("tcp://127.0.0.1:{port}").into());
        variables.insert(format!("{prefix}_PROTO"), "tcp".into());
        variables.insert(format!("{prefix}_ADDR"), "127.0.0.1".into());
        variables.insert(format!("{prefix}_PORT"), port.to_string().into());
    }
    variables
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The environment of the container of an application with a link, one variable a line.
    fn environment_with_link(own: &[(&str, &str)]) -> Vec<String> {
        let port = Port::new(5432).unwrap();
        let application = Application {
            image: "trac".parse().unwrap(),
            command: None,
            environment: own
                .iter()
                .map(|(name, value)| ((*name).to_owned(), Secret::from(*value)))
                .collect(),
            volume: None,
            routes: BTreeMap::new(),
            links: BTreeSet::from([Link {
                target: "pgsql-trac".parse().unwrap(),
                port: Port::new(5433).unwrap(),
                local_port: port,
            }]),
            memory: None,
            cpu: None,
            restart: RestartPolicy::Always,
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
            environment_with_link(&[("LANG", "C.UTF-8")]),
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
    fn what_an_application_sets_itself_wins_over_its_links() {
        assert_eq!(
            environment_with_link(&[("PGSQL_TRAC_PORT_5432_TCP_ADDR", "localhost")]),
            [
                "PGSQL_TRAC_PORT_5432_TCP=tcp://127.0.0.1:5432",
                "PGSQL_TRAC_PORT_5432_TCP_ADDR=localhost",
                "PGSQL_TRAC_PORT_5432_TCP_PORT=5432",
                "PGSQL_TRAC_PORT_5432_TCP_PROTO=tcp",
            ]
        );
    }

    #[test]
    fn relative_and_dangerous_mountpoints_are_invalid() {
        for path in ["", "data", "/", "//", "/a/../b", "/a:ro", "/a,b", "/a\nb"] {
            assert!(path.parse::<MountPath>().is_err(), "{path}");
        }
        assert!("/opt/trac/env".parse::<MountPath>().is_ok());
    }
}
