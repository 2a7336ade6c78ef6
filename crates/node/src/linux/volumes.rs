//! Volumes are datasets of ZFS.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use flocker_model::{
    ApplicationName, ByteCount, Epoch, Obstruction, OwnerClaim, PoolState, SnapshotGuid,
    VolumeCopy, VolumeHolder,
};
use flocker_remote::protocol::{Change, StepFailure};
use flocker_zfs::{
    Acquire, Incoming, MountedVolume, NewImport, NewVolume, NodeMark, Owned, Promote,
    ReceiveRequest, Release, SetAside, Volume, Zfs,
};
use tokio::io::AsyncRead;

use super::changed;
use crate::failure::OrFailure as _;
use crate::platform::{OwnedVolume, Sending, Volumes};

/// Translates the storage layer's word for whether anything had to be done.
fn change(change: flocker_zfs::Change) -> Change {
    changed(change == flocker_zfs::Change::Changed)
}

impl Volumes for Zfs {
    type Owned = Volume<Owned>;

    async fn observe_pool(&self) -> (PoolState, NodeMark) {
        Zfs::observe_pool(self).await
    }

    async fn mark_pool(&self) -> Result<(), StepFailure> {
        Zfs::mark_pool(self).await.or_failure()
    }

    async fn observe_volumes(&self) -> Result<BTreeMap<ApplicationName, VolumeCopy>, StepFailure> {
        Zfs::observe_volumes(self)
            .await
            .or_failed_to("the volumes cannot be looked at")
    }

    async fn observe_obstructions(
        &self,
    ) -> Result<BTreeMap<ApplicationName, Obstruction>, StepFailure> {
        Zfs::observe_obstructions(self).await.or_failure()
    }

    async fn observe_holders(
        &self,
        containers: BTreeMap<ApplicationName, BTreeSet<String>>,
    ) -> BTreeMap<ApplicationName, Vec<VolumeHolder>> {
        Zfs::observe_holders(self, containers).await
    }

    async fn observe_volume(
        &self,
        application: &ApplicationName,
    ) -> Result<Option<VolumeCopy>, StepFailure> {
        Zfs::observe_volume(self, application).await.or_failure()
    }

    fn mountpoint_of(&self, application: &ApplicationName) -> PathBuf {
        Zfs::mountpoint_of(self, application)
    }

    async fn open_owned(
        &self,
        application: &ApplicationName,
        epoch: Epoch,
    ) -> Result<Volume<Owned>, StepFailure> {
        Zfs::open_owned(self, application, epoch).await.or_failure()
    }

    async fn open_owned_now(
        &self,
        application: &ApplicationName,
    ) -> Result<Volume<Owned>, StepFailure> {
        Zfs::open_owned_now(self, application).await.or_failure()
    }

    async fn create<F>(
        &self,
        new: &NewVolume,
        fill: impl FnOnce(PathBuf) -> F + Send,
    ) -> Result<Change, StepFailure>
    where
        F: Future<Output = Result<(), StepFailure>> + Send,
    {
        let Some(making) = self.begin_create(new).await.or_failure()? else {
            return Ok(Change::Unchanged);
        };
        let filled = fill(making.path().to_owned()).await;
        if let Err(failure) = filled {
            if let Err(error) = making.abandon().await {
                // The next attempt removes it.
                tracing::info!(%error, "an unfinished volume cannot be removed");
            }
            return Err(failure);
        }
        making.finish().await.or_failure()?;
        Ok(Change::Changed)
    }

    async fn import<F>(
        &self,
        new: &NewImport,
        fill: impl FnOnce(PathBuf) -> F + Send,
    ) -> Result<Change, StepFailure>
    where
        F: Future<Output = Result<(), StepFailure>> + Send,
    {
        let Some(importing) = self.begin_import(new).await.or_failure()? else {
            return Ok(Change::Unchanged);
        };
        // What came of it is kept: the same import goes on with it.
        fill(importing.path().to_owned()).await?;
        importing.finish().await.or_failure()?;
        Ok(Change::Changed)
    }

    async fn import_stream(
        &self,
        new: &NewImport,
        stream: impl AsyncRead + Send + Unpin,
    ) -> Result<Change, StepFailure> {
        let imported = Zfs::import_stream(self, new, stream).await;
        imported.map(change).or_failure()
    }

    async fn release(
        &self,
        application: &ApplicationName,
        release: &Release,
    ) -> Result<(Change, SnapshotGuid), StepFailure> {
        let released = Zfs::release(self, application, release)
            .await
            .or_failure()?;
        Ok((change(released.change), released.snapshot))
    }

    async fn acquire(
        &self,
        application: &ApplicationName,
        acquire: &Acquire,
    ) -> Result<Change, StepFailure> {
        let acquired = Zfs::acquire(self, application, acquire).await;
        acquired.map(change).or_failure()
    }

    async fn promote(
        &self,
        application: &ApplicationName,
        promote: &Promote,
    ) -> Result<Change, StepFailure> {
        let promoted = Zfs::promote(self, application, promote).await;
        promoted.map(change).or_failure()
    }

    async fn record_owner(
        &self,
        application: &ApplicationName,
        claim: OwnerClaim,
    ) -> Result<Change, StepFailure> {
        let recorded = Zfs::record_owner(self, application, claim).await;
        recorded.map(change).or_failure()
    }

    async fn set_aside(&self, set_aside: &SetAside) -> Result<Change, StepFailure> {
        let set = Zfs::set_aside(self, set_aside).await;
        set.map(change).or_failure()
    }

    async fn prune_snapshots(
        &self,
        application: &ApplicationName,
        keep: &BTreeSet<SnapshotGuid>,
    ) -> Result<Change, StepFailure> {
        let pruned = Zfs::prune_snapshots(self, application, keep).await;
        pruned.map(change).or_failure()
    }

    async fn unmount(&self, application: &ApplicationName) -> Result<Change, StepFailure> {
        Zfs::unmount(self, application)
            .await
            .map(change)
            .or_failure()
    }

    async fn remove_mount_points(&self) {
        Zfs::remove_mount_points(self).await;
    }

    async fn prepare_incoming(
        &self,
        application: &ApplicationName,
    ) -> Result<Incoming, StepFailure> {
        Zfs::prepare_incoming(self, application).await.or_failure()
    }

    async fn receive(
        &self,
        request: &ReceiveRequest,
        stream: impl AsyncRead + Send + Unpin,
    ) -> Result<SnapshotGuid, StepFailure> {
        let received = Zfs::receive(self, request, stream).await.or_failure()?;
        Ok(received.newest)
    }
}

impl OwnedVolume for Volume<Owned> {
    type Mounted = MountedVolume;

    fn epoch(&self) -> Epoch {
        Volume::epoch(self)
    }

    fn copy(&self) -> &VolumeCopy {
        Volume::copy(self)
    }

    async fn mount(self) -> Result<MountedVolume, StepFailure> {
        let (_, mounted) = Volume::mount(self).await.or_failure()?;
        Ok(mounted)
    }

    async fn seal(self) -> Result<(), StepFailure> {
        Volume::seal(self).await.or_failure()?;
        Ok(())
    }

    async fn snapshot(self) -> Result<SnapshotGuid, StepFailure> {
        Ok(Volume::snapshot(self).await.or_failure()?.guid)
    }

    async fn set_maximum_size(self, maximum: Option<ByteCount>) -> Result<Change, StepFailure> {
        let set = Volume::set_maximum_size(self, maximum).await;
        set.map(change).or_failure()
    }

    async fn send(
        &self,
        target: SnapshotGuid,
        incoming: &Incoming,
    ) -> Result<Option<Sending>, StepFailure> {
        let plan = self.plan_send(target, incoming).await.or_failure()?;
        let Some(transfer) = plan.transfer() else {
            return Ok(None);
        };
        let estimate = self.estimate(&plan).await.or_failure()?;
        let sending = Volume::send(self, &plan).or_failure()?;
        Ok(Some(Sending {
            transfer,
            estimate,
            stream: Box::new(sending.stream),
            completion: Box::pin(async move { sending.completion.wait().await.or_failure() }),
        }))
    }
}
