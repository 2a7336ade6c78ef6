//! The machine itself: ZFS, Docker, systemd, the kernel's networking and SSH, as the executors
//! want them. Each method is one call into the crate that does it, with its error put into words.

mod containers;
mod directories;
mod entries;
mod files;
mod given;
mod host_paths;
mod importing;
mod marker;
mod peers;
mod routes;
mod units;
mod volumes;

use flocker_remote::protocol::Change;

use crate::platform::Platform;

pub(crate) use containers::DockerOnDemand;
pub(crate) use directories::FileSystem;
pub(crate) use peers::Ssh;
pub(crate) use routes::Kernel;

/// Linux with ZFS, Docker and systemd.
#[derive(Debug, Clone)]
pub(crate) struct Linux;

impl Platform for Linux {
    type Volumes = flocker_zfs::Zfs;
    type Containers = flocker_docker::Docker;
    type Directories = FileSystem;
    type Units = flocker_docker::Units;
    type Routes = Kernel;
    type Peers = Ssh;
}

/// Puts whether anything had to be done into the protocol's words.
const fn changed(anything: bool) -> Change {
    if anything {
        Change::Changed
    } else {
        Change::Unchanged
    }
}
