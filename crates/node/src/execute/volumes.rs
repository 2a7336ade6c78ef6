//! Making, limiting, releasing, acquiring and pruning volumes.

use std::collections::BTreeSet;

use flocker_model::{ApplicationName, ByteCount, SnapshotGuid};
use flocker_plan::Yield;
use flocker_remote::protocol::{Change, StepDone, StepFailure};
use flocker_zfs::{Acquire, NewVolume, Release};

use crate::failure::OrFailure as _;
use crate::machine::Machine;

/// Translates the storage layer's word for whether anything had to be done.
pub(super) fn change(change: flocker_zfs::Change) -> Change {
    match change {
        flocker_zfs::Change::Unchanged => Change::Unchanged,
        flocker_zfs::Change::Changed => Change::Changed,
    }
}

/// Creates an empty volume.
pub(super) async fn create(machine: &Machine, new: &NewVolume) -> Result<Change, StepFailure> {
    machine.zfs.create(new).await.map(change).or_failure()
}

/// Sets the most that a volume may hold.
pub(super) async fn resize(
    machine: &Machine,
    application: &ApplicationName,
    maximum: Option<ByteCount>,
) -> Result<Change, StepFailure> {
    let volume = machine.zfs.open_owned_now(application).await.or_failure()?;
    volume
        .set_maximum_size(maximum)
        .await
        .map(change)
        .or_failure()
}

/// Gives a volume up, and tells which snapshot the next owner must hold.
pub(super) async fn release(
    machine: &Machine,
    application: &ApplicationName,
    release: &Release,
) -> Result<StepDone, StepFailure> {
    let released = machine
        .zfs
        .release(application, release)
        .await
        .or_failure()?;
    Ok(StepDone {
        change: change(released.change),
        yielded: Yield::HandedOff(released.snapshot),
    })
}

/// Takes a volume over.
pub(super) async fn acquire(
    machine: &Machine,
    application: &ApplicationName,
    acquire: &Acquire,
) -> Result<Change, StepFailure> {
    machine
        .zfs
        .acquire(application, acquire)
        .await
        .map(change)
        .or_failure()
}

/// Destroys snapshots that no push can start from.
pub(super) async fn prune(
    machine: &Machine,
    application: &ApplicationName,
    keep: &BTreeSet<SnapshotGuid>,
) -> Result<Change, StepFailure> {
    machine
        .zfs
        .prune_snapshots(application, keep)
        .await
        .map(change)
        .or_failure()
}
