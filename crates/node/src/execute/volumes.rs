//! Making, limiting, releasing, acquiring and pruning volumes.

use std::collections::BTreeSet;
use std::path::PathBuf;

use flocker_model::{
    ApplicationName, ByteCount, CopyClaim, Epoch, OwnerClaim, SnapshotGuid, VolumeFill,
};
use flocker_plan::Yield;
use flocker_remote::protocol::{Change, StepDone, StepFailure};
use flocker_zfs::{Acquire, NewVolume, Promote, Release, SetAside};

use crate::claims;
use crate::failure::{OrFailure as _, failure_of};
use crate::machine::Machine;
use crate::peer::SAME_RELEASE;
use crate::platform::{Directories as _, OwnedVolume as _, Platform, Volumes as _};

/// Creates a volume with what the image has at its mount points.
pub(super) async fn create(
    machine: &Machine<impl Platform>,
    (new, fill): (&NewVolume, &VolumeFill),
) -> Result<Change, StepFailure> {
    let directories = &machine.directories;
    let fill =
        |root: PathBuf| async move { directories.fill_volume(&new.application, fill, &root).await };
    machine.volumes.create(new, fill).await
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
    machine.store.retire_volume(application).or_failure()?;
    Ok(StepDone {
        yielded: Yield::HandedOff(snapshot),
        ..StepDone::plain(change)
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

/// Makes a replica the volume, unless its owner, or somebody who knows of a later one than the
/// operator does, is in this node's reach after all.
pub(super) async fn promote(
    machine: &Machine<impl Platform>,
    application: &ApplicationName,
    (promote, latest): (&Promote, Epoch),
) -> Result<Change, StepFailure> {
    // The operator may be cut off from machines that this node's network has.
    let told = claims::ask_peers(machine).await?;
    if let Some(address) = told.twins.first() {
        return Err(StepFailure {
            hint: Some("switch that machine off, and run the same command again".to_owned()),
            ..failure_of(format!(
                "another machine answers at {address} with the identity of this node"
            ))
        });
    }
    if let Some((peer, failure)) = told.not_understood.into_iter().next() {
        let mut causes = vec![failure.message];
        causes.extend(failure.causes);
        return Err(StepFailure {
            causes,
            hint: Some(format!(
                "{SAME_RELEASE}, or switch {peer} off if it is to be given up"
            )),
            ..failure_of(format!(
                "{peer} is there, and this node cannot learn whether it owns the volume"
            ))
        });
    }
    for (peer, claims) in &told.claims {
        let Some(CopyClaim { owner, epoch, .. }) = claims.get(application) else {
            continue;
        };
        let is_owner = told.ids.get(peer) == Some(owner);
        if is_owner && (*epoch >= promote.epoch || *owner == promote.owner) {
            return Err(failure_of(format!(
                "{peer} answers this node, and owns the volume in epoch {epoch}"
            )));
        }
        if *epoch > latest {
            let message = format!(
                "{peer} answers this node, and knows that node {owner} owns the volume in epoch \
                 {epoch}; nobody whom the operator reaches knows more than epoch {latest}"
            );
            return Err(StepFailure {
                hint: Some(format!("make `ssh {peer}` work, and look again")),
                ..failure_of(message)
            });
        }
    }
    machine.volumes.promote(application, promote).await
}

/// Has a replica remember a later owner.
pub(super) async fn record_owner(
    machine: &Machine<impl Platform>,
    application: &ApplicationName,
    claim: OwnerClaim,
) -> Result<Change, StepFailure> {
    machine.volumes.record_owner(application, claim).await
}

/// Takes a copy out of use; a boot does not look for it any more.
pub(super) async fn set_aside(
    machine: &Machine<impl Platform>,
    set_aside: &SetAside,
) -> Result<Change, StepFailure> {
    let application = &set_aside.name.application;
    machine.store.retire_volume(application).or_failure()?;
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
