//! What a container sees at each path, and which data another configuration would hide from it.

use std::collections::{BTreeMap, BTreeSet};

use flocker_model::{ContainerSpecification, HostPath, MountPath, MountSource};
use serde::{Deserialize, Serialize};

use crate::account;
use crate::accounting::declared;

/// What a container sees at a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "shows")]
pub enum Shown {
    /// A directory of the volume.
    Volume {
        /// Its path below the volume's root; empty for the root itself.
        directory: String,
    },
    /// A directory of the node that does not move.
    Scratch {
        /// Its path below the application's scratch directory.
        directory: String,
    },
    /// A path of the node that is not Flocker's.
    Host {
        /// The path.
        path: HostPath,
    },
    /// A file system in memory.
    Memory,
    /// A file with contents of the configuration.
    File,
    /// No mount point: the container's own file system.
    Nothing,
}

/// Data of a volume that an application saw so far, and would not see with another configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HiddenData {
    /// Where the container sees it so far.
    pub path: MountPath,
    /// The directory of the volume that has it; empty for the volume's root.
    pub directory: String,
    /// Whether `path` is a mount point so far, and not only below one.
    pub is_mount: bool,
    /// What the container would see there.
    pub instead: Shown,
}

/// Scratch that an application saw so far, at a path that is to show its volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LeftScratch {
    /// Where the container saw it.
    pub(crate) path: MountPath,
    /// Its path below the application's scratch directory.
    pub(crate) directory: String,
}

/// Everything that a container sees in the place of its own file system, by path.
#[derive(Debug)]
pub(crate) struct Layout(BTreeMap<MountPath, Shown>);

impl Layout {
    /// Lays out a container, given the volumes that its image declares, as far as they are known.
    pub(crate) fn new(
        specification: &ContainerSpecification,
        image_volumes: &BTreeSet<String>,
    ) -> Self {
        let mounts = account(specification, image_volumes)
            .map_or_else(|_| declared(specification), |accounted| accounted.mounts);
        let mounts = mounts
            .into_iter()
            .map(|mount| (mount.target, mount.source.into()));
        let memory = specification.options.isolation.tmpfs.keys();
        let memory = memory.map(|path| (path.cleaned(), Shown::Memory));
        let files = specification.files.keys();
        let files = files.map(|path| (path.cleaned(), Shown::File));
        Self(mounts.chain(memory).chain(files).collect())
    }

    /// Lists the data of the volume that a container with this layout sees, and one with another
    /// layout would not see. Both see the same volume, or the other one sees none.
    ///
    /// Every path must show the same directory as before. A mount point may also go to another path at
    /// which it shows just as much, as long as nothing else takes its former place. One file of the
    /// configuration may cover one file of the volume, but no path that is known to be a directory.
    ///
    /// `may_leave` says that a mount point may be left out: the data is another application's.
    pub(crate) fn hidden_by(&self, wanted: &Self, may_leave: bool) -> Vec<HiddenData> {
        // Between these paths, neither layout begins to show anything else.
        let paths: BTreeSet<&MountPath> = self.0.keys().chain(wanted.0.keys()).collect();
        let hidden = paths.into_iter().filter_map(|path| {
            let before = self.at(path);
            let Shown::Volume { directory } = &before else {
                return None;
            };
            let is_mount = self.is_mount(path);
            let instead = wanted.at(path);
            let is_kept = match &instead {
                Shown::Volume { .. } => instead == before,
                Shown::File => !self.0.contains_key(path),
                Shown::Nothing => may_leave || !is_mount || self.is_moved(path, &before, wanted),
                Shown::Scratch { .. } | Shown::Host { .. } | Shown::Memory => false,
            };
            (!is_kept).then(|| HiddenData {
                path: path.clone(),
                directory: directory.clone(),
                is_mount,
                instead,
            })
        });
        hidden.collect()
    }

    /// Lists the scratch that a container with this layout sees where one with another layout sees its
    /// volume.
    pub(crate) fn scratch_under(&self, wanted: &Self) -> Vec<LeftScratch> {
        let paths: BTreeSet<&MountPath> = self.0.keys().chain(wanted.0.keys()).collect();
        let left = paths.into_iter().filter_map(|path| {
            let Shown::Scratch { directory } = self.at(path) else {
                return None;
            };
            let is_part = self.0.contains_key(path) && !self.is_mount(path);
            let is_under = matches!(wanted.at(path), Shown::Volume { .. });
            (is_under && !is_part).then(|| LeftScratch {
                path: path.clone(),
                directory,
            })
        });
        left.collect()
    }

    /// Lists the paths of the node that a container with this layout sees, and in whose place one with
    /// another layout would begin with an empty directory. `volume_is_new` says that the volume does not
    /// exist yet.
    pub(crate) fn emptied_by(
        &self,
        wanted: &Self,
        volume_is_new: bool,
    ) -> BTreeMap<MountPath, HostPath> {
        let mounts = self.0.iter().filter_map(|(path, shown)| {
            let Shown::Host { path: source } = shown else {
                return None;
            };
            let begins_empty = match wanted.at(path) {
                Shown::Volume { .. } => volume_is_new,
                Shown::Scratch { .. } | Shown::Memory => true,
                Shown::Host { .. } | Shown::File | Shown::Nothing => false,
            };
            begins_empty.then(|| (path.clone(), source.clone()))
        });
        mounts.collect()
    }

    /// Returns what a container sees at a path.
    fn at(&self, path: &MountPath) -> Shown {
        self.innermost(path, |_| true)
    }

    /// Returns what the innermost of these mount points shows at a path.
    fn innermost(&self, path: &MountPath, counts: impl Fn(&MountPath) -> bool) -> Shown {
        let enclosing = self.0.iter().filter(|(point, _)| counts(point));
        let enclosing = enclosing.filter_map(|(point, shown)| Some((shown, point.relative(path)?)));
        enclosing
            .min_by_key(|(_, inner)| inner.len())
            .map_or(Shown::Nothing, |(shown, inner)| shown.below(&inner))
    }

    /// Tells whether a path is a mount point that shows another thing than the one around it would.
    fn is_mount(&self, path: &MountPath) -> bool {
        let around = || self.innermost(path, |point| point != path);
        let shown = self.0.get(path);
        shown.is_some_and(|shown| *shown != around())
    }

    /// Tells whether the other layout shows a mount point at another path, with all that this one shows
    /// there.
    fn is_moved(&self, from: &MountPath, source: &Shown, wanted: &Self) -> bool {
        let shows_all = |to: &MountPath| {
            wanted.0.iter().all(|(point, shown)| {
                let Some(inner) = to.relative(point).filter(|inner| !inner.is_empty()) else {
                    return true;
                };
                let Ok(former) = format!("{from}/{}", inner.join("/")).parse::<MountPath>() else {
                    return false;
                };
                match self.at(&former) {
                    Shown::Volume { .. } if *shown == Shown::File => !self.0.contains_key(&former),
                    before @ Shown::Volume { .. } => before == *shown,
                    _ => true,
                }
            })
        };
        let mut candidates = wanted.0.iter().filter(|(_, shown)| *shown == source);
        candidates.any(|(to, _)| shows_all(to))
    }
}

impl Shown {
    /// Returns what is seen at a path inside of it.
    fn below(&self, inner: &[&str]) -> Self {
        let inner = inner.join("/");
        let join = |directory: &str| match (directory, inner.as_str()) {
            (_, "") => directory.to_owned(),
            ("", _) => inner.clone(),
            _ => format!("{directory}/{inner}"),
        };
        match self {
            Self::Volume { directory } => Self::Volume {
                directory: join(directory),
            },
            Self::Scratch { directory } => Self::Scratch {
                directory: join(directory),
            },
            Self::Host { path } => Self::Host {
                path: join(path.as_str()).parse().unwrap_or_else(|_| path.clone()),
            },
            Self::Memory | Self::File | Self::Nothing => self.clone(),
        }
    }
}

impl From<MountSource> for Shown {
    fn from(source: MountSource) -> Self {
        match source {
            MountSource::Volume { directory } => Self::Volume { directory },
            MountSource::Scratch { directory } => Self::Scratch { directory },
            MountSource::Host { path } => Self::Host { path },
        }
    }
}

#[cfg(test)]
mod tests;
