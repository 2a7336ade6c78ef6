//! Datasets with snapshots, properties and unfinished transfers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flocker_model::{
    ApplicationName, ByteCount, DeploymentId, Epoch, NodeId, SnapshotGuid, SnapshotState,
    VolumeCopy, VolumeHolder, VolumeRole,
};

use super::stream::Header;

/// Makes identities of snapshots that no other snapshot on any machine has; later ones are higher.
#[derive(Debug, Clone, Default)]
pub(crate) struct Guids(Arc<AtomicU64>);

impl Guids {
    pub(super) fn next(&self) -> SnapshotGuid {
        SnapshotGuid(self.0.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Makes one for a snapshot that is not Flocker's: higher than all that are.
    pub(crate) fn next_of_others(&self) -> SnapshotGuid {
        SnapshotGuid(u64::MAX - self.next().0)
    }
}

/// What may be wrong with a whole pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It is not there: nobody can say what is in it.
    Missing,
    /// Its devices are gone: looking fails, and whoever asks for more waits for ever.
    Suspended,
    /// It is encrypted, and its key is not loaded: nothing in it can be read or written.
    Locked,
    /// No space is left: nothing can be written down, a snapshot above all.
    Full,
}

/// The datasets of one machine.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pool {
    /// The machine that it belongs to, as it says itself.
    pub(crate) node: Option<NodeId>,
    /// What is wrong with it as a whole.
    pub(crate) trouble: Option<Trouble>,
    /// Whole copies, at their application's name.
    pub(crate) volumes: BTreeMap<ApplicationName, Dataset>,
    /// Volumes that are being made: nobody but the next attempt sees them.
    pub(crate) creating: BTreeMap<ApplicationName, Dataset>,
    /// Volumes that are being imported.
    pub(crate) importing: BTreeMap<ApplicationName, Dataset>,
    /// First copies that are being received.
    pub(super) receiving: BTreeMap<ApplicationName, Dataset>,
    /// Who has volumes mounted elsewhere.
    pub(crate) held: BTreeMap<ApplicationName, Vec<VolumeHolder>>,
    /// Whose places have files in them that are no volume's.
    pub(crate) obstructed: BTreeSet<ApplicationName>,
    /// What is kept and used no more.
    pub(crate) set_aside: Vec<Dataset>,
    /// Whether the dataset above all others has `sync=disabled`.
    pub(crate) sync_disabled: bool,
    /// The directories that volumes were mounted at when the power went.
    pub(crate) mount_points: BTreeSet<ApplicationName>,
}

/// A dataset.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a property of its own"
)]
pub(crate) struct Dataset {
    pub(super) owner: NodeId,
    pub(super) epoch: Epoch,
    pub(super) handoff: Option<SnapshotGuid>,
    pub(super) deployment: Option<DeploymentId>,
    pub(super) maximum_size: Option<ByteCount>,
    /// Where its content came from, if it was imported, and whether all of it is there.
    pub(super) import: Option<String>,
    pub(super) is_unfinished: bool,
    /// Flocker's, oldest first.
    pub(super) snapshots: Vec<Snapshot>,
    /// The newest that others took since the last of those.
    others_snapshot: Option<SnapshotGuid>,
    /// Everything that programs see in it.
    pub(crate) contents: Vec<u8>,
    /// How much of that is on the disk itself; the rest is in the intent log.
    on_disk: usize,
    /// What was acknowledged before a power cut, and is in the intent log until the next mount.
    pub(super) log: Vec<u8>,
    pub(crate) is_mounted: bool,
    /// Whether ZFS refuses writes.
    pub(crate) is_readonly: bool,
    /// Whether it has `sync=standard` itself; volumes of earlier releases have not.
    pub(crate) syncs: bool,
    /// Whether it is the beginning of a first copy, which does not say yet whose it is.
    pub(super) is_nameless: bool,
    /// What an unfinished transfer left.
    pub(super) partial: Option<Partial>,
}

/// A snapshot.
#[derive(Debug, Clone)]
pub(super) struct Snapshot {
    pub(super) guid: SnapshotGuid,
    pub(super) name: String,
    pub(super) contents: Vec<u8>,
}

/// What came of a transfer so far.
#[derive(Debug, Clone)]
pub(super) struct Partial {
    pub(super) header: Header,
    pub(super) received: Vec<u8>,
}

impl Partial {
    /// What a sender needs to continue: which snapshot, and from where on.
    pub(super) fn token(&self) -> String {
        format!("{}-{}", self.header.to, self.received.len())
    }
}

/// Reads a token.
pub(super) fn parse_token(token: &str) -> Option<(SnapshotGuid, usize)> {
    let (guid, offset) = token.split_once('-')?;
    Some((SnapshotGuid(guid.parse().ok()?), offset.parse().ok()?))
}

impl Pool {
    /// Unmounts everything; what was not on the disk yet is in the intent logs alone, or nowhere.
    pub(super) fn lose_power(&mut self) {
        let unfinished = self.creating.iter_mut().chain(self.importing.iter_mut());
        for (name, dataset) in self.volumes.iter_mut().chain(unfinished) {
            if dataset.is_mounted {
                let unwritten = dataset.contents.split_off(dataset.on_disk);
                if dataset.syncs || !self.sync_disabled {
                    dataset.log.extend(unwritten);
                }
                dataset.is_mounted = false;
                self.mount_points.insert(name.clone());
            }
        }
    }

    /// Forgets what is in intent logs alone.
    pub(super) fn lose_logs(&mut self) {
        for dataset in self.volumes.values_mut() {
            dataset.log.clear();
        }
    }

    /// Tells whether what is seen of a copy is a first one that is being received.
    pub(super) fn is_first_copy(&self, application: &ApplicationName) -> bool {
        let named = [&self.volumes, &self.importing];
        named
            .iter()
            .all(|datasets| !datasets.contains_key(application))
    }

    /// What anybody sees of a copy: a first one as soon as there is anything of it.
    pub(super) fn shown(&self, application: &ApplicationName) -> Option<&Dataset> {
        let whole = self.volumes.get(application);
        let unfinished = || self.importing.get(application);
        whole
            .or_else(unfinished)
            .or_else(|| self.receiving.get(application))
    }

    /// Lists every copy that anybody sees.
    pub(super) fn names(&self) -> BTreeSet<ApplicationName> {
        let names = self.volumes.keys().chain(self.receiving.keys());
        names.chain(self.importing.keys()).cloned().collect()
    }
}

impl Dataset {
    /// A dataset with nothing in it.
    pub(super) fn new(owner: NodeId, epoch: Epoch) -> Self {
        Self {
            owner,
            epoch,
            handoff: None,
            deployment: None,
            maximum_size: None,
            import: None,
            is_unfinished: false,
            snapshots: Vec::new(),
            others_snapshot: None,
            contents: Vec::new(),
            on_disk: 0,
            log: Vec::new(),
            is_mounted: false,
            is_readonly: false,
            syncs: true,
            is_nameless: false,
            partial: None,
        }
    }

    /// Writes and waits until it is safe, as a program in a container does.
    pub(crate) fn write(&mut self, record: &[u8]) {
        assert!(self.is_mounted, "only what is mounted can be written to");
        assert!(!self.is_readonly, "only what is not read-only can be");
        self.contents.extend(record);
    }

    /// Mounts it for writing, which brings back what the intent log has.
    pub(super) fn mount(&mut self) {
        (self.is_readonly, self.syncs) = (false, true);
        self.contents.append(&mut self.log);
        self.is_mounted = true;
    }

    /// Writes down everything that programs see in it.
    pub(crate) fn sync(&mut self) {
        self.on_disk = self.contents.len();
    }

    /// Unmounts it, which writes down everything.
    pub(super) fn unmount(&mut self) {
        self.sync();
        self.is_mounted = false;
    }

    /// Takes a snapshot of what is in the dataset, which its intent log's rest is not.
    pub(super) fn take_snapshot(&mut self, guid: SnapshotGuid) {
        let prefix = format!("flocker-{}-", self.epoch);
        let taken = self.snapshots.iter();
        let highest = taken
            .filter_map(|snapshot| snapshot.name.strip_prefix(&prefix)?.parse::<u64>().ok())
            .max();
        self.on_disk = self.contents.len();
        self.others_snapshot = None;
        self.snapshots.push(Snapshot {
            guid,
            name: format!("{prefix}{:06}", highest.unwrap_or(0) + 1),
            contents: self.contents.clone(),
        });
    }

    /// Takes a snapshot as other programs do.
    pub(crate) fn take_others_snapshot(&mut self, guid: SnapshotGuid) {
        self.others_snapshot = Some(guid);
    }

    /// Ends a transfer: what it brought is a snapshot now.
    pub(super) fn finish(&mut self) {
        let Some(Partial { header, received }) = self.partial.take() else {
            return;
        };
        self.contents.extend(received);
        self.on_disk = self.contents.len();
        self.others_snapshot = None;
        self.snapshots.push(Snapshot {
            guid: header.to,
            name: header.name,
            contents: self.contents.clone(),
        });
    }

    /// Takes a whole stream in that came from outside.
    pub(super) fn receive_all(&mut self, guid: SnapshotGuid, contents: Vec<u8>) {
        self.contents = contents;
        self.take_snapshot(guid);
    }

    /// The newest of Flocker's snapshots.
    pub(super) fn newest(&self) -> Option<SnapshotGuid> {
        self.snapshots.last().map(|snapshot| snapshot.guid)
    }

    /// The newest of anybody's.
    pub(super) fn newest_of_all(&self) -> Option<SnapshotGuid> {
        self.others_snapshot.or_else(|| self.newest())
    }

    pub(super) fn position(&self, guid: SnapshotGuid) -> Option<usize> {
        let mut snapshots = self.snapshots.iter();
        snapshots.position(|snapshot| snapshot.guid == guid)
    }

    /// Tells whether these records, and no others, are in it once it is mounted.
    pub(crate) fn keeps(&self, records: &[u8]) -> bool {
        records.strip_prefix(self.contents.as_slice()) == Some(self.log.as_slice())
    }

    /// Returns how many of Flocker's snapshots it has.
    pub(crate) fn snapshot_count(&self) -> usize {
        self.snapshots.len()
    }

    /// Bytes since the newest of Flocker's snapshots; the intent log does not count.
    pub(super) fn written(&self) -> ByteCount {
        let newest = self.snapshots.last();
        let before = newest.map_or(0, |snapshot| snapshot.contents.len());
        ByteCount::new((self.contents.len() - before) as u64)
    }

    pub(crate) fn role(&self, node: NodeId) -> VolumeRole {
        let epoch = self.epoch;
        if self.is_unfinished {
            let problem = "is an import that is not finished".to_owned();
            return VolumeRole::Foreign { problem };
        }
        if self.is_nameless {
            let problem = "is the beginning of a copy".to_owned();
            return VolumeRole::Foreign { problem };
        }
        if self.owner == node {
            VolumeRole::Owned { epoch }
        } else {
            VolumeRole::Replica {
                owner: self.owner,
                epoch,
                handoff: self.handoff,
            }
        }
    }

    /// Lists the snapshots as they are observed.
    pub(super) fn snapshot_states(&self) -> Vec<(SnapshotGuid, SnapshotState)> {
        let state = |snapshot: &Snapshot| SnapshotState {
            name: snapshot.name.clone(),
            created: snapshot.guid.0,
        };
        let snapshots = self.snapshots.iter();
        snapshots
            .map(|snapshot| (snapshot.guid, state(snapshot)))
            .collect()
    }

    /// Describes it as it is observed.
    pub(super) fn copy(&self, node: NodeId, mountpoint: &str) -> VolumeCopy {
        VolumeCopy {
            role: self.role(node),
            snapshots: self.snapshot_states().into_iter().collect(),
            newest_snapshot: self.newest_of_all(),
            written: self.written(),
            referenced: ByteCount::new(self.contents.len() as u64),
            maximum_size: self.maximum_size,
            mounted: self.is_mounted.then(|| mountpoint.to_owned()),
            resumable: self.partial.is_some(),
            is_first_copy: false,
            deployment: self.deployment.clone(),
            key_needed: None,
            held_by: Vec::new(),
            import: self.import.clone(),
        }
    }
}
