//! The connection to the Docker daemon.

use std::path::PathBuf;
use std::time::Duration;

use bollard::API_DEFAULT_VERSION;
use thiserror::Error;

use crate::network::Ipv4Subnet;

/// Where Docker is, and what of it Flocker uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DockerSettings {
    /// The socket that the daemon listens on.
    pub socket: PathBuf,
    /// The name of the Docker network that containers are attached to.
    pub network: String,
    /// The name of that network's bridge interface on the node (15 bytes at most).
    pub bridge: String,
    /// The network's addresses; when not given, Docker picks some that are free.
    pub subnet: Option<Ipv4Subnet>,
    /// How long a request may take to be answered.
    pub request_timeout: Duration,
    /// How long an image may take to be packed up or unpacked, its upload included.
    pub transfer_timeout: Duration,
}

impl Default for DockerSettings {
    fn default() -> Self {
        Self {
            socket: PathBuf::from("/run/docker.sock"),
            network: "flocker".to_owned(),
            bridge: "flocker0".to_owned(),
            subnet: None,
            request_timeout: Duration::from_secs(120),
            transfer_timeout: Duration::from_secs(6 * 60 * 60),
        }
    }
}

/// A request that the Docker daemon did not carry out.
#[derive(Debug, Error)]
#[error("docker could not {action}")]
pub struct RequestFailed {
    /// What was asked of it, as the end of the sentence "could not …".
    pub action: String,
    /// Docker's own message, or why it could not be reached.
    #[source]
    pub source: bollard::errors::Error,
}

impl RequestFailed {
    /// Says what was asked when `source` came about.
    pub(crate) fn new(action: impl Into<String>, source: bollard::errors::Error) -> Self {
        Self {
            action: action.into(),
            source,
        }
    }
}

/// Returns the HTTP status that Docker answered with, if it answered.
pub(crate) const fn status_of(error: &bollard::errors::Error) -> Option<u16> {
    match error {
        bollard::errors::Error::DockerResponseServerError { status_code, .. } => Some(*status_code),
        _ => None,
    }
}

/// Turns "there is no such thing" into `None`.
pub(crate) fn found<T>(
    answer: Result<T, bollard::errors::Error>,
) -> Result<Option<T>, bollard::errors::Error> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(error) if status_of(&error) == Some(404) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A Docker daemon that cannot be used.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// Its socket cannot be opened.
    #[error(
        "no docker daemon at {}; is docker installed and running (systemctl status docker)?",
        socket.display()
    )]
    Socket {
        /// The socket that was tried.
        socket: PathBuf,
        /// What happened.
        #[source]
        source: bollard::errors::Error,
    },
    /// It does not answer as a Docker daemon does.
    #[error(
        "the docker daemon at {} does not answer; see journalctl -u docker",
        socket.display()
    )]
    Version {
        /// The socket that was tried.
        socket: PathBuf,
        /// What happened.
        #[source]
        source: bollard::errors::Error,
    },
}

/// The Docker daemon of this machine.
///
/// Cheap to clone; every request opens a connection of its own.
#[derive(Debug, Clone)]
pub struct Docker {
    pub(crate) client: bollard::Docker,
    pub(crate) settings: DockerSettings,
}

impl Docker {
    /// Connects to the daemon and agrees with it on a version of the API.
    ///
    /// # Errors
    /// When nothing listens on the socket, or what listens there is not Docker.
    pub async fn connect(settings: DockerSettings) -> Result<Self, ConnectError> {
        let path = settings.socket.to_string_lossy();
        let client = bollard::Docker::connect_with_unix(
            &path,
            settings.request_timeout.as_secs().max(1),
            API_DEFAULT_VERSION,
        )
        .map_err(|source| ConnectError::Socket {
            socket: settings.socket.clone(),
            source,
        })?;
        let client = client
            .negotiate_version()
            .await
            .map_err(|source| ConnectError::Version {
                socket: settings.socket.clone(),
                source,
            })?;
        Ok(Self { client, settings })
    }

    /// Returns the settings that the connection was made with.
    pub const fn settings(&self) -> &DockerSettings {
        &self.settings
    }

    /// Returns a client whose requests may take as long as moving a whole image.
    pub(crate) fn patient_client(&self) -> bollard::Docker {
        self.client
            .clone()
            .with_timeout(self.settings.transfer_timeout)
    }
}
