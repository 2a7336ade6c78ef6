//! Volumes in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use flocker_model::{
    ApplicationName, ByteCount, DeploymentId, Epoch, NodeId, Obstacle, Obstruction, OwnerClaim,
    PoolHealth, PoolProblem, PoolState, SnapshotGuid, VolumeCopy, VolumeHolder, VolumeRole,
};
use flocker_remote::protocol::{Change, StepFailure};
use flocker_zfs::{
    Acquire, Incoming, NewImport, NewVolume, NodeMark, Promote, ReceiveRequest, Release, SetAside,
    Transfer,
};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::owned::FakeOwned;
use super::pool::{Dataset, Guids, Partial, Pool, Trouble};
use super::stream::Header;
use super::{Host, Mutation, State, changed};
use crate::failure::failure_of;
use crate::platform::Volumes;

/// A stream is received in so many parts or more, and in so few bytes at least: there is much to
/// interrupt in a short one.
const PARTS: usize = 8;
const FEWEST_BYTES: usize = 3;

/// The dataset that volumes are below; where they are encrypted, it has the key.
const ROOT: &str = "tank/flocker";

/// The volumes of a machine in memory.
#[derive(Debug, Clone)]
pub(crate) struct FakeVolumes {
    pub(crate) host: Host,
    pub(crate) node: NodeId,
    pub(crate) guids: Guids,
}

/// Says that a volume is not as expected.
pub(super) fn stale(message: &str) -> StepFailure {
    StepFailure {
        stale: true,
        ..failure_of(message)
    }
}

impl FakeVolumes {
    /// Does something to the pool, if it is there and answers.
    pub(super) async fn act<T>(
        &self,
        work: impl FnOnce(&mut State) -> Result<T, StepFailure>,
    ) -> Result<T, StepFailure> {
        let trouble = self.host.state().disk.pool.trouble;
        match trouble {
            Some(Trouble::Missing) => Err(failure_of("there is no such pool")),
            // As in the kernel, nothing gets whoever asked out of there.
            Some(Trouble::Suspended) => std::future::pending().await,
            Some(Trouble::Full | Trouble::Locked) | None => self.host.act(work).await,
        }
    }

    fn copy_of(
        &self,
        (application, trouble): (&ApplicationName, Option<Trouble>),
        dataset: &Dataset,
    ) -> VolumeCopy {
        let mountpoint = self.mountpoint_of(application);
        let is_locked = trouble == Some(Trouble::Locked);
        VolumeCopy {
            key_needed: is_locked.then(|| ROOT.to_owned()),
            ..dataset.copy(self.node, &mountpoint.to_string_lossy())
        }
    }

    /// Opens a volume if it is owned here, in this epoch if one is given.
    async fn open(
        &self,
        application: &ApplicationName,
        wanted: Option<Epoch>,
    ) -> Result<FakeOwned, StepFailure> {
        let copy = self.act(|state| {
            let pool = &state.disk.pool;
            let dataset = pool.volumes.get(application);
            let at = (application, pool.trouble);
            Ok(dataset.map(|dataset| self.copy_of(at, dataset)))
        });
        let copy = copy
            .await?
            .ok_or_else(|| stale("there is no such volume"))?;
        match copy.owned_epoch() {
            Some(epoch) if wanted.is_none_or(|wanted| wanted == epoch) => Ok(FakeOwned {
                volumes: self.clone(),
                application: application.clone(),
                epoch,
                copy,
            }),
            _ => Err(stale("it is not owned here in that epoch")),
        }
    }

    /// Sets what comes with an owner in one `zfs set`. If that fails, ZFS sets each property by itself.
    async fn set_the_rest(
        &self,
        application: &ApplicationName,
        (is_readonly, deployment): (bool, Option<&DeploymentId>),
    ) -> Result<(), StepFailure> {
        let set = self.act(|state| {
            let dataset = state.disk.pool.volumes.get_mut(application);
            let dataset = dataset.ok_or_else(|| stale("there is no such volume"))?;
            dataset.is_readonly = is_readonly;
            dataset.deployment = deployment.cloned();
            Ok(())
        });
        set.await
    }

    /// Makes sure that a stream may go into what is here, and makes room for it.
    fn begin_to_receive(
        &self,
        pool: &mut Pool,
        (request, header): (&ReceiveRequest, Header),
    ) -> Result<(), StepFailure> {
        let application = &request.application;
        let fresh = || {
            let mut dataset = Dataset::new(request.owner, request.epoch);
            dataset.is_nameless = true;
            dataset
        };
        let dataset = match pool.volumes.get_mut(application) {
            Some(dataset) => dataset,
            None => pool
                .receiving
                .entry(application.clone())
                .or_insert_with(fresh),
        };
        if dataset.is_nameless {
            (dataset.owner, dataset.epoch) = (request.owner, request.epoch);
        }
        let earlier = dataset.owner != self.node
            && (dataset.epoch < request.epoch
                || (dataset.epoch == request.epoch && dataset.owner == request.owner));
        if !earlier {
            return Err(stale("it is no replica of an earlier epoch"));
        }
        if dataset.is_mounted || dataset.written() > ByteCount::ZERO {
            return Err(failure_of("the copy was touched"));
        }
        let token = dataset.partial.as_ref().map(Partial::token);
        match &request.transfer {
            Transfer::Resume { token: offered } if Some(offered) == token.as_ref() => {}
            Transfer::Full if dataset.snapshots.is_empty() => dataset.partial = None,
            Transfer::Incremental { from } if Some(*from) == dataset.newest() => {
                dataset.partial = None;
            }
            _ => return Err(failure_of("the stream does not fit")),
        }
        if header.from != dataset.newest() {
            return Err(failure_of("the stream does not continue what is here"));
        }
        (dataset.owner, dataset.epoch) = (request.owner, request.epoch);
        (dataset.handoff, dataset.maximum_size) = (None, None);
        dataset.is_readonly = true;
        let received = Vec::new();
        dataset.partial.get_or_insert(Partial { header, received });
        Ok(())
    }
}

impl Volumes for FakeVolumes {
    type Owned = FakeOwned;

    async fn observe_pool(&self) -> (PoolState, NodeMark) {
        let (trouble, sync_disabled) = {
            let state = self.host.state();
            (state.disk.pool.trouble, state.disk.pool.sync_disabled)
        };
        let unusable = |problem| PoolHealth::Unusable { problem };
        let (health, available) = match trouble {
            None => (PoolHealth::Usable, ByteCount::mebibytes(1 << 20)),
            Some(Trouble::Full) => (PoolHealth::Usable, ByteCount::ZERO),
            Some(Trouble::Locked) => {
                let dataset = ROOT.to_owned();
                (
                    unusable(PoolProblem::KeyNotLoaded { dataset }),
                    ByteCount::ZERO,
                )
            }
            Some(Trouble::Missing) => (unusable(PoolProblem::NotImported), ByteCount::ZERO),
            Some(Trouble::Suspended) => (unusable(PoolProblem::Suspended), ByteCount::ZERO),
        };
        let state = PoolState {
            dataset: ROOT.to_owned(),
            health,
            available,
            sync_disabled: sync_disabled.then(|| "tank".to_owned()),
        };
        (state, self.host.node_mark())
    }

    async fn mark_pool(&self) -> Result<(), StepFailure> {
        self.act(|state| {
            state.disk.pool.node = Some(self.node);
            Ok(())
        })
        .await
    }

    async fn observe_volumes(&self) -> Result<BTreeMap<ApplicationName, VolumeCopy>, StepFailure> {
        // Looking waits for nobody: the pool's state is looked at first, which needs no disk.
        if self.host.state().disk.pool.trouble == Some(Trouble::Suspended) {
            return Err(failure_of("the pool is suspended"));
        }
        let observed = self.act(|state| {
            let pool = &state.disk.pool;
            let names = pool.names().into_iter();
            Ok(names
                .filter_map(|name| {
                    let copy = VolumeCopy {
                        is_first_copy: pool.is_first_copy(&name),
                        ..self.copy_of((&name, pool.trouble), pool.shown(&name)?)
                    };
                    Some((name, copy))
                })
                .collect())
        });
        observed.await
    }

    async fn observe_obstructions(
        &self,
    ) -> Result<BTreeMap<ApplicationName, Obstruction>, StepFailure> {
        let obstructed = self.host.state().disk.pool.obstructed.clone();
        let obstruction = |application| {
            let path = self.mountpoint_of(&application);
            let path = path.to_string_lossy().into_owned();
            let by = Obstacle::Files;
            (application, Obstruction { path, by })
        };
        Ok(obstructed.into_iter().map(obstruction).collect())
    }

    async fn observe_holders(
        &self,
        containers: BTreeMap<ApplicationName, BTreeSet<String>>,
    ) -> BTreeMap<ApplicationName, Vec<VolumeHolder>> {
        let mut held = self.host.state().disk.pool.held.clone();
        for (application, holders) in &mut held {
            let own = containers.get(application);
            let is_own = |container: &String| own.is_some_and(|own| own.contains(container));
            holders.retain(|holder| !holder.container.as_ref().is_some_and(is_own));
        }
        held
    }

    async fn observe_volume(
        &self,
        application: &ApplicationName,
    ) -> Result<Option<VolumeCopy>, StepFailure> {
        Ok(self.observe_volumes().await?.remove(application))
    }

    fn mountpoint_of(&self, application: &ApplicationName) -> PathBuf {
        Path::new("/flocker").join(application.as_str())
    }

    async fn open_owned(
        &self,
        application: &ApplicationName,
        epoch: Epoch,
    ) -> Result<FakeOwned, StepFailure> {
        self.open(application, Some(epoch)).await
    }

    async fn open_owned_now(
        &self,
        application: &ApplicationName,
    ) -> Result<FakeOwned, StepFailure> {
        self.open(application, None).await
    }

    async fn create<F>(
        &self,
        new: &NewVolume,
        fill: impl FnOnce(PathBuf) -> F + Send,
    ) -> Result<Change, StepFailure>
    where
        F: Future<Output = Result<(), StepFailure>> + Send,
    {
        let name = &new.application;
        let first = VolumeRole::Owned {
            epoch: Epoch::FIRST,
        };
        let begun = self.act(|state| {
            let pool = &mut state.disk.pool;
            match pool.shown(name) {
                None => {
                    let mut dataset = Dataset::new(self.node, Epoch::FIRST);
                    dataset.maximum_size = new.maximum_size;
                    dataset.deployment = Some(new.deployment.clone());
                    dataset.mount();
                    // In the place of whatever an interrupted making left.
                    pool.creating.insert(name.clone(), dataset);
                    Ok(true)
                }
                Some(dataset) if dataset.role(self.node) == first => Ok(false),
                Some(_) => Err(stale("a dataset is in its place")),
            }
        });
        if !begun.await? {
            return Ok(Change::Unchanged);
        }
        if let Err(failure) = fill(self.mountpoint_of(name)).await {
            let removed = self.act(|state| Ok(state.disk.pool.creating.remove(name)));
            removed.await?;
            return Err(failure);
        }
        let renamed = self.act(|state| {
            let pool = &mut state.disk.pool;
            let made = pool.creating.remove(name);
            let mut dataset = made.ok_or_else(|| failure_of("somebody took the dataset away"))?;
            dataset.unmount();
            pool.volumes.insert(name.clone(), dataset);
            Ok(Change::Changed)
        });
        renamed.await
    }

    async fn import<F>(
        &self,
        new: &NewImport,
        fill: impl FnOnce(PathBuf) -> F + Send,
    ) -> Result<Change, StepFailure>
    where
        F: Future<Output = Result<(), StepFailure>> + Send,
    {
        self.import_filled(new, fill).await
    }

    async fn import_stream(
        &self,
        new: &NewImport,
        stream: impl AsyncRead + Send + Unpin,
    ) -> Result<Change, StepFailure> {
        self.import_streamed(new, stream).await
    }

    async fn release(
        &self,
        application: &ApplicationName,
        release: &Release,
    ) -> Result<(Change, SnapshotGuid), StepFailure> {
        let next = release.epoch.next();
        let released = self.act(|state| {
            let dataset = state.disk.pool.volumes.get_mut(application);
            let dataset = dataset.ok_or_else(|| stale("there is no such volume"))?;
            match dataset.role(self.node) {
                VolumeRole::Owned { epoch } if epoch == release.epoch => {}
                VolumeRole::Replica {
                    owner,
                    epoch,
                    handoff: Some(guid),
                } if owner == release.to && epoch == next => return Ok((Change::Unchanged, guid)),
                _ => return Err(stale("it is not owned here in that epoch")),
            }
            if dataset.is_mounted {
                return Err(failure_of("it is mounted"));
            }
            if dataset.written() > ByteCount::ZERO || !dataset.log.is_empty() {
                return Err(failure_of("it was written since its newest snapshot"));
            }
            let newest = dataset.newest();
            let newest = newest.ok_or_else(|| failure_of("it has no snapshot"))?;
            (dataset.owner, dataset.epoch) = (release.to, next);
            dataset.handoff = Some(newest);
            Ok((Change::Changed, newest))
        });
        let released = released.await?;
        self.set_the_rest(application, (true, Some(&release.deployment)))
            .await?;
        Ok(released)
    }

    async fn acquire(
        &self,
        application: &ApplicationName,
        acquire: &Acquire,
    ) -> Result<Change, StepFailure> {
        let acquired = self.act(|state| {
            let dataset = state.disk.pool.volumes.get_mut(application);
            let dataset = dataset.ok_or_else(|| stale("there is no such volume"))?;
            match dataset.role(self.node) {
                VolumeRole::Owned { epoch } if epoch == acquire.epoch => {
                    return Ok(Change::Unchanged);
                }
                VolumeRole::Replica { epoch, .. } if epoch < acquire.epoch => {}
                _ => return Err(stale("it is no replica of an earlier epoch")),
            }
            if dataset.newest() != Some(acquire.snapshot) {
                return Err(failure_of("it ends with another snapshot"));
            }
            if dataset.is_mounted || dataset.written() > ByteCount::ZERO {
                return Err(failure_of("the copy was touched"));
            }
            (dataset.owner, dataset.epoch) = (self.node, acquire.epoch);
            (dataset.handoff, dataset.partial) = (None, None);
            Ok(Change::Changed)
        });
        let acquired = acquired.await?;
        self.set_the_rest(application, (false, Some(&acquire.deployment)))
            .await?;
        Ok(acquired)
    }

    async fn promote(
        &self,
        application: &ApplicationName,
        promote: &Promote,
    ) -> Result<Change, StepFailure> {
        let promoted = self.act(|state| {
            let dataset = state.disk.pool.volumes.get_mut(application);
            let dataset = dataset.ok_or_else(|| stale("there is no such volume"))?;
            match dataset.role(self.node) {
                VolumeRole::Owned { epoch } if epoch == promote.next => {
                    return Ok(Change::Unchanged);
                }
                VolumeRole::Replica { owner, epoch, .. }
                    if (owner, epoch) == (promote.owner, promote.epoch) => {}
                _ => return Err(stale("it is another replica")),
            }
            if dataset.newest() != Some(promote.snapshot) {
                return Err(failure_of("it ends with another snapshot"));
            }
            let is_changed = dataset.written() > ByteCount::ZERO && !promote.with_changes;
            if dataset.is_mounted || is_changed {
                return Err(failure_of("the copy was touched"));
            }
            (dataset.owner, dataset.epoch) = (self.node, promote.next);
            (dataset.handoff, dataset.partial) = (None, None);
            Ok(Change::Changed)
        });
        let promoted = promoted.await?;
        self.set_the_rest(application, (false, promote.deployment.as_ref()))
            .await?;
        Ok(promoted)
    }

    async fn record_owner(
        &self,
        application: &ApplicationName,
        OwnerClaim { owner, epoch }: OwnerClaim,
    ) -> Result<Change, StepFailure> {
        let recorded = self.act(|state| {
            let dataset = state.disk.pool.volumes.get_mut(application);
            let dataset = dataset.ok_or_else(|| stale("there is no such volume"))?;
            match dataset.role(self.node) {
                VolumeRole::Replica {
                    owner: named,
                    epoch: known,
                    ..
                } if (named, known) == (owner, epoch) => Ok(Change::Unchanged),
                VolumeRole::Replica { epoch: known, .. } if known < epoch && owner != self.node => {
                    (dataset.owner, dataset.epoch) = (owner, epoch);
                    dataset.handoff = None;
                    Ok(Change::Changed)
                }
                _ => Err(stale("it is no replica of an earlier turn")),
            }
        });
        recorded.await
    }

    async fn set_aside(&self, set_aside: &SetAside) -> Result<Change, StepFailure> {
        let name = &set_aside.name.application;
        let protected = self.act(|state| {
            let pool = &mut state.disk.pool;
            let Some(dataset) = pool.shown(name) else {
                return Ok(false);
            };
            let is_other = dataset.newest_of_all() != set_aside.newest;
            if dataset.role(self.node) != set_aside.role || is_other {
                return Err(stale("it is another copy"));
            }
            if dataset.is_mounted && !dataset.is_unfinished {
                return Err(failure_of("it is mounted"));
            }
            if let Some(volume) = pool.volumes.get_mut(name) {
                volume.is_readonly = true;
            }
            Ok(true)
        });
        if !protected.await? {
            return Ok(Change::Unchanged);
        }
        let set = self.act(|state| {
            let pool = &mut state.disk.pool;
            let renamed = pool.volumes.remove(name);
            let renamed = renamed.or_else(|| pool.importing.remove(name));
            let renamed = renamed.or_else(|| pool.receiving.remove(name));
            pool.set_aside.extend(renamed);
            Ok(Change::Changed)
        });
        set.await
    }

    async fn prune_snapshots(
        &self,
        application: &ApplicationName,
        keep: &BTreeSet<SnapshotGuid>,
    ) -> Result<Change, StepFailure> {
        let pruned = self.act(|state| {
            let dataset = state.disk.pool.volumes.get_mut(application);
            let dataset = dataset.ok_or_else(|| stale("there is no such volume"))?;
            let (newest, before) = (dataset.newest(), dataset.snapshots.len());
            dataset
                .snapshots
                .retain(|one| keep.contains(&one.guid) || Some(one.guid) == newest);
            Ok(changed(dataset.snapshots.len() < before))
        });
        pruned.await
    }

    async fn unmount(&self, application: &ApplicationName) -> Result<Change, StepFailure> {
        let unmounted = self.act(|state| {
            state.disk.pool.mount_points.remove(application);
            let in_use =
                state.is_used(application) || state.disk.pool.held.contains_key(application);
            let in_use = in_use && !self.host.faults.breaks(Mutation::LeaveContainersRunning);
            match state.disk.pool.volumes.get_mut(application) {
                Some(dataset) if dataset.is_mounted && in_use => {
                    Err(failure_of("the volume is in use"))
                }
                Some(dataset) if dataset.is_mounted => {
                    dataset.unmount();
                    Ok(Change::Changed)
                }
                _ => Ok(Change::Unchanged),
            }
        });
        unmounted.await
    }

    async fn remove_mount_points(&self) {
        let mut state = self.host.state();
        let pool = &mut state.disk.pool;
        let is_mounted = |name: &_| pool.volumes.get(name).is_some_and(|it| it.is_mounted);
        pool.mount_points.retain(is_mounted);
    }

    async fn prepare_incoming(
        &self,
        application: &ApplicationName,
    ) -> Result<Incoming, StepFailure> {
        let incoming = self.act(|state| {
            let pool = &state.disk.pool;
            let Some(dataset) = pool.shown(application) else {
                return Ok(Incoming::default());
            };
            Ok(Incoming {
                exists: pool.volumes.contains_key(application),
                snapshots: dataset.snapshot_states(),
                resume_token: dataset.partial.as_ref().map(Partial::token),
                ..Incoming::default()
            })
        });
        incoming.await
    }

    async fn receive(
        &self,
        request: &ReceiveRequest,
        mut stream: impl AsyncRead + Send + Unpin,
    ) -> Result<SnapshotGuid, StepFailure> {
        let name = &request.application;
        let broken = || failure_of("the stream broke off");
        let header = Header::read(&mut stream).await.ok_or_else(broken)?;
        let mut left = header.length - header.offset;
        let begun = self.host.act(|state| {
            let pool = &mut state.disk.pool;
            let was_there = pool.receiving.contains_key(name);
            let begun = self.begin_to_receive(pool, (request, header.clone()));
            if begun.is_err() && !was_there {
                pool.receiving.remove(name);
            }
            begun
        });
        begun.await?;
        // ZFS makes the dataset first, and sets its properties then.
        let named = self.act(|state| {
            unfinished(&mut state.disk.pool, name)?.is_nameless = false;
            Ok(())
        });
        named.await?;
        while left > 0 {
            let mut chunk = vec![0; (header.length / PARTS).max(FEWEST_BYTES)];
            let count = stream.read(&mut chunk).await.map_err(|_| broken())?;
            if count == 0 {
                return Err(broken());
            }
            let kept = self.act(|state| {
                let dataset = unfinished(&mut state.disk.pool, name)?;
                if let Some(partial) = &mut dataset.partial {
                    partial.received.extend(&chunk[..count]);
                }
                Ok(())
            });
            kept.await?;
            left -= count;
        }
        let finished = self.act(|state| {
            let pool = &mut state.disk.pool;
            let dataset = unfinished(pool, name)?;
            if self.host.faults.breaks(Mutation::LoseEndsOfStreams)
                && let Some(partial) = &mut dataset.partial
            {
                partial.received.pop();
            }
            dataset.finish();
            if let Some(dataset) = pool.receiving.remove(name) {
                pool.volumes.insert(name.clone(), dataset);
            }
            Ok(header.to)
        });
        finished.await
    }
}

/// Finds what a stream goes into.
fn unfinished<'a>(
    pool: &'a mut Pool,
    application: &ApplicationName,
) -> Result<&'a mut Dataset, StepFailure> {
    let dataset = match pool.volumes.get_mut(application) {
        Some(dataset) => Some(dataset),
        None => pool.receiving.get_mut(application),
    };
    dataset.ok_or_else(|| failure_of("somebody took the dataset away"))
}
