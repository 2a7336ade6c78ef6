//! Owned volumes in memory: mounted, snapshotted and sent.

use std::collections::BTreeSet;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use flocker_model::{ApplicationName, ByteCount, Epoch, SnapshotGuid, VolumeCopy};
use flocker_remote::protocol::{Change, StepFailure};
use flocker_zfs::{Cause, Incoming, KernelFailed, SnapshotError, Transfer};

use super::changed;
use super::pool::{Dataset, Trouble, parse_token};
use super::stream::Header;
use super::volumes::{FakeVolumes, stale};
use crate::failure::{failure, failure_of};
use crate::platform::{OwnedVolume, Sending, Volumes as _};

/// A volume that was owned a moment ago.
#[derive(Debug)]
pub(crate) struct FakeOwned {
    pub(super) volumes: FakeVolumes,
    pub(super) application: ApplicationName,
    pub(super) epoch: Epoch,
    pub(super) copy: VolumeCopy,
}

/// A volume that is mounted.
#[derive(Debug)]
pub(crate) struct FakeMounted(PathBuf);

impl AsRef<Path> for FakeMounted {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

impl FakeOwned {
    /// Mounts the volume for a moment, as the real ones do, so that nothing is left in its intent log.
    async fn replay_log(&self) -> Result<(), StepFailure> {
        self.act(|dataset| {
            let is_sealed = dataset.is_readonly;
            dataset.mount();
            dataset.is_readonly = is_sealed;
            Ok(())
        })
        .await?;
        self.act(|dataset| {
            dataset.unmount();
            Ok(())
        })
        .await
    }

    /// Does something to the volume.
    async fn act<T>(
        &self,
        work: impl FnOnce(&mut Dataset) -> Result<T, StepFailure>,
    ) -> Result<T, StepFailure> {
        let done = self.volumes.act(|state| {
            let dataset = state.disk.pool.volumes.get_mut(&self.application);
            work(dataset.ok_or_else(|| stale("there is no such volume"))?)
        });
        done.await
    }
}

impl OwnedVolume for FakeOwned {
    type Mounted = FakeMounted;

    fn epoch(&self) -> Epoch {
        self.epoch
    }

    fn copy(&self) -> &VolumeCopy {
        &self.copy
    }

    async fn mount(self) -> Result<FakeMounted, StepFailure> {
        let is_obstructed = {
            let state = self.volumes.host.state();
            state.disk.pool.obstructed.contains(&self.application)
        };
        if let Some(dataset) = self.copy.key_needed {
            return Err(failure_of(format!("the key of {dataset} is not loaded")));
        }
        if is_obstructed {
            return Err(failure_of("files are in the volume's place"));
        }
        // Others may do as much meanwhile as they could on a machine.
        tokio::task::yield_now().await;
        let was_mounted = self.copy.mounted.is_some();
        self.act(|dataset| {
            if dataset.is_mounted && !was_mounted {
                return Err(failure_of("the volume's directory is not empty"));
            }
            dataset.mount();
            Ok(())
        })
        .await?;
        Ok(FakeMounted(self.volumes.mountpoint_of(&self.application)))
    }

    async fn seal(self) -> Result<(), StepFailure> {
        self.replay_log().await?;
        self.act(|dataset| {
            dataset.is_readonly = true;
            Ok(())
        })
        .await
    }

    async fn snapshot(self) -> Result<SnapshotGuid, StepFailure> {
        if self.copy.mounted.is_none() {
            self.replay_log().await?;
        }
        let trouble = self.volumes.host.state().disk.pool.trouble;
        let application = &self.application;
        self.act(|dataset| {
            let settled = dataset
                .newest()
                .filter(|_| !dataset.is_mounted && dataset.written() == ByteCount::ZERO);
            if let Some(settled) = settled {
                return Ok(settled);
            }
            if trouble == Some(Trouble::Full) {
                return Err(failure(&no_space_for_snapshot(application)));
            }
            let guid = self.volumes.guids.next();
            dataset.take_snapshot(guid);
            Ok(guid)
        })
        .await
    }

    async fn set_maximum_size(self, maximum: Option<ByteCount>) -> Result<Change, StepFailure> {
        self.act(|dataset| {
            let referenced = ByteCount::new(dataset.contents.len() as u64);
            if maximum.is_some_and(|maximum| maximum < referenced) {
                return Err(failure_of("it has more in it"));
            }
            let before = std::mem::replace(&mut dataset.maximum_size, maximum);
            Ok(changed(before != maximum))
        })
        .await
    }

    async fn send(
        &self,
        target: SnapshotGuid,
        incoming: &Incoming,
    ) -> Result<Option<Sending>, StepFailure> {
        let plan = self.act(|dataset| plan_send(dataset, target, incoming));
        let Some((header, transfer, bytes)) = plan.await? else {
            return Ok(None);
        };
        let stream = header.stream(&bytes);
        Ok(Some(Sending {
            transfer,
            estimate: ByteCount::new(stream.len() as u64),
            stream: Box::new(Cursor::new(stream)),
            completion: Box::pin(std::future::ready(Ok(()))),
        }))
    }
}

/// What the real ones say when a pool is full.
fn no_space_for_snapshot(application: &ApplicationName) -> SnapshotError {
    SnapshotError::Kernel(KernelFailed {
        operation: "snapshot",
        subject: format!("tank/flocker/{application}@flocker-1-000001"),
        cause: Cause::NO_SPACE,
    })
}

/// Decides what to send, by the rules of the real ones.
fn plan_send(
    dataset: &Dataset,
    target: SnapshotGuid,
    incoming: &Incoming,
) -> Result<Option<(Header, Transfer, Vec<u8>)>, StepFailure> {
    let there: BTreeSet<SnapshotGuid> = incoming.snapshots.iter().map(|(guid, _)| *guid).collect();
    if there.contains(&target) {
        return Ok(None);
    }
    let place = dataset.position(target);
    let place = place.ok_or_else(|| failure_of("there is no such snapshot"))?;
    let newest_there = incoming.snapshots.last().map(|(guid, _)| *guid);
    let base = newest_there.map(|guid| dataset.position(guid));
    let (base, offset, place, transfer) = match (&incoming.resume_token, base) {
        (Some(token), base) if resumes(dataset, token).is_some() => {
            let (place, offset) = resumes(dataset, token).unwrap_or_default();
            let token = token.clone();
            (base.flatten(), offset, place, Transfer::Resume { token })
        }
        (_, None) => (None, 0, place, Transfer::Full),
        (_, Some(Some(base))) if base < place => {
            let from = dataset.snapshots[base].guid;
            (Some(base), 0, place, Transfer::Incremental { from })
        }
        _ => return Err(failure_of("the copies went different ways")),
    };
    let base = base.map(|base| &dataset.snapshots[base]);
    let known = base.map_or(0, |base| base.contents.len());
    let to = &dataset.snapshots[place];
    let bytes = &to.contents[known..];
    let header = Header {
        from: base.map(|base| base.guid),
        to: to.guid,
        name: to.name.clone(),
        length: bytes.len(),
        offset,
    };
    Ok(Some((header, transfer, bytes[offset..].to_vec())))
}

/// Reads a token, if its snapshot is still here.
fn resumes(dataset: &Dataset, token: &str) -> Option<(usize, usize)> {
    let (guid, offset) = parse_token(token)?;
    Some((dataset.position(guid)?, offset))
}
