//! Decides what to send: everything, what changed since a common snapshot, or the rest of an
//! interrupted transfer.

use std::collections::BTreeMap;

use flocker_model::{SnapshotGuid, SnapshotState};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{Incoming, StreamFlags};

/// What kind of stream a receiver is about to get.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "transfer")]
pub enum Transfer {
    /// Everything, into a new dataset.
    Full,
    /// What changed since a snapshot that the receiver has.
    Incremental {
        /// That snapshot.
        from: SnapshotGuid,
    },
    /// The rest of an interrupted transfer.
    Resume {
        /// The receiver's token.
        token: String,
    },
}

/// What to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendPlan {
    /// Nothing: the receiver has the snapshot.
    Nothing,
    /// All of a snapshot.
    Full {
        /// Its name after `@`.
        to: String,
        /// How blocks are sent.
        flags: StreamFlags,
    },
    /// What changed between two snapshots.
    Incremental {
        /// The one that the receiver has too.
        from: SnapshotGuid,
        /// Its name after `@` here.
        from_name: String,
        /// The name of the other.
        to: String,
        /// How blocks are sent.
        flags: StreamFlags,
    },
    /// The rest of an interrupted transfer, of this or an earlier snapshot: plan again after it.
    Resume {
        /// The receiver's token.
        token: String,
    },
}

impl SendPlan {
    /// Returns what to announce to the receiver; `None` when there is nothing to send.
    pub fn transfer(&self) -> Option<Transfer> {
        match self {
            Self::Nothing => None,
            Self::Full { .. } => Some(Transfer::Full),
            Self::Incremental { from, .. } => Some(Transfer::Incremental { from: *from }),
            Self::Resume { token } => Some(Transfer::Resume {
                token: token.clone(),
            }),
        }
    }
}

/// There is no way to bring the receiver's copy up to date.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PlanSendError {
    /// The snapshot to be sent is not here.
    #[error("snapshot {target} is not among Flocker's snapshots here; take one and send that")]
    NoSuchSnapshot {
        /// Its guid.
        target: SnapshotGuid,
    },
    /// The receiver has a copy, and none of its snapshots is here.
    #[error(
        "the receiver's copy has no snapshot in common with this one (newest here: {}, newest \
         there: {}); `flocker-cluster volume resolve APP --set-aside NODE` keeps it under another name, \
         and the volume is sent in full",
        describe(newest_here.as_ref()), describe(newest_there.as_ref())
    )]
    NoCommonSnapshot {
        /// The newest of Flocker's snapshots here.
        newest_here: Option<(SnapshotGuid, SnapshotState)>,
        /// The newest of Flocker's snapshots there.
        newest_there: Option<(SnapshotGuid, SnapshotState)>,
    },
    /// The receiver's copy went on after the newest common snapshot.
    #[error(
        "the receiver's copy has snapshot {} that is not here, after the newest common one, {}; \
         if this copy is the right one, `flocker-cluster volume resolve APP --set-aside NODE` keeps the \
         other under another name, and the volume is sent in full",
        describe(Some(there)),
        describe(Some(common))
    )]
    Diverged {
        /// The newest common snapshot, as it is here.
        common: (SnapshotGuid, SnapshotState),
        /// The newest snapshot of the receiver's.
        there: (SnapshotGuid, SnapshotState),
    },
}

/// Writes a snapshot for people.
fn describe(snapshot: Option<&(SnapshotGuid, SnapshotState)>) -> String {
    snapshot.map_or_else(
        || "none".to_owned(),
        |(guid, state)| {
            format!(
                "{} (guid {guid}, taken at Unix time {})",
                state.name, state.created
            )
        },
    )
}

/// Decides what to send so that a receiver gets the snapshot `target`.
///
/// `own` are the sender's snapshots of Flocker's, oldest first. `resumable` says that the
/// receiver's token is for a snapshot that is still here. A token is preferred to anything else:
/// what it stands for has been paid for. One that is of no use is left out of the plan, upon which
/// the receiver discards what it has of that transfer.
///
/// # Errors
/// Fails when only overwriting the receiver's copy would help, which is never done.
pub(crate) fn plan_send(
    own: &[(SnapshotGuid, SnapshotState)],
    target: SnapshotGuid,
    incoming: &Incoming,
    resumable: bool,
) -> Result<SendPlan, PlanSendError> {
    let there: BTreeMap<_, _> = incoming.snapshots.iter().cloned().collect();
    if there.contains_key(&target) {
        return Ok(SendPlan::Nothing);
    }
    let Some(place) = own.iter().position(|(guid, _)| *guid == target) else {
        return Err(PlanSendError::NoSuchSnapshot { target });
    };
    if let Some(token) = incoming.resume_token.as_ref().filter(|_| resumable) {
        return Ok(SendPlan::Resume {
            token: token.clone(),
        });
    }
    let to = own
        .get(place)
        .map(|(_, state)| state.name.clone())
        .unwrap_or_default();
    let flags = incoming.takes;
    if !incoming.exists {
        return Ok(SendPlan::Full { to, flags });
    }
    let newest_there = incoming.snapshots.last().cloned();
    let common = own.iter().rev().find(|(guid, _)| there.contains_key(guid));
    match (common, newest_there) {
        (None, newest_there) => Err(PlanSendError::NoCommonSnapshot {
            newest_here: own.last().cloned(),
            newest_there,
        }),
        // A base that is newer than the target: the target would be a step back.
        (Some(common), Some(there))
            if there.0 != common.0
                || own.iter().position(|own| own.0 == common.0) > Some(place) =>
        {
            Err(PlanSendError::Diverged {
                common: common.clone(),
                there,
            })
        }
        (Some((from, state)), _) => Ok(SendPlan::Incremental {
            from: *from,
            from_name: state.name.clone(),
            to,
            flags,
        }),
    }
}

/// What `zfs send -nvP` says of a stream that it would write.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DryRun {
    /// Bytes that the stream would have, roughly.
    pub bytes: Option<u64>,
    /// The snapshot that a resume token is for.
    pub to_guid: Option<SnapshotGuid>,
    /// How the stream that a resume token continues has its blocks.
    pub flags: StreamFlags,
}

/// Reads the output of `zfs send -nvP`, which has a line `size<TAB>bytes` and, for a token, its
/// contents one to a line, numbers in hexadecimal.
///
/// **Source**: `zfs-send(8)`, options `-n`, `-P` and `-t`.
pub fn parse_dry_run(output: &str) -> DryRun {
    let mut found = DryRun::default();
    for line in output.lines() {
        let line = line.trim();
        if let Some(bytes) = line.strip_prefix("size") {
            found.bytes = bytes.trim().parse().ok();
        } else if let Some(guid) = line.strip_prefix("toguid =") {
            let guid = guid.trim().trim_start_matches("0x");
            found.to_guid = u64::from_str_radix(guid, 16).ok().map(SnapshotGuid);
        } else {
            match line {
                "largeblockok = 1" => found.flags.large_blocks = true,
                "compressok = 1" => found.flags.compressed = true,
                "embedok = 1" => found.flags.embedded = true,
                _ => {}
            }
        }
    }
    found
}

#[cfg(test)]
mod tests;
