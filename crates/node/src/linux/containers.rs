//! Containers are Docker's.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use flocker_docker::{
    ContainerMounts, ContainerObservation, Docker, DockerSettings, DockerVolume, EngineObservation,
    StartError, StartWatch, Writer,
};
use flocker_model::{
    ApplicationName, CheckOrigin, ContainerSpecification, ImageDetails, ImageName, ImageReference,
    MountPath, NetworkIdentity, RegistryAnswer, RegistryLogins,
};
use flocker_remote::protocol::{Change, StepFailure};
use futures_util::TryStreamExt as _;
use tokio::io::AsyncRead;
use tokio_util::io::{ReaderStream, StreamReader};

use super::changed;
use crate::failure::OrFailure as _;
use crate::platform::{Containers, Ends, ImageProgress, Steady};
use crate::receive::ImageStore;

/// Translates Docker's word for whether anything had to be done.
pub(super) fn change(change: flocker_docker::Change) -> Change {
    changed(change == flocker_docker::Change::Changed)
}

impl Containers for Docker {
    type Watch = StartWatch;

    async fn observe_containers(
        &self,
    ) -> Result<BTreeMap<ApplicationName, ContainerObservation>, StepFailure> {
        Docker::observe_containers(self)
            .await
            .or_failed_to("the containers cannot be looked at")
    }

    async fn observe_images(&self) -> Result<BTreeMap<ImageName, ImageDetails>, StepFailure> {
        Docker::observe_images(self)
            .await
            .or_failed_to("the images cannot be looked at")
    }

    async fn ask_registries(
        &self,
        images: &[ImageReference],
        logins: &RegistryLogins,
    ) -> BTreeMap<ImageName, RegistryAnswer> {
        Docker::ask_registries(self, images, logins).await
    }

    async fn observe_engine(&self) -> Result<EngineObservation, StepFailure> {
        Docker::observe_engine(self).await.or_failure()
    }

    async fn ensure_network(&self) -> Result<Ipv4Addr, StepFailure> {
        Ok(Docker::ensure_network(self).await.or_failure()?.gateway)
    }

    async fn ensure_namespace(
        &self,
        application: &ApplicationName,
        identity: &NetworkIdentity,
    ) -> Result<u32, StepFailure> {
        let namespace = Docker::ensure_namespace(self, application, identity).await;
        Ok(namespace.or_failure()?.pid)
    }

    async fn observe_docker_volume(&self, name: &str) -> Result<Option<DockerVolume>, StepFailure> {
        Docker::observe_volume(self, name).await.or_failure()
    }

    async fn observe_writers(&self) -> Result<Vec<Writer>, StepFailure> {
        Docker::observe_writers(self).await.or_failure()
    }

    async fn observe_image(
        &self,
        image: &ImageReference,
    ) -> Result<Option<ImageDetails>, StepFailure> {
        Docker::observe_image_details(self, image)
            .await
            .or_failure()
    }

    async fn has_container(
        &self,
        specification: &ContainerSpecification,
        volume: Option<&Path>,
    ) -> Result<bool, StepFailure> {
        let found = Docker::has_container(self, specification, volume).await;
        found.or_failure()
    }

    async fn bind_sources(
        &self,
        application: &ApplicationName,
    ) -> Result<Vec<PathBuf>, StepFailure> {
        Docker::bind_sources(self, application).await.or_failure()
    }

    async fn try_container(
        &self,
        specification: &ContainerSpecification,
        targets: &[MountPath],
    ) -> Result<(), StepFailure> {
        let tried = Docker::try_container(self, specification, targets).await;
        tried.or_failure()
    }

    async fn ensure_container(
        &self,
        specification: &ContainerSpecification,
        volume: Option<&Path>,
        mounts: ContainerMounts<'_>,
    ) -> Result<Change, StepFailure> {
        let ensured = Docker::ensure_container(self, specification, volume, mounts).await;
        ensured.map(change).or_failure()
    }

    async fn exit_code(&self, application: &ApplicationName) -> Result<Option<i64>, StepFailure> {
        Docker::exit_code(self, application).await.or_failure()
    }

    async fn stop_container(
        &self,
        application: &ApplicationName,
        grace: Duration,
    ) -> Result<Change, StepFailure> {
        let stopped = Docker::stop_container(self, application, grace).await;
        stopped.map(change).or_failure()
    }

    async fn remove_container(&self, application: &ApplicationName) -> Result<Change, StepFailure> {
        let removed = Docker::remove_container(self, application).await;
        removed.map(change).or_failure()
    }

    async fn remove_namespace(&self, application: &ApplicationName) -> Result<Change, StepFailure> {
        let removed = Docker::remove_namespace(self, application).await;
        removed.map(change).or_failure()
    }

    async fn watch_start(&self, application: &ApplicationName) -> Result<StartWatch, StepFailure> {
        Docker::watch_start(self, application).await.or_failure()
    }

    fn watch_run(&self, application: &ApplicationName) -> StartWatch {
        Docker::watch_run(self, application)
    }

    async fn wait_until_steady(
        &self,
        watch: StartWatch,
        ends: Ends,
        (steady, patience): (Duration, Duration),
    ) -> Result<Steady, StepFailure> {
        match watch.wait_until_stable(steady, patience).await {
            Err(StartError::Ended(ended)) if ends.allow(ended.succeeded()) => Ok(Steady::HasEnded),
            waited => waited.map(|()| Steady::Runs).or_failure(),
        }
    }

    async fn wait_until_healthy(
        &self,
        application: &ApplicationName,
        origin: CheckOrigin,
    ) -> Result<(), StepFailure> {
        let healthy = Docker::wait_until_healthy(self, application, origin).await;
        healthy.or_failure()
    }

    async fn wait_until_completed(
        &self,
        application: &ApplicationName,
        attempts: u32,
    ) -> Result<(), StepFailure> {
        let completed = Docker::wait_until_completed(self, application, attempts).await;
        completed.or_failure()
    }

    async fn pull_image(
        &self,
        image: &ImageReference,
        logins: &RegistryLogins,
        mut progress: impl FnMut(ImageProgress) + Send,
    ) -> Result<(), StepFailure> {
        let tell = |layer: flocker_docker::ImageProgress| progress(layer.bytes.unwrap_or_default());
        Docker::pull_image(self, image, logins, tell)
            .await
            .or_failure()?;
        Ok(())
    }

    fn export_image(&self, image: &ImageReference) -> Box<dyn AsyncRead + Send + Unpin> {
        let archive = Docker::export_image(self, image).map_err(std::io::Error::other);
        Box::new(StreamReader::new(Box::pin(archive)))
    }

    async fn import_image(
        &self,
        image: &ImageReference,
        archive: impl AsyncRead + Send + Unpin + 'static,
    ) -> Result<(), StepFailure> {
        let archive = ReaderStream::new(archive);
        Docker::import_image(self, image, archive, |_| {})
            .await
            .or_failure()?;
        Ok(())
    }
}

/// A Docker daemon that is connected to when an image comes, and not before.
pub(crate) struct DockerOnDemand(pub(crate) DockerSettings);

impl ImageStore for DockerOnDemand {
    async fn load(
        &self,
        image: &ImageReference,
        archive: impl AsyncRead + Send + Unpin + 'static,
    ) -> Result<(), StepFailure> {
        let docker = Docker::connect(self.0.clone()).await.or_failure()?;
        docker.load(image, archive).await
    }
}
