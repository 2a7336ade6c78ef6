//! Containers, and the directories that they see.

use std::path::{Path, PathBuf};

use flocker_docker::ContainerMounts;
use flocker_model::{ContainerSpecification, MountPath};
use flocker_plan::Accounted;
use flocker_remote::protocol::StepFailure;

use crate::execute::images::account_for;
use crate::machine::Machine;
use crate::platform::{
    Containers as _, Directories as _, Platform, Volumes as _, WantedDirectories,
};

/// Makes sure of the container, of a directory for each of its mount points, and of its files.
///
/// A container that is as specified is left as it is, with what it has mounted: it may have been made
/// by an earlier release, which let Docker make volumes.
pub(super) async fn ensure_container(
    machine: &Machine<impl Platform>,
    specification: &ContainerSpecification,
    volume: Option<&Path>,
) -> Result<(), StepFailure> {
    let (containers, directories) = (&machine.containers, &machine.directories);
    let name = &specification.application;
    let files = directories.ensure_files(name, &specification.files).await?;
    if containers.has_container(specification, volume).await? {
        // Docker looks the directories up again at each start, and would follow a link.
        let sources = containers.bind_sources(name).await?;
        directories.check_sources(name, volume, &sources).await?;
        directories
            .forget_other_files(name, &specification.files)
            .await?;
        return Ok(());
    }
    let accounted = account_for(machine, specification).await?;
    let wanted = wanted_directories(specification, volume, &accounted);
    let mut mounts = directories.ensure(wanted).await?;
    mounts.extend(files);
    // A path sorts before every path inside it.
    mounts.sort_by(|one, other| one.target.cmp(&other.target));
    let memory: Vec<_> = accounted.memory.into_iter().collect();
    let mounts = ContainerMounts {
        binds: &mounts,
        memory: &memory,
    };
    containers
        .ensure_container(specification, volume, mounts)
        .await?;
    // The container that saw them is gone.
    directories
        .forget_other_files(name, &specification.files)
        .await?;
    Ok(())
}

/// Describes the directories that a container is to see.
fn wanted_directories<'a>(
    specification: &'a ContainerSpecification,
    volume: Option<&'a Path>,
    accounted: &'a Accounted,
) -> WantedDirectories<'a> {
    WantedDirectories {
        application: &specification.application,
        owner: specification
            .volume_owner()
            .unwrap_or(&specification.application),
        image: &specification.image,
        user: specification.options.process.user.as_ref(),
        volume,
        sees_top: specification.sees_top(),
        mounts: &accounted.mounts,
        devices: &specification.options.isolation.devices,
    }
}

/// Looks whether the node has every path and device of its own that a container is to see, and whether
/// Docker would make it.
pub(super) async fn check_container(
    machine: &Machine<impl Platform>,
    specification: &ContainerSpecification,
    volume: Option<&Path>,
    accounted: &Accounted,
) -> Result<(), StepFailure> {
    let wanted = wanted_directories(specification, volume, accounted);
    machine.directories.check(wanted).await?;
    let mounts = accounted.mounts.iter().map(|mount| &mount.target);
    let others = specification.files.keys().chain(accounted.memory.keys());
    let targets: Vec<MountPath> = mounts.chain(others).cloned().collect();
    machine
        .containers
        .try_container(specification, &targets)
        .await
}

/// Looks whether another container of a running application could be made, so that it is not stopped
/// in vain.
pub(super) async fn check_before_stopping(
    machine: &Machine<impl Platform>,
    specification: &ContainerSpecification,
) -> Result<(), StepFailure> {
    let accounted = account_for(machine, specification).await?;
    let observed = match specification.volume_owner() {
        Some(owner) => machine.volumes.observe_volume(owner).await?,
        None => None,
    };
    let mounted = observed.and_then(|copy| copy.mounted).map(PathBuf::from);
    check_container(machine, specification, mounted.as_deref(), &accounted).await
}
