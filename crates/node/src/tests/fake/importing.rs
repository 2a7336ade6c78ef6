//! Data from outside that becomes volumes in memory.

use std::path::{Path, PathBuf};

use flocker_model::{ApplicationName, ByteCount, VolumeRole};
use flocker_remote::protocol::{Change, StepFailure};
use flocker_zfs::{NewImport, TreeSize};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::directories::FakeDirectories;
use super::pool::{Dataset, Pool};
use super::stream::Header;
use super::volumes::{FakeVolumes, stale};
use crate::failure::failure_of;
use crate::platform::Volumes as _;

/// The content of every directory tree outside of Flocker.
pub(crate) const IMPORTED: &[u8] = b"imported;";

/// The state of the place of an import.
enum Found {
    Finished,
    Partial,
    Empty,
}

/// Looks at the place, and makes sure that nothing else is there.
fn look(pool: &Pool, new: &NewImport, volumes: &FakeVolumes) -> Result<Found, StepFailure> {
    let from = Some(&new.from);
    let is_finished = |found: &Dataset| {
        let is_ours =
            matches!(found.role(volumes.node), VolumeRole::Owned { epoch } if epoch.is_beginning());
        is_ours && found.import.as_ref() == from
    };
    match pool.shown(&new.application) {
        None => Ok(Found::Empty),
        Some(found) if found.is_unfinished && found.import.as_ref() == from => Ok(Found::Partial),
        Some(found) if found.is_unfinished => Err(failure_of("another import is not finished")),
        Some(found) if is_finished(found) => Ok(Found::Finished),
        Some(_) => Err(stale("a dataset is in its place")),
    }
}

impl FakeVolumes {
    /// See [`crate::platform::Volumes::import`].
    pub(super) async fn import_filled<F>(
        &self,
        new: &NewImport,
        fill: impl FnOnce(PathBuf) -> F + Send,
    ) -> Result<Change, StepFailure>
    where
        F: Future<Output = Result<(), StepFailure>> + Send,
    {
        let name = &new.application;
        let begun = self.act(|state| {
            let pool = &mut state.disk.pool;
            if let Found::Finished = look(pool, new, self)? {
                return Ok(false);
            }
            let importing = pool.importing.entry(name.clone());
            let dataset = importing.or_insert_with(|| self.unfinished(new));
            dataset.mount();
            Ok(true)
        });
        if !begun.await? {
            return Ok(Change::Unchanged);
        }
        fill(self.mountpoint_of(name)).await?;
        let unmounted = self.act(|state| {
            let dataset = state.disk.pool.importing.get_mut(name);
            dataset.ok_or_else(gone)?.unmount();
            Ok(())
        });
        unmounted.await?;
        self.finish(new).await
    }

    /// See [`crate::platform::Volumes::import_stream`].
    pub(super) async fn import_streamed(
        &self,
        new: &NewImport,
        mut stream: impl AsyncRead + Send + Unpin,
    ) -> Result<Change, StepFailure> {
        let broken = || failure_of("the stream broke off");
        let header = Header::read(&mut stream).await.ok_or_else(broken)?;
        if header.from.is_some() || header.offset > 0 {
            return Err(failure_of("the stream is not a full one"));
        }
        let name = &new.application;
        let begun = self.act(|state| {
            let pool = &mut state.disk.pool;
            if let Found::Finished = look(pool, new, self)? {
                return Err(stale("an import has made it"));
            }
            // In the place of whatever an interrupted attempt left.
            pool.importing.insert(name.clone(), self.unfinished(new));
            Ok(())
        });
        begun.await?;
        let mut contents = Vec::new();
        stream
            .read_to_end(&mut contents)
            .await
            .map_err(|_| broken())?;
        if contents.len() < header.length {
            return Err(broken());
        }
        let received = self.act(|state| {
            let dataset = state.disk.pool.importing.get_mut(name);
            dataset.ok_or_else(gone)?.receive_all(header.to, contents);
            Ok(())
        });
        received.await?;
        self.finish(new).await
    }

    /// A dataset that is no volume yet.
    fn unfinished(&self, new: &NewImport) -> Dataset {
        let mut dataset = Dataset::new(self.node, new.epoch);
        dataset.is_unfinished = true;
        dataset.import = Some(new.from.clone());
        dataset
    }

    /// Takes the first snapshot, then gives the dataset its owner and its name.
    async fn finish(&self, new: &NewImport) -> Result<Change, StepFailure> {
        let name = &new.application;
        let snapshotted = self.act(|state| {
            let dataset = state.disk.pool.importing.get_mut(name).ok_or_else(gone)?;
            if dataset.newest().is_none() || dataset.written() > ByteCount::ZERO {
                // One that was cut right after its snapshot has written since.
                dataset.snapshots.clear();
                dataset.take_snapshot(self.guids.next());
            }
            Ok(())
        });
        snapshotted.await?;
        let named = self.act(|state| {
            let pool = &mut state.disk.pool;
            let mut dataset = pool.importing.remove(name).ok_or_else(gone)?;
            dataset.is_unfinished = false;
            dataset.epoch = new.epoch;
            dataset.deployment.clone_from(&new.deployment);
            pool.volumes.insert(name.clone(), dataset);
            Ok(Change::Changed)
        });
        named.await
    }
}

fn gone() -> StepFailure {
    failure_of("somebody took the dataset away")
}

impl FakeDirectories {
    /// Every tree has the same in it.
    pub(super) fn size() -> TreeSize {
        let bytes = ByteCount::new(IMPORTED.len() as u64);
        TreeSize {
            names: 1,
            bytes,
            on_disk: bytes,
        }
    }

    /// Copies in two parts what is not there yet.
    pub(super) async fn copy_into(
        &self,
        root: &Path,
        mut tell: impl FnMut(ByteCount) + Send,
    ) -> Result<(), StepFailure> {
        let name = root.file_name().and_then(|name| name.to_str());
        let name: ApplicationName = name.unwrap_or_default().parse().map_err(|_| gone())?;
        for part in [4, IMPORTED.len()] {
            let copied = self.host.act(|state| {
                let dataset = state.disk.pool.importing.get_mut(&name).ok_or_else(gone)?;
                let there = dataset.contents.len();
                if there < part {
                    dataset.write(&IMPORTED[there..part]);
                }
                Ok(())
            });
            copied.await?;
            tell(ByteCount::new(part as u64));
        }
        Ok(())
    }
}
