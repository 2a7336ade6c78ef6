//! Pushing a volume: while its application runs, and what is left once it has stopped.

use std::time::Duration;

use flocker_model::{ApplicationName, ByteCount, Epoch, NodeName, SnapshotGuid};
use flocker_plan::PushKind;
use flocker_remote::protocol::{Change, StepFailure};
use tokio::time::Instant;

use crate::execute::ProgressSender;
use crate::failure::failure_of;
use crate::machine::Machine;
use crate::peer::{Peer, VolumeStream, connect};
use crate::places::reach;
use crate::platform::{OwnedVolume as _, PeerConnection, Platform, Volumes as _};

/// How long sending the last delta should take at most; further rounds are made to get there.
const PAUSE_GOAL: Duration = Duration::from_secs(1);
/// A delta that is not worth another round however slow the network is.
const SMALL: ByteCount = ByteCount::mebibytes(1);
/// The most rounds, for volumes that are written faster than they can be sent.
const MAXIMUM_ROUNDS: u32 = 8;
/// The most transfers for one snapshot: the rest of an interrupted one, then what came after it.
const MAXIMUM_TRANSFERS: u32 = 4;

/// One push.
#[derive(Debug, Clone, Copy)]
pub(super) struct Push<'a> {
    /// Whose volume.
    pub(super) application: &'a ApplicationName,
    /// The epoch in which this node must own it.
    pub(super) epoch: Epoch,
    /// The node that receives.
    pub(super) to: &'a NodeName,
    /// Whether the application still runs.
    pub(super) kind: PushKind,
    /// Snapshots that are sent on the way, oldest first.
    pub(super) bases: &'a [SnapshotGuid],
    /// Where to tell how far it is.
    pub(super) progress: &'a ProgressSender,
}

/// Pushes while the application runs, until what is left is small or no longer shrinks.
pub(super) async fn push_ahead(
    machine: &Machine<impl Platform>,
    push: &Push<'_>,
) -> Result<Change, StepFailure> {
    let peer = connect(machine, push.to).await?;
    let mut last_left: Option<ByteCount> = None;
    for _ in 0..MAXIMUM_ROUNDS {
        let begun = Instant::now();
        let (_, sent) = push_round(machine, push, &peer).await?;
        let left = left_to_send(machine, push).await?;
        let still_shrinking = last_left.is_none_or(|last| left < last);
        if !still_shrinking || is_small(left, sent, begun.elapsed()) {
            break;
        }
        last_left = Some(left);
    }
    Ok(Change::Changed)
}

/// Pushes what is left, with the application stopped and the volume unmounted. From here on nothing
/// can write to it, whether a table of mounts shows it or not.
pub(super) async fn push_last(
    machine: &Machine<impl Platform>,
    push: &Push<'_>,
) -> Result<Change, StepFailure> {
    let volume = machine
        .volumes
        .open_owned(push.application, push.epoch)
        .await?;
    if let Some(path) = &volume.copy().mounted {
        let text = format!("the volume is still mounted at {path}; stop the application first");
        return Err(failure_of(text));
    }
    let peer = connect(machine, push.to).await?;
    volume.seal().await?;
    push_round(machine, push, &peer).await?;
    Ok(Change::Changed)
}

/// Takes a snapshot and makes the peer's copy end with it; returns it and the bytes sent.
async fn push_round(
    machine: &Machine<impl Platform>,
    push: &Push<'_>,
    peer: &Peer<impl PeerConnection>,
) -> Result<(SnapshotGuid, ByteCount), StepFailure> {
    let volume = machine
        .volumes
        .open_owned(push.application, push.epoch)
        .await?;
    let snapshot = volume.snapshot().await?;
    reach(|| format!("{}.snapshotted", push.kind.step())).await;
    let mut sent = ByteCount::ZERO;
    for target in push.bases.iter().copied().chain([snapshot]) {
        sent = sent.saturating_add(bring_up_to(machine, push, (peer, target)).await?);
    }
    Ok((snapshot, sent))
}

/// Sends until the peer has the snapshot `target`; returns the bytes sent.
async fn bring_up_to(
    machine: &Machine<impl Platform>,
    push: &Push<'_>,
    (peer, target): (&Peer<impl PeerConnection>, SnapshotGuid),
) -> Result<ByteCount, StepFailure> {
    let mut sent = ByteCount::ZERO;
    for _ in 0..MAXIMUM_TRANSFERS {
        let volume = machine
            .volumes
            .open_owned(push.application, push.epoch)
            .await?;
        let stream = VolumeStream {
            application: push.application.clone(),
            volume,
            owner: machine.id,
            target,
            kind: push.kind,
            progress: push.progress,
        };
        let sent_now = peer.send_volume(stream).await?;
        reach(|| format!("{}.sent", push.kind.step())).await;
        match sent_now {
            None => return Ok(sent),
            Some(bytes) => sent = sent.saturating_add(bytes),
        }
    }
    Err(failure_of(format!(
        "after {MAXIMUM_TRANSFERS} transfers {} still does not have snapshot GUID {target}",
        push.to
    )))
}

/// Asks how much was written since the newest snapshot of Flocker's.
async fn left_to_send(
    machine: &Machine<impl Platform>,
    push: &Push<'_>,
) -> Result<ByteCount, StepFailure> {
    let volume = machine
        .volumes
        .open_owned(push.application, push.epoch)
        .await?;
    Ok(volume.copy().written)
}

/// Tells whether what is left can be sent within the pause goal at the speed of the last round.
fn is_small(left: ByteCount, sent: ByteCount, took: Duration) -> bool {
    if left <= SMALL {
        return true;
    }
    let took = took.as_millis().max(1);
    let per_goal = u128::from(sent.get()) * PAUSE_GOAL.as_millis() / took;
    u128::from(left.get()) <= per_goal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_the_pause_goal_at_the_measured_speed_is_small() {
        let second = Duration::from_secs(1);
        let mebibytes = ByteCount::mebibytes;
        assert!(is_small(mebibytes(1), ByteCount::ZERO, second));
        assert!(is_small(mebibytes(20), mebibytes(100), 5 * second));
        assert!(!is_small(mebibytes(21), mebibytes(100), 5 * second));
    }
}
