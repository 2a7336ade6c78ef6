//! Images that this machine can stream to nodes: from its own Docker, or from archives.

use std::collections::BTreeMap;
use std::path::PathBuf;

use bollard::Docker;
use bollard::query_parameters::ListImagesOptions;
use flocker_model::{ImageDetails, ImageId, ImageReference};
use flocker_remote::ssh::Connection;
use futures_util::TryStreamExt as _;
use thiserror::Error;
use tokio_util::io::StreamReader;

use crate::image_archive::{ArchiveError, read_manifest};
use crate::session::node_command;

/// Where an image is on this machine.
#[derive(Debug, Clone)]
enum Place {
    /// In an archive made by `docker save`.
    Archive(PathBuf),
    /// In Docker.
    Docker,
}

/// The images that this machine can stream.
#[derive(Debug, Default)]
pub(crate) struct OperatorImages {
    places: BTreeMap<ImageReference, (Place, ImageId)>,
    docker: Option<Docker>,
}

/// An image could not be streamed to a node.
#[derive(Debug, Error)]
pub(crate) enum StreamError {
    /// This machine does not have it.
    #[error("this machine no longer has the image {0}")]
    Gone(ImageReference),
    /// Its archive cannot be read.
    #[error("its archive {} cannot be read", path.display())]
    Read {
        /// The archive.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The node did not take it.
    #[error(transparent)]
    Upload(#[from] flocker_remote::ssh::CommandError),
}

impl OperatorImages {
    /// Looks at this machine's Docker, if it has one, and at the given archives.
    pub(crate) async fn observe(archives: &[PathBuf]) -> Result<Self, ArchiveError> {
        let mut images = Self::default();
        images.observe_docker().await;
        for path in archives {
            for entry in read_manifest(path)? {
                let id = ImageId(entry.config);
                for tag in entry.repo_tags.unwrap_or_default() {
                    if let Ok(reference) = tag.parse() {
                        let place = Place::Archive(path.clone());
                        images.places.insert(reference, (place, id.clone()));
                    }
                }
            }
        }
        Ok(images)
    }

    /// Lists the images with their identities, for the planner.
    pub(crate) fn list(&self) -> BTreeMap<ImageReference, ImageDetails> {
        self.places
            .iter()
            .map(|(reference, (_, id))| (reference.clone(), id.clone().into()))
            .collect()
    }

    /// Streams an image to the node at the other end of `connection`.
    pub(crate) async fn stream(
        &self,
        image: &ImageReference,
        connection: &Connection,
    ) -> Result<(), StreamError> {
        let command = node_command(connection, "load-image").arg(image.with_tag());
        let tagged = image.with_tag();
        let found = tagged
            .parse()
            .ok()
            .and_then(|image| self.places.get(&image));
        match (found, &self.docker) {
            (Some((Place::Archive(path), _)), _) => {
                let file = tokio::fs::File::open(path).await;
                let file = file.map_err(|source| StreamError::Read {
                    path: path.clone(),
                    source,
                })?;
                connection.upload(&command, file).await?;
            }
            (Some((Place::Docker, _)), Some(docker)) => {
                let export = docker.export_image(&tagged).map_err(std::io::Error::other);
                let reader = StreamReader::new(Box::pin(export));
                connection.upload(&command, reader).await?;
            }
            (Some((Place::Docker, _)) | None, _) => return Err(StreamError::Gone(image.clone())),
        }
        Ok(())
    }

    /// Lists this machine's Docker images. A laptop without Docker is nothing unusual.
    async fn observe_docker(&mut self) {
        let Ok(docker) = Docker::connect_with_local_defaults() else {
            return;
        };
        let Ok(summaries) = docker.list_images(None::<ListImagesOptions>).await else {
            return;
        };
        for summary in summaries {
            let id = ImageId(summary.id);
            for tag in summary.repo_tags {
                if let Ok(reference) = tag.parse() {
                    self.places.insert(reference, (Place::Docker, id.clone()));
                }
            }
        }
        self.docker = Some(docker);
    }
}
