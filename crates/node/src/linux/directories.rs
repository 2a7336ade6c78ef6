//! Directories are the file system's, and what a new one holds is the image's.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use flocker_docker::{BindMount, Docker, ImageContent};
use flocker_model::{
    ApplicationName, ByteCount, ContainerFile, DIRECTORIES_MARKER, MountPath, MountSource,
    VolumeFill, VolumeLayout,
};
use flocker_remote::protocol::{Change, StepFailure};
use flocker_zfs::TreeSize;

use super::entries::{is_directory, is_directory_all_the_way, make, make_all, remove_left_over};
use super::given::{Given, check_sources};
use super::host_paths::{check_device, check_host_path};
use super::marker::write_marker;
use super::{changed, files, importing};
use crate::failure::{OrFailure as _, failed_to, failure_of};
use crate::import_source::ImportSource;
use crate::platform::{Directories, WantedDirectories};

/// The beginning of the name of a directory that is being filled.
pub(super) const UNFINISHED: &str = ".flocker-new-";

/// The directories of this machine.
#[derive(Debug, Clone)]
pub(crate) struct FileSystem {
    /// What shows the content of images.
    pub(crate) docker: Docker,
    /// Below which each application has its scratch directories.
    pub(crate) scratch: PathBuf,
    /// Below which each application has the files that it is given.
    pub(crate) files: PathBuf,
    /// Flocker's own directories, of which no container is given anything as a path of the node.
    pub(crate) own: Vec<PathBuf>,
}

impl Directories for FileSystem {
    async fn fill_volume(
        &self,
        application: &ApplicationName,
        fill: &VolumeFill,
        root: &Path,
    ) -> Result<(), StepFailure> {
        let content = |path| ImageContent {
            image: &fill.image,
            path,
            user: fill.user.as_ref(),
        };
        match &fill.layout {
            VolumeLayout::Whole { mountpoint } => {
                self.copy(application, content(mountpoint), root).await
            }
            VolumeLayout::Directories { directories } => {
                write_marker(root)?;
                for (mountpoint, name) in directories {
                    let directory = root.join(name.as_str());
                    make(&directory, 0o755)?;
                    self.copy(application, content(mountpoint), &directory)
                        .await?;
                }
                Ok(())
            }
        }
    }

    async fn ensure(&self, wanted: WantedDirectories<'_>) -> Result<Vec<BindMount>, StepFailure> {
        if let Some(root) = wanted.volume {
            check_layout(wanted.owner, root, wanted.sees_top)?;
        }
        let mut binds = Vec::with_capacity(wanted.mounts.len());
        for mount in wanted.mounts {
            let source = match (&mount.source, wanted.volume) {
                (MountSource::Volume { directory }, Some(root))
                    if wanted.owner != wanted.application =>
                {
                    ensure_shared(wanted, (root, directory))?
                }
                (MountSource::Volume { directory }, Some(root)) => {
                    self.ensure_below(wanted, (root, directory), &mount.target)
                        .await?
                }
                (MountSource::Volume { .. }, None) => {
                    let message = "a directory of a volume was asked for where there is none";
                    return Err(failure_of(message));
                }
                (MountSource::Host { path }, _) => {
                    check_host_path(&self.own, wanted.application, path)?
                }
                (MountSource::Scratch { directory }, _) => {
                    let root = self.scratch_of(wanted.application);
                    make_all(&root)?;
                    self.ensure_below(wanted, (&root, directory), &mount.target)
                        .await?
                }
            };
            binds.push(BindMount {
                source,
                target: mount.target.clone(),
                read_only: mount.read_only,
            });
        }
        Ok(binds)
    }

    async fn check(&self, wanted: WantedDirectories<'_>) -> Result<(), StepFailure> {
        for mount in wanted.mounts {
            if let MountSource::Host { path } = &mount.source {
                check_host_path(&self.own, wanted.application, path)?;
            }
        }
        for device in wanted.devices {
            check_device(wanted.application, &device.source)?;
        }
        let Some(root) = wanted.volume else {
            return Ok(());
        };
        check_layout(wanted.owner, root, wanted.sees_top)?;
        for mount in wanted.mounts {
            if let MountSource::Volume { directory } = &mount.source {
                // One that is missing will be made.
                is_directory_all_the_way(root, Path::new(directory))?;
            }
        }
        Ok(())
    }

    async fn check_sources(
        &self,
        application: &ApplicationName,
        volume: Option<&Path>,
        sources: &[PathBuf],
    ) -> Result<(), StepFailure> {
        let given = Given {
            volume,
            scratch: &self.scratch_of(application),
            files: &self.files.join(application.as_str()),
        };
        check_sources(&self.own, (application, given), sources)
    }

    async fn ensure_files(
        &self,
        application: &ApplicationName,
        files: &BTreeMap<MountPath, ContainerFile>,
    ) -> Result<Vec<BindMount>, StepFailure> {
        files::ensure(&self.files.join(application.as_str()), files)
    }

    async fn forget_other_files(
        &self,
        application: &ApplicationName,
        files: &BTreeMap<MountPath, ContainerFile>,
    ) -> Result<Change, StepFailure> {
        files::forget_others(&self.files.join(application.as_str()), files)
    }

    async fn resolve(&self, path: &Path) -> Result<PathBuf, StepFailure> {
        importing::resolve(path).await
    }

    async fn measure(&self, root: &Path) -> Result<TreeSize, StepFailure> {
        importing::measure(root).await
    }

    async fn import(
        &self,
        sources: &[ImportSource],
        root: &Path,
        tell: impl FnMut(ByteCount) + Send,
    ) -> Result<(), StepFailure> {
        importing::import(sources, root, tell).await
    }

    async fn remove_scratch(&self, application: &ApplicationName) -> Result<Change, StepFailure> {
        let directory = self.scratch_of(application);
        let path = directory.clone();
        let removed = tokio::task::spawn_blocking(move || fs::remove_dir_all(path)).await;
        match removed.or_failed_to("a directory cannot be removed")? {
            Ok(()) => Ok(changed(true)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(changed(false)),
            Err(error) => Err(failed_to(
                format!(
                    "cannot remove the scratch directory {}",
                    directory.display()
                ),
                &error,
            )),
        }
    }
}

impl FileSystem {
    /// Returns the directory that has all scratch directories of an application.
    fn scratch_of(&self, application: &ApplicationName) -> PathBuf {
        self.scratch.join(application.as_str())
    }

    /// Makes sure of `directory` below `root`; the last of its names is filled if it is new.
    async fn ensure_below(
        &self,
        wanted: WantedDirectories<'_>,
        (root, directory): (&Path, &str),
        target: &MountPath,
    ) -> Result<PathBuf, StepFailure> {
        if directory.is_empty() {
            return Ok(root.to_owned());
        }
        let (parents, name) = directory.rsplit_once('/').unwrap_or(("", directory));
        let parent = ensure_parents(root, parents)?;
        let path = parent.join(name);
        if is_directory(&path)? {
            return Ok(path);
        }
        let unfinished = parent.join(format!("{UNFINISHED}{name}"));
        remove_left_over(&unfinished)?;
        make(&unfinished, 0o755)?;
        let content = ImageContent {
            image: wanted.image,
            path: target,
            user: wanted.user,
        };
        self.copy(wanted.application, content, &unfinished).await?;
        fs::rename(&unfinished, &path)
            .or_failed_to(format!("cannot make the directory {}", path.display()))?;
        Ok(path)
    }

    /// Copies what an image has at a path.
    async fn copy(
        &self,
        application: &ApplicationName,
        content: ImageContent<'_>,
        into: &Path,
    ) -> Result<(), StepFailure> {
        let copied = self
            .docker
            .copy_from_image(application, content, into)
            .await;
        copied.or_failure()
    }
}

/// Makes sure of `directory` in a volume of another application, empty if it is new.
///
/// The directories that the owner's mount points show are made, and filled, by the owner alone.
fn ensure_shared(
    wanted: WantedDirectories<'_>,
    (root, directory): (&Path, &str),
) -> Result<PathBuf, StepFailure> {
    let of_owner = directory.split('/').next().unwrap_or_default();
    if !wanted.sees_top && !is_directory(&root.join(of_owner))? {
        let (name, owner) = (wanted.application, wanted.owner);
        return Err(StepFailure {
            hint: Some(format!("start `{owner}` first, which makes and fills it")),
            ..failure_of(format!(
                "`{name}` is given the directory `{of_owner}` of the volume of `{owner}`, which is \
                 not there yet"
            ))
        });
    }
    ensure_parents(root, directory)
}

/// Makes sure of the directories on the way to one, and returns the last of them.
fn ensure_parents(root: &Path, parents: &str) -> Result<PathBuf, StepFailure> {
    let mut path = root.to_owned();
    for name in parents.split('/').filter(|name| !name.is_empty()) {
        path.push(name);
        if !is_directory(&path)? {
            make(&path, 0o755)?;
        }
    }
    Ok(path)
}

/// Refuses a volume that is used in the other layout: the application would not find its data.
fn check_layout(
    application: &ApplicationName,
    root: &Path,
    sees_top: bool,
) -> Result<(), StepFailure> {
    let marker = root.join(DIRECTORIES_MARKER);
    let has_marker = marker
        .try_exists()
        .or_failed_to(format!("cannot look for {}", marker.display()))?;
    if has_marker != sees_top {
        return Ok(());
    }
    let (is, wants) = if has_marker {
        ("has a directory for each mount point", "volume")
    } else {
        ("was mounted as a whole", "volumes")
    };
    Err(StepFailure {
        hint: Some(format!(
            "keep the key that `{application}` had; docs/operations.md says under “From one mount \
             point to several” how a volume is converted"
        )),
        ..failure_of(format!(
            "the volume of `{application}` {is} so far; with `{wants}` the application would not \
             find its data"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_layout_is_taken_for_the_other() {
        let root = tempfile::tempdir().unwrap();
        let name = "gitlab".parse().unwrap();
        assert!(check_layout(&name, root.path(), true).is_ok());
        let refused = check_layout(&name, root.path(), false).unwrap_err();
        assert!(
            refused.message.contains("mounted as a whole"),
            "{refused:?}"
        );
        write_marker(root.path()).unwrap();
        assert!(check_layout(&name, root.path(), false).is_ok());
        assert!(check_layout(&name, root.path(), true).is_err());
    }
}
