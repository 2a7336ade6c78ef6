//! A machine in memory, which forgets what a real one forgets.
//!
//! What is below [`Disk`] is there after a power cut, and what is below [`Running`] is not. Neither
//! is touched when `flocker-node` is killed, because nothing of it is in that process. What is
//! written to a mounted volume is acknowledged, and yet may be in its intent log alone: a power cut
//! leaves it there until the volume is mounted again, and a snapshot of an unmounted volume misses
//! it.
//!
//! Every call passes [`Faults::point`] before and after what it does, where it can fail or hang; at
//! the places that the program itself names it can only hang, as a process does that is killed there.

mod containers;
mod directories;
mod faults;
mod importing;
mod owned;
mod peers;
mod pool;
mod routes;
mod stream;
mod units;
mod volumes;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flocker_model::{ImageId, ImageName};
use flocker_remote::protocol::{Change, StepFailure};
use flocker_zfs::NodeMark;

pub(super) use containers::{ENDLESS_IMAGE, FakeContainers, archive};
pub(super) use directories::FakeDirectories;
pub(crate) use faults::arrive;
pub(super) use faults::{Fault, Faults, Mutation, Pace};
pub(super) use importing::IMPORTED;
pub(super) use peers::{FakePeers, Neighbours, admitted};
pub(super) use pool::{Dataset, Guids, Pool, Trouble};
pub(super) use routes::FakeRoutes;
pub(super) use stream::Header;
pub(super) use units::FakeUnits;
pub(super) use volumes::FakeVolumes;

use crate::platform::Platform;

/// A machine in memory.
#[derive(Debug, Clone)]
pub(crate) struct Fake;

impl Platform for Fake {
    type Volumes = FakeVolumes;
    type Containers = FakeContainers;
    type Directories = FakeDirectories;
    type Units = FakeUnits;
    type Routes = FakeRoutes;
    type Peers = FakePeers;
}

/// Everything on one machine but Flocker's own files.
#[derive(Debug, Clone, Default)]
pub(super) struct State {
    pub(super) disk: Disk,
    pub(super) running: Running,
}

/// What a power cut leaves.
#[derive(Debug, Clone, Default)]
pub(super) struct Disk {
    pub(super) pool: pool::Pool,
    pub(super) docker: containers::Docker,
    pub(super) scratch: directories::Scratch,
}

/// What a power cut takes.
#[derive(Debug, Clone, Default)]
pub(super) struct Running {
    pub(super) processes: containers::Processes,
    pub(super) network: routes::Network,
    pub(super) units: units::Systemd,
}

/// One machine, which its volumes, containers, units and routes share.
#[derive(Debug, Clone)]
pub(super) struct Host {
    state: Arc<Mutex<State>>,
    faults: Faults,
}

impl Host {
    /// A machine on which nothing of ours ever was.
    pub(super) fn new(faults: Faults) -> Self {
        Self {
            state: Arc::default(),
            faults,
        }
    }

    /// A machine like this one that goes its own way from now on.
    pub(super) fn fork(&self, faults: Faults) -> Self {
        Self {
            state: Arc::new(Mutex::new(self.state().clone())),
            faults,
        }
    }

    /// Looks at the machine, or puts a hand to it, as somebody who is not Flocker.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads which machine the pool belongs to.
    pub(super) fn node_mark(&self) -> NodeMark {
        let state = self.state();
        let pool = &state.disk.pool;
        match (pool.trouble, pool.node) {
            (Some(Trouble::Missing | Trouble::Suspended), _) => NodeMark::Unknown,
            (_, Some(node)) => NodeMark::Node(node),
            (_, None) => NodeMark::Absent,
        }
    }

    /// Puts an image there, as somebody does by hand.
    pub(super) fn add_image(&self, image: ImageName, id: ImageId) {
        self.state()
            .disk
            .docker
            .images
            .insert(image, containers::declaring(id));
    }

    /// Cuts the power; the machine boots again, and nothing runs.
    pub(super) fn cut_power(&self) {
        let mut state = self.state();
        let mut running = Running::default();
        // Processes and addresses are not used twice, so that a mix-up is seen.
        running.processes.next = state.running.processes.next;
        state.running = running;
        state.disk.pool.lose_power();
        if self.faults.breaks(Mutation::LoseIntentLogs) {
            state.disk.pool.lose_logs();
        }
        state.disk.docker.lose_power();
    }

    /// Does something that is done whole or not at all.
    async fn act<T>(
        &self,
        work: impl FnOnce(&mut State) -> Result<T, StepFailure>,
    ) -> Result<T, StepFailure> {
        self.faults.point().await?;
        let done = work(&mut self.state());
        self.faults.look();
        self.faults.point().await?;
        done
    }
}

/// Puts whether anything had to be done into the protocol's words.
const fn changed(anything: bool) -> Change {
    if anything {
        Change::Changed
    } else {
        Change::Unchanged
    }
}
