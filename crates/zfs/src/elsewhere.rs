//! Finds out who would keep volumes mounted after this node has unmounted them.
//!
//! A mount namespace that was made while a volume was mounted has a copy of the mount. Most copies
//! follow the node's own: when it unmounts the volume, the kernel unmounts them as well. One whose
//! parent does not belong to the node's mounts, such as a bind mount of a container, stays.
//!
//! **Source**: `mount_namespaces(7)`, "Shared subtrees"; `proc_pid_mountinfo(5)`, optional fields.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use flocker_model::{ApplicationName, VolumeHolder};

use crate::Zfs;
use crate::holders::tables;
use crate::mount::run_blocking;
use crate::mountinfo::{Mount, mount_of, parent_of, parse_mountinfo};
use crate::names::Place;

/// How many characters Docker's and Podman's identities of containers have.
const CONTAINER_ID: usize = 64;

/// The mounts that one other namespace has.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Namespace {
    /// One of the processes in it.
    process: VolumeHolder,
    /// The containers that the process is in, from the outermost on.
    containers: Vec<String>,
    /// `None` if they cannot be read.
    mounts: Option<Vec<Mount>>,
}

/// The containers that see each application's volume, which are stopped before it is unmounted.
type Containers = BTreeMap<ApplicationName, BTreeSet<String>>;

/// The peer groups from which peer groups get their mounts.
type Masters = BTreeMap<u32, u32>;

impl Zfs {
    /// Lists, for each volume, one process of each mount namespace that would keep it mounted when
    /// the applications' containers that see it, by `containers`, are stopped.
    ///
    /// Gives its best: processes come and go. Each namespace is looked at once, however many
    /// volumes there are.
    pub async fn observe_holders(
        &self,
        containers: BTreeMap<ApplicationName, BTreeSet<String>>,
    ) -> BTreeMap<ApplicationName, Vec<VolumeHolder>> {
        let root = self.settings().dataset.clone();
        run_blocking(move || {
            let own = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
            let own = parse_mountinfo(&own);
            find_holders((&root, &containers), &own, &other_namespaces())
        })
        .await
    }
}

/// Reads the mounts of each namespace but this process's own.
fn other_namespaces() -> Vec<Namespace> {
    let own = fs::read_link("/proc/self/ns/mnt").ok();
    let mut namespaces = Vec::new();
    for (process, place, mounts) in tables(Path::new("/proc")) {
        if own.is_some() && fs::read_link(place.join("ns/mnt")).ok() == own {
            continue;
        }
        let text = |name| fs::read_to_string(place.join(name)).unwrap_or_default();
        let containers = containers_of(&text("cgroup"));
        namespaces.push(Namespace {
            process: VolumeHolder {
                process,
                command: text("comm").trim().to_owned(),
                container: containers.first().cloned(),
            },
            containers,
            mounts,
        });
    }
    namespaces
}

/// Finds which volumes another namespace would keep, by its mounts and this one's, as the kernel
/// writes them, and by the control group of a process in it.
///
/// **Source**: `proc_pid_mountinfo(5)`, `cgroups(7)`.
pub fn read_holders(
    root: &str,
    own: &str,
    (other, cgroup): (&str, &str),
) -> BTreeMap<ApplicationName, Vec<VolumeHolder>> {
    let containers = containers_of(cgroup);
    let other = Namespace {
        process: VolumeHolder {
            process: 0,
            command: String::new(),
            container: containers.first().cloned(),
        },
        containers,
        mounts: Some(parse_mountinfo(other)),
    };
    let none = Containers::new();
    find_holders((root, &none), &parse_mountinfo(own), &[other])
}

/// Finds the identities of containers in the paths of a process's control groups, the outermost
/// first.
///
/// **Source**: `cgroups(7)`, `/proc/[pid]/cgroup`; the names that Docker's two drivers
/// (`/docker/ID`, `docker-ID.scope`) and Podman (`libpod-ID.scope`) give to control groups.
fn containers_of(cgroup: &str) -> Vec<String> {
    let words = cgroup.split(|letter: char| !letter.is_ascii_alphanumeric());
    let is_identity = |word: &&str| {
        word.len() == CONTAINER_ID && word.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    words.filter(is_identity).map(str::to_owned).collect()
}

/// Finds, for each volume below `root`, the namespaces that would keep it: pure.
fn find_holders(
    (root, containers): (&str, &Containers),
    own: &[Mount],
    others: &[Namespace],
) -> BTreeMap<ApplicationName, Vec<VolumeHolder>> {
    let tables = others.iter().filter_map(|other| other.mounts.as_deref());
    let all = tables.chain([own]).flatten();
    let masters: Masters = all
        .filter_map(|mount| Some((mount.shared?, mount.master?)))
        .collect();
    let mut holders: BTreeMap<ApplicationName, Vec<VolumeHolder>> = BTreeMap::new();
    for other in others {
        // One whose mounts cannot be read may keep whatever is mounted here.
        let table = other.mounts.as_deref();
        let is_kept =
            |mount: &&Mount| table.is_none_or(|table| !is_let_go(mount, table, (own, &masters)));
        let kept: BTreeSet<ApplicationName> = table
            .unwrap_or(own)
            .iter()
            .filter(|mount| mount.kind == "zfs")
            .filter(is_kept)
            .filter_map(|mount| match Place::parse(root, &mount.source)? {
                Place::Volume(application) => Some(application),
                Place::Creating(_) | Place::Receiving(_) | Place::Importing(_) => None,
            })
            .collect();
        for application in kept {
            let is_own =
                |own: &BTreeSet<String>| other.containers.iter().any(|one| own.contains(one));
            if containers.get(&application).is_some_and(is_own) {
                continue;
            }
            let found = holders.entry(application).or_default();
            found.push(other.process.clone());
        }
    }
    holders
}

/// Tells whether a mount of another namespace ends when this one unmounts the same dataset: that is
/// so where its parent gets what happens below the parent of this one, and it is at the same place.
fn is_let_go(theirs: &Mount, table: &[Mount], (own, masters): (&[Mount], &Masters)) -> bool {
    let Some(ours) = mount_of(own, &theirs.source) else {
        return false;
    };
    let (Some(our_parent), Some(their_parent)) = (parent_of(own, ours), parent_of(table, theirs))
    else {
        return false;
    };
    let Some(group) = our_parent.shared else {
        return false;
    };
    let place = place_in(our_parent, ours);
    place.is_some()
        && place == place_in(their_parent, theirs)
        && receives(their_parent, group, masters)
}

/// Returns where in the filesystem of `parent` a mount is.
fn place_in(parent: &Mount, mount: &Mount) -> Option<PathBuf> {
    let below: &Path = mount.path.strip_prefix(&parent.path).ok()?;
    Some(parent.root.join(below))
}

/// Tells whether a mount is in a peer group, or gets from it what is mounted and unmounted there, if
/// need be by way of others.
fn receives(mount: &Mount, group: u32, masters: &Masters) -> bool {
    if mount.shared == Some(group) {
        return true;
    }
    let mut master = mount.master;
    // No further than there are groups.
    for _ in 0..=masters.len() {
        match master {
            None => return false,
            Some(found) if found == group => return true,
            Some(found) => master = masters.get(&found).copied(),
        }
    }
    false
}

#[cfg(test)]
mod tests;
