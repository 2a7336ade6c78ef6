//! Directories in memory: only which scratch there is matters to tests.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use flocker_docker::BindMount;
use flocker_model::{ApplicationName, ByteCount, MountSource, VolumeFill};
use flocker_remote::protocol::{Change, StepFailure};
use flocker_zfs::TreeSize;

use super::{Host, changed};
use crate::import_source::ImportSource;
use crate::platform::{Directories, WantedDirectories};

/// The directories of a machine in memory.
#[derive(Debug, Clone)]
pub(crate) struct FakeDirectories {
    pub(in crate::tests) host: Host,
}

/// What the disk has beside pools and Docker.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scratch {
    /// The applications that have scratch directories.
    pub(in crate::tests) applications: BTreeSet<ApplicationName>,
    /// The volumes that were filled, each as often as it was.
    pub(in crate::tests) filled: Vec<ApplicationName>,
}

impl Directories for FakeDirectories {
    async fn fill_volume(
        &self,
        application: &ApplicationName,
        _fill: &VolumeFill,
        _root: &Path,
    ) -> Result<(), StepFailure> {
        let filled = self.host.act(|state| {
            state.disk.scratch.filled.push(application.clone());
            Ok(())
        });
        filled.await
    }

    async fn ensure(&self, wanted: WantedDirectories<'_>) -> Result<Vec<BindMount>, StepFailure> {
        let ensured = self.host.act(|state| {
            let mut binds = Vec::new();
            for mount in wanted.mounts {
                let source = match &mount.source {
                    MountSource::Volume { directory } => {
                        wanted.volume.unwrap_or(Path::new("/")).join(directory)
                    }
                    MountSource::Scratch { directory } => {
                        let name = wanted.application.clone();
                        let path = PathBuf::from("/scratch").join(name.as_str());
                        state.disk.scratch.applications.insert(name);
                        path.join(directory)
                    }
                };
                binds.push(BindMount {
                    source,
                    target: mount.target.clone(),
                });
            }
            Ok(binds)
        });
        ensured.await
    }

    async fn check(&self, _wanted: WantedDirectories<'_>) -> Result<(), StepFailure> {
        Ok(())
    }

    async fn check_sources(
        &self,
        _application: &ApplicationName,
        _volume: Option<&Path>,
        _sources: &[PathBuf],
    ) -> Result<(), StepFailure> {
        Ok(())
    }

    async fn resolve(&self, path: &Path) -> Result<PathBuf, StepFailure> {
        Ok(path.to_owned())
    }

    async fn measure(&self, _root: &Path) -> Result<TreeSize, StepFailure> {
        Ok(Self::size())
    }

    async fn import(
        &self,
        _sources: &[ImportSource],
        root: &Path,
        tell: impl FnMut(ByteCount) + Send,
    ) -> Result<(), StepFailure> {
        self.copy_into(root, tell).await
    }

    async fn remove_scratch(&self, application: &ApplicationName) -> Result<Change, StepFailure> {
        let removed = self
            .host
            .act(|state| Ok(changed(state.disk.scratch.applications.remove(application))));
        removed.await
    }
}
