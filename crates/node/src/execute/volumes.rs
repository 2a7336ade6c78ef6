//! Making, limiting, releasing, acquiring and pruning volumes.

use std::collections::BTreeSet;

use flocker_model::{ApplicationName, ByteCount, SnapshotGuid};
use flocker_plan::Yield;
use flocker_remote::protocol::{Change, StepDone, StepFailure};
use flocker_zfs::{Acquire, NewVolume, Promote, Release, SetAside};

use crate::claims;
use crate::failure::failure_of;
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

/// Makes a replica the volume, unless its owner is in this node's reach after all.
pub(super) async fn promote(
    machine: &Machine<impl Platform>,
    application: &ApplicationName,
    promote: &Promote,
) -> Result<Change, StepFailure> {
    // The operator may be cut off from an owner that this node's network has.
    let told = claims::ask_peers(machine).await?;
    let living = told.claims.iter().find_map(|(peer, claims)| {
        let claim = claims.get(application)?;
        let says_itself = told.ids.get(peer) == Some(&claim.owner);
        (says_itself && claim.epoch >= promote.epoch).then_some((peer, claim.epoch))
    });
    if let Some((peer, epoch)) = living {
        return Err(failure_of(format!(
            "{peer} answers this node, and owns the volume in epoch {epoch}"
        )));
    }
    machine.volumes.promote(application, promote).await
}

/// Takes a copy out of use.
pub(super) async fn set_aside(
    machine: &Machine<impl Platform>,
    set_aside: &SetAside,
) -> Result<Change, StepFailure> {
    machine.volumes.set_aside(set_aside).await
}

/// Destroys snapshots that no push can start from.
pub(super) async fn prune(
    machine: &Machine<impl Platform>,
    application: &ApplicationName,
    keep: &BTreeSet<SnapshotGuid>,
) -> Result<Change, StepFailure> {
    machine.volumes.prune_snapshots(application, keep).await
}
