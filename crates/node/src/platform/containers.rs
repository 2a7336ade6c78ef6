//! Containers and images.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use flocker_docker::{
    ContainerMounts, ContainerObservation, DockerVolume, EngineObservation, Writer,
};
use flocker_model::{
    ApplicationName, ByteCount, CheckOrigin, ContainerSpecification, ImageDetails, ImageName,
    ImageReference, MountPath, NetworkIdentity, RegistryAnswer, RegistryLogins,
};
use flocker_remote::protocol::{Change, StepFailure};
use tokio::io::AsyncRead;

/// How far the pull of one layer of an image is: bytes done, and all, 0 where that is unknown.
pub(crate) type ImageProgress = (ByteCount, ByteCount);

/// What a container does that was seen long enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Steady {
    /// It runs.
    Runs,
    /// It has ended in a way that was allowed.
    HasEnded,
}

/// How a container may end before it was seen long enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ends {
    /// Not at all.
    Never,
    /// Without an error.
    WithoutError,
    /// With an error, too.
    Anyhow,
}

impl Ends {
    /// Tells whether it may end so.
    pub(crate) const fn allow(self, succeeded: bool) -> bool {
        match self {
            Self::Never => false,
            Self::WithoutError => succeeded,
            Self::Anyhow => true,
        }
    }
}

/// The containers of one machine.
pub(crate) trait Containers: Clone + Debug + Send + Sync + 'static {
    /// Begun before a container is started; tells that start from those before it.
    type Watch: Send;

    /// Looks at every container of ours, running or not.
    fn observe_containers(
        &self,
    ) -> impl Future<Output = Result<BTreeMap<ApplicationName, ContainerObservation>, StepFailure>> + Send;

    /// Lists the images that are here, by each of their names.
    fn observe_images(
        &self,
    ) -> impl Future<Output = Result<BTreeMap<ImageName, ImageDetails>, StepFailure>> + Send;

    /// Asks the registries of images whether they have them.
    fn ask_registries(
        &self,
        images: &[ImageReference],
        logins: &RegistryLogins,
    ) -> impl Future<Output = BTreeMap<ImageName, RegistryAnswer>> + Send;

    /// Looks at the daemon itself.
    fn observe_engine(&self)
    -> impl Future<Output = Result<EngineObservation, StepFailure>> + Send;

    /// Makes sure of the bridge that containers are on, and returns its address.
    fn ensure_network(&self) -> impl Future<Output = Result<Ipv4Addr, StepFailure>> + Send;

    /// Makes sure of an application's network namespace, and returns the process that holds it. One
    /// of another identity is replaced; fails if the application runs in that.
    fn ensure_namespace(
        &self,
        application: &ApplicationName,
        identity: &NetworkIdentity,
    ) -> impl Future<Output = Result<u32, StepFailure>> + Send;

    /// Looks a volume of Docker's up; `None` if there is none of that name.
    fn observe_docker_volume(
        &self,
        name: &str,
    ) -> impl Future<Output = Result<Option<DockerVolume>, StepFailure>> + Send;

    /// Lists the containers that run, anybody's, and may write to directories of the machine.
    fn observe_writers(&self) -> impl Future<Output = Result<Vec<Writer>, StepFailure>> + Send;

    /// Looks an image up; `None` when it is not here.
    fn observe_image(
        &self,
        image: &ImageReference,
    ) -> impl Future<Output = Result<Option<ImageDetails>, StepFailure>> + Send;

    /// Tells whether a container exists as specified, with its volume at this directory.
    fn has_container(
        &self,
        specification: &ContainerSpecification,
        volume: Option<&Path>,
    ) -> impl Future<Output = Result<bool, StepFailure>> + Send;

    /// Lists the directories of the node that a container is given.
    fn bind_sources(
        &self,
        application: &ApplicationName,
    ) -> impl Future<Output = Result<Vec<PathBuf>, StepFailure>> + Send;

    /// Looks whether Docker would make a container with mounts at these paths; nothing stays of it.
    fn try_container(
        &self,
        specification: &ContainerSpecification,
        targets: &[MountPath],
    ) -> impl Future<Output = Result<(), StepFailure>> + Send;

    /// Makes sure that a container exists, with its volume at this directory and these mounts; it is
    /// not started. One that differs is replaced unless it runs, or has anonymous volumes.
    fn ensure_container(
        &self,
        specification: &ContainerSpecification,
        volume: Option<&Path>,
        mounts: ContainerMounts<'_>,
    ) -> impl Future<Output = Result<Change, StepFailure>> + Send;

    /// Stops a container if it runs: with its stop signal, after `grace` by force.
    fn stop_container(
        &self,
        application: &ApplicationName,
        grace: Duration,
    ) -> impl Future<Output = Result<Change, StepFailure>> + Send;

    /// Returns the exit code of a container that has ended; `None` if it runs, or is not there.
    fn exit_code(
        &self,
        application: &ApplicationName,
    ) -> impl Future<Output = Result<Option<i64>, StepFailure>> + Send;

    /// Removes a container if it is there; fails if it runs, or has anonymous volumes.
    fn remove_container(
        &self,
        application: &ApplicationName,
    ) -> impl Future<Output = Result<Change, StepFailure>> + Send;

    /// Removes a network namespace if it is there; fails if the application runs in it.
    fn remove_namespace(
        &self,
        application: &ApplicationName,
    ) -> impl Future<Output = Result<Change, StepFailure>> + Send;

    /// Begins to watch for the next start of a container; one that runs counts as started.
    fn watch_start(
        &self,
        application: &ApplicationName,
    ) -> impl Future<Output = Result<Self::Watch, StepFailure>> + Send;

    /// Begins to watch the run that a container is in, or was in last.
    fn watch_run(&self, application: &ApplicationName) -> Self::Watch;

    /// Waits until the watched container has run for the first duration, and for that no longer
    /// than the second; it may also have ended in a way that `ends` allows.
    fn wait_until_steady(
        &self,
        watch: Self::Watch,
        ends: Ends,
        durations: (Duration, Duration),
    ) -> impl Future<Output = Result<Steady, StepFailure>> + Send;

    /// Waits until a container's health check passes, for as long as its settings allow; one without a
    /// check is healthy.
    fn wait_until_healthy(
        &self,
        application: &ApplicationName,
        origin: CheckOrigin,
    ) -> impl Future<Output = Result<(), StepFailure>> + Send;

    /// Waits until an application has ended without an error; fails after so many failed attempts, or
    /// when it is not started again.
    fn wait_until_completed(
        &self,
        application: &ApplicationName,
        attempts: u32,
    ) -> impl Future<Output = Result<(), StepFailure>> + Send;

    /// Gets an image from its registry.
    fn pull_image(
        &self,
        image: &ImageReference,
        logins: &RegistryLogins,
        progress: impl FnMut(ImageProgress) + Send,
    ) -> impl Future<Output = Result<(), StepFailure>> + Send;

    /// Streams an image as an archive; the stream breaks if it is not here.
    fn export_image(&self, image: &ImageReference) -> Box<dyn AsyncRead + Send + Unpin>;

    /// Loads an image from an archive; fails if another is in it.
    fn import_image(
        &self,
        image: &ImageReference,
        archive: impl AsyncRead + Send + Unpin + 'static,
    ) -> impl Future<Output = Result<(), StepFailure>> + Send;
}
