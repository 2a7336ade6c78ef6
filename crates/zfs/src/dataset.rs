//! Decides what a listed dataset is: ours, a replica, or somebody else's.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use flocker_model::{
    ApplicationName, ByteCount, DeploymentId, Digest, SnapshotGuid, SnapshotState, VolumeCopy,
    VolumeRole,
};

use crate::ZfsSettings;
use crate::listing::{ListedDataset, ListedSnapshot, Property};
use crate::log_reset::root_block_sectors;
use crate::names::{SnapshotName, mountpoint};
use crate::ownership::{Ownership, has_old_form};
use crate::volume::sync_standard;

/// The deployment that last changed the owner.
pub(crate) const DEPLOYMENT: &str = "flocker:deployment";

/// Where the content came from that an import brought in.
pub(crate) const IMPORT: &str = "flocker:import";

/// What is wrong with a dataset that is being imported, as the end of a sentence.
pub(crate) const UNFINISHED_IMPORT: &str = "is an import that is not finished";

/// What is wrong with a first copy whose transfer was cut right after it had begun, as the end of a
/// sentence.
pub(crate) const NAMELESS_PART: &str =
    "is the beginning of a copy, and does not say which node owns the volume";

/// What is wrong with a first copy that claims to be the volume, as the end of a sentence. No
/// transfer leaves one: only a property that was set by hand does.
pub(crate) const OWNED_PART: &str = "is the beginning of a copy, and says that this node owns it";

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
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a property of its own"
)]
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
    /// Whether it keeps what programs were told is safe, whatever its parent's `sync` is.
    syncs: bool,
    /// Whether what is in it is encrypted.
    pub(crate) encrypted: bool,
    /// How many sectors its root block takes at most.
    pub(crate) root_block_sectors: u64,
    /// Whether it has properties in which earlier releases said who owns it.
    pub(crate) has_old_form: bool,
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
                is_first_copy: false,
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
            syncs: listed
                .property("sync")
                .is_some_and(|sync| sync.is_local() && sync.value != "disabled"),
            encrypted: is_encrypted(listed.value("encryption")),
            root_block_sectors: root_block_sectors(listed.value("redundant_metadata")),
            has_old_form: has_old_form(listed),
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

    /// Lists the properties that an owner's mount sets first, because a parent, an earlier release or
    /// an interrupted `volume resolve` left them otherwise.
    pub(crate) fn corrections(&self) -> Vec<(&'static str, String)> {
        let mut corrections = Vec::new();
        if !self.syncs {
            corrections.push(sync_standard());
        }
        if self.readonly {
            corrections.push(("readonly", "off".to_owned()));
        }
        corrections
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
    let Some(ownership) = Ownership::of(listed)? else {
        let is_import = listed.property(IMPORT).is_some_and(Property::is_local);
        return Err(if is_import {
            UNFINISHED_IMPORT.to_owned()
        } else {
            "was not made by Flocker".to_owned()
        });
    };
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
    let Ownership {
        owner,
        epoch,
        handoff,
    } = ownership;
    Ok(if owner == settings.node {
        VolumeRole::Owned { epoch }
    } else {
        VolumeRole::Replica {
            owner,
            epoch,
            handoff,
        }
    })
}

#[cfg(test)]
mod tests;
