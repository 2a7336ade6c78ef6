//! Accounts for the paths that an image declares as volumes, so that Docker makes none by itself.
//!
//! Docker gives a container an anonymous volume at each such path that no mount covers exactly. What
//! is written there does not move with the application, and is deleted when that leaves the node.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use flocker_model::{
    ApplicationName, ContainerMount, ContainerSpecification, DirectoryName, MountPath, MountSource,
    TmpfsOptions,
};
use serde::{Deserialize, Serialize};

use crate::Note;

/// Every mount point that a container gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accounted {
    /// The mount points, outer ones before those inside them.
    pub mounts: Vec<ContainerMount>,
    /// Paths that only the image declares. They are scratch, because the application has no volume.
    pub implicit: BTreeSet<MountPath>,
    /// File systems in memory beside those of the application: at paths inside of these that the
    /// image declares.
    pub memory: BTreeMap<MountPath, TmpfsOptions>,
    /// Paths that the image declares and that are in memory, though the application has a volume.
    pub forgotten: BTreeSet<MountPath>,
}

/// Paths that an image declares as volumes and that no key of the application covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unaccounted {
    /// The paths, as the image writes them.
    pub paths: BTreeSet<String>,
    /// The application whose volume it sees, if it sees another's.
    pub owner: Option<ApplicationName>,
}

/// Finds a directory for every mount point of the application and for every volume of its image.
///
/// A volume of the image below a mount point of the application is a directory of what is mounted
/// there. Below a file system in memory it is another one, with the same options. Outside of all
/// mount points it is scratch if the application has no volume.
///
/// # Errors
///
/// Refuses paths outside of all mount points if the application has a volume: what is written there
/// may be part of its data, and only the user can tell.
pub fn account(
    specification: &ContainerSpecification,
    image_volumes: &BTreeSet<String>,
) -> Result<Accounted, Unaccounted> {
    let mut mounts = declared(specification);
    let mut implicit = BTreeSet::new();
    let mut memory = BTreeMap::new();
    let mut forgotten = BTreeSet::new();
    let mut unaccounted = BTreeSet::new();
    for text in image_volumes {
        let Ok(path) = text.parse::<MountPath>() else {
            unaccounted.insert(text.clone());
            continue;
        };
        let path = path.cleaned();
        if specification.files.contains_key(&path) {
            continue;
        }
        if let Some((depth, options)) = in_memory(specification, &mounts, &path) {
            if depth > 0 {
                memory.insert(path.clone(), options.clone());
            }
            // The application's own word is about the path of the `tmpfs`, and not about those below.
            if specification.volume_owner().is_some() || depth > 0 {
                forgotten.insert(path);
            }
            continue;
        }
        match enclosing(&mounts, &path) {
            Some((_, inner)) if inner.is_empty() => {}
            Some((outer, inner)) => match inside(outer, &path, &inner) {
                Some(mount) => mounts.push(mount),
                None => {
                    unaccounted.insert(text.clone());
                }
            },
            None if specification.volume_owner().is_some() => {
                unaccounted.insert(text.clone());
            }
            None => {
                mounts.push(scratch(&path));
                implicit.insert(path);
            }
        }
    }
    if !unaccounted.is_empty() {
        let shared = specification.shared.as_ref();
        return Err(Unaccounted {
            paths: unaccounted,
            owner: shared.map(|shared| shared.application.clone()),
        });
    }
    // A path sorts before every path inside it.
    mounts.sort();
    Ok(Accounted {
        mounts,
        implicit,
        memory,
        forgotten,
    })
}

/// Finds the file system in memory that a path is at or below, and how far below: the application's
/// own word that what is written there can be lost. A mount point between the two goes before it.
fn in_memory<'s>(
    specification: &'s ContainerSpecification,
    mounts: &[ContainerMount],
    path: &MountPath,
) -> Option<(usize, &'s TmpfsOptions)> {
    let depth_in = |outer: &MountPath| outer.relative(path).map(|inner| inner.len());
    let tmpfs = specification.options.isolation.tmpfs.iter();
    let (depth, options) = tmpfs
        .filter_map(|(outer, options)| Some((depth_in(&outer.cleaned())?, options)))
        .min_by_key(|(depth, _)| *depth)?;
    let mut mounts = mounts.iter().filter_map(|mount| depth_in(&mount.target));
    mounts
        .all(|other| other > depth)
        .then_some((depth, options))
}

/// Lists the mount points that the application configuration names.
pub(crate) fn declared(specification: &ContainerSpecification) -> Vec<ContainerMount> {
    let volume = |path: &MountPath, directory: Option<&DirectoryName>, read_only| ContainerMount {
        target: path.cleaned(),
        source: MountSource::Volume {
            directory: directory.map_or_else(String::new, ToString::to_string),
        },
        read_only,
    };
    let whole = specification.mountpoint.iter();
    let whole = whole.map(|path| volume(path, None, false));
    let directories = specification.directories.iter();
    let directories = directories.map(|(path, name)| volume(path, Some(name), false));
    let shared = specification
        .shared
        .iter()
        .flat_map(|shared| &shared.mounts);
    let shared =
        shared.map(|(path, mount)| volume(path, mount.directory.as_ref(), mount.read_only));
    let scratches = specification.scratch.iter().map(scratch);
    let host = specification
        .host_mounts
        .iter()
        .map(|(path, mount)| ContainerMount {
            target: path.cleaned(),
            source: MountSource::Host {
                path: mount.source.clone(),
            },
            read_only: mount.read_only,
        });
    let volumes = whole.chain(directories).chain(shared);
    volumes.chain(scratches).chain(host).collect()
}

/// Names the scratch directory of a path: `/data/cache` is `data:cache`, because no mount point has
/// a colon in it.
fn scratch(path: &MountPath) -> ContainerMount {
    let names: Vec<&str> = path.components().collect();
    ContainerMount {
        target: path.cleaned(),
        source: MountSource::Scratch {
            directory: names.join(":"),
        },
        read_only: false,
    }
}

/// Finds the innermost mount point that a path is at or below, and the path from there.
fn enclosing<'m>(
    mounts: &'m [ContainerMount],
    path: &MountPath,
) -> Option<(&'m ContainerMount, String)> {
    mounts
        .iter()
        .filter_map(|mount| Some((mount, mount.target.relative(path)?)))
        .min_by_key(|(_, inner)| inner.len())
        .map(|(mount, inner)| (mount, inner.join("/")))
}

/// Makes a path inside of a mount point one of its own, which shows the same.
fn inside(outer: &ContainerMount, path: &MountPath, inner: &str) -> Option<ContainerMount> {
    Some(ContainerMount {
        target: path.clone(),
        source: below(&outer.source, inner)?,
        read_only: outer.read_only,
    })
}

/// Returns the directory `inner` of what a mount point shows, unless it is Flocker's own.
fn below(source: &MountSource, inner: &str) -> Option<MountSource> {
    let join = |directory: &str| {
        if directory.is_empty() {
            inner.to_owned()
        } else {
            format!("{directory}/{inner}")
        }
    };
    Some(match source {
        MountSource::Volume { directory } => MountSource::Volume {
            directory: join(directory),
        },
        MountSource::Scratch { directory } => MountSource::Scratch {
            directory: join(directory),
        },
        MountSource::Host { path } => MountSource::Host {
            path: format!("{path}/{inner}").parse().ok()?,
        },
    })
}

impl Accounted {
    /// Says what the operator may not expect of where the image's volumes are.
    pub fn notes(&self, specification: &ContainerSpecification) -> Vec<Note> {
        let application = &specification.application;
        let image = &specification.image;
        let texts = |paths: &BTreeSet<MountPath>| -> BTreeSet<String> {
            paths.iter().map(ToString::to_string).collect()
        };
        let mut notes = Vec::new();
        if !self.implicit.is_empty() {
            notes.push(Note::ImplicitScratch {
                application: application.clone(),
                image: image.clone(),
                paths: texts(&self.implicit),
            });
        }
        if !self.forgotten.is_empty() {
            notes.push(Note::VolumeInMemory {
                application: application.clone(),
                image: image.clone(),
                paths: texts(&self.forgotten),
            });
        }
        notes
    }
}

impl Unaccounted {
    /// Says what is wrong, as the rest of a sentence that begins with the application.
    pub fn problem(&self, image: &impl fmt::Display) -> String {
        let (paths, are) = listed(&self.paths);
        format!(
            "image {image} declares {paths} as {are}, which no mount point of the application covers"
        )
    }

    /// Says how each of them is said in the application configuration.
    pub fn hint(&self) -> String {
        let example: Vec<&str> = self.paths.iter().map(String::as_str).collect();
        let list = example.join(", ");
        let volumes = match &self.owner {
            None => {
                "list it with the application's other mount points in `volumes`, and it moves with \
                     the application"
                    .to_owned()
            }
            Some(owner) => format!(
                "add a directory to the `volumes` of `{owner}`, and show it here as `{{application: \
                 {owner}, source: DIRECTORY, target: PATH}}`"
            ),
        };
        format!(
            "if it is data, {volumes}; if it can be lost, write `scratch: [{list}]`: a directory \
             of the node that does not move and is deleted when the application leaves, or `tmpfs: \
             [{list}]`: memory"
        )
    }
}

/// Lists paths with commas, and says whether they are a volume or volumes.
pub(crate) fn listed(paths: &BTreeSet<String>) -> (String, &'static str) {
    let names: Vec<&str> = paths.iter().map(String::as_str).collect();
    let are = if names.len() == 1 {
        "a volume"
    } else {
        "volumes"
    };
    (names.join(", "), are)
}

#[cfg(test)]
pub(crate) mod generated;
#[cfg(test)]
mod tests;
