//! What the node's own configuration file says.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use flocker_docker::DockerSettings;
use flocker_model::{Contact, Port};
use serde::Deserialize;
use thiserror::Error;

/// Where the settings are read from, unless told otherwise.
pub(crate) const DEFAULT_PATH: &str = "/etc/flocker/node.toml";

/// The settings of one node. Every one has a default, so that the file may be absent.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    /// The dataset below which the volumes are.
    pub(crate) dataset: String,
    /// Where volumes are mounted.
    pub(crate) mount_root: PathBuf,
    /// What must survive a reboot.
    pub(crate) state_directory: PathBuf,
    /// What must not survive a reboot.
    pub(crate) runtime_directory: PathBuf,
    /// Where the SSH server's host keys are.
    pub(crate) host_keys: PathBuf,
    /// The address at which other nodes reach this one. Without it they use the node's name, if that
    /// is an address, or else the address at which `flocker-cluster` reached the SSH server.
    pub(crate) address: Option<Ipv4Addr>,
    /// The port at which other nodes reach the SSH server at `address`. Without it they use the port
    /// at which `flocker-cluster` reached it.
    pub(crate) ssh_port: Option<Port>,
    /// The Docker daemon's socket.
    pub(crate) docker_socket: PathBuf,
    /// The `docker` program.
    pub(crate) docker_program: PathBuf,
    /// The `flocker-node` program.
    pub(crate) node_program: PathBuf,
    /// The command that peers' keys are allowed to run, before `receive`.
    pub(crate) receive_command: String,
    /// The containers' addresses; Docker picks some that are free when there are none.
    pub(crate) subnet: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            dataset: "tank/flocker".to_owned(),
            mount_root: "/flocker".into(),
            state_directory: "/var/lib/flocker".into(),
            runtime_directory: "/run/flocker".into(),
            host_keys: "/etc/ssh".into(),
            address: None,
            ssh_port: None,
            docker_socket: "/run/docker.sock".into(),
            docker_program: "/usr/bin/docker".into(),
            node_program: "/usr/bin/flocker-node".into(),
            receive_command: "sudo -n /usr/bin/flocker-node".to_owned(),
            subnet: None,
        }
    }
}

/// The settings cannot be used.
#[derive(Debug, Error)]
pub(crate) enum SettingsError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file has a mistake.
    #[error("{} has a mistake", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and what.
        source: Box<toml::de::Error>,
    },
    /// A path cannot be written into the files of other programs.
    #[error(
        "{}: {name} is {value:?}, which is not an absolute path without control characters",
        path.display()
    )]
    Unfit {
        /// The file.
        path: PathBuf,
        /// The setting.
        name: &'static str,
        /// What it says.
        value: PathBuf,
    },
    /// The containers' addresses make no sense.
    #[error("{}: subnet {subnet:?} is not of the form 172.20.0.0/16", path.display())]
    Subnet {
        /// The file.
        path: PathBuf,
        /// What it says.
        subnet: String,
    },
}

impl Settings {
    /// Reads the settings; a missing file means that every default holds.
    pub(crate) fn read(path: &Path) -> Result<Self, SettingsError> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(source) => {
                let path = path.to_owned();
                return Err(SettingsError::Read { path, source });
            }
        };
        let settings: Self = toml::from_str(&text).map_err(|source| SettingsError::Parse {
            path: path.to_owned(),
            source: Box::new(source),
        })?;
        if let Some(subnet) = &settings.subnet
            && subnet.parse::<flocker_docker::Ipv4Subnet>().is_err()
        {
            return Err(SettingsError::Subnet {
                path: path.to_owned(),
                subnet: subnet.clone(),
            });
        }
        if let Some((name, value)) = settings.paths().into_iter().find(|(_, path)| !is_fit(path)) {
            return Err(SettingsError::Unfit {
                path: path.to_owned(),
                name,
                value: value.clone(),
            });
        }
        Ok(settings)
    }

    /// Lists the paths, all of which end up in units, properties or messages.
    fn paths(&self) -> [(&'static str, &PathBuf); 7] {
        [
            ("mount_root", &self.mount_root),
            ("state_directory", &self.state_directory),
            ("runtime_directory", &self.runtime_directory),
            ("host_keys", &self.host_keys),
            ("docker_socket", &self.docker_socket),
            ("docker_program", &self.docker_program),
            ("node_program", &self.node_program),
        ]
    }

    /// Works out how other nodes reach this one's SSH server, which was `reached` as said, if it was.
    pub(crate) fn contact(&self, reached: Option<Contact>) -> Option<Contact> {
        let Some(address) = self.address else {
            return reached;
        };
        let reached_at = reached.map(|contact| contact.ssh_port);
        let ssh_port = self.ssh_port.or(reached_at).or(Port::new(22))?;
        Some(Contact { address, ssh_port })
    }

    /// Puts together what the container layer needs to know.
    pub(crate) fn docker(&self) -> DockerSettings {
        DockerSettings {
            socket: self.docker_socket.clone(),
            subnet: self
                .subnet
                .as_deref()
                .and_then(|subnet| subnet.parse().ok()),
            ..DockerSettings::default()
        }
    }
}

/// Tells whether a path can be a word of a systemd unit: there, a line break would begin another
/// setting, and a relative path is none.
///
/// **Source**: `systemd.service(5)`, "COMMAND LINES".
fn is_fit(path: &Path) -> bool {
    path.is_absolute() && !path.to_string_lossy().contains(char::is_control)
}

#[cfg(test)]
mod tests {
    use flocker_model::Contact;

    use super::{Settings, SettingsError};

    fn read(text: &str) -> Result<Settings, SettingsError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Settings::read(file.path())
    }

    #[test]
    fn a_given_address_wins_over_the_address_that_was_reached() {
        let reached = Contact::from_ssh_connection("10.0.2.2 50000 10.0.2.15 2222");
        for (text, reached, expected) in [
            ("", None, None),
            ("", reached, Some("10.0.2.15 2222")),
            ("ssh_port = 22", reached, Some("10.0.2.15 2222")),
            ("address = \"203.0.113.7\"", None, Some("203.0.113.7 22")),
            (
                "address = \"203.0.113.7\"",
                reached,
                Some("203.0.113.7 2222"),
            ),
            (
                "address = \"203.0.113.7\"\nssh_port = 2207",
                reached,
                Some("203.0.113.7 2207"),
            ),
        ] {
            let contact = read(text).unwrap().contact(reached);
            let told = contact.map(|contact| format!("{} {}", contact.address, contact.ssh_port));
            assert_eq!(told.as_deref(), expected, "{text:?}");
        }
        assert!(read("address = \"node1\"").is_err());
        assert!(read("ssh_port = 0").is_err());
    }

    #[test]
    fn paths_that_would_change_a_unit_are_refused() {
        let injected = "node_program = \"/usr/bin/flocker-node\\nExecStartPre=/tmp/x\"";
        assert!(matches!(
            read(injected),
            Err(SettingsError::Unfit {
                name: "node_program",
                ..
            })
        ));
        assert!(matches!(
            read("docker_program = \"docker\""),
            Err(SettingsError::Unfit {
                name: "docker_program",
                ..
            })
        ));
        assert_eq!(read("").unwrap(), Settings::default());
    }
}
