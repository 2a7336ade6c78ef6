//! Images that this machine can stream to nodes: from its own Docker, or from archives.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use bollard::models::ImageInspect;
use bollard::query_parameters::{ListImagesOptions, TagImageOptions};
use bollard::{API_DEFAULT_VERSION, Docker};
use flocker_model::{
    Deployment, ImageDetails, ImageId, ImageName, ImagePlatform, ImageReference, OperatorImage,
    OperatorStore,
};
use flocker_remote::ssh::Connection;
use futures_util::TryStreamExt as _;
use thiserror::Error;
use tokio_util::io::StreamReader;

use crate::docker_endpoint::{DockerFiles, DockerSocket, DockerVariables, EndpointProblem, locate};
use crate::image_archive::{ArchiveError, read_archive};
use crate::session::node_command;

/// The images that this machine can stream, of those that a deployment names.
#[derive(Debug, Default)]
pub(crate) struct OperatorImages {
    wanted: BTreeSet<ImageName>,
    archived: BTreeMap<ImageName, Vec<(PathBuf, ImageDetails)>>,
    /// What Docker has, by the name by which it knows that.
    in_docker: BTreeMap<ImageName, (String, ImageDetails)>,
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
    /// This machine's Docker did not give it the tag that stands for its digest.
    #[error("this machine's Docker could not tag the image {image}")]
    Tag {
        /// The image.
        image: ImageReference,
        /// Docker's message.
        source: bollard::errors::Error,
    },
    /// The node did not take it.
    #[error(transparent)]
    Upload(#[from] flocker_remote::ssh::CommandError),
}

impl OperatorImages {
    /// Looks for the images of a deployment in this machine's Docker, if it has one, and in the
    /// given archives.
    pub(crate) async fn observe(
        deployment: &Deployment,
        archives: &[PathBuf],
    ) -> Result<Self, ArchiveError> {
        let applications = deployment.applications.values();
        let mut images = Self {
            wanted: applications.map(|it| it.image.identity()).collect(),
            ..Self::default()
        };
        for path in archives {
            for image in read_archive(path)? {
                for name in images.wanted_of(&image.names) {
                    let found = (path.clone(), image.details.clone());
                    // The last archive goes before others.
                    images.archived.entry(name).or_default().insert(0, found);
                }
            }
        }
        images.observe_docker().await;
        Ok(images)
    }

    /// Lists the images, for the planner.
    pub(crate) fn list(&self) -> BTreeMap<ImageName, Vec<OperatorImage>> {
        let archived = self.archived.iter().flat_map(|(name, copies)| {
            let details = copies.iter().map(|(_, details)| details);
            details.map(move |details| (name, OperatorStore::Archive, details))
        });
        let in_docker = self.in_docker.iter();
        let in_docker =
            in_docker.map(|(name, (_, details))| (name, OperatorStore::Docker, details));
        let mut images: BTreeMap<ImageName, Vec<OperatorImage>> = BTreeMap::new();
        for (name, store, details) in archived.chain(in_docker) {
            let details = details.clone();
            let copies = images.entry(name.clone()).or_default();
            copies.push(OperatorImage { store, details });
        }
        images
    }

    /// Streams a copy of an image to the node at the other end of `connection`.
    pub(crate) async fn stream(
        &self,
        (image, copy): (&ImageReference, &OperatorImage),
        connection: &Connection,
    ) -> Result<(), StreamError> {
        let name = image.identity();
        let command = node_command(connection, "load-image").arg(name.as_str());
        let gone = || StreamError::Gone(image.clone());
        match copy.store {
            OperatorStore::Archive => {
                let mut copies = self.archived.get(&name).into_iter().flatten();
                let found = copies.find(|(_, details)| *details == copy.details);
                let (path, _) = found.ok_or_else(gone)?;
                let file = tokio::fs::File::open(path).await;
                let file = file.map_err(|source| StreamError::Read {
                    path: path.clone(),
                    source,
                })?;
                connection.upload(&command, file).await?;
            }
            OperatorStore::Docker => {
                let docker = self.docker.as_ref().ok_or_else(gone)?;
                let (here, _) = self.in_docker.get(&name).ok_or_else(gone)?;
                let tag = tag_for_archive(docker, (image, here)).await?;
                let export = docker.export_image(&tag).map_err(std::io::Error::other);
                let reader = StreamReader::new(Box::pin(export));
                connection.upload(&command, reader).await?;
            }
        }
        Ok(())
    }

    /// Lists the wanted ones of these names.
    fn wanted_of(&self, names: &[String]) -> BTreeSet<ImageName> {
        let names = names.iter().filter_map(|name| name.parse().ok());
        names.filter(|name| self.wanted.contains(name)).collect()
    }

    /// Looks for images in this machine's Docker. A laptop without Docker is nothing unusual.
    async fn observe_docker(&mut self) {
        let Some(docker) = connect_docker().await else {
            return;
        };
        let Ok(summaries) = docker.list_images(None::<ListImagesOptions>).await else {
            return;
        };
        for summary in summaries {
            let names = [summary.repo_tags, summary.repo_digests].concat();
            let wanted = names.into_iter().filter_map(|here| {
                let name = here.parse().ok()?;
                self.wanted.contains(&name).then_some((name, here))
            });
            let wanted: Vec<(ImageName, String)> = wanted.collect();
            if wanted.is_empty() {
                continue;
            }
            if let Ok(image) = docker.inspect_image(&summary.id).await {
                let details = details_of(ImageId(summary.id), image);
                let found = wanted
                    .into_iter()
                    .map(|(name, here)| (name, (here, details.clone())));
                self.in_docker.extend(found);
            }
        }
        self.docker = Some(docker);
    }
}

/// Returns the tag under which an archive carries an image: for one that is named by its digest the
/// tag that stands for that, which it gets if it has it not yet.
async fn tag_for_archive(
    docker: &Docker,
    (image, here): (&ImageReference, &str),
) -> Result<String, StreamError> {
    let name = image.identity();
    let Some((repository, tag)) = name.alias() else {
        return Ok(name.as_str().to_owned());
    };
    let options = TagImageOptions {
        repo: Some(repository.to_owned()),
        tag: Some(tag.clone()),
    };
    let tagged = docker.tag_image(here, Some(options)).await;
    tagged.map_err(|source| StreamError::Tag {
        image: image.clone(),
        source,
    })?;
    Ok(format!("{repository}:{tag}"))
}

/// Takes what matters from an inspected image.
fn details_of(id: ImageId, image: ImageInspect) -> ImageDetails {
    let told = |text: &String| !text.is_empty();
    let platform = image.os.filter(told).zip(image.architecture.filter(told));
    let volumes = image.config.and_then(|config| config.volumes);
    ImageDetails {
        id,
        platform: platform.map(|(os, architecture)| ImagePlatform { os, architecture }),
        volumes: volumes.unwrap_or_default().into_iter().collect(),
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
            // A socket in a usual place may belong to a Docker that is not in use.
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
