//! Receives snapshots into replicas.

use std::io;

use flocker_failpoint::reach;
use flocker_model::{
    ApplicationName, ByteCount, Epoch, NodeId, SnapshotGuid, SnapshotState, VolumeRole,
};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::io::AsyncRead;

use crate::command::{Argv, CommandFailed};
use crate::create::CreateRootError;
use crate::dataset::Record;
use crate::kernel::{self, KernelFailed};
use crate::names::Place;
use crate::observe::Records;
use crate::ownership::{Ownership, clear_old_form};
use crate::pump::pump;
use crate::unfinished::UnfinishedError;
use crate::volume::refquota;
use crate::{Change, ObserveError, Stale, StreamFlags, Transfer, Zfs};

/// What a node has of a volume, for a sender to decide what to send.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Incoming {
    /// Whether there is a whole copy.
    pub exists: bool,
    /// Flocker's snapshots of it, oldest first.
    pub snapshots: Vec<(SnapshotGuid, SnapshotState)>,
    /// The token with which an interrupted transfer continues.
    pub resume_token: Option<String>,
    /// How blocks may be sent there.
    #[serde(
        default = "StreamFlags::all",
        skip_serializing_if = "StreamFlags::is_all"
    )]
    pub takes: StreamFlags,
}

/// What a sender says of a stream before it sends it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiveRequest {
    /// Whose volume.
    pub application: ApplicationName,
    /// The node that owns it.
    pub owner: NodeId,
    /// The owner's turn.
    pub epoch: Epoch,
    /// The kind of stream.
    pub transfer: Transfer,
}

/// A whole stream was received.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Received {
    /// The newest snapshot that this node has now.
    pub newest: SnapshotGuid,
}

/// A stream could not be received. What was there before is as it was.
#[derive(Debug, Error)]
pub enum ReceiveError {
    /// What is there is not a replica of this owner's or an earlier owner's volume.
    #[error("{0}")]
    Stale(#[from] Stale),
    /// It could not be looked at.
    #[error(transparent)]
    Observe(#[from] ObserveError),
    /// The copy was written to or is mounted.
    #[error(
        "the copy of volume `{application}` {problem}; `flocker-cluster volume resolve {application} --set-aside NODE` keeps it under another name, and the volume is sent in full"
    )]
    Touched {
        /// Whose volume.
        application: ApplicationName,
        /// How, as the end of a sentence.
        problem: String,
    },
    /// The stream does not continue what is here. The sender should ask and plan again.
    #[error(
        "the stream does not fit volume `{application}`: {problem}; ask what is there and send that"
    )]
    Unfit {
        /// Whose volume.
        application: ApplicationName,
        /// Why, as a clause.
        problem: String,
    },
    /// The stream ended early; what came of it is kept, and the transfer can be continued.
    #[error("the stream of volume `{application}` broke off")]
    Interrupted {
        /// Whose volume.
        application: ApplicationName,
        /// What happened to the stream.
        #[source]
        cause: io::Error,
    },
    /// `zfs receive` failed.
    #[error(transparent)]
    Command(#[from] CommandFailed),
    /// ZFS in the kernel refused.
    #[error(transparent)]
    Kernel(#[from] KernelFailed),
    /// What an older transfer left could not be removed.
    #[error(transparent)]
    Discard(#[from] DiscardError),
    /// What an interrupted making left could not be removed.
    #[error(transparent)]
    Unfinished(#[from] UnfinishedError),
}

impl From<CreateRootError> for ReceiveError {
    fn from(error: CreateRootError) -> Self {
        match error {
            CreateRootError::Command(error) => Self::Command(error),
            CreateRootError::Kernel(error) => Self::Kernel(error),
        }
    }
}

/// What an interrupted transfer left could not be removed.
#[derive(Debug, Error)]
pub enum DiscardError {
    /// It could not be looked at.
    #[error(transparent)]
    Observe(#[from] ObserveError),
    /// ZFS refused.
    #[error(transparent)]
    Command(#[from] CommandFailed),
}

impl Zfs {
    /// Tells what this node has of a volume. What was received whole just before a crash is given
    /// its name first, so that it is not sent again; what an interrupted making left is removed.
    ///
    /// # Errors
    /// Fails when ZFS does not answer, or what is there is no replica or was touched.
    pub async fn prepare_incoming(
        &self,
        application: &ApplicationName,
    ) -> Result<Incoming, ReceiveError> {
        self.check_pool().await?;
        // At the same time: an application may be paused meanwhile.
        let (records, features) =
            tokio::join!(self.finish_received(application), self.pool_features());
        let (records, features) = (records?, features?);
        self.discard_unfinished(application, &records).await?;
        let encrypted = match records.volume.as_ref().or(records.receiving.as_ref()) {
            Some(record) => record.encrypted,
            None => self.parent().await?.encrypted,
        };
        let takes = StreamFlags::taken_by(features, encrypted);
        Ok(match (records.volume, records.receiving) {
            (None, None) => Incoming {
                takes,
                ..Incoming::default()
            },
            (None, Some(partial)) => Incoming {
                resume_token: partial.resume_token,
                takes,
                ..Incoming::default()
            },
            (Some(volume), _) => {
                // The sender may find that nothing has to be sent, and would hand off to this copy
                // without any of it having been looked at.
                if !matches!(volume.copy.role, VolumeRole::Replica { .. }) {
                    let expected = "a replica".to_owned();
                    return Err(self.stale(application, expected, Some(volume)).into());
                }
                check_untouched(application, &volume)?;
                Incoming {
                    exists: true,
                    snapshots: volume.ordered_snapshots(),
                    resume_token: volume.resume_token,
                    takes,
                }
            }
        })
    }

    /// Receives a stream into a replica, and holds its snapshot.
    ///
    /// A first copy is received beside the application's name and renamed when it is whole. There
    /// is no `-F`: a copy that went on by itself is refused and never rolled back.
    ///
    /// # Errors
    /// Fails when this node owns the volume, when the sender's turn is over, when the copy was
    /// touched, or when the stream breaks off; then [`Zfs::prepare_incoming`] has a token.
    pub async fn receive<S>(
        &self,
        request: &ReceiveRequest,
        stream: S,
    ) -> Result<Received, ReceiveError>
    where
        S: AsyncRead + Unpin,
    {
        let application = &request.application;
        let records = self.finish_received(application).await?;
        self.check_request(request, &records)?;
        if records.has_partial() && !matches!(request.transfer, Transfer::Resume { .. }) {
            self.discard_partial(application).await?;
        }
        self.ensure_root().await?;
        let place = match records.volume {
            Some(_) => Place::Volume(application.clone()),
            None => Place::Receiving(application.clone()),
        };
        let argv = self.receive_argv(request, &place);
        reach(|| "receive-volume.begun".to_owned()).await;
        pump(&argv, request, stream).await?;
        reach(|| "receive-volume.received".to_owned()).await;
        let records = self.finish_received(application).await?;
        if records.volume.as_ref().is_some_and(|it| it.has_old_form) {
            clear_old_form(&self.dataset_of(application)).await;
        }
        let newest = records.volume.as_ref().and_then(Record::newest_own);
        let Some(newest) = newest else {
            return Err(ReceiveError::Unfit {
                application: application.clone(),
                problem: "it has no snapshot of Flocker's".to_owned(),
            });
        };
        let path = format!("{}@{}", self.dataset_of(application), newest.name);
        reach(|| "receive-volume.named".to_owned()).await;
        kernel::hold(&path).await?;
        Ok(Received {
            newest: newest.guid,
        })
    }

    /// Removes what an interrupted transfer left, if there is any; the copy itself stays.
    ///
    /// **Source**: `zfs-receive(8)`, option `-A`.
    ///
    /// # Errors
    /// Fails when ZFS refuses.
    pub async fn discard_partial(
        &self,
        application: &ApplicationName,
    ) -> Result<Change, DiscardError> {
        let records = self.read_all(application).await?;
        let mut change = Change::Unchanged;
        let places = [
            (records.volume, Place::Volume(application.clone())),
            (records.receiving, Place::Receiving(application.clone())),
        ];
        for (record, place) in places {
            if record.is_some_and(|record| record.resume_token.is_some()) {
                let mut argv = Argv::new(&["zfs", "receive", "-A"]);
                argv.push(place.dataset(self.settings()));
                argv.change().await?;
                change = Change::Changed;
            }
        }
        Ok(change)
    }

    /// Gives a first copy its name if all of it was received.
    pub(crate) async fn finish_received(
        &self,
        application: &ApplicationName,
    ) -> Result<Records, ReceiveError> {
        let records = self.read_all(application).await?;
        let whole = records.receiving.as_ref().filter(|record| {
            records.volume.is_none()
                && record.resume_token.is_none()
                && matches!(record.copy.role, VolumeRole::Replica { .. })
        });
        let Some(newest) = whole.and_then(Record::newest_own) else {
            return Ok(records);
        };
        let received = Place::Receiving(application.clone()).dataset(self.settings());
        kernel::hold(&format!("{received}@{}", newest.name)).await?;
        reach(|| "receive-volume.held".to_owned()).await;
        kernel::rename(&received, &self.dataset_of(application)).await?;
        Ok(Records {
            volume: records.receiving,
            ..Records::default()
        })
    }

    /// Makes sure that a stream may go into what is here.
    fn check_request(
        &self,
        request: &ReceiveRequest,
        records: &Records,
    ) -> Result<(), ReceiveError> {
        let application = &request.application;
        let unfit = |problem: String| ReceiveError::Unfit {
            application: application.clone(),
            problem,
        };
        if request.owner == self.settings().node {
            return Err(unfit("the sender says that this node owns it".to_owned()));
        }
        let (Some(record), transfer) = (&records.volume, &request.transfer) else {
            let token = records
                .receiving
                .as_ref()
                .and_then(|it| it.resume_token.as_ref());
            return match &request.transfer {
                Transfer::Full => Ok(()),
                Transfer::Resume { token: offered } if Some(offered) == token => Ok(()),
                Transfer::Resume { .. } => {
                    Err(unfit("the resume token is not the one here".into()))
                }
                Transfer::Incremental { from } => {
                    Err(unfit(format!("there is no copy with snapshot {from} here")))
                }
            };
        };
        if !is_earlier(&record.copy.role, request) {
            let expected = format!(
                "a replica of what node {} owns in epoch {}",
                request.owner, request.epoch
            );
            return Err(self
                .stale(application, expected, Some(record.clone()))
                .into());
        }
        check_untouched(application, record)?;
        let newest = record.newest_own().map(|newest| newest.guid);
        match transfer {
            Transfer::Full => Err(unfit("there is a copy already".to_owned())),
            Transfer::Incremental { from } if Some(*from) == newest => Ok(()),
            Transfer::Incremental { from } => Err(unfit(format!(
                "it continues snapshot {from}, and the copy ends with another"
            ))),
            Transfer::Resume { token } if Some(token) == record.resume_token.as_ref() => Ok(()),
            Transfer::Resume { .. } => Err(unfit("the resume token is not the one here".into())),
        }
    }

    /// Writes the command line of `zfs receive`.
    fn receive_argv(&self, request: &ReceiveRequest, place: &Place) -> Argv {
        let mut properties = self.properties_of_any(&request.application);
        properties.extend([
            ("readonly", "on".to_owned()),
            Ownership::new(request.owner, request.epoch).property(),
            // The owner's limit counts. One that was left from a time when this node was the owner
            // could refuse what the owner was allowed to write since.
            refquota(None),
        ]);
        let mut argv = Argv::new(&["zfs", "receive", "-s", "-u"]);
        argv.push_options(&properties);
        argv.push(place.dataset(self.settings()));
        argv
    }
}

impl Records {
    /// Tells whether an interrupted transfer left something.
    fn has_partial(&self) -> bool {
        [&self.volume, &self.receiving]
            .into_iter()
            .flatten()
            .any(|record| record.resume_token.is_some())
    }
}

/// Tells whether a copy is of this owner's turn or an earlier one, so that a stream may change it.
/// An owner whose turn is over cannot write to a copy that has seen the next.
fn is_earlier(role: &VolumeRole, request: &ReceiveRequest) -> bool {
    match role {
        VolumeRole::Replica { owner, epoch, .. } => {
            *epoch < request.epoch || (*epoch == request.epoch && *owner == request.owner)
        }
        VolumeRole::Owned { .. } | VolumeRole::Foreign { .. } => false,
    }
}

/// Refuses a copy that was written to or is mounted.
fn check_untouched(application: &ApplicationName, record: &Record) -> Result<(), ReceiveError> {
    let problem = match (&record.copy.mounted, record.copy.written) {
        (Some(path), _) => format!("is mounted at {path}"),
        (None, ByteCount::ZERO) => return Ok(()),
        (None, written) => match record.newest_own() {
            Some(newest) => format!("was written to: {written} since snapshot {}", newest.name),
            None => format!("was written to: {written} since its newest snapshot"),
        },
    };
    Err(ReceiveError::Touched {
        application: application.clone(),
        problem,
    })
}
