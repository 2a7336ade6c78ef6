//! Images: pulled from a registry, or carried from one machine to another as an archive.

use std::sync::{Arc, Mutex, PoisonError};

use bollard::auth::DockerCredentials;
use bollard::query_parameters::{CreateImageOptions, ImportImageOptions, TagImageOptions};
use bytes::Bytes;
use flocker_model::{ByteCount, ImageDetails, ImageId, ImageReference, RegistryLogins};
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use thiserror::Error;

use crate::connection::{Docker, RequestFailed, found, status_of};
use crate::observation::details_of;
use crate::registry::{credentials, is_about_a_login, refused_login};

/// How far the pull of an image has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageProgress {
    /// What Docker is doing, in its words: `Downloading`, `Extracting`, …
    pub status: String,
    /// The layer that it is about, if it is about one.
    pub layer: Option<String>,
    /// Bytes of the layer that are done, and their total.
    pub bytes: Option<(ByteCount, ByteCount)>,
}

/// Why an image cannot be had or carried.
#[derive(Debug, Error)]
pub enum ImageError {
    /// It is not here.
    #[error("image {image} is not on this machine")]
    Missing {
        /// The image.
        image: ImageReference,
    },
    /// No registry gave it.
    #[error(
        "image {image} could not be pulled; check its name and the registry, or make the image \
         available on the machine that runs flocker-cluster (docker pull, docker load)"
    )]
    Pull {
        /// The image.
        image: ImageReference,
        /// Docker's message.
        #[source]
        source: bollard::errors::Error,
    },
    /// The registry gave it neither with the login there nor without.
    #[error("image {image} could not be pulled: {refused}")]
    Login {
        /// The image.
        image: ImageReference,
        /// What the registry said to either.
        refused: String,
    },
    /// The archive that was read did not hold it.
    #[error("the archive that was loaded does not hold the image {image}")]
    NotInArchive {
        /// The image.
        image: ImageReference,
    },
    /// The archive could not be read to its end.
    #[error("the archive of image {image} ended early")]
    Upload {
        /// The image.
        image: ImageReference,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A request failed.
    #[error(transparent)]
    Request(#[from] RequestFailed),
}

impl Docker {
    /// Looks an image up; `None` when it is not here.
    ///
    /// # Errors
    /// When Docker fails.
    pub async fn observe_image(
        &self,
        image: &ImageReference,
    ) -> Result<Option<ImageId>, RequestFailed> {
        Ok(self.look_up(image).await?.map(|(details, _)| details.id))
    }

    /// Returns the name by which Docker knows an image here: its own, or the tag that stands for its
    /// digest. `None` when it is not here.
    ///
    /// # Errors
    /// When Docker fails.
    pub async fn name_here(&self, image: &ImageReference) -> Result<Option<String>, RequestFailed> {
        Ok(self.look_up(image).await?.map(|(_, name)| name))
    }

    /// Finds an image by its name, or else by the tag that stands for its digest.
    pub(crate) async fn look_up(
        &self,
        image: &ImageReference,
    ) -> Result<Option<(ImageDetails, String)>, RequestFailed> {
        let name = image.identity();
        let alias = name
            .alias()
            .map(|(repository, tag)| format!("{repository}:{tag}"));
        for name in std::iter::once(name.as_str().to_owned()).chain(alias) {
            let details = found(self.client.inspect_image(&name).await);
            let details = details.map_err(|source| {
                RequestFailed::new(format!("inspect the image {image}"), source)
            })?;
            if let Some(details) = details.and_then(details_of) {
                return Ok(Some((details, name)));
            }
        }
        Ok(None)
    }

    /// Gives an image that is named by its digest the tag that stands for that, and returns the name
    /// by which an archive of it is loaded elsewhere.
    ///
    /// The tag stays: an archive that is written at the same time needs it, and where it is the
    /// last tag of its repository, to remove it would remove the image's digests with it.
    async fn name_for_archive(&self, image: &ImageReference) -> Result<String, ImageError> {
        let name = image.identity();
        let Some((repository, tag)) = name.alias() else {
            return Ok(name.as_str().to_owned());
        };
        let Some((_, here)) = self.look_up(image).await? else {
            return Err(ImageError::Missing {
                image: image.clone(),
            });
        };
        let options = TagImageOptions {
            repo: Some(repository.to_owned()),
            tag: Some(tag.clone()),
        };
        let tagged = self.client.tag_image(&here, Some(options)).await;
        tagged.map_err(|source| RequestFailed::new(format!("tag the image {image}"), source))?;
        Ok(format!("{repository}:{tag}"))
    }

    /// Looks an image up with what it declares; `None` when it is not here.
    ///
    /// # Errors
    /// When Docker fails.
    pub async fn observe_image_details(
        &self,
        image: &ImageReference,
    ) -> Result<Option<ImageDetails>, RequestFailed> {
        let found = self.look_up(image).await?;
        Ok(found.map(|(details, _)| details))
    }

    /// Pulls an image from its registry, telling `progress` what Docker tells. A login there is used
    /// for this one pull; Docker does not keep it. If the registry refuses the login, the image is
    /// pulled without it: the login may be out of date, and the image public.
    ///
    /// # Errors
    /// When the registry cannot be reached or does not have it.
    pub async fn pull_image(
        &self,
        image: &ImageReference,
        logins: &RegistryLogins,
        mut progress: impl FnMut(ImageProgress),
    ) -> Result<ImageId, ImageError> {
        let registry = image.domain();
        let with = self
            .run_pull(image, credentials(registry, logins), &mut progress)
            .await;
        let refused = |error: &bollard::errors::Error| is_about_a_login(&error.to_string());
        let pulled = match (with, logins.get(registry)) {
            (Err(error), Some(login)) if refused(&error) => {
                let without = self.run_pull(image, None, &mut progress).await;
                match without {
                    Err(second) if refused(&second) => {
                        let said = (&*error.to_string(), &*second.to_string());
                        return Err(ImageError::Login {
                            image: image.clone(),
                            refused: refused_login((registry, login), said),
                        });
                    }
                    without => without,
                }
            }
            (with, _) => with,
        };
        pulled.map_err(|source| ImageError::Pull {
            image: image.clone(),
            source,
        })?;
        self.observe_image(image)
            .await?
            .ok_or_else(|| ImageError::Missing {
                image: image.clone(),
            })
    }

    /// Asks Docker for one pull and reads its messages to the end.
    async fn run_pull(
        &self,
        image: &ImageReference,
        credentials: Option<DockerCredentials>,
        progress: &mut impl FnMut(ImageProgress),
    ) -> Result<(), bollard::errors::Error> {
        let options = CreateImageOptions {
            from_image: Some(image.with_tag()),
            ..CreateImageOptions::default()
        };
        let client = self.patient_client();
        let mut messages = std::pin::pin!(client.create_image(Some(options), None, credentials));
        while let Some(message) = messages.next().await {
            let message = message?;
            let bytes = message.progress_detail.and_then(|detail| {
                let count = |value: Option<i64>| value.and_then(|value| u64::try_from(value).ok());
                count(detail.current)
                    .zip(count(detail.total))
                    .map(|(current, total)| (ByteCount::new(current), ByteCount::new(total)))
            });
            progress(ImageProgress {
                status: message.status.unwrap_or_default(),
                layer: message.id,
                bytes,
            });
        }
        Ok(())
    }

    /// Streams an image as `docker save` does; the first item is the error if it is not here.
    ///
    /// The archive holds the image's tag, or the tag that stands for its digest.
    pub fn export_image(
        &self,
        image: &ImageReference,
    ) -> impl Stream<Item = Result<Bytes, ImageError>> + Send + 'static {
        let docker = self.clone();
        let image = image.clone();
        let exported = async move {
            let name = docker.name_for_archive(&image).await?;
            let bytes = docker.patient_client().export_image(&name);
            Ok::<_, ImageError>(bytes.map_err(move |source| match status_of(&source) {
                Some(404) => ImageError::Missing {
                    image: image.clone(),
                },
                _ => RequestFailed::new(format!("export the image {image}"), source).into(),
            }))
        };
        futures_util::stream::once(exported).try_flatten()
    }

    /// Loads `image` from an archive as `docker load` does, telling `progress` the number of bytes
    /// that Docker has taken so far.
    ///
    /// # Errors
    /// When `archive` fails, when it is not an image archive or does not hold `image`, or when
    /// Docker fails.
    pub async fn import_image<S, P>(
        &self,
        image: &ImageReference,
        archive: S,
        mut progress: P,
    ) -> Result<ImageId, ImageError>
    where
        S: Stream<Item = std::io::Result<Bytes>> + Send + 'static,
        P: FnMut(ByteCount) + Send + 'static,
    {
        // The client swallows the error of a body; it is kept aside to be reported instead of the
        // broken request that follows from it.
        let broken: Arc<Mutex<Option<std::io::Error>>> = Arc::default();
        let aside = Arc::clone(&broken);
        let mut total = ByteCount::ZERO;
        let body = archive.map(move |chunk| match chunk {
            Ok(chunk) => {
                total = total.saturating_add(ByteCount::new(chunk.len() as u64));
                progress(total);
                Ok(chunk)
            }
            Err(error) => {
                let kind = error.kind();
                *aside.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                Err(std::io::Error::from(kind))
            }
        });
        let answer: Result<Vec<_>, _> = self
            .patient_client()
            .import_image_stream(ImportImageOptions::default(), body, None)
            .try_collect()
            .await;
        let upload_error = broken.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(source) = upload_error {
            return Err(ImageError::Upload {
                image: image.clone(),
                source,
            });
        }
        answer.map_err(|source| RequestFailed::new(format!("load the image {image}"), source))?;
        // Docker calls it a success when the archive holds some other image.
        self.observe_image(image)
            .await?
            .ok_or_else(|| ImageError::NotInArchive {
                image: image.clone(),
            })
    }
}
