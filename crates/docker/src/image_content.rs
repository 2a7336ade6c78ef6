//! What an image has at a path: the content that a new volume is filled with.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};

use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::{
    CreateContainerOptions, DownloadFromContainerOptions, InspectContainerOptions,
    RemoveContainerOptions,
};
use flocker_model::{ApplicationName, ContainerUser, ImageReference, MountPath};
use futures_util::TryStreamExt as _;
use thiserror::Error;
use tokio_util::io::{StreamReader, SyncIoBridge};

use crate::connection::{Docker, RequestFailed, found, status_of};
use crate::image_user::find_user;
use crate::naming::{LABEL_ROLE, content_name};
use crate::unpack::{UnpackError, first_file, unpack};

/// Why a directory cannot be filled from an image.
#[derive(Debug, Error)]
pub enum ContentError {
    /// The image is not here.
    #[error("image {image} is not on this node; deploy again, or: docker pull {image}")]
    ImageMissing {
        /// The image.
        image: ImageReference,
    },
    /// What the image has there cannot be written.
    #[error("what image {image} has at {path} cannot be copied to {}", into.display())]
    Unpack {
        /// The image.
        image: ImageReference,
        /// The path in the image.
        path: MountPath,
        /// The directory of the node.
        into: PathBuf,
        /// Why.
        #[source]
        source: UnpackError,
    },
    /// The directory cannot be given to the container's user.
    #[error("{} cannot be given to `{user}`, as whom image {image} is run", into.display())]
    Owner {
        /// The image.
        image: ImageReference,
        /// The user, as the application or the image writes it.
        user: String,
        /// The directory of the node.
        into: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A request failed.
    #[error(transparent)]
    Request(#[from] RequestFailed),
}

/// A path of an image, and whose it is where the image does not have it.
#[derive(Debug, Clone, Copy)]
pub struct ImageContent<'a> {
    /// The image.
    pub image: &'a ImageReference,
    /// The path.
    pub path: &'a MountPath,
    /// The user that the container runs as, if it is not the image's own.
    pub user: Option<&'a ContainerUser>,
}

impl Docker {
    /// Copies what the image has at the path into the empty directory `into`: files with their owners and
    /// modes, and the owner and mode of the directory itself, as Docker fills its own volumes.
    ///
    /// Where the image has nothing, the directory is given to the user that the container runs as.
    ///
    /// Docker shows an image's files only in a container: one is created for that, is never started,
    /// and is removed afterwards. It has a name by which the next attempt finds one that an
    /// interruption left.
    ///
    /// # Errors
    /// When the image is missing, when its content cannot be written, or when Docker fails.
    pub async fn copy_from_image(
        &self,
        application: &ApplicationName,
        content: ImageContent<'_>,
        into: &Path,
    ) -> Result<(), ContentError> {
        let image = content.image;
        let name = content_name(application);
        self.remove_content(&name).await?;
        let (details, here) =
            self.look_up(image)
                .await?
                .ok_or_else(|| ContentError::ImageMissing {
                    image: image.clone(),
                })?;
        let options = CreateContainerOptions {
            name: Some(name.clone()),
            ..CreateContainerOptions::default()
        };
        let created = self
            .client
            .create_container(Some(options), render_content(here, details.volumes))
            .await;
        let id = created
            .map_err(|source| RequestFailed::new(format!("create container {name}"), source))?
            .id;
        let copied = self.copy_path(&id, content, into).await;
        let removed = self.remove_content(&name).await;
        copied?;
        Ok(removed?)
    }

    /// Copies a path of a container that was created from the image.
    async fn copy_path(
        &self,
        container: &str,
        content: ImageContent<'_>,
        into: &Path,
    ) -> Result<(), ContentError> {
        let ImageContent { image, path, .. } = content;
        let options = DownloadFromContainerOptions {
            // With the dot, a symbolic link is followed, and names begin at the directory itself.
            path: format!("{}/.", path.cleaned()),
        };
        let client = self.patient_client();
        let mut archive = Box::pin(client.download_from_container(container, Some(options)));
        let first = match archive.try_next().await {
            Ok(Some(first)) => first,
            Ok(None) => return Ok(()),
            Err(error) if status_of(&error) == Some(404) => {
                return self.give_to_user((container, content), into, error).await;
            }
            Err(source) => {
                return Err(RequestFailed::new(format!("read {path} of {image}"), source).into());
            }
        };
        let first = futures_util::stream::iter([Ok(first)]);
        let rest = archive.map_err(io::Error::other);
        let reader = StreamReader::new(Box::pin(futures_util::StreamExt::chain(first, rest)));
        let (bridge, place) = (SyncIoBridge::new(reader), into.to_owned());
        let unpacked = tokio::task::spawn_blocking(move || unpack(bridge, &place)).await;
        let unpacked =
            unpacked.unwrap_or_else(|panic| Err(UnpackError::from(io::Error::other(panic))));
        unpacked.map_err(|source| ContentError::Unpack {
            image: image.clone(),
            path: path.clone(),
            into: into.to_owned(),
            source,
        })
    }

    /// Gives a directory to the user that the container runs as, because the image has nothing there that
    /// tells whose it is.
    ///
    /// Fails with what `missing` says if the container itself is gone: somebody may remove containers
    /// that do not run, and a new volume must not stay empty for that.
    async fn give_to_user(
        &self,
        (container, content): (&str, ImageContent<'_>),
        into: &Path,
        missing: bollard::errors::Error,
    ) -> Result<(), ContentError> {
        let none = None::<InspectContainerOptions>;
        let failed = |source| RequestFailed::new(format!("read container {container}"), source);
        let details = found(self.client.inspect_container(container, none).await);
        let Some(details) = details.map_err(failed)? else {
            return Err(failed(missing).into());
        };
        let of_image = || details.config.and_then(|config| config.user);
        let user = content.user.map(ToString::to_string).or_else(of_image);
        let Some(user) = user.filter(|user| !user.is_empty()) else {
            return Ok(());
        };
        let passwd = self.read_file(container, "/etc/passwd").await?;
        let group = self.read_file(container, "/etc/group").await?;
        // A user that the image does not know is Docker's to refuse, at the start.
        let Some((uid, gid)) = find_user(&user, &passwd, &group) else {
            return Ok(());
        };
        chown(into, Some(uid), Some(gid)).map_err(|source| ContentError::Owner {
            image: content.image.clone(),
            user,
            into: into.to_owned(),
            source,
        })
    }

    /// Reads a small file of a container; one that is not there is empty.
    async fn read_file(&self, container: &str, path: &str) -> Result<String, RequestFailed> {
        let options = DownloadFromContainerOptions {
            path: path.to_owned(),
        };
        let archive = self
            .client
            .download_from_container(container, Some(options));
        match archive.try_collect::<Vec<_>>().await {
            Ok(pieces) => Ok(first_file(&pieces.concat())),
            Err(error) if status_of(&error) == Some(404) => Ok(String::new()),
            Err(source) => Err(RequestFailed::new(
                format!("read {path} of {container}"),
                source,
            )),
        }
    }

    /// Removes the container that content is read from, if it is there.
    async fn remove_content(&self, name: &str) -> Result<(), RequestFailed> {
        let options = RemoveContainerOptions {
            v: false,
            ..RemoveContainerOptions::default()
        };
        let answer = self.client.remove_container(name, Some(options)).await;
        found(answer)
            .map(|_| ())
            .map_err(|source| RequestFailed::new(format!("remove container {name}"), source))
    }
}

/// Describes the container that content is read from, by the image's name here.
fn render_content(image: String, volumes: BTreeSet<String>) -> ContainerCreateBody {
    ContainerCreateBody {
        image: Some(image),
        // Never run; Docker refuses a container without a command.
        entrypoint: Some(vec!["/never-run".to_owned()]),
        labels: Some(HashMap::from([(
            LABEL_ROLE.to_owned(),
            "content".to_owned(),
        )])),
        host_config: Some(HostConfig {
            network_mode: Some("none".to_owned()),
            // In the place of the anonymous volumes that Docker would make: nothing is mounted there
            // before a start, so that the image's own files are seen.
            tmpfs: Some(
                volumes
                    .into_iter()
                    .map(|path| {
                        // Docker compares paths with one slash between names and none at the end.
                        let cleaned = path.parse::<MountPath>();
                        let path = cleaned.map_or(path, |path| path.cleaned().to_string());
                        (path, String::new())
                    })
                    .collect(),
            ),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    }
}
