//! Volumes that several applications of the node see: unmounted when the last of them is down.

use flocker_model::{ApplicationName, ContainerStatus, Epoch, NodeMemory, UnitState};
use flocker_remote::protocol::{Change, StepFailure};

use crate::failure::OrFailure as _;
use crate::machine::Machine;
use crate::platform::{Containers as _, OwnedVolume, Platform, Units as _, Volumes};

/// Finds the application whose volume a container sees, or would see once it is made.
pub(super) async fn volume_seen_by(
    machine: &Machine<impl Platform>,
    name: &ApplicationName,
) -> Result<Option<ApplicationName>, StepFailure> {
    let found = machine.containers.observe_containers().await?;
    if let Some(container) = found.get(name).and_then(|found| found.application.as_ref()) {
        return Ok(container.volume.clone());
    }
    let record = machine.store.application(name).or_failure()?;
    let owner = record.and_then(|record| record.specification.volume_owner().cloned());
    Ok(owner)
}

/// Mounts a volume that is owned here, in this epoch if one is given.
///
/// One at a time: of two applications that see it and start at once, the second would find a directory
/// that is not empty any more.
pub(super) async fn mount<P: Platform>(
    machine: &Machine<P>,
    (owner, epoch): (&ApplicationName, Option<Epoch>),
) -> Result<<<P::Volumes as Volumes>::Owned as OwnedVolume>::Mounted, StepFailure> {
    let _lock = machine.store.lock_volumes().await?;
    let volume = match epoch {
        Some(epoch) => machine.volumes.open_owned(owner, epoch).await?,
        None => machine.volumes.open_owned_now(owner).await?,
    };
    volume.mount().await
}

/// Unmounts the volume of an application that is down, and the one that it saw, unless another
/// application sees them that is not down.
///
/// One at a time: of two applications that stop at once the second finds the first one down.
pub(super) async fn unmount_unused(
    machine: &Machine<impl Platform>,
    (name, seen): (&ApplicationName, Option<ApplicationName>),
) -> Result<Change, StepFailure> {
    let _lock = machine.store.lock_volumes().await?;
    let memory = machine.store.memory().or_failure()?;
    let other = seen.filter(|seen| seen != name);
    let mut change = Change::Unchanged;
    for owner in [Some(name), other.as_ref()].into_iter().flatten() {
        if !is_used(machine, (owner, name), &memory).await?
            && machine.volumes.unmount(owner).await? == Change::Changed
        {
            change = Change::Changed;
        }
    }
    Ok(change)
}

/// Tells whether another application than `but` sees a volume and is not down.
///
/// Only those are looked for of which the node remembers that they see it: an application that sees
/// another volume by now was stopped before that was remembered.
async fn is_used(
    machine: &Machine<impl Platform>,
    (owner, but): (&ApplicationName, &ApplicationName),
    memory: &NodeMemory,
) -> Result<bool, StepFailure> {
    let users = memory.applications.iter().filter(|(name, remembered)| {
        *name != but && remembered.specification.volume_owner() == Some(owner)
    });
    let users: Vec<&ApplicationName> = users.map(|(name, _)| name).collect();
    if users.is_empty() {
        return Ok(false);
    }
    let found = machine.containers.observe_containers().await?;
    let units = machine.units.observe().await?;
    Ok(users.into_iter().any(|name| {
        let container = found.get(name).and_then(|found| found.application.as_ref());
        let runs = container
            .is_some_and(|container| matches!(container.status, ContainerStatus::Running { .. }));
        let sees = container.is_none_or(|container| container.volume.as_ref() == Some(owner));
        sees && (runs || machine.unit_state(name, &units) != UnitState::Missing)
    }))
}
