//! Directories in memory: only which scratch there is matters to tests.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use flocker_docker::BindMount;
use flocker_model::{
    ApplicationName, ByteCount, ContainerFile, Digest, HostPath, MountPath, MountSource, VolumeFill,
};
use flocker_remote::protocol::{Change, StepFailure};
use flocker_zfs::TreeSize;

use super::{Host, changed};
use crate::failure::failure_of;
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
    /// The files that applications are given, by their digest.
    pub(in crate::tests) files: BTreeMap<ApplicationName, BTreeSet<Digest>>,
    /// The volumes that were filled, each as often as it was.
    pub(in crate::tests) filled: Vec<ApplicationName>,
    /// The paths that are not Flocker's.
    pub(in crate::tests) host_paths: BTreeSet<HostPath>,
}

impl Scratch {
    /// Finds a path that is not Flocker's.
    fn host_path(&self, path: &HostPath) -> Result<PathBuf, StepFailure> {
        if self.host_paths.contains(path) {
            Ok(PathBuf::from(path.as_str()))
        } else {
            Err(failure_of(format!("{path} does not exist on this node")))
        }
    }
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
                    MountSource::Host { path } => state.disk.scratch.host_path(path)?,
                };
                binds.push(BindMount {
                    source,
                    target: mount.target.clone(),
                    read_only: mount.read_only,
                });
            }
            Ok(binds)
        });
        ensured.await
    }

    async fn check(&self, wanted: WantedDirectories<'_>) -> Result<(), StepFailure> {
        let checked = self.host.act(|state| {
            for mount in wanted.mounts {
                if let MountSource::Host { path } = &mount.source {
                    state.disk.scratch.host_path(path)?;
                }
            }
            Ok(())
        });
        checked.await
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

    async fn ensure_files(
        &self,
        application: &ApplicationName,
        files: &BTreeMap<MountPath, ContainerFile>,
    ) -> Result<Vec<BindMount>, StepFailure> {
        if files.is_empty() {
            return Ok(Vec::new());
        }
        let ensured = self.host.act(|state| {
            let digest = Digest::of(files);
            let kept = state.disk.scratch.files.entry(application.clone());
            kept.or_default().insert(digest);
            let binds = files.keys().map(|target| BindMount {
                source: PathBuf::from("/files").join(application.as_str()),
                target: target.clone(),
                read_only: true,
            });
            Ok(binds.collect())
        });
        ensured.await
    }

    async fn forget_other_files(
        &self,
        application: &ApplicationName,
        files: &BTreeMap<MountPath, ContainerFile>,
    ) -> Result<Change, StepFailure> {
        let forgotten = self.host.act(|state| {
            let all = &mut state.disk.scratch.files;
            let before = all.remove(application).unwrap_or_default();
            let mut kept = before.clone();
            kept.retain(|digest| !files.is_empty() && *digest == Digest::of(files));
            let change = changed(kept != before);
            if !kept.is_empty() {
                all.insert(application.clone(), kept);
            }
            Ok(change)
        });
        forgotten.await
    }
}
