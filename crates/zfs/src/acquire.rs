//! Takes a volume over: when it was released to this node, or when the operator has said that its
//! owner is lost.

use flocker_failpoint::reach;
use flocker_model::{
    ApplicationName, ByteCount, DeploymentId, Epoch, NodeId, OwnerClaim, SnapshotGuid, VolumeRole,
};
use thiserror::Error;

use crate::command::CommandFailed;
use crate::dataset::{DEPLOYMENT, Record};
use crate::ownership::{NONE, Ownership, set_ownership};
use crate::{Change, DiscardError, ObserveError, ReceiveError, Replica, Stale, Volume, Zfs};

/// How a node takes a volume over that was released to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acquire {
    /// The turn of the new owner.
    pub epoch: Epoch,
    /// The snapshot that was handed off, with which this node's copy must end.
    pub snapshot: SnapshotGuid,
    /// The deployment that asks for it.
    pub deployment: DeploymentId,
}

/// A volume could not be taken over.
#[derive(Debug, Error)]
pub enum AcquireError {
    /// It is not as expected.
    #[error("{0}")]
    Stale(#[from] Stale),
    /// It could not be looked at.
    #[error(transparent)]
    Observe(#[from] ObserveError),
    /// What was received could not be given its name.
    #[error(transparent)]
    Receive(#[from] ReceiveError),
    /// What is left of an older transfer could not be removed.
    #[error(transparent)]
    Discard(#[from] DiscardError),
    /// The copy ends with another snapshot than was handed off.
    #[error(
        "the copy of volume `{application}` ends with snapshot {} and not with {expected}, which \
         was handed off; push it again", newest.map_or_else(|| "none".to_owned(), |guid| guid.to_string())
    )]
    OtherSnapshot {
        /// Whose volume.
        application: ApplicationName,
        /// What was handed off.
        expected: SnapshotGuid,
        /// What the copy ends with.
        newest: Option<SnapshotGuid>,
    },
    /// The copy was written to, or is mounted.
    #[error(
        "the copy of volume `{application}` {problem}; `flocker-cluster volume resolve \
         {application} --set-aside NODE` keeps it under another name; deploy again after that, \
         which tells how to go on from the copy that has everything"
    )]
    Touched {
        /// Whose volume.
        application: ApplicationName,
        /// How, as the end of a sentence.
        problem: String,
    },
    /// ZFS refused.
    #[error(transparent)]
    Command(#[from] CommandFailed),
}

/// How a node takes a volume over whose owner is lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promote {
    /// The owner that the copy must name.
    pub owner: NodeId,
    /// The owner's turn that it must name.
    pub epoch: Epoch,
    /// The snapshot with which it must end.
    pub snapshot: SnapshotGuid,
    /// The turn of the new owner.
    pub next: Epoch,
    /// The deployment that the node last applied, if there is one.
    pub deployment: Option<DeploymentId>,
}

/// Whose a volume becomes.
struct Turn<'a> {
    epoch: Epoch,
    /// The snapshot with which the copy must end.
    snapshot: SnapshotGuid,
    deployment: Option<&'a DeploymentId>,
    /// What tests call the moment before it begins.
    place: &'static str,
}

impl Zfs {
    /// Takes over a volume that was released to this node, in one transaction.
    ///
    /// # Errors
    /// Fails unless the copy here ends with exactly the snapshot that was handed off and was not
    /// touched since.
    pub async fn acquire(
        &self,
        application: &ApplicationName,
        acquire: &Acquire,
    ) -> Result<Change, AcquireError> {
        let turn = Turn {
            epoch: acquire.epoch,
            snapshot: acquire.snapshot,
            deployment: Some(&acquire.deployment),
            place: "acquire-volume.checked",
        };
        let expected = format!("a replica that may be acquired in epoch {}", acquire.epoch);
        self.take_over(
            application,
            &turn,
            (
                expected,
                &|role| matches!(role, VolumeRole::Replica { epoch, .. } if *epoch < acquire.epoch),
            ),
        )
        .await
    }

    /// Makes this node the owner of its replica, in one transaction, although its owner did not
    /// release it. Nothing is rolled back.
    ///
    /// # Errors
    /// Fails unless the copy is exactly the expected one and was not touched since.
    pub async fn promote(
        &self,
        application: &ApplicationName,
        promote: &Promote,
    ) -> Result<Change, AcquireError> {
        let turn = Turn {
            epoch: promote.next,
            snapshot: promote.snapshot,
            deployment: promote.deployment.as_ref(),
            place: "promote-volume.checked",
        };
        let expected = format!(
            "a replica of what node {} owns in epoch {}",
            promote.owner, promote.epoch
        );
        self.take_over(
            application,
            &turn,
            (expected, &|role| {
                matches!(role, VolumeRole::Replica { owner, epoch, .. }
                if *owner == promote.owner && *epoch == promote.epoch && *epoch < promote.next)
            }),
        )
        .await
    }

    /// Has this node's replica name another node as the owner of a later turn than it knew of. What
    /// the replica holds, and what it can be continued from, stays as it is.
    ///
    /// # Errors
    /// Fails unless there is a replica of an earlier turn, or of this one; and when the owner would
    /// be this node, which becomes one by acquiring or promoting only.
    pub async fn record_owner(
        &self,
        application: &ApplicationName,
        claim: OwnerClaim,
    ) -> Result<Change, AcquireError> {
        let OwnerClaim { owner, epoch } = claim;
        let expected = || format!("a replica of an earlier turn than epoch {epoch}");
        let replica = match self.read(application).await? {
            Some(record) => match record.copy.role {
                VolumeRole::Replica {
                    owner: named,
                    epoch: known,
                    ..
                } if (named, known) == (owner, epoch) => return Ok(Change::Unchanged),
                VolumeRole::Replica { epoch: known, .. }
                    if known < epoch && owner != self.settings().node =>
                {
                    self.as_replica(application, record)?
                }
                _ => return Err(self.stale(application, expected(), Some(record)).into()),
            },
            None => return Err(self.stale(application, expected(), None).into()),
        };
        let has_old_form = replica.record.has_old_form;
        let ownership = Ownership::new(owner, epoch);
        set_ownership(&replica.dataset(), ownership, (&[], has_old_form)).await?;
        Ok(Change::Changed)
    }

    /// Takes over a copy that `may_take` accepts, unless it is owned in that turn already.
    async fn take_over(
        &self,
        application: &ApplicationName,
        turn: &Turn<'_>,
        (expected, may_take): (String, &(dyn Fn(&VolumeRole) -> bool + Sync)),
    ) -> Result<Change, AcquireError> {
        let record = self.finish_received(application).await?.volume;
        let owned = VolumeRole::Owned { epoch: turn.epoch };
        let record: Record = match record {
            Some(record) if record.copy.role == owned => return Ok(Change::Unchanged),
            Some(record) if may_take(&record.copy.role) => record,
            found => return Err(self.stale(application, expected, found).into()),
        };
        let replica = self.as_replica(application, record)?;
        replica.check_untouched(turn.snapshot)?;
        if replica.record.resume_token.is_some() {
            // The rest of what is taken over comes from nowhere any more: of an older snapshot
            // than was handed off, or from an owner that is lost.
            self.discard_partial(application).await?;
        }
        reach(|| turn.place.to_owned()).await;
        let deployment = turn
            .deployment
            .map_or_else(|| NONE.to_owned(), ToString::to_string);
        // A mount sets the former again, should it not have been set.
        let others = [("readonly", "off".to_owned()), (DEPLOYMENT, deployment)];
        let ownership = Ownership::new(self.settings().node, turn.epoch);
        let has_old_form = replica.record.has_old_form;
        set_ownership(&replica.dataset(), ownership, (&others, has_old_form)).await?;
        Ok(Change::Changed)
    }
}

impl Volume<Replica> {
    /// Makes sure that the copy ends with a snapshot and was not touched since.
    fn check_untouched(&self, expected: SnapshotGuid) -> Result<(), AcquireError> {
        let application = self.application.clone();
        if let Some(path) = &self.record.copy.mounted {
            return Err(AcquireError::Touched {
                application,
                problem: format!("is mounted at {path}"),
            });
        }
        let newest = self.record.newest_own();
        let Some(newest) = newest.filter(|newest| newest.guid == expected) else {
            return Err(AcquireError::OtherSnapshot {
                application,
                expected,
                newest: newest.map(|newest| newest.guid),
            });
        };
        match self.record.copy.written {
            ByteCount::ZERO => Ok(()),
            written => Err(AcquireError::Touched {
                application,
                problem: format!("was written to: {written} since snapshot {}", newest.name),
            }),
        }
    }
}
