//! Application containers: created, stopped and removed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bollard::models::MountType;
use bollard::query_parameters::StopContainerOptions;
use flocker_model::{ApplicationName, ContainerSpecification, ImageReference};
use thiserror::Error;

use crate::connection::{Docker, RequestFailed, found, status_of};
use crate::container_body::{
    ContainerMounts, Placement, add_memory, render_container, render_labels,
};
use crate::naming::{Change, Role, container_name};
use crate::observation::anonymous_volumes_of;
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
    /// The specification sees a volume and no directory was given for it, or the other way round.
    #[error("{application} must be given a volume exactly when it has a mountpoint")]
    VolumeMismatch {
        /// The application.
        application: ApplicationName,
    },
    /// Docker keeps some of its data, which would be lost with it.
    #[error(
        "the container of {application} has {} as anonymous volumes of Docker's, made by an earlier \
         release of Flocker, and is not removed: what is in them is nowhere else; bring it in with \
         `docker cp -a`, then `docker rm flocker-{application}` (without -v)",
        list(paths)
    )]
    AnonymousVolumes {
        /// The application.
        application: ApplicationName,
        /// Where the container sees them.
        paths: BTreeSet<String>,
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
    /// Docker would not create it.
    #[error(
        "docker would not create the container of {application} with these options; the application \
         was not stopped for it"
    )]
    Refused {
        /// The application.
        application: ApplicationName,
        /// Docker's message.
        #[source]
        source: RequestFailed,
    },
    /// A request failed.
    #[error(transparent)]
    Request(#[from] RequestFailed),
}

impl Docker {
    /// Tells whether the container that `specification` describes exists, running or not.
    ///
    /// `volume` is the directory that the volume is mounted on.
    ///
    /// # Errors
    /// When the namespace is missing, when the name is somebody else's, or when Docker fails.
    pub async fn has_container(
        &self,
        specification: &ContainerSpecification,
        volume: Option<&Path>,
    ) -> Result<bool, ContainerError> {
        let application = &specification.application;
        if specification.volume_owner().is_some() != volume.is_some() {
            return Err(ContainerError::VolumeMismatch {
                application: application.clone(),
            });
        }
        let namespace = self.namespace_id(application).await?;
        let placement = Placement {
            namespace: &namespace,
            volume,
            mounts: &[],
        };
        let existing = self.inspect_ours(application, Role::Application).await?;
        let wanted = render_labels(specification, placement);
        // The image's own labels are among the container's.
        Ok(existing.as_ref().and_then(labels_of).is_some_and(|labels| {
            wanted
                .iter()
                .all(|(key, value)| labels.get(key) == Some(value))
        }))
    }

    /// Returns Docker's id of the container that holds an application's network namespace.
    async fn namespace_id(&self, application: &ApplicationName) -> Result<String, ContainerError> {
        let found = self.inspect_ours(application, Role::Network).await?;
        found
            .and_then(|container| container.id)
            .ok_or_else(|| ContainerError::NoNamespace {
                application: application.clone(),
            })
    }

    /// Makes sure that the container that `specification` describes exists; it is not started.
    ///
    /// `volume` is the directory that the volume is mounted on, and `mounts` has what the mount
    /// points show. A container of another configuration, or in another namespace, is replaced if it
    /// does not run. One that is as specified is left alone, running or not.
    ///
    /// # Errors
    /// When a running container would have to be replaced, or one with anonymous volumes, when the
    /// image, the namespace or a directory is missing, when the name is somebody else's, or when
    /// Docker fails.
    pub async fn ensure_container(
        &self,
        specification: &ContainerSpecification,
        volume: Option<&Path>,
        mounts: impl Into<ContainerMounts<'_>>,
    ) -> Result<Change, ContainerError> {
        let ContainerMounts { binds, memory } = mounts.into();
        if self.has_container(specification, volume).await? {
            return Ok(Change::Unchanged);
        }
        let application = &specification.application;
        self.remove_container(application).await?;
        let namespace = self.namespace_id(application).await?;
        let placement = Placement {
            namespace: &namespace,
            volume,
            mounts: binds,
        };
        let name = container_name(application);
        let mut body = add_memory(memory, render_container(specification, placement));
        if let Some(here) = self.name_here(&specification.image).await? {
            body.image = Some(here);
        }
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

    /// Lists the directories of the node that the container of `application` is given; none if it
    /// does not exist.
    ///
    /// # Errors
    /// When the name is somebody else's, or when Docker fails.
    pub async fn bind_sources(
        &self,
        application: &ApplicationName,
    ) -> Result<Vec<PathBuf>, ContainerError> {
        let existing = self.inspect_ours(application, Role::Application).await?;
        let mounts = existing.and_then(|container| container.host_config?.mounts);
        let mounts = mounts.unwrap_or_default();
        Ok(mounts
            .into_iter()
            .filter(|mount| mount.typ == Some(MountType::BIND))
            .filter_map(|mount| mount.source.map(PathBuf::from))
            .collect())
    }

    /// Returns the exit code of the container of `application`; `None` if it runs, or is not there.
    ///
    /// # Errors
    /// When the name is somebody else's, or when Docker fails.
    pub async fn exit_code(
        &self,
        application: &ApplicationName,
    ) -> Result<Option<i64>, ContainerError> {
        let existing = self.inspect_ours(application, Role::Application).await?;
        Ok(existing
            .filter(|container| !is_running(container))
            .and_then(|container| container.state?.exit_code))
    }

    /// Removes the stopped container of `application`.
    ///
    /// # Errors
    /// When it runs, when it has anonymous volumes, when the name is somebody else's, or when Docker fails.
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
        let paths = anonymous_volumes_of(&existing);
        if !paths.is_empty() {
            return Err(ContainerError::AnonymousVolumes {
                application: application.clone(),
                paths,
            });
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

/// Writes paths with commas between them.
fn list(paths: &BTreeSet<String>) -> String {
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    paths.join(", ")
}
