//! Containers that are made up: every key that gives a path something to show.

use std::collections::{BTreeMap, BTreeSet};

use flocker_model::{
    Application, ContainerFile, FileContents, HostMount, SharedMount, SharedVolume,
};
use proptest::prelude::*;

use super::*;

/// A container's keys, not yet so that they go together.
#[derive(Debug, Clone)]
pub(crate) struct Parts {
    volume: Part,
    scratch: BTreeSet<String>,
    host: BTreeSet<String>,
    files: BTreeSet<String>,
    memory: BTreeSet<String>,
}

#[derive(Debug, Clone)]
enum Part {
    None,
    Whole(String),
    Directories(BTreeMap<String, &'static str>),
    Shared(BTreeMap<String, (Option<&'static str>, bool)>),
}

/// Short paths of few names, so that they meet.
pub(crate) fn path() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(vec!["a", "b", "ab"]), 1..4)
        .prop_map(|names| format!("/{}", names.join("/")))
}

/// A few such paths.
pub(crate) fn paths(most: usize) -> impl Strategy<Value = BTreeSet<String>> {
    prop::collection::btree_set(path(), 0..=most)
}

/// Names of directories, of which some are also names in paths.
fn directory() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "b", "c", "d"])
}

fn volume() -> impl Strategy<Value = Part> {
    let mount = (prop::option::of(directory()), any::<bool>());
    prop_oneof![
        1 => Just(Part::None),
        3 => path().prop_map(Part::Whole),
        3 => prop::collection::btree_map(path(), directory(), 1..=3).prop_map(Part::Directories),
        2 => prop::collection::btree_map(path(), mount, 1..=3).prop_map(Part::Shared),
    ]
}

/// The keys of one container.
pub(crate) fn parts() -> impl Strategy<Value = Parts> {
    let parts = (volume(), paths(2), paths(2), paths(2), paths(2));
    parts.prop_map(|(volume, scratch, host, files, memory)| Parts {
        volume,
        scratch,
        host,
        files,
        memory,
    })
}

/// The keys of a container, and some of the same with some of another.
pub(crate) fn changed_parts() -> impl Strategy<Value = (Parts, Parts)> {
    let changes = prop::collection::vec(any::<bool>(), 5);
    (parts(), parts(), changes).prop_map(|(before, mut next, changes)| {
        if changes[0] {
            next.volume = before.volume.clone();
        }
        let mut keep = |index: usize, key: fn(&mut Parts) -> &mut BTreeSet<String>| {
            if changes[index] {
                *key(&mut next) = key(&mut before.clone()).clone();
            }
        };
        keep(1, |parts| &mut parts.scratch);
        keep(2, |parts| &mut parts.host);
        keep(3, |parts| &mut parts.files);
        keep(4, |parts| &mut parts.memory);
        (before, next)
    })
}

impl Parts {
    /// Makes a container of as many of the keys as the configuration lets go together.
    pub(crate) fn specification(&self) -> ContainerSpecification {
        let mut made = ContainerSpecification::new(
            &"db".parse().unwrap(),
            &Application::new("postgres:16".parse().unwrap()),
        );
        self.add_volume(&mut made);
        let mut taken: BTreeSet<MountPath> = declared(&made)
            .into_iter()
            .map(|mount| mount.target)
            .collect();
        let mut free = |paths: &BTreeSet<String>| -> Vec<MountPath> {
            let paths = paths.iter().map(|path| path.parse().unwrap());
            paths
                .filter(|path: &MountPath| taken.insert(path.clone()))
                .collect()
        };
        made.scratch = free(&self.scratch).into_iter().collect();
        let host = free(&self.host).into_iter().enumerate();
        made.host_mounts = host
            .map(|(index, path)| {
                let mount = HostMount {
                    source: format!("/srv/h{index}").parse().unwrap(),
                    read_only: false,
                };
                (path, mount)
            })
            .collect();
        let file = |path| (path, ContainerFile::new(FileContents::from(b"1".to_vec())));
        made.files = free(&self.files).into_iter().map(file).collect();
        let memory = free(&self.memory).into_iter();
        let memory = memory.filter(|path| apart(&made, path));
        let memory: BTreeMap<_, _> = memory.map(|path| (path, "".parse().unwrap())).collect();
        made.options.isolation.tmpfs = memory;
        made
    }

    fn add_volume(&self, made: &mut ContainerSpecification) {
        match &self.volume {
            Part::None => {}
            Part::Whole(path) => made.mountpoint = Some(path.parse().unwrap()),
            Part::Directories(directories) => {
                let mut names = BTreeSet::new();
                let own = directories.iter().filter(|(_, name)| names.insert(**name));
                made.directories = own
                    .map(|(path, name)| (path.parse().unwrap(), name.parse().unwrap()))
                    .collect();
            }
            Part::Shared(mounts) => {
                let mounts = mounts.iter().map(|(path, (directory, read_only))| {
                    let mount = SharedMount {
                        directory: directory.map(|name| name.parse().unwrap()),
                        read_only: *read_only,
                    };
                    (path.parse().unwrap(), mount)
                });
                made.shared = Some(SharedVolume {
                    application: "nextcloud".parse().unwrap(),
                    mounts: mounts.collect(),
                });
            }
        }
    }
}

/// Tells whether a file system in memory can be at `path`: the configuration lets none be at, above
/// or below a mount point of the volume.
fn apart(specification: &ContainerSpecification, path: &MountPath) -> bool {
    declared(specification).iter().all(|mount| {
        let target = &mount.target;
        target.relative(path).is_none() && path.relative(target).is_none()
    })
}
