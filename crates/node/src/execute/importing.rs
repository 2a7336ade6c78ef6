//! Bringing data in from outside, and the snapshot of a volume that is taken out.

use std::path::{Path, PathBuf};

use flocker_docker::Writer;
use flocker_model::{ApplicationName, ByteCount, Epoch, ImportContent, ImportTree};
use flocker_remote::protocol::{Change, Progress, StepFailure};
use flocker_zfs::{NewImport, TreeSize};

use crate::execute::ProgressSender;
use crate::failure::failure_of;
use crate::import_source::{ImportSource, check_sources, check_space, directory_of_volume};
use crate::machine::Machine;
use crate::platform::{
    Containers as _, Directories as _, OwnedVolume as _, Platform, Volumes as _,
};

/// Makes a volume of directories of this node.
pub(super) async fn import(
    machine: &Machine<impl Platform>,
    (new, content): (&NewImport, &ImportContent),
    progress: &ProgressSender,
) -> Result<Change, StepFailure> {
    if let ImportContent::Stream(_) = content {
        return Err(failure_of(
            "streams of the operator's machine come as a stream, not as a step",
        ));
    }
    let mut sources = Vec::new();
    for (into, tree) in content.trees() {
        sources.push(ImportSource {
            into: into.cloned(),
            directory: locate(machine, tree).await?,
        });
    }
    let settings = &machine.settings;
    let own = [
        settings.mount_root.as_path(),
        &settings.state_directory,
        &settings.runtime_directory,
    ];
    check_sources(&sources, &own, &writers(machine).await?)?;
    let size = check_room(machine, &new.application, &sources).await?;
    let what = format!("copy {content}");
    let tell = move |done: ByteCount| {
        // The receiver may have ended.
        let _ = progress.send(Progress {
            what: what.clone(),
            done: done.get(),
            total: Some(size.bytes.get()),
        });
    };
    let (directories, sources) = (&machine.directories, &sources);
    let fill = |root: PathBuf| async move { directories.import(sources, &root, tell).await };
    machine.volumes.import(new, fill).await
}

/// Takes a snapshot of a volume, whether its application runs or not.
pub(super) async fn snapshot(
    machine: &Machine<impl Platform>,
    application: &ApplicationName,
    epoch: Epoch,
) -> Result<Change, StepFailure> {
    let volume = machine.volumes.open_owned(application, epoch).await?;
    volume.snapshot().await?;
    Ok(Change::Changed)
}

/// Finds the directory of a tree.
async fn locate(
    machine: &Machine<impl Platform>,
    tree: &ImportTree,
) -> Result<PathBuf, StepFailure> {
    let path = match tree {
        ImportTree::Directory(path) => path.into(),
        ImportTree::DockerVolume(name) => {
            let volume = machine.containers.observe_docker_volume(name).await?;
            directory_of_volume(name, volume)?
        }
    };
    machine.directories.resolve(&path).await
}

/// Lists the containers that run and write to directories of the node, by the directories' own paths.
async fn writers(machine: &Machine<impl Platform>) -> Result<Vec<Writer>, StepFailure> {
    let mut writers = machine.containers.observe_writers().await?;
    for writer in &mut writers {
        for directory in &mut writer.directories {
            // A socket, say, is no directory, and stays as it is.
            if let Ok(resolved) = machine.directories.resolve(directory).await {
                *directory = resolved;
            }
        }
    }
    Ok(writers)
}

/// Makes sure that the pool has room for the trees; returns how much is in them.
async fn check_room(
    machine: &Machine<impl Platform>,
    application: &ApplicationName,
    sources: &[ImportSource],
) -> Result<TreeSize, StepFailure> {
    let mut all = TreeSize::default();
    for ImportSource { directory, .. } in sources {
        let size = machine.directories.measure(Path::new(directory)).await?;
        all.names += size.names;
        all.bytes = all.bytes.saturating_add(size.bytes);
        all.on_disk = all.on_disk.saturating_add(size.on_disk);
    }
    let there = machine.volumes.observe_volume(application).await?;
    let copied = there.map_or(ByteCount::ZERO, |copy| copy.referenced);
    let (pool, _) = machine.volumes.observe_pool().await;
    check_space((all.on_disk, copied), &pool)?;
    Ok(all)
}
