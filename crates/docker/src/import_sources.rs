//! What an import has to know of Docker: where a volume is, and which containers write to it.

use std::path::PathBuf;

use bollard::models::ContainerSummary;
use bollard::query_parameters::ListContainersOptions;

use crate::connection::{Docker, RequestFailed, found};

/// A volume of Docker's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DockerVolume {
    /// The driver that looks after it.
    pub driver: String,
    /// The directory that it is, or is mounted at while a container uses it.
    pub mountpoint: PathBuf,
    /// What Docker mounts there while a container uses it, if it was given options for that.
    pub device: Option<String>,
}

/// A container that runs and may write to directories of the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Writer {
    /// Its name.
    pub container: String,
    /// The directories.
    pub directories: Vec<PathBuf>,
}

impl Docker {
    /// Looks a volume up; `None` if there is none of that name.
    ///
    /// # Errors
    /// When Docker fails.
    pub async fn observe_volume(&self, name: &str) -> Result<Option<DockerVolume>, RequestFailed> {
        let volume = found(self.client.inspect_volume(name).await);
        let volume = volume
            .map_err(|source| RequestFailed::new(format!("look at volume {name}"), source))?;
        Ok(volume.map(|volume| DockerVolume {
            driver: volume.driver,
            mountpoint: volume.mountpoint.into(),
            device: volume.options.get("device").cloned(),
        }))
    }

    /// Lists the containers that run, anybody's, and may write to directories of the node.
    ///
    /// # Errors
    /// When Docker fails.
    pub async fn observe_writers(&self) -> Result<Vec<Writer>, RequestFailed> {
        let list = self
            .client
            .list_containers(None::<ListContainersOptions>)
            .await
            .map_err(|source| RequestFailed::new("list containers", source))?;
        let mut writers = Vec::new();
        for container in list {
            let container = self.with_volume_sources(container).await?;
            writers.extend(writer(container));
        }
        Ok(writers)
    }

    /// Fills in where a container's volumes are: a list of containers does not say so of anonymous
    /// ones.
    async fn with_volume_sources(
        &self,
        mut container: ContainerSummary,
    ) -> Result<ContainerSummary, RequestFailed> {
        for mount in container.mounts.iter_mut().flatten() {
            if mount
                .source
                .as_deref()
                .is_some_and(|source| !source.is_empty())
            {
                continue;
            }
            let Some(name) = mount.name.as_deref().filter(|name| !name.is_empty()) else {
                continue;
            };
            // One that is gone went with its container, which no longer writes.
            let volume = self.observe_volume(name).await?;
            mount.source = volume.map(|volume| volume.mountpoint.to_string_lossy().into_owned());
        }
        Ok(container)
    }
}

/// Returns a container with the directories that it may write to, if there are any.
fn writer(container: ContainerSummary) -> Option<Writer> {
    let names = container.names.unwrap_or_default();
    let name = names
        .first()
        .map(|name| name.trim_start_matches('/').to_owned());
    let mounts = container.mounts.unwrap_or_default();
    let directories: Vec<PathBuf> = mounts
        .into_iter()
        .filter(|mount| mount.rw != Some(false))
        .filter_map(|mount| mount.source.filter(|source| !source.is_empty()))
        .map(PathBuf::from)
        .collect();
    (!directories.is_empty()).then(|| Writer {
        container: name.or(container.id).unwrap_or_default(),
        directories,
    })
}

#[cfg(test)]
mod tests {
    use bollard::models::MountPoint;

    use super::*;

    #[test]
    fn a_container_that_only_reads_is_no_writer() {
        let mount = |source: &str, rw| MountPoint {
            source: Some(source.to_owned()),
            rw: Some(rw),
            ..MountPoint::default()
        };
        let container = |mounts| ContainerSummary {
            names: Some(vec!["/db".to_owned()]),
            mounts: Some(mounts),
            ..ContainerSummary::default()
        };
        assert_eq!(
            writer(container(vec![mount("/srv", false), mount("", true)])),
            None
        );
        let both = writer(container(vec![
            mount("/srv/a", false),
            mount("/srv/b", true),
        ]));
        assert_eq!(
            both,
            Some(Writer {
                container: "db".to_owned(),
                directories: vec!["/srv/b".into()],
            })
        );
    }
}
