//! Images that this machine can stream to nodes: from its own Docker, or from archives.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bollard::query_parameters::ListImagesOptions;
use bollard::{API_DEFAULT_VERSION, Docker};
use flocker_model::{ImageDetails, ImageId, ImageReference};
use flocker_remote::ssh::Connection;
use futures_util::TryStreamExt as _;
use thiserror::Error;
use tokio_util::io::StreamReader;

use crate::docker_endpoint::{DockerFiles, DockerSocket, DockerVariables, EndpointProblem, locate};
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
        let Some(docker) = connect_docker().await else {
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

/// How many seconds Docker may take for an answer.
const DOCKER_TIMEOUT: u64 = 120;

/// The files of this machine.
struct LocalFiles;

impl DockerFiles for LocalFiles {
    fn read(&self, path: &Path) -> std::io::Result<Vec<u8>> {
        std::fs::read(path)
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }
}

/// Connects to this machine's Docker, with a warning if the user named one that cannot be used.
async fn connect_docker() -> Option<Docker> {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let variables = DockerVariables {
        host: variable("DOCKER_HOST"),
        context: variable("DOCKER_CONTEXT"),
        config: variable("DOCKER_CONFIG").map(PathBuf::from),
        home: variable("HOME").map(PathBuf::from),
        runtime_directory: variable("XDG_RUNTIME_DIR").map(PathBuf::from),
    };
    let (socket, problem) = locate(&variables, &LocalFiles);
    if let Some(problem) = problem {
        tracing::warn!("{problem}");
    }
    let DockerSocket { path, choice } = socket?;
    match reach_docker(&path).await {
        Ok(docker) => Some(docker),
        Err(error) => {
            // A socket that is merely there may be of a Docker that nobody uses.
            if let Some(choice) = choice {
                let reason = error.to_string();
                let problem = EndpointProblem::NoAnswer {
                    path,
                    choice,
                    reason,
                };
                tracing::warn!("{problem}");
            } else {
                tracing::info!(%error, path = %path.display(), "no Docker answers");
            }
            None
        }
    }
}

/// Connects to the Docker behind a socket, and agrees with it on a version of its API.
async fn reach_docker(socket: &Path) -> Result<Docker, bollard::errors::Error> {
    let socket = socket.to_string_lossy();
    let docker = Docker::connect_with_unix(&socket, DOCKER_TIMEOUT, API_DEFAULT_VERSION)?;
    docker.negotiate_version().await
}
