//! Decides what a listed dataset is: ours, a replica, or somebody else's.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use flocker_model::{
    ApplicationName, ByteCount, DeploymentId, Digest, Epoch, NodeId, SnapshotGuid, SnapshotState,
    VolumeCopy, VolumeRole,
};
use uuid::Uuid;

use crate::ZfsSettings;
use crate::listing::{ListedDataset, ListedSnapshot, Property};
use crate::names::{SnapshotName, mountpoint};

/// The node that owns the volume.
pub(crate) const OWNER: &str = "flocker:owner";
/// The owner's turn.
pub(crate) const EPOCH: &str = "flocker:epoch";
/// On the copy that was released: the snapshot that the next owner must hold.
pub(crate) const HANDOFF: &str = "flocker:handoff";
/// The deployment that last changed the owner.
pub(crate) const DEPLOYMENT: &str = "flocker:deployment";

/// Where the content came from that an import brought in.
pub(crate) const IMPORT: &str = "flocker:import";

/// What is wrong with a dataset that is being imported, as the end of a sentence.
pub(crate) const UNFINISHED_IMPORT: &str = "is an import that is not finished";

/// How an absent user property is written, so that clearing one needs no second command.
pub(crate) const NONE: &str = "-";

/// One of Flocker's snapshots of a dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OwnSnapshot {
    /// Its name in parts.
    pub(crate) name: SnapshotName,
    /// Equal wherever it was received.
    pub(crate) guid: SnapshotGuid,
}

/// A dataset as it was found, with what that makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    /// What planners are told of it.
    pub(crate) copy: VolumeCopy,
    /// Flocker's snapshots, oldest first.
    pub(crate) own_snapshots: Vec<OwnSnapshot>,
    /// What was written since the newest of them: up to each snapshot that others took since,
    /// oldest first, and up to now. What planners are told was written is all of it.
    written: Vec<ByteCount>,
    /// The token with which an interrupted transfer into it continues.
    pub(crate) resume_token: Option<String>,
    /// Whether ZFS refuses writes to it.
    pub(crate) readonly: bool,
    /// Whether what is in it is encrypted.
    pub(crate) encrypted: bool,
}

impl Record {
    /// Makes the record of a dataset at `application`'s name or at one of its unfinished names.
    pub(crate) fn new(
        settings: &ZfsSettings,
        application: &ApplicationName,
        listed: &ListedDataset,
    ) -> Self {
        let own_snapshots: Vec<_> = listed.snapshots.iter().filter_map(own_snapshot).collect();
        let written = written_since_own(listed);
        let refquota = listed.number("refquota");
        let resume_token = listed.value("receive_resume_token").map(str::to_owned);
        Self {
            copy: VolumeCopy {
                role: role_of(settings, application, listed),
                snapshots: snapshot_states(&listed.snapshots),
                newest_snapshot: listed.snapshots.last().map(|snapshot| snapshot.guid),
                written: total(&written),
                referenced: ByteCount::new(listed.number("referenced")),
                maximum_size: (refquota > 0).then(|| ByteCount::new(refquota)),
                mounted: None,
                resumable: resume_token.is_some(),
                deployment: listed
                    .value(DEPLOYMENT)
                    .map(|text| DeploymentId(Digest::from_recorded(text))),
                key_needed: key_needed(|name| listed.value(name)),
                held_by: Vec::new(),
                import: listed
                    .property(IMPORT)
                    .filter(|found| found.is_local())
                    .map(|found| found.value.clone()),
            },
            own_snapshots,
            written,
            resume_token,
            readonly: listed.value("readonly") == Some("on"),
            encrypted: is_encrypted(listed.value("encryption")),
        }
    }

    /// Returns the newest of Flocker's snapshots.
    pub(crate) fn newest_own(&self) -> Option<&OwnSnapshot> {
        self.own_snapshots.last()
    }

    /// Returns the newest of Flocker's snapshots if nothing was written after it, whatever
    /// snapshots others took since.
    pub(crate) fn settled_at(&self) -> Option<&OwnSnapshot> {
        let newest = self.newest_own()?;
        (self.copy.written == ByteCount::ZERO).then_some(newest)
    }

    /// Lists Flocker's snapshots of `dataset`, which this record is of, by their full names.
    pub(crate) fn own_names(&self, dataset: &str) -> Vec<String> {
        let own = self.own_snapshots.iter();
        own.map(|snapshot| format!("{dataset}@{}", snapshot.name))
            .collect()
    }

    /// Tells whether something was written between two snapshots, or since the last, but no more
    /// than this.
    pub(crate) fn has_written_at_most(&self, most: ByteCount) -> bool {
        let mut written = self.written.iter();
        written.any(|written| *written > ByteCount::ZERO && *written <= most)
    }

    /// Takes what was written between two snapshots, or since the last, for nothing where it is no
    /// more than this.
    pub(crate) fn forgive(&mut self, most: ByteCount) {
        self.written.retain(|written| *written > most);
        self.copy.written = total(&self.written);
    }

    /// Adds a snapshot that was taken a moment ago.
    pub(crate) fn add_snapshot(&mut self, snapshot: OwnSnapshot) {
        let since_1970 = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let state = SnapshotState {
            name: snapshot.name.to_string(),
            created: since_1970.as_secs(),
        };
        self.copy.snapshots.insert(snapshot.guid, state);
        self.copy.newest_snapshot = Some(snapshot.guid);
        self.copy.written = ByteCount::ZERO;
        self.written.clear();
        self.own_snapshots.push(snapshot);
    }

    /// Lists Flocker's snapshots, oldest first.
    pub(crate) fn ordered_snapshots(&self) -> Vec<(SnapshotGuid, SnapshotState)> {
        let described = |own: &OwnSnapshot| {
            let state = self.copy.snapshots.get(&own.guid)?;
            Some((own.guid, state.clone()))
        };
        self.own_snapshots.iter().filter_map(described).collect()
    }

    /// Returns Flocker's snapshot that has this guid.
    pub(crate) fn own_by_guid(&self, guid: SnapshotGuid) -> Option<&OwnSnapshot> {
        self.own_snapshots
            .iter()
            .find(|snapshot| snapshot.guid == guid)
    }
}

/// Tells by the property `encryption` whether a dataset is encrypted.
pub(crate) fn is_encrypted(encryption: Option<&str>) -> bool {
    !matches!(encryption, None | Some("off" | "-"))
}

/// Finds the dataset whose key has to be loaded first, among properties by name.
///
/// **Source**: `zfsprops(7)`, properties `keystatus` and `encryptionroot`.
pub(crate) fn key_needed<'a>(value: impl Fn(&str) -> Option<&'a str>) -> Option<String> {
    let is_missing = value("keystatus") == Some("unavailable");
    let root = value("encryptionroot").filter(|_| is_missing);
    root.map(str::to_owned)
}

/// Returns a snapshot in parts, if Flocker took it.
fn own_snapshot(listed: &ListedSnapshot) -> Option<OwnSnapshot> {
    Some(OwnSnapshot {
        name: SnapshotName::parse(&listed.name)?,
        guid: listed.guid,
    })
}

/// Lists what was written since the newest of Flocker's snapshots: up to each later one, and up to
/// now. ZFS tells of each only what was written since the one before, whoever took that; so another
/// program's snapshot of what was written would hide it.
///
/// Together it is what `written@` with the name of Flocker's would tell, or more where the same was
/// written again; that would take a further process. Without a snapshot of Flocker's it is what was
/// written since the newest.
fn written_since_own(listed: &ListedDataset) -> Vec<ByteCount> {
    let snapshots = &listed.snapshots;
    let is_own = |listed: &ListedSnapshot| own_snapshot(listed).is_some();
    let newest = snapshots.iter().rposition(is_own);
    let later = newest.and_then(|newest| snapshots.get(newest + 1..));
    later
        .unwrap_or_default()
        .iter()
        .map(|snapshot| snapshot.written)
        .chain([ByteCount::new(listed.number("written"))])
        .collect()
}

/// Adds counts up.
fn total(counts: &[ByteCount]) -> ByteCount {
    let add = |sum: ByteCount, count: &ByteCount| sum.saturating_add(*count);
    counts.iter().fold(ByteCount::ZERO, add)
}

/// Describes Flocker's snapshots among all.
fn snapshot_states(listed: &[ListedSnapshot]) -> BTreeMap<SnapshotGuid, SnapshotState> {
    listed
        .iter()
        .filter(|snapshot| SnapshotName::parse(&snapshot.name).is_some())
        .map(|snapshot| {
            let state = SnapshotState {
                name: snapshot.name.clone(),
                created: snapshot.creation,
            };
            (snapshot.guid, state)
        })
        .collect()
}

/// Decides what the dataset is by its user properties.
fn role_of(
    settings: &ZfsSettings,
    application: &ApplicationName,
    listed: &ListedDataset,
) -> VolumeRole {
    match read_role(settings, application, listed) {
        Ok(role) => role,
        Err(problem) => VolumeRole::Foreign { problem },
    }
}

/// Reads the role, or says why the dataset is not one of ours, as the end of a sentence.
fn read_role(
    settings: &ZfsSettings,
    application: &ApplicationName,
    listed: &ListedDataset,
) -> Result<VolumeRole, String> {
    match listed.value("type") {
        Some("filesystem") => {}
        Some(other) => return Err(format!("is a {other} and not a filesystem")),
        None => return Err("has no type".to_owned()),
    }
    let (owner, epoch) = match (listed.property(OWNER), listed.property(EPOCH)) {
        (None, None) if listed.property(IMPORT).is_some_and(Property::is_local) => {
            return Err(UNFINISHED_IMPORT.to_owned());
        }
        (None, None) => return Err("was not made by Flocker".to_owned()),
        (Some(_), None) => return Err(format!("has `{OWNER}` but no `{EPOCH}`")),
        (None, Some(_)) => return Err(format!("has `{EPOCH}` but no `{OWNER}`")),
        (Some(owner), Some(epoch)) => (set_here(OWNER, owner)?, set_here(EPOCH, epoch)?),
    };
    let owner = Uuid::parse_str(owner)
        .map(NodeId)
        .map_err(|_| format!("has an `{OWNER}` that is no node's id: `{owner}`"))?;
    let epoch = epoch
        .parse()
        .map(Epoch)
        .map_err(|_| format!("has an `{EPOCH}` that is no number: `{epoch}`"))?;
    let place = mountpoint(settings, application);
    match listed.property("mountpoint") {
        Some(found) if Some(found.value.as_str()) == place.to_str() && found.is_local() => {}
        found => {
            let (value, source) = found.map_or(("none", "default"), |found| {
                (found.value.as_str(), found.source.as_str())
            });
            return Err(format!(
                "has the mountpoint `{value}` ({source}) instead of its own `{}`, as if it was \
                 renamed or copied",
                place.display()
            ));
        }
    }
    if owner == settings.node {
        return Ok(VolumeRole::Owned { epoch });
    }
    let handoff = listed.property(HANDOFF).filter(|found| found.is_local());
    let handoff = match handoff.map(|found| (found, found.value.parse())) {
        None => None,
        Some((_, Ok(guid))) => Some(SnapshotGuid(guid)),
        Some((found, Err(_))) => {
            return Err(format!(
                "has a `{HANDOFF}` that is no snapshot's guid: `{}`",
                found.value
            ));
        }
    };
    Ok(VolumeRole::Replica {
        owner,
        epoch,
        handoff,
    })
}

/// Returns the value of a property that was set on the dataset itself.
fn set_here<'a>(name: &str, property: &'a Property) -> Result<&'a str, String> {
    if property.is_local() {
        return Ok(&property.value);
    }
    Err(match property.source.as_str() {
        "received" => format!("got `{name}` from a `zfs receive` that was not Flocker's"),
        source => format!("was not made by Flocker: `{name}` is {source}"),
    })
}

#[cfg(test)]
mod tests;
