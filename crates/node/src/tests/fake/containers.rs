//! Containers and images in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, Error};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use flocker_docker::{
    ApplicationContainer, ContainerMounts, ContainerObservation, DockerVolume, EngineObservation,
    NamespaceContainer, Writer,
};
use flocker_model::{
    ApplicationName, CheckOrigin, ContainerSpecification, ContainerStatus, Digest, Health,
    ImageDetails, ImageId, ImageName, ImageReference, MountPath, NetworkIdentity, RegistryAnswer,
    RegistryLogins, UnitState,
};
use flocker_remote::protocol::{Change, StepFailure};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::{Host, Mutation, State, changed};
use crate::failure::failure_of;
use crate::platform::{Containers, Ends, ImageProgress, Steady};

/// The bridge's address.
const GATEWAY: Ipv4Addr = Ipv4Addr::new(172, 20, 0, 1);

/// What Docker keeps on the disk.
#[derive(Debug, Clone, Default)]
pub(crate) struct Docker {
    pub(super) images: BTreeMap<ImageName, ImageDetails>,
    applications: BTreeMap<ApplicationName, Application>,
    /// The ids of the containers that hold a namespace.
    namespaces: BTreeMap<ApplicationName, String>,
    /// What each of them was made for.
    identities: BTreeMap<ApplicationName, NetworkIdentity>,
    has_network: bool,
    /// The logins that the last pull was given.
    pub(in crate::tests) used_logins: RegistryLogins,
    /// The volumes of Docker's, and where they are.
    pub(crate) volumes: BTreeMap<String, PathBuf>,
    /// How many containers there ever were.
    created: u64,
}

/// The path that every image declares as a volume: below the mount point of those that have one.
const DECLARED: &str = "/data/declared";

/// What Docker says of an image.
pub(super) fn declaring(id: ImageId) -> ImageDetails {
    ImageDetails {
        volumes: BTreeSet::from([DECLARED.to_owned()]),
        ..id.into()
    }
}

/// The container of an application.
#[derive(Debug, Clone)]
struct Application {
    id: String,
    image: ImageReference,
    configuration: Digest,
    namespace: String,
    volume: Option<PathBuf>,
    /// Made by Docker, because nothing is mounted where the image declares a volume.
    anonymous_volumes: BTreeSet<String>,
    exit_code: i64,
}

impl Application {
    /// Returns the application whose volume it sees.
    fn owner(&self) -> Option<ApplicationName> {
        let path = self.volume.as_ref()?;
        path.file_name()?.to_str()?.parse().ok()
    }
}

/// What runs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Processes {
    /// The number of the next process, and the end of the next address.
    pub(super) next: u16,
    applications: BTreeSet<ApplicationName>,
    /// Those whose health check passed since they were started.
    checked: BTreeSet<ApplicationName>,
    namespaces: BTreeMap<ApplicationName, (u32, Ipv4Addr)>,
    /// Those whose next attempt ends with an error at once.
    pub(in crate::tests) failing: BTreeSet<ApplicationName>,
    /// Those that do not end when they are asked to, so that Docker kills them.
    pub(in crate::tests) stubborn: BTreeSet<ApplicationName>,
    /// Containers of somebody else that write to the machine's directories.
    pub(crate) writers: Vec<Writer>,
}

/// An image whose registry never comes to its end.
pub(crate) const ENDLESS_IMAGE: &str = "test/endless:1";

impl Processes {
    /// Tells whether an application runs.
    pub(crate) fn runs(&self, application: &ApplicationName) -> bool {
        self.applications.contains(application)
    }

    /// What the health check says of an application that runs: only later versions of the image
    /// bring one along.
    fn health(&self, name: &ApplicationName, application: &Application) -> Health {
        let has_check = application.image.with_tag().ends_with(":2");
        match (has_check, self.checked.contains(name)) {
            (true, true) => Health::Healthy,
            (true, false) => Health::Starting,
            (false, _) => Health::Unchecked,
        }
    }

    /// Tells whether a process holds a namespace.
    pub(super) fn holds_namespace(&self, process: u32) -> bool {
        self.namespaces
            .values()
            .any(|(holder, _)| *holder == process)
    }
}

impl FakeContainers {
    /// Returns the process that holds an application's namespace, and the address that it has.
    pub(in crate::tests) fn holder(
        &self,
        application: &ApplicationName,
    ) -> Option<(u32, Ipv4Addr)> {
        let state = self.host.state();
        state.running.processes.namespaces.get(application).copied()
    }
}

impl Docker {
    /// What ran was killed.
    pub(super) fn lose_power(&mut self) {
        for application in self.applications.values_mut() {
            application.exit_code = 137;
        }
    }

    fn next_id(&mut self) -> String {
        self.created += 1;
        format!("{:064x}", self.created)
    }
}

impl State {
    /// Starts a container as Docker does when systemd asks it to.
    pub(crate) fn start_container(
        &mut self,
        application: &ApplicationName,
    ) -> Result<(), StepFailure> {
        let container = self.disk.docker.applications.get(application);
        let container = container.ok_or_else(|| failure_of("there is no such container"))?;
        let namespace = self.disk.docker.namespaces.get(application);
        if namespace != Some(&container.namespace)
            || !self.running.processes.namespaces.contains_key(application)
        {
            return Err(failure_of("the container's network is gone"));
        }
        if !self.has_its_volume(application) {
            return Err(failure_of(
                "the container would write below an empty mountpoint",
            ));
        }
        let processes = &mut self.running.processes;
        if processes.failing.contains(application) {
            if let Some(container) = self.disk.docker.applications.get_mut(application) {
                container.exit_code = 1;
            }
            return Ok(());
        }
        processes.applications.insert(application.clone());
        processes.checked.remove(application);
        Ok(())
    }

    /// Tells whether a container has a volume below it that is mounted, or needs none.
    pub(crate) fn has_its_volume(&self, application: &ApplicationName) -> bool {
        self.volume_of(application).is_none_or(|owner| {
            let volume = self.disk.pool.volumes.get(&owner);
            volume.is_some_and(|volume| volume.is_mounted)
        })
    }

    /// Returns the application whose volume a container sees.
    pub(crate) fn volume_of(&self, application: &ApplicationName) -> Option<ApplicationName> {
        let container = self.disk.docker.applications.get(application);
        container.and_then(Application::owner)
    }

    /// Tells whether a container runs that sees a volume.
    pub(crate) fn is_used(&self, owner: &ApplicationName) -> bool {
        let mut running = self.running.processes.applications.iter();
        running.any(|name| self.volume_of(name).as_ref() == Some(owner))
    }

    /// Ends a container, in order if it complies; tells whether it ran.
    pub(crate) fn end_container(&mut self, application: &ApplicationName) -> bool {
        let processes = &mut self.running.processes;
        let ran = processes.applications.remove(application);
        let is_killed = processes.stubborn.contains(application);
        if ran && let Some(container) = self.disk.docker.applications.get_mut(application) {
            container.exit_code = if is_killed { 128 + 9 } else { 0 };
        }
        ran
    }

    fn describe(&self, application: &ApplicationName) -> ContainerObservation {
        let docker = &self.disk.docker;
        let processes = &self.running.processes;
        let container = docker.applications.get(application);
        let describe = |container: &Application| ApplicationContainer {
            id: container.id.clone(),
            configuration: container.configuration.clone(),
            image: ImageId(container.image.to_string()),
            status: if processes.runs(application) {
                ContainerStatus::Running {
                    since: "2014-08-01T00:00:00Z".to_owned(),
                    health: processes.health(application, container),
                }
            } else {
                ContainerStatus::Stopped {
                    exit_code: container.exit_code,
                }
            },
            namespace: container.namespace.clone(),
            anonymous_volumes: container.anonymous_volumes.clone(),
            volume: container.owner(),
        };
        let namespace = docker.namespaces.get(application);
        ContainerObservation {
            application: container.map(describe),
            namespace: namespace.map(|id| NamespaceContainer {
                id: id.clone(),
                running: processes.namespaces.get(application).copied(),
            }),
        }
    }
}

/// The containers of a machine in memory.
#[derive(Debug, Clone)]
pub(crate) struct FakeContainers {
    pub(crate) host: Host,
}

/// Refuses a container with a runtime, of which this Docker has none.
fn accept(specification: &ContainerSpecification) -> Result<(), StepFailure> {
    match &specification.options.isolation.runtime {
        Some(runtime) => Err(failure_of(format!("unknown runtime {runtime}"))),
        None => Ok(()),
    }
}

/// Lists the volumes that Docker makes of itself where nothing is mounted.
fn anonymous_volumes(mounts: ContainerMounts<'_>) -> BTreeSet<String> {
    let mut targets = mounts.binds.iter().map(|bind| bind.target.to_string());
    let is_mounted = targets.any(|target| target == DECLARED);
    let made = (!is_mounted).then(|| DECLARED.to_owned());
    made.into_iter().collect()
}

/// Writes an image as an archive.
pub(crate) fn archive(image: &ImageReference, id: &ImageId) -> Vec<u8> {
    format!("{}\n{}", image.with_tag(), id.0).into_bytes()
}

impl Containers for FakeContainers {
    type Watch = ApplicationName;

    async fn observe_containers(
        &self,
    ) -> Result<BTreeMap<ApplicationName, ContainerObservation>, StepFailure> {
        let observed = self.host.act(|state| {
            let docker = &state.disk.docker;
            let names = docker.applications.keys().chain(docker.namespaces.keys());
            Ok(names
                .map(|name| (name.clone(), state.describe(name)))
                .collect())
        });
        observed.await
    }

    async fn observe_images(&self) -> Result<BTreeMap<ImageName, ImageDetails>, StepFailure> {
        self.host
            .act(|state| Ok(state.disk.docker.images.clone()))
            .await
    }

    async fn ask_registries(
        &self,
        images: &[ImageReference],
        _logins: &RegistryLogins,
    ) -> BTreeMap<ImageName, RegistryAnswer> {
        let answer = |image: &ImageReference| RegistryAnswer::Has {
            digest: format!("digest of {image}"),
            platforms: BTreeSet::new(),
        };
        let images = images.iter();
        images
            .map(|image| (image.identity(), answer(image)))
            .collect()
    }

    async fn observe_engine(&self) -> Result<EngineObservation, StepFailure> {
        self.host.act(|_| Ok(EngineObservation::default())).await
    }

    async fn observe_docker_volume(&self, name: &str) -> Result<Option<DockerVolume>, StepFailure> {
        let observed = self.host.act(|state| {
            let place = state.disk.docker.volumes.get(name);
            Ok(place.map(|place| DockerVolume {
                driver: "local".to_owned(),
                mountpoint: place.clone(),
                device: None,
            }))
        });
        observed.await
    }

    async fn observe_writers(&self) -> Result<Vec<Writer>, StepFailure> {
        let observed = self
            .host
            .act(|state| Ok(state.running.processes.writers.clone()));
        observed.await
    }

    async fn ensure_network(&self) -> Result<Ipv4Addr, StepFailure> {
        let ensured = self.host.act(|state| {
            state.disk.docker.has_network = true;
            Ok(GATEWAY)
        });
        ensured.await
    }

    async fn ensure_namespace(
        &self,
        application: &ApplicationName,
        identity: &NetworkIdentity,
    ) -> Result<u32, StepFailure> {
        self.ensure_network().await?;
        let created = self.host.act(|state| {
            let is_as_wanted = state.disk.docker.identities.get(application) == Some(identity);
            let process = state.running.processes.namespaces.get(application);
            if let (Some((process, _)), true) = (process, is_as_wanted) {
                return Ok(Some(*process));
            }
            if state.running.processes.runs(application) {
                return Err(failure_of("its container still runs"));
            }
            let docker = &mut state.disk.docker;
            if !is_as_wanted {
                let id = docker.next_id();
                let (name, identity) = (application.clone(), identity.clone());
                docker.namespaces.insert(name.clone(), id);
                docker.identities.insert(name, identity);
            }
            Ok(None)
        });
        if let Some(process) = created.await? {
            return Ok(process);
        }
        let started = self.host.act(|state| {
            let processes = &mut state.running.processes;
            processes.next += 1;
            let [high, low] = (processes.next + 1).to_be_bytes();
            let process = u32::from(processes.next) + 1000;
            let address = Ipv4Addr::new(172, 20, high, low);
            processes
                .namespaces
                .insert(application.clone(), (process, address));
            Ok(process)
        });
        started.await
    }

    async fn observe_image(
        &self,
        image: &ImageReference,
    ) -> Result<Option<ImageDetails>, StepFailure> {
        let observed = self.host.act(|state| {
            let images = &state.disk.docker.images;
            Ok(images.get(&image.identity()).cloned())
        });
        observed.await
    }

    async fn has_container(
        &self,
        specification: &ContainerSpecification,
        volume: Option<&Path>,
    ) -> Result<bool, StepFailure> {
        let name = &specification.application;
        if specification.volume_owner().is_some() != volume.is_some() {
            return Err(failure_of(
                "it needs a volume exactly when it has a mountpoint",
            ));
        }
        let found = self.host.act(|state| {
            let namespace = state.disk.docker.namespaces.get(name);
            let namespace = namespace.ok_or_else(|| failure_of("it has no network"))?;
            let existing = state.disk.docker.applications.get(name);
            Ok(existing.is_some_and(|container| {
                container.configuration == specification.digest()
                    && container.namespace == *namespace
                    && container.volume.as_deref() == volume
            }))
        });
        found.await
    }

    async fn bind_sources(
        &self,
        _application: &ApplicationName,
    ) -> Result<Vec<PathBuf>, StepFailure> {
        Ok(Vec::new())
    }

    async fn try_container(
        &self,
        specification: &ContainerSpecification,
        _targets: &[MountPath],
    ) -> Result<(), StepFailure> {
        self.host.act(|_| accept(specification)).await
    }

    async fn ensure_container(
        &self,
        specification: &ContainerSpecification,
        volume: Option<&Path>,
        mounts: ContainerMounts<'_>,
    ) -> Result<Change, StepFailure> {
        if self.has_container(specification, volume).await? {
            return Ok(Change::Unchanged);
        }
        let name = &specification.application;
        self.remove_container(name).await?;
        let created = self.host.act(|state| {
            let docker = &mut state.disk.docker;
            if !docker.images.contains_key(&specification.image.identity()) {
                return Err(failure_of("its image is not here"));
            }
            accept(specification)?;
            let container = Application {
                id: docker.next_id(),
                image: specification.image.clone(),
                configuration: specification.digest(),
                namespace: docker.namespaces.get(name).cloned().unwrap_or_default(),
                volume: volume.map(Path::to_owned),
                anonymous_volumes: anonymous_volumes(mounts),
                exit_code: 0,
            };
            docker.applications.insert(name.clone(), container);
            Ok(Change::Changed)
        });
        created.await
    }

    async fn stop_container(
        &self,
        application: &ApplicationName,
        _grace: Duration,
    ) -> Result<Change, StepFailure> {
        let is_left = self.host.faults.breaks(Mutation::LeaveContainersRunning);
        let stopped = self.host.act(|state| {
            let ran = !is_left && state.end_container(application);
            if ran && state.running.units.state(application) == UnitState::Active {
                // Systemd is about to start it again.
                state.running.units.set(application, UnitState::Activating);
            }
            Ok(changed(ran))
        });
        stopped.await
    }

    async fn exit_code(&self, application: &ApplicationName) -> Result<Option<i64>, StepFailure> {
        let looked = self.host.act(|state| {
            let runs = state.running.processes.runs(application);
            let container = state.disk.docker.applications.get(application);
            Ok(container
                .filter(|_| !runs)
                .map(|container| container.exit_code))
        });
        looked.await
    }

    async fn remove_container(&self, application: &ApplicationName) -> Result<Change, StepFailure> {
        let removed = self.host.act(|state| {
            if state.running.processes.runs(application) {
                return Err(failure_of("it still runs"));
            }
            let removed = state.disk.docker.applications.remove(application);
            Ok(changed(removed.is_some()))
        });
        removed.await
    }

    async fn remove_namespace(&self, application: &ApplicationName) -> Result<Change, StepFailure> {
        let removed = self.host.act(|state| {
            if state.running.processes.runs(application) {
                return Err(failure_of("it still runs"));
            }
            state.running.processes.namespaces.remove(application);
            state.disk.docker.identities.remove(application);
            let removed = state.disk.docker.namespaces.remove(application);
            Ok(changed(removed.is_some()))
        });
        removed.await
    }

    async fn watch_start(
        &self,
        application: &ApplicationName,
    ) -> Result<ApplicationName, StepFailure> {
        self.host.act(|_| Ok(application.clone())).await
    }

    fn watch_run(&self, application: &ApplicationName) -> ApplicationName {
        application.clone()
    }

    async fn wait_until_steady(
        &self,
        watch: ApplicationName,
        ends: Ends,
        (steady, _): (Duration, Duration),
    ) -> Result<Steady, StepFailure> {
        self.host.faults.pass(steady).await;
        let waited = self.host.act(|state| {
            let container = state.disk.docker.applications.get(&watch);
            let may_end = container.is_some_and(|container| ends.allow(container.exit_code == 0));
            if state.running.processes.runs(&watch) {
                Ok(Steady::Runs)
            } else if may_end {
                Ok(Steady::HasEnded)
            } else {
                Err(failure_of("it ended right after its start"))
            }
        });
        waited.await
    }

    async fn wait_until_healthy(
        &self,
        application: &ApplicationName,
        _origin: CheckOrigin,
    ) -> Result<(), StepFailure> {
        let waited = self.host.act(|state| {
            let processes = &mut state.running.processes;
            if processes.runs(application) {
                processes.checked.insert(application.clone());
                Ok(())
            } else {
                Err(failure_of("it ended before its health check passed"))
            }
        });
        waited.await
    }

    /// A job that runs is done as soon as somebody waits for it.
    async fn wait_until_completed(
        &self,
        application: &ApplicationName,
        _attempts: u32,
    ) -> Result<(), StepFailure> {
        let waited = self.host.act(|state| {
            if state.end_container(application) {
                state.running.units.set(application, UnitState::Inactive);
            }
            if state.running.processes.failing.remove(application)
                && let Some(container) = state.disk.docker.applications.get_mut(application)
            {
                // The next attempt succeeds.
                container.exit_code = 0;
                state.running.units.set(application, UnitState::Inactive);
            }
            match state.disk.docker.applications.get(application) {
                Some(container) if container.exit_code == 0 => Ok(()),
                _ => Err(failure_of("it did not complete")),
            }
        });
        waited.await
    }

    async fn pull_image(
        &self,
        image: &ImageReference,
        logins: &RegistryLogins,
        mut progress: impl FnMut(ImageProgress) + Send,
    ) -> Result<(), StepFailure> {
        progress(ImageProgress::default());
        if image.with_tag() == ENDLESS_IMAGE {
            std::future::pending::<()>().await;
        }
        let pulled = self.host.act(|state| {
            let id = ImageId(image.with_tag());
            let images = &mut state.disk.docker.images;
            images.insert(image.identity(), declaring(id));
            state.disk.docker.used_logins = logins.clone();
            Ok(())
        });
        pulled.await
    }

    fn export_image(&self, image: &ImageReference) -> Box<dyn AsyncRead + Send + Unpin> {
        let state = self.host.state();
        match state.disk.docker.images.get(&image.identity()) {
            Some(details) => Box::new(Cursor::new(archive(image, &details.id))),
            None => Box::new(tokio_util::io::StreamReader::new(
                futures_util::stream::iter([Err::<bytes::Bytes, _>(Error::other(
                    "there is no such image",
                ))]),
            )),
        }
    }

    async fn import_image(
        &self,
        image: &ImageReference,
        mut archive: impl AsyncRead + Send + Unpin + 'static,
    ) -> Result<(), StepFailure> {
        let mut text = String::new();
        let read = archive.read_to_string(&mut text).await;
        read.map_err(|_| failure_of("the archive ended early"))?;
        let imported = self.host.act(|state| {
            let Some((name, id)) = text.split_once('\n') else {
                return Err(failure_of("it is no archive"));
            };
            let name: ImageName = name.parse().map_err(|_| failure_of("it is no archive"))?;
            let wanted = name == image.identity();
            let id = ImageId(id.to_owned());
            state.disk.docker.images.insert(name, declaring(id));
            if wanted {
                Ok(())
            } else {
                Err(failure_of("the archive holds another image"))
            }
        });
        imported.await
    }
}
