//! Application containers: created, stopped and removed.

use std::path::Path;
use std::time::Duration;

use bollard::query_parameters::StopContainerOptions;
use flocker_model::{ApplicationName, ContainerSpecification, ImageReference};
use thiserror::Error;

use crate::connection::{Docker, RequestFailed, found, status_of};
use crate::container_body::{Placement, render_container, render_labels};
use crate::naming::{Change, Role, container_name};
use crate::ownership::{LookupError, is_running, labels_of};

/// Why an application's container cannot be created, stopped or removed.
#[derive(Debug, Error)]
pub enum ContainerError {
    /// A container of that name is not Flocker's, or cannot be looked at.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// The network that it is to join does not exist yet.
    #[error("{application} has no network container; ensure its namespace first")]
    NoNamespace {
        /// The application.
        application: ApplicationName,
    },
    /// The specification has a mountpoint and no directory was given for it, or the other way
    /// round.
    #[error("{application} must be given a volume exactly when it has a mountpoint")]
    VolumeMismatch {
        /// The application.
        application: ApplicationName,
    },
    /// It must be replaced or removed and still runs.
    #[error(
        "the container of {application} still runs and cannot be replaced or removed; stop it \
         first: systemctl stop flocker-{application}"
    )]
    Running {
        /// The application.
        application: ApplicationName,
    },
    /// Its image is not here.
    #[error("image {image} is not on this node; deploy again, or: docker pull {image}")]
    ImageMissing {
        /// The image.
        image: ImageReference,
        /// Docker's message.
        #[source]
        source: RequestFailed,
    },
    /// A request failed.
    #[error(transparent)]
    Request(#[from] RequestFailed),
}

impl Docker {
    /// Makes sure that the container that `specification` describes exists; it is not started.
    ///
    /// `volume` is the directory that the volume is mounted on. A container of another
    /// configuration, or in another namespace, is replaced if it does not run. One that is as
    /// specified is left alone, running or not.
    ///
    /// # Errors
    /// When a running container would have to be replaced, when the image, the namespace or the
    /// volume's directory is missing, when the name is somebody else's, or when Docker fails.
    pub async fn ensure_container(
        &self,
        specification: &ContainerSpecification,
        volume: Option<&Path>,
    ) -> Result<Change, ContainerError> {
        let application = &specification.application;
        if specification.has_volume() != volume.is_some() {
            return Err(ContainerError::VolumeMismatch {
                application: application.clone(),
            });
        }
        let namespace = self
            .inspect_ours(application, Role::Network)
            .await?
            .and_then(|container| container.id)
            .ok_or_else(|| ContainerError::NoNamespace {
                application: application.clone(),
            })?;
        let placement = Placement {
            namespace: &namespace,
            volume,
        };
        if let Some(existing) = self.inspect_ours(application, Role::Application).await? {
            let wanted = render_labels(specification, placement);
            // The image's own labels are among the container's.
            let unchanged = labels_of(&existing).is_some_and(|labels| {
                wanted
                    .iter()
                    .all(|(key, value)| labels.get(key) == Some(value))
            });
            if unchanged {
                return Ok(Change::Unchanged);
            }
            self.remove_container(application).await?;
        }
        let name = container_name(application);
        let body = render_container(specification, placement);
        self.create_unless_there(&name, body)
            .await
            .map_err(|failure| match status_of(&failure.source) {
                Some(404) => ContainerError::ImageMissing {
                    image: specification.image.clone(),
                    source: failure,
                },
                _ => failure.into(),
            })?;
        Ok(Change::Changed)
    }

    /// Stops the container of `application`: its stop signal first, SIGKILL after `grace`.
    ///
    /// Where systemd looks after the container, stop its unit instead.
    ///
    /// # Errors
    /// When the name is somebody else's, or when Docker fails.
    pub async fn stop_container(
        &self,
        application: &ApplicationName,
        grace: Duration,
    ) -> Result<Change, ContainerError> {
        let existing = self.inspect_ours(application, Role::Application).await?;
        if !existing.as_ref().is_some_and(is_running) {
            return Ok(Change::Unchanged);
        }
        let name = container_name(application);
        let options = StopContainerOptions {
            t: Some(i32::try_from(grace.as_secs()).unwrap_or(i32::MAX)),
            ..StopContainerOptions::default()
        };
        let answer = self
            .client
            .clone()
            .with_timeout(self.settings.request_timeout.saturating_add(grace))
            .stop_container(&name, Some(options))
            .await;
        found(answer)
            .map_err(|source| RequestFailed::new(format!("stop container {name}"), source))?;
        Ok(Change::Changed)
    }

    /// Removes the stopped container of `application`.
    ///
    /// # Errors
    /// When it runs, when the name is somebody else's, or when Docker fails.
    pub async fn remove_container(
        &self,
        application: &ApplicationName,
    ) -> Result<Change, ContainerError> {
        let Some(existing) = self.inspect_ours(application, Role::Application).await? else {
            return Ok(Change::Unchanged);
        };
        let running = || ContainerError::Running {
            application: application.clone(),
        };
        if is_running(&existing) {
            return Err(running());
        }
        // Removal by id: should the name have passed to another container meanwhile, that one
        // stays. Docker itself refuses to remove one that has been started in between.
        let id = existing.id.unwrap_or_default();
        match self.run_remove(&id, false).await {
            Ok(()) => Ok(Change::Changed),
            Err(failure) if status_of(&failure.source) == Some(409) => Err(running()),
            Err(failure) => Err(failure.into()),
        }
    }
}
