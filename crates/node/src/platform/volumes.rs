//! Volumes and who owns them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::path::{Path, PathBuf};

use flocker_model::{
    ApplicationName, ByteCount, Epoch, Obstruction, OwnerClaim, PoolState, SnapshotGuid,
    VolumeCopy, VolumeHolder,
};
use flocker_remote::protocol::{Change, StepFailure};
use flocker_zfs::{
    Acquire, Incoming, NewImport, NewVolume, NodeMark, Promote, ReceiveRequest, Release, SetAside,
    Transfer,
};
use futures_util::future::BoxFuture;
use tokio::io::AsyncRead;

/// The volumes of one machine.
///
/// A failure is `stale` exactly when a volume is not in the state that the method expects; nothing
/// was done then.
pub(crate) trait Volumes: Clone + Debug + Send + Sync + 'static {
    /// The proof that this machine owns a volume.
    type Owned: OwnedVolume;

    /// Looks at the pool, and at which machine it belongs to; one that cannot be looked at is unusable.
    fn observe_pool(&self) -> impl Future<Output = (PoolState, NodeMark)> + Send;

    /// Writes down that the pool belongs to this machine.
    fn mark_pool(&self) -> impl Future<Output = Result<(), StepFailure>> + Send;

    /// Looks at every copy on this machine, a first one that is still being received included.
    fn observe_volumes(
        &self,
    ) -> impl Future<Output = Result<BTreeMap<ApplicationName, VolumeCopy>, StepFailure>> + Send;

    /// Looks for what is in the places of volumes without being a volume.
    fn observe_obstructions(
        &self,
    ) -> impl Future<Output = Result<BTreeMap<ApplicationName, Obstruction>, StepFailure>> + Send;

    /// Looks for processes, in mount namespaces other than this machine's, that would keep volumes
    /// mounted after [`Volumes::unmount`], but for those in the `containers` that see
    /// each volume.
    fn observe_holders(
        &self,
        containers: BTreeMap<ApplicationName, BTreeSet<String>>,
    ) -> impl Future<Output = BTreeMap<ApplicationName, Vec<VolumeHolder>>> + Send;

    /// Looks at one copy.
    fn observe_volume(
        &self,
        application: &ApplicationName,
    ) -> impl Future<Output = Result<Option<VolumeCopy>, StepFailure>> + Send;

    /// Returns where a volume is mounted when it is.
    fn mountpoint_of(&self, application: &ApplicationName) -> PathBuf;

    /// Opens a volume that this machine owns in this epoch.
    fn open_owned(
        &self,
        application: &ApplicationName,
        epoch: Epoch,
    ) -> impl Future<Output = Result<Self::Owned, StepFailure>> + Send;

    /// Opens a volume that this machine owns, in whichever epoch.
    fn open_owned_now(
        &self,
        application: &ApplicationName,
    ) -> impl Future<Output = Result<Self::Owned, StepFailure>> + Send;

    /// Makes a volume in the first epoch, with what `fill` puts into the directory that it is given.
    /// That directory is empty, and root's. The volume exists only once `fill` is done; if that
    /// fails, nothing is left.
    ///
    /// A volume of this machine's own in the first epoch is left as it is, and not filled; anything
    /// else in its place is stale.
    fn create<F>(
        &self,
        new: &NewVolume,
        fill: impl FnOnce(PathBuf) -> F + Send,
    ) -> impl Future<Output = Result<Change, StepFailure>> + Send
    where
        F: Future<Output = Result<(), StepFailure>> + Send;

    /// Makes a volume in the first epoch of data from outside, with what `fill` puts into the
    /// directory that it is given. That has what an interrupted attempt of the same import put there,
    /// and keeps what is put there now if `fill` fails. The volume exists, and ends with a snapshot of
    /// all that, only once `fill` is done.
    ///
    /// A volume that the same import has made is left as it is; anything else in its place is stale.
    fn import<F>(
        &self,
        new: &NewImport,
        fill: impl FnOnce(PathBuf) -> F + Send,
    ) -> impl Future<Output = Result<Change, StepFailure>> + Send
    where
        F: Future<Output = Result<(), StepFailure>> + Send;

    /// Makes a volume in the first epoch of a full stream of one snapshot, which is the volume's first
    /// and keeps its identity. What an interrupted attempt left is destroyed.
    fn import_stream(
        &self,
        new: &NewImport,
        stream: impl AsyncRead + Send + Unpin,
    ) -> impl Future<Output = Result<Change, StepFailure>> + Send;

    /// Gives a volume up that is not mounted and was not written since its newest snapshot, which
    /// is returned; the same again when it was given up in this way already.
    fn release(
        &self,
        application: &ApplicationName,
        release: &Release,
    ) -> impl Future<Output = Result<(Change, SnapshotGuid), StepFailure>> + Send;

    /// Takes over a copy of an earlier epoch that ends with exactly the snapshot handed off.
    fn acquire(
        &self,
        application: &ApplicationName,
        acquire: &Acquire,
    ) -> impl Future<Output = Result<Change, StepFailure>> + Send;

    /// Becomes the owner of exactly this replica, which was not touched, without its owner's doing.
    fn promote(
        &self,
        application: &ApplicationName,
        promote: &Promote,
    ) -> impl Future<Output = Result<Change, StepFailure>> + Send;

    /// Has a replica of an earlier turn name this owner.
    fn record_owner(
        &self,
        application: &ApplicationName,
        claim: OwnerClaim,
    ) -> impl Future<Output = Result<Change, StepFailure>> + Send;

    /// Renames exactly this copy, which is not mounted, so that it is no volume any more.
    fn set_aside(
        &self,
        set_aside: &SetAside,
    ) -> impl Future<Output = Result<Change, StepFailure>> + Send;

    /// Destroys Flocker's snapshots but for those to be kept and the newest.
    fn prune_snapshots(
        &self,
        application: &ApplicationName,
        keep: &BTreeSet<SnapshotGuid>,
    ) -> impl Future<Output = Result<Change, StepFailure>> + Send;

    /// Unmounts a volume if it is mounted.
    fn unmount(
        &self,
        application: &ApplicationName,
    ) -> impl Future<Output = Result<Change, StepFailure>> + Send;

    /// Removes the directories of volumes that are not mounted, so that no container starts on an
    /// empty one.
    fn remove_mount_points(&self) -> impl Future<Output = ()> + Send;

    /// Tells a sender what is here of a volume.
    fn prepare_incoming(
        &self,
        application: &ApplicationName,
    ) -> impl Future<Output = Result<Incoming, StepFailure>> + Send;

    /// Receives a stream into a replica; returns what the copy ends with now. What came of a stream
    /// that breaks off is kept, and a token for the rest of it with it.
    fn receive(
        &self,
        request: &ReceiveRequest,
        stream: impl AsyncRead + Send + Unpin,
    ) -> impl Future<Output = Result<SnapshotGuid, StepFailure>> + Send;
}

/// The proof that a volume was owned by this machine a moment ago. What changes anything takes it
/// by value: it is good for one action.
pub(crate) trait OwnedVolume: Debug + Send + Sync {
    /// The proof that the volume is mounted for writing, and where: what a container may be given.
    type Mounted: AsRef<Path> + Send + Sync;

    /// Returns the owner's turn.
    fn epoch(&self) -> Epoch;

    /// Returns what was found when the volume was opened.
    fn copy(&self) -> &VolumeCopy;

    /// Mounts it, unless it is.
    fn mount(self) -> impl Future<Output = Result<Self::Mounted, StepFailure>> + Send;

    /// Has an unmounted volume refuse writes until it is mounted again.
    fn seal(self) -> impl Future<Output = Result<(), StepFailure>> + Send;

    /// Takes a snapshot that holds everything acknowledged so far. Of an unmounted volume that was
    /// not written since its newest snapshot, it returns that one.
    fn snapshot(self) -> impl Future<Output = Result<SnapshotGuid, StepFailure>> + Send;

    /// Sets the most that it may hold, `None` for no limit.
    fn set_maximum_size(
        self,
        maximum: Option<ByteCount>,
    ) -> impl Future<Output = Result<Change, StepFailure>> + Send;

    /// Starts to send what a receiver needs for the snapshot `target`: everything, what changed, or
    /// the rest of an interrupted transfer, be it of another snapshot. `None` if it has `target`.
    fn send(
        &self,
        target: SnapshotGuid,
        incoming: &Incoming,
    ) -> impl Future<Output = Result<Option<Sending>, StepFailure>> + Send;
}

/// A stream that is being sent.
pub(crate) struct Sending {
    /// The kind of stream, for the receiver.
    pub(crate) transfer: Transfer,
    /// About how long it is.
    pub(crate) estimate: ByteCount,
    /// The stream. Its end says nothing.
    pub(crate) stream: Box<dyn AsyncRead + Send + Unpin>,
    /// Tells, once the stream has ended, whether that was all of it.
    pub(crate) completion: BoxFuture<'static, Result<(), StepFailure>>,
}
