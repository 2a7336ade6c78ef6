//! Whether Docker would make a container: tried while the one before it still runs.

use std::collections::HashMap;
use std::path::PathBuf;

use bollard::models::{ContainerCreateBody, HostConfig};
use flocker_model::{ContainerSpecification, MountPath};

use crate::connection::{Docker, status_of};
use crate::container::ContainerError;
use crate::container_body::{BindMount, Placement, render_container};
use crate::naming::{LABEL_ROLE, trial_name};

impl Docker {
    /// Creates the container that `specification` describes under another name, and removes it at
    /// once; it is never started. Much of what a container is given is judged by Docker alone, and
    /// only when it is created: the number of processors, the runtime, options of the storage driver.
    ///
    /// `targets` are the container's mount points. What they will show may not be there yet; the
    /// trial sees the node's top directory at each. It joins no network.
    ///
    /// The next trial removes one that an interruption left.
    ///
    /// # Errors
    /// When Docker would not create the container, or fails.
    pub async fn try_container(
        &self,
        specification: &ContainerSpecification,
        targets: &[MountPath],
    ) -> Result<(), ContainerError> {
        let name = trial_name(&specification.application);
        self.run_remove(&name, false).await?;
        let mut body = render_trial(specification, targets);
        if let Some(here) = self.name_here(&specification.image).await? {
            body.image = Some(here);
        }
        let created = self.create_unless_there(&name, body).await;
        let removed = self.run_remove(&name, false).await;
        created.map_err(|failure| match status_of(&failure.source) {
            Some(404) => ContainerError::ImageMissing {
                image: specification.image.clone(),
                source: failure,
            },
            _ => ContainerError::Refused {
                application: specification.application.clone(),
                source: failure,
            },
        })?;
        Ok(removed?)
    }
}

/// Describes the trial: as the container, with the labels and the network of none.
fn render_trial(
    specification: &ContainerSpecification,
    targets: &[MountPath],
) -> ContainerCreateBody {
    let mounts: Vec<BindMount> = targets
        .iter()
        .map(|target| BindMount {
            source: PathBuf::from("/"),
            target: target.clone(),
            read_only: true,
        })
        .collect();
    let placement = Placement {
        namespace: "",
        volume: None,
        mounts: &mounts,
    };
    let body = render_container(specification, placement);
    ContainerCreateBody {
        labels: Some(HashMap::from([(LABEL_ROLE.to_owned(), "trial".to_owned())])),
        host_config: Some(HostConfig {
            network_mode: Some("none".to_owned()),
            ..body.host_config.unwrap_or_default()
        }),
        ..body
    }
}
