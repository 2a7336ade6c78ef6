//! Namespace containers: they hold an application's network while the application comes and goes.

use std::net::Ipv4Addr;
use std::path::Path;

use bollard::body_full;
use bollard::models::ContainerInspectResponse;
use bollard::query_parameters::{CreateImageOptions, StartContainerOptions};
use flocker_model::{ApplicationName, NetworkIdentity};
use futures_util::TryStreamExt as _;
use thiserror::Error;

use crate::connection::{Docker, RequestFailed, found};
use crate::container_body::render_namespace;
use crate::hosts::{HostsError, ensure_ipv4_localhost};
use crate::naming::{Change, LABEL_CONFIGURATION, Role, namespace_name};
use crate::network::NetworkError;
use crate::ownership::{LookupError, is_running, labels_of};
use crate::pause::{PauseImage, UnsupportedArchitecture};

/// An application's network namespace, ready to be programmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamespaceState {
    /// Docker's id of the container that holds it.
    pub container: String,
    /// The process that holds it: the namespace is `/proc/<pid>/ns/net`.
    pub pid: u32,
    /// The address of the namespace on the bridge.
    pub address: Ipv4Addr,
    /// Whether the container had to be created or started.
    pub change: Change,
}

/// Why a network namespace cannot be had.
#[derive(Debug, Error)]
pub enum NamespaceError {
    /// Containers' networks cannot be held on this kind of machine.
    #[error(transparent)]
    Architecture(#[from] UnsupportedArchitecture),
    /// A container of that name is not Flocker's, or cannot be looked at.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// The network that it is attached to cannot be had.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The namespace must be replaced, and the application still runs in the old one.
    #[error(
        "the network of {application} must be re-created and its container still runs; stop it \
         first: systemctl stop flocker-{application}"
    )]
    InUse {
        /// The application.
        application: ApplicationName,
    },
    /// Names cannot be looked up in it as links need it.
    #[error(transparent)]
    Hosts(#[from] HostsError),
    /// It was started and has no address.
    #[error(
        "the network container of {application} does not run or has no address on the network; \
         see journalctl -u docker"
    )]
    NoAddress {
        /// The application.
        application: ApplicationName,
    },
    /// A request failed.
    #[error(transparent)]
    Request(#[from] RequestFailed),
}

impl Docker {
    /// Makes the image of the namespace containers unless it is there, and returns its name.
    ///
    /// # Errors
    /// When the machine is of an unknown kind, or Docker fails.
    pub async fn ensure_pause_image(&self) -> Result<String, NamespaceError> {
        let image = PauseImage::render(std::env::consts::ARCH)?;
        let reference = image.reference();
        let failed = |source| RequestFailed::new(format!("import the image {reference}"), source);
        let existing = found(self.client.inspect_image(&reference).await).map_err(failed)?;
        if existing.is_none() {
            let options = CreateImageOptions {
                from_src: Some("-".to_owned()),
                repo: Some(crate::pause::REPOSITORY.to_owned()),
                tag: Some(image.tag.clone()),
                message: Some("Holds the network namespace of a Flocker application".to_owned()),
                ..CreateImageOptions::default()
            };
            let body = body_full(image.archive.into());
            self.client
                .create_image(Some(options), Some(body), None)
                .try_collect::<Vec<_>>()
                .await
                .map_err(failed)?;
        }
        Ok(reference)
    }

    /// Makes sure that the network namespace of `application` exists, and returns where it is.
    ///
    /// The name `localhost` is 127.0.0.1 alone in it, where links are.
    ///
    /// Creates the network and the image if need be. An existing container that was made in
    /// another way, or for another `identity`, is replaced, unless the application runs in it.
    ///
    /// # Errors
    /// When the name is taken, when a running application would lose its network, or when Docker
    /// fails.
    pub async fn ensure_namespace(
        &self,
        application: &ApplicationName,
        identity: &NetworkIdentity,
    ) -> Result<NamespaceState, NamespaceError> {
        self.ensure_network().await?;
        let image = self.ensure_pause_image().await?;
        let name = namespace_name(application);
        let body = render_namespace(application, identity, (&image, &self.settings.network));
        let wanted = body
            .labels
            .as_ref()
            .and_then(|labels| labels.get(LABEL_CONFIGURATION).cloned());
        let existing = self.inspect_ours(application, Role::Network).await?;
        let up_to_date = |container: &ContainerInspectResponse| {
            labels_of(container).and_then(|labels| labels.get(LABEL_CONFIGURATION))
                == wanted.as_ref()
        };
        match &existing {
            Some(container) if up_to_date(container) && is_running(container) => {
                prepare_hosts(container)?;
                return namespace_state(self, application, container, Change::Unchanged);
            }
            Some(container) if up_to_date(container) => self.refuse_if_in_use(application).await?,
            Some(_) => {
                self.refuse_if_in_use(application).await?;
                self.run_remove(&name, true).await?;
                self.create_unless_there(&name, body).await?;
            }
            None => {
                self.refuse_if_in_use(application).await?;
                self.create_unless_there(&name, body).await?;
            }
        }
        self.client
            .start_container(&name, None::<StartContainerOptions>)
            .await
            .map_err(|source| RequestFailed::new(format!("start {name}"), source))?;
        match self.inspect_ours(application, Role::Network).await? {
            Some(container) => {
                prepare_hosts(&container)?;
                namespace_state(self, application, &container, Change::Changed)
            }
            None => Err(NamespaceError::NoAddress {
                application: application.clone(),
            }),
        }
    }

    /// Removes the namespace container of `application`, running or not.
    ///
    /// # Errors
    /// When the application still runs in it, when the name is somebody else's, or when Docker
    /// fails.
    pub async fn remove_namespace(
        &self,
        application: &ApplicationName,
    ) -> Result<Change, NamespaceError> {
        if self
            .inspect_ours(application, Role::Network)
            .await?
            .is_none()
        {
            return Ok(Change::Unchanged);
        }
        self.refuse_if_in_use(application).await?;
        self.run_remove(&namespace_name(application), true).await?;
        Ok(Change::Changed)
    }

    /// Refuses when the container of `application` runs, whatever network it runs in.
    async fn refuse_if_in_use(&self, application: &ApplicationName) -> Result<(), NamespaceError> {
        match self.inspect_ours(application, Role::Application).await? {
            Some(container) if is_running(&container) => Err(NamespaceError::InUse {
                application: application.clone(),
            }),
            _ => Ok(()),
        }
    }
}

/// Makes `localhost` IPv4 alone in the file that Docker mounts into the application's container.
fn prepare_hosts(container: &ContainerInspectResponse) -> Result<(), HostsError> {
    match container.hosts_path.as_deref() {
        None | Some("") => Ok(()),
        Some(path) => ensure_ipv4_localhost(Path::new(path)),
    }
}

/// Takes what is needed from an inspected namespace container.
fn namespace_state(
    docker: &Docker,
    application: &ApplicationName,
    container: &ContainerInspectResponse,
    change: Change,
) -> Result<NamespaceState, NamespaceError> {
    pid_and_address(container, &docker.settings.network)
        .map(|(pid, address)| NamespaceState {
            container: container.id.clone().unwrap_or_default(),
            pid,
            address,
            change,
        })
        .ok_or_else(|| NamespaceError::NoAddress {
            application: application.clone(),
        })
}

/// Finds a running container's process and its address on `network`.
pub(crate) fn pid_and_address(
    container: &ContainerInspectResponse,
    network: &str,
) -> Option<(u32, Ipv4Addr)> {
    // Docker says 0 of a container that does not run.
    let pid = container.state.as_ref()?.pid.filter(|pid| *pid > 0)?;
    let networks = container.network_settings.as_ref()?.networks.as_ref()?;
    let address = networks.get(network)?.ip_address.as_ref()?;
    Some((u32::try_from(pid).ok()?, address.parse().ok()?))
}
