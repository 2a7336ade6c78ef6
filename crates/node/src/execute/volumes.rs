//! Making, limiting, releasing, acquiring and pruning volumes.

use std::collections::BTreeSet;

use flocker_model::{ApplicationName, ByteCount, SnapshotGuid};
use flocker_plan::Yield;
use flocker_remote::protocol::{Change, StepDone, StepFailure};
use flocker_zfs::{Acquire, NewVolume, Release};

use crate::machine::Machine;
use crate::platform::{OwnedVolume as _, Platform, Volumes as _};

/// Creates an empty volume.
pub(super) async fn create(
    machine: &Machine<impl Platform>,
    new: &NewVolume,
) -> Result<Change, StepFailure> {
    machine.volumes.create(new).await
}

/// Sets the most that a volume may hold.
pub(super) async fn resize(
    machine: &Machine<impl Platform>,
    application: &ApplicationName,
    maximum: Option<ByteCount>,
) -> Result<Change, StepFailure> {
    let volume = machine.volumes.open_owned_now(application).await?;
    volume.set_maximum_size(maximum).await
}

/// Gives a volume up, and tells which snapshot the next owner must hold.
pub(super) async fn release(
    machine: &Machine<impl Platform>,
    application: &ApplicationName,
    release: &Release,
) -> Result<StepDone, StepFailure> {
    let (change, snapshot) = machine.volumes.release(application, release).await?;
    Ok(StepDone {
        change,
        yielded: Yield::HandedOff(snapshot),
    })
}

/// Takes a volume over.
pub(super) async fn acquire(
    machine: &Machine<impl Platform>,
    application: &ApplicationName,
    acquire: &Acquire,
) -> Result<Change, StepFailure> {
    machine.volumes.acquire(application, acquire).await
}

/// Destroys snapshots that no push can start from.
pub(super) async fn prune(
    machine: &Machine<impl Platform>,
    application: &ApplicationName,
    keep: &BTreeSet<SnapshotGuid>,
) -> Result<Change, StepFailure> {
    machine.volumes.prune_snapshots(application, keep).await
}
