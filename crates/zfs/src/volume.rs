//! The way to volumes, and the handles that prove who owns them.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use flocker_model::{ApplicationName, ByteCount, Epoch, NodeId, VolumeCopy, VolumeRole};
use thiserror::Error;

use crate::command::{Argv, CommandFailed};
use crate::dataset::Record;
use crate::names::Place;
use crate::{ObserveError, names};

/// Where a node keeps its volumes, and who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZfsSettings {
    /// The dataset below which the volumes are, such as `tank/flocker`.
    pub dataset: String,
    /// The directory below which they are mounted, such as `/flocker`.
    pub mount_root: PathBuf,
    /// This node.
    pub node: NodeId,
}

impl ZfsSettings {
    /// Returns the name of the pool.
    pub(crate) fn pool(&self) -> &str {
        self.dataset.split('/').next().unwrap_or_default()
    }
}

/// Whether an action had anything to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Things were as wanted already.
    Unchanged,
    /// Now they are.
    Changed,
}

/// What was found at a volume's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// No dataset.
    Absent,
    /// A dataset that is this.
    Role(VolumeRole),
}

impl fmt::Display for Found {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => formatter.write_str("there is no such volume"),
            Self::Role(VolumeRole::Owned { epoch }) => {
                write!(formatter, "this node owns it in epoch {epoch}")
            }
            Self::Role(VolumeRole::Replica {
                owner,
                epoch,
                handoff: None,
            }) => write!(
                formatter,
                "it is a replica; node {owner} owns it in epoch {epoch}"
            ),
            Self::Role(VolumeRole::Replica {
                owner,
                epoch,
                handoff: Some(guid),
            }) => write!(
                formatter,
                "it was released to node {owner} for epoch {epoch} with snapshot {guid}"
            ),
            Self::Role(VolumeRole::Foreign { problem }) => {
                write!(formatter, "the dataset {problem}")
            }
        }
    }
}

/// The volume is not as the action expects; look again and plan again.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("volume `{application}` is not {expected}: {found}")]
pub struct Stale {
    /// Whose volume.
    pub application: ApplicationName,
    /// What it should have been, as the end of "is not …".
    pub expected: String,
    /// What it is.
    pub found: Found,
}

/// A volume could not be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// It is not as expected.
    #[error("{0}")]
    Stale(#[from] Stale),
    /// It could not be looked at.
    #[error(transparent)]
    Observe(#[from] ObserveError),
}

/// The size of a volume could not be set.
#[derive(Debug, Error)]
pub enum ResizeError {
    /// It is not as expected.
    #[error("{0}")]
    Stale(#[from] Stale),
    /// It could not be looked at.
    #[error(transparent)]
    Observe(#[from] ObserveError),
    /// ZFS refused, for example because more is in it already.
    #[error(transparent)]
    Command(#[from] CommandFailed),
}

/// Says of a [`Volume`] that this node owns it.
#[derive(Debug)]
pub struct Owned {
    pub(crate) epoch: Epoch,
}

/// Says of a [`Volume`] that it is a copy of what another node owns.
#[derive(Debug)]
pub struct Replica {
    /// The node that owned it when the copy was last written.
    pub owner: NodeId,
    /// The owner's turn.
    pub epoch: Epoch,
}

/// The proof that a volume's properties were as its type says, a moment ago.
///
/// Actions that change anything take the handle by value: each handle is good for one, so that
/// state is always read again before the next.
#[derive(Debug)]
pub struct Volume<Role> {
    pub(crate) zfs: Zfs,
    pub(crate) application: ApplicationName,
    pub(crate) record: Record,
    pub(crate) role: Role,
}

impl<Role> Volume<Role> {
    /// Returns the application whose volume it is.
    pub fn application(&self) -> &ApplicationName {
        &self.application
    }

    /// Returns what was found when the handle was made.
    pub fn copy(&self) -> &VolumeCopy {
        &self.record.copy
    }

    /// Returns the dataset's name.
    pub fn dataset(&self) -> String {
        self.zfs.dataset_of(&self.application)
    }

    /// Returns the name of one of its snapshots.
    pub(crate) fn snapshot_path(&self, name: impl fmt::Display) -> String {
        format!("{}@{name}", self.dataset())
    }
}

impl Volume<Owned> {
    /// Returns the owner's turn.
    pub fn epoch(&self) -> Epoch {
        self.role.epoch
    }

    /// Sets the most that the volume may hold, `None` for no limit.
    ///
    /// **Source**: `zfsprops(7)`, property `refquota`: counts the volume's own data and not that
    /// of its snapshots.
    ///
    /// # Errors
    /// Fails when more is in it already.
    pub async fn set_maximum_size(self, maximum: Option<ByteCount>) -> Result<Change, ResizeError> {
        if self.record.copy.maximum_size == maximum {
            return Ok(Change::Unchanged);
        }
        let mut argv = Argv::new(&["zfs", "set"]);
        argv.push_assignments(&[refquota(maximum)]);
        argv.push(self.dataset());
        argv.change().await?;
        Ok(Change::Changed)
    }
}

/// Writes a maximum size as a property.
pub(crate) fn refquota(maximum: Option<ByteCount>) -> (&'static str, String) {
    let value = maximum.map_or_else(|| "none".to_owned(), |bytes| bytes.get().to_string());
    ("refquota", value)
}

/// Has ZFS write to its log what programs want to be safe, whatever the parent's setting is.
///
/// **Source**: `zfsprops(7)`, property `sync`.
pub(crate) fn sync_standard() -> (&'static str, String) {
    ("sync", "standard".to_owned())
}

/// The volumes of one node. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Zfs(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    settings: ZfsSettings,
    /// Volumes that this process has seen mounted, so that their intent log is known to be
    /// replayed; see [`Volume::snapshot`].
    replayed: Mutex<BTreeSet<ApplicationName>>,
}

impl Zfs {
    /// Makes the way to a node's volumes; touches nothing.
    pub fn new(settings: ZfsSettings) -> Self {
        Self(Arc::new(Shared {
            settings,
            replayed: Mutex::default(),
        }))
    }

    /// Returns where the volumes are kept.
    pub fn settings(&self) -> &ZfsSettings {
        &self.0.settings
    }

    /// Opens a volume that this node owns in this epoch.
    ///
    /// # Errors
    /// [`Stale`] when it does not, with what was found.
    pub async fn open_owned(
        &self,
        application: &ApplicationName,
        epoch: Epoch,
    ) -> Result<Volume<Owned>, OpenError> {
        let record = self.read(application).await?;
        let stale = |found| self.stale(application, format!("owned here in epoch {epoch}"), found);
        match record {
            Some(record) if record.copy.role == (VolumeRole::Owned { epoch }) => Ok(Volume {
                zfs: self.clone(),
                application: application.clone(),
                record,
                role: Owned { epoch },
            }),
            found => Err(stale(found).into()),
        }
    }

    /// Opens a volume that this node owns, in whichever epoch.
    ///
    /// # Errors
    /// [`Stale`] when it does not, with what was found.
    pub async fn open_owned_now(
        &self,
        application: &ApplicationName,
    ) -> Result<Volume<Owned>, OpenError> {
        let record = self.read(application).await?;
        let epoch = record.as_ref().and_then(|record| record.copy.owned_epoch());
        match (record, epoch) {
            (Some(record), Some(epoch)) => Ok(Volume {
                zfs: self.clone(),
                application: application.clone(),
                record,
                role: Owned { epoch },
            }),
            (found, _) => Err(self
                .stale(application, "owned here".to_owned(), found)
                .into()),
        }
    }

    /// Opens a copy of what another node owns.
    ///
    /// # Errors
    /// [`Stale`] when it is none, with what was found.
    pub async fn open_replica(
        &self,
        application: &ApplicationName,
    ) -> Result<Volume<Replica>, OpenError> {
        match self.read(application).await? {
            Some(record) => self.as_replica(application, record).map_err(Into::into),
            None => Err(self.stale(application, "a replica".to_owned(), None).into()),
        }
    }

    /// Makes a handle of a record that is a replica's.
    pub(crate) fn as_replica(
        &self,
        application: &ApplicationName,
        record: Record,
    ) -> Result<Volume<Replica>, Stale> {
        match record.copy.role {
            VolumeRole::Replica { owner, epoch, .. } => Ok(Volume {
                zfs: self.clone(),
                application: application.clone(),
                record,
                role: Replica { owner, epoch },
            }),
            VolumeRole::Owned { .. } | VolumeRole::Foreign { .. } => {
                Err(self.stale(application, "a replica".to_owned(), Some(record)))
            }
        }
    }

    /// Says that a volume is not as expected.
    #[expect(
        clippy::unused_self,
        reason = "reads as what the volumes say of one of theirs"
    )]
    pub(crate) fn stale(
        &self,
        application: &ApplicationName,
        expected: String,
        found: Option<Record>,
    ) -> Stale {
        Stale {
            application: application.clone(),
            expected,
            found: found.map_or(Found::Absent, |record| Found::Role(record.copy.role)),
        }
    }

    /// Names an application's dataset.
    pub(crate) fn dataset_of(&self, application: &ApplicationName) -> String {
        Place::Volume(application.clone()).dataset(self.settings())
    }

    /// Returns where an application's volume is mounted.
    pub fn mountpoint_of(&self, application: &ApplicationName) -> PathBuf {
        names::mountpoint(self.settings(), application)
    }

    /// Remembers that a volume was mounted for writing.
    pub(crate) fn remember_replayed(&self, application: &ApplicationName) {
        let mut replayed = self
            .0
            .replayed
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        replayed.insert(application.clone());
    }

    /// Tells whether a volume was seen mounted for writing.
    pub(crate) fn is_replayed(&self, application: &ApplicationName) -> bool {
        let replayed = self
            .0
            .replayed
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        replayed.contains(application)
    }
}
