//! The directories of the node that containers see at their mount points.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::path::{Path, PathBuf};

use flocker_docker::BindMount;
use flocker_model::{
    ApplicationName, ByteCount, ContainerFile, ContainerMount, ContainerUser, DeviceMapping,
    ImageReference, MountPath, VolumeFill,
};
use flocker_remote::protocol::{Change, StepFailure};
use flocker_zfs::TreeSize;

use crate::import_source::ImportSource;

/// The directories that a container is to see.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WantedDirectories<'a> {
    /// The application.
    pub(crate) application: &'a ApplicationName,
    /// The application whose volume it sees, if it sees one.
    pub(crate) owner: &'a ApplicationName,
    /// The image whose content a new directory is filled with.
    pub(crate) image: &'a ImageReference,
    /// The user whose a new directory is where the image has nothing, if it is not the image's own.
    pub(crate) user: Option<&'a ContainerUser>,
    /// Where the volume is mounted, if there is one.
    pub(crate) volume: Option<&'a Path>,
    /// Whether the container sees the volume's top, and not only directories of it.
    pub(crate) sees_top: bool,
    /// The container's mount points, outer ones first.
    pub(crate) mounts: &'a [ContainerMount],
    /// The devices of the node that it may use.
    pub(crate) devices: &'a BTreeSet<DeviceMapping>,
}

/// The directories of one machine.
pub(crate) trait Directories: Clone + Debug + Send + Sync + 'static {
    /// Puts the image's content at the volume's mount points into a volume that is being made, whose
    /// empty top is `root`.
    fn fill_volume(
        &self,
        application: &ApplicationName,
        fill: &VolumeFill,
        root: &Path,
    ) -> impl Future<Output = Result<(), StepFailure>> + Send;

    /// Makes sure of a directory behind every mount point. One that is missing is made with what the
    /// image has there, whole or not at all; one that exists is left as it is.
    ///
    /// Fails where a directory of a volume is a symbolic link, which could lead out of it, where the
    /// volume was used in the other layout so far, where another application's volume lacks a directory
    /// that only that application makes, and where a path of the node does not exist.
    fn ensure(
        &self,
        wanted: WantedDirectories<'_>,
    ) -> impl Future<Output = Result<Vec<BindMount>, StepFailure>> + Send;

    /// Looks at the directories as [`ensure`](Self::ensure) does, and makes nothing.
    fn check(
        &self,
        wanted: WantedDirectories<'_>,
    ) -> impl Future<Output = Result<(), StepFailure>> + Send;

    /// Looks whether what a container that exists is given is still what it was: directories all the
    /// way, and no symbolic link that the application has put there since.
    fn check_sources(
        &self,
        application: &ApplicationName,
        volume: Option<&Path>,
        sources: &[PathBuf],
    ) -> impl Future<Output = Result<(), StepFailure>> + Send;

    /// Makes sure of the files that a container is given: whole, with their owners and permissions.
    /// Those of another configuration of the application are left as they are, because the
    /// container that sees them may yet be started again.
    fn ensure_files(
        &self,
        application: &ApplicationName,
        files: &BTreeMap<MountPath, ContainerFile>,
    ) -> impl Future<Output = Result<Vec<BindMount>, StepFailure>> + Send;

    /// Removes all files of an application but these.
    fn forget_other_files(
        &self,
        application: &ApplicationName,
        files: &BTreeMap<MountPath, ContainerFile>,
    ) -> impl Future<Output = Result<Change, StepFailure>> + Send;

    /// Follows every symbolic link on the way to a directory; fails if it is none.
    fn resolve(&self, path: &Path) -> impl Future<Output = Result<PathBuf, StepFailure>> + Send;

    /// Looks through a directory tree.
    fn measure(&self, root: &Path) -> impl Future<Output = Result<TreeSize, StepFailure>> + Send;

    /// Copies trees with all that belongs to them into a volume that is being imported, whose top is
    /// `root`, and compares. What is there already is not copied again. `tell` is told how many bytes
    /// were copied.
    fn import(
        &self,
        sources: &[ImportSource],
        root: &Path,
        tell: impl FnMut(ByteCount) + Send,
    ) -> impl Future<Output = Result<(), StepFailure>> + Send;

    /// Removes an application's scratch directories with all that is in them.
    fn remove_scratch(
        &self,
        application: &ApplicationName,
    ) -> impl Future<Output = Result<Change, StepFailure>> + Send;
}
