//! The node itself: its settings, its memory, and the platform that it stands on.

use std::path::Path;

use flocker_docker::{Docker, UnitSettings, Units};
use flocker_model::NodeId;
use flocker_remote::clock::Clock;
use flocker_remote::protocol::StepFailure;
use flocker_zfs::{Zfs, ZfsSettings, read_node_mark};

use crate::failure::OrFailure as _;
use crate::identity::settle;
use crate::linux::{FileSystem, Kernel, Linux, Ssh};
use crate::platform::Platform;
use crate::settings::Settings;
use crate::store::Store;

/// The node itself.
#[derive(Debug, Clone)]
pub(crate) struct Machine<P: Platform> {
    pub(crate) id: NodeId,
    pub(crate) settings: Settings,
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) volumes: P::Volumes,
    pub(crate) containers: P::Containers,
    pub(crate) directories: P::Directories,
    pub(crate) units: P::Units,
    pub(crate) routes: P::Routes,
    pub(crate) peers: P::Peers,
}

/// The files and volumes of the node, without anything that somebody else has to serve.
pub(crate) struct Disk {
    pub(crate) id: NodeId,
    pub(crate) settings: Settings,
    pub(crate) store: Store,
    pub(crate) volumes: Zfs,
}

impl Disk {
    /// Reads the settings, and finds out who the node is.
    pub(crate) async fn open(settings_file: &Path) -> Result<Self, StepFailure> {
        let settings = Settings::read(settings_file).or_failure()?;
        let store = Store::open(&settings).or_failure()?.locked_by_commands();
        let mark = read_node_mark(&settings.dataset);
        let id = settle(&store, (settings.dataset.as_str(), mark)).await?;
        let volumes = Zfs::new(ZfsSettings {
            dataset: settings.dataset.clone(),
            mount_root: settings.mount_root.clone(),
            node: id,
        });
        Ok(Self {
            id,
            settings,
            store,
            volumes,
        })
    }
}

impl Machine<Linux> {
    /// Reads the settings and connects to Docker and systemd.
    pub(crate) async fn connect(settings_file: &Path) -> Result<Self, StepFailure> {
        let Disk {
            id,
            settings,
            store,
            volumes,
        } = Disk::open(settings_file).await?;
        let containers = Docker::connect(settings.docker()).await.or_failure()?;
        let units = Units::connect(UnitSettings::default()).await.or_failure()?;
        let directories = FileSystem {
            docker: containers.clone(),
            scratch: settings.state_directory.join("scratch"),
            files: settings.state_directory.join("files"),
            own: vec![
                settings.mount_root.clone(),
                settings.state_directory.clone(),
                settings.runtime_directory.clone(),
            ],
        };
        Ok(Self {
            id,
            settings,
            store,
            clock: Clock::default(),
            volumes,
            containers,
            directories,
            units,
            routes: Kernel,
            peers: Ssh::default(),
        })
    }
}
