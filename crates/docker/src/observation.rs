//! Everything that Docker knows of our containers and of images, in a few requests.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::Ipv4Addr;
use std::path::Path;

use bollard::models::{ContainerInspectResponse, ImageInspect, ImageSummary};
use bollard::query_parameters::{
    InspectContainerOptions, ListContainersOptions, ListImagesOptions,
};
use flocker_model::{
    ApplicationName, ContainerStatus, Digest, ImageDetails, ImageId, ImageName, ImagePlatform,
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::connection::{Docker, RequestFailed, found};
use crate::health::health_of;
use crate::namespace::pid_and_address;
use crate::naming::{
    LABEL_APPLICATION, LABEL_CONFIGURATION, LABEL_NAMESPACE, LABEL_ROLE, LABEL_VOLUME, Role,
};
use crate::ownership::labels_of;

/// How many containers are inspected at once: the daemon answers each in about a millisecond.
const PARALLEL_INSPECTIONS: usize = 16;

/// An application container as it is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplicationContainer {
    /// Docker's id.
    pub id: String,
    /// The digest of the specification that it was created from.
    pub configuration: Digest,
    /// The image that it was created from.
    pub image: ImageId,
    /// What it is doing.
    pub status: ContainerStatus,
    /// The id of the namespace container that it joins.
    pub namespace: String,
    /// The paths at which Docker made anonymous volumes for it.
    pub anonymous_volumes: BTreeSet<String>,
    /// The application whose volume it sees, by the name of the directory that it was given.
    pub volume: Option<ApplicationName>,
}

/// A namespace container as it is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamespaceContainer {
    /// Docker's id.
    pub id: String,
    /// The process that holds the namespace, and its address on the bridge, if it runs.
    pub running: Option<(u32, Ipv4Addr)>,
}

/// Both containers of one application, as far as they exist.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ContainerObservation {
    /// The one that runs the application.
    pub application: Option<ApplicationContainer>,
    /// The one that holds its network namespace.
    pub namespace: Option<NamespaceContainer>,
}

impl Docker {
    /// Looks at every container of ours, running or not.
    ///
    /// # Errors
    /// When Docker fails.
    pub async fn observe_containers(
        &self,
    ) -> Result<BTreeMap<ApplicationName, ContainerObservation>, RequestFailed> {
        let options = ListContainersOptions {
            all: true,
            filters: Some(HashMap::from([(
                "label".to_owned(),
                vec![LABEL_APPLICATION.to_owned()],
            )])),
            ..ListContainersOptions::default()
        };
        let failed = |source| RequestFailed::new("list containers", source);
        let list = self
            .client
            .list_containers(Some(options))
            .await
            .map_err(failed)?;
        let ids: Vec<String> = list.into_iter().filter_map(|summary| summary.id).collect();
        let containers: Vec<ContainerInspectResponse> = stream::iter(ids)
            .map(|id| async move {
                let none = None::<InspectContainerOptions>;
                found(self.client.inspect_container(&id, none).await)
            })
            .buffer_unordered(PARALLEL_INSPECTIONS)
            // One that has been removed since it was listed is no error.
            .try_filter_map(|container| async move { Ok(container) })
            .try_collect()
            .await
            .map_err(failed)?;

        let mut observed: BTreeMap<ApplicationName, ContainerObservation> = BTreeMap::new();
        for container in &containers {
            record(&mut observed, container, &self.settings.network);
        }
        Ok(observed)
    }

    /// Lists the images that are here, by each of their names: tags and digests. An image that
    /// Flocker tagged for its digest is listed under that digest.
    ///
    /// # Errors
    /// When Docker fails.
    pub async fn observe_images(&self) -> Result<BTreeMap<ImageName, ImageDetails>, RequestFailed> {
        let failed = |source| RequestFailed::new("list images", source);
        let images = self
            .client
            .list_images(None::<ListImagesOptions>)
            .await
            .map_err(failed)?;
        let named = images.into_iter().filter_map(|image| {
            let names: Vec<ImageName> = names_of(&image).collect();
            (!names.is_empty()).then_some((image.id, names))
        });
        let inspected: Vec<(Option<ImageInspect>, Vec<ImageName>)> = stream::iter(named)
            .map(|(id, names)| async move {
                let details = found(self.client.inspect_image(&id).await);
                // A damaged image must not hide all others, nor the node.
                let details = details.unwrap_or_else(|error| {
                    tracing::warn!(%error, image = %id, "docker cannot show an image; it is left out");
                    None
                });
                (details, names)
            })
            .buffer_unordered(PARALLEL_INSPECTIONS)
            .collect()
            .await;
        let mut observed = BTreeMap::new();
        for (image, names) in inspected {
            // One that has been removed since it was listed is no error.
            if let Some(details) = image.and_then(details_of) {
                observed.extend(names.into_iter().map(|name| (name, details.clone())));
            }
        }
        Ok(observed)
    }

    /// Looks at the daemon itself.
    ///
    /// # Errors
    /// When Docker fails.
    pub async fn observe_engine(&self) -> Result<EngineObservation, RequestFailed> {
        let failed = |source| RequestFailed::new("ask docker what it is", source);
        let version = self.client.version().await.map_err(failed)?;
        let info = self.client.info().await.map_err(failed)?;
        let options = info.security_options.unwrap_or_default();
        Ok(EngineObservation {
            platform: platform_of(version.os, version.arch),
            remaps_users: options.iter().any(|option| option == USER_REMAPPING),
        })
    }
}

/// How Docker lists that it maps containers' users to others (`userns-remap`).
///
/// **Source**: Docker's API, `SystemInfo.SecurityOptions`.
const USER_REMAPPING: &str = "name=userns";

/// What a daemon is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EngineObservation {
    /// The images that it runs, if it says so.
    pub platform: Option<ImagePlatform>,
    /// Whether containers' users are others on the node.
    pub remaps_users: bool,
}

/// Lists the names of an image that people may use.
fn names_of(image: &ImageSummary) -> impl Iterator<Item = ImageName> {
    let names = image.repo_tags.iter().chain(&image.repo_digests);
    names.filter_map(|name| {
        let ours = name
            .strip_prefix(crate::pause::REPOSITORY)
            .is_some_and(|rest| rest.starts_with(':'));
        // An image without a name is listed as `<none>:<none>`, which is no reference.
        (!ours).then(|| name.parse().ok()).flatten()
    })
}

/// Takes what matters from an inspected image.
pub(crate) fn details_of(image: ImageInspect) -> Option<ImageDetails> {
    let config = image.config.unwrap_or_default();
    Some(ImageDetails {
        id: ImageId(image.id?),
        platform: platform_of(image.os, image.architecture),
        volumes: config.volumes.unwrap_or_default().into_iter().collect(),
    })
}

/// Puts a platform together, if both parts of it were told.
pub(crate) fn platform_of(
    os: Option<String>,
    architecture: Option<String>,
) -> Option<ImagePlatform> {
    let told = |text: &String| !text.is_empty();
    Some(ImagePlatform {
        os: os.filter(told)?,
        architecture: architecture.filter(told)?,
    })
}

/// Adds one container to the observation of its application, if it is one of the two that we make.
pub(crate) fn record(
    observed: &mut BTreeMap<ApplicationName, ContainerObservation>,
    container: &ContainerInspectResponse,
    network: &str,
) {
    let label = |key: &str| labels_of(container).and_then(|labels| labels.get(key));
    let Some(application) = label(LABEL_APPLICATION).and_then(|name| name.parse().ok()) else {
        return;
    };
    let role = label(LABEL_ROLE).map(String::as_str);
    let id = container.id.clone().unwrap_or_default();
    if role == Some(Role::Application.as_str()) {
        let entry = observed.entry(application).or_default();
        entry.application = Some(ApplicationContainer {
            id,
            configuration: Digest::from_recorded(
                label(LABEL_CONFIGURATION).cloned().unwrap_or_default(),
            ),
            image: ImageId(container.image.clone().unwrap_or_default()),
            status: status_of_container(container),
            namespace: label(LABEL_NAMESPACE).cloned().unwrap_or_default(),
            anonymous_volumes: anonymous_volumes_of(container),
            volume: label(LABEL_VOLUME).and_then(|path| owner_of(path)),
        });
    } else if role == Some(Role::Network.as_str()) {
        let entry = observed.entry(application).or_default();
        entry.namespace = Some(NamespaceContainer {
            id,
            running: pid_and_address(container, network),
        });
    }
}

/// Finds the application whose volume is mounted at a directory.
fn owner_of(directory: &str) -> Option<ApplicationName> {
    Path::new(directory).file_name()?.to_str()?.parse().ok()
}

/// Lists the paths at which a container has volumes of Docker's. Flocker gives containers bind mounts
/// only: any volume is one that Docker made by itself.
pub(crate) fn anonymous_volumes_of(container: &ContainerInspectResponse) -> BTreeSet<String> {
    let mounts = container.mounts.iter().flatten();
    mounts
        .filter(|mount| mount.typ.as_deref() == Some("volume"))
        .filter_map(|mount| mount.destination.clone())
        .collect()
}

/// Tells what a container is doing.
pub(crate) fn status_of_container(container: &ContainerInspectResponse) -> ContainerStatus {
    let state = container.state.clone().unwrap_or_default();
    if state.running == Some(true) {
        ContainerStatus::Running {
            health: health_of(&state),
            since: state.started_at.unwrap_or_default(),
        }
    } else {
        ContainerStatus::Stopped {
            exit_code: state.exit_code.unwrap_or_default(),
        }
    }
}
