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
use crate::holders::processes;
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
    mounts: Vec<Mount>,
}

/// The container of each application, which is stopped before its volume is unmounted.
type Containers = BTreeMap<ApplicationName, String>;

/// The peer groups from which peer groups get their mounts.
type Masters = BTreeMap<u32, u32>;

impl Zfs {
    /// Lists, for each volume, one process of each mount namespace that would keep it mounted when
    /// its application's own container, by `containers`, is stopped.
    ///
    /// Gives its best: processes come and go. Each namespace is looked at once, however many
    /// volumes there are.
    pub async fn observe_holders(
        &self,
        containers: BTreeMap<ApplicationName, String>,
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
    let own = fs::read_link("/proc/self/ns/mnt");
    let mut seen = BTreeSet::from_iter(own.ok());
    let mut namespaces = Vec::new();
    for (process, place) in processes() {
        let Ok(namespace) = fs::read_link(place.join("ns/mnt")) else {
            continue;
        };
        let Ok(table) = fs::read(place.join("mountinfo")) else {
            continue;
        };
        // A process that is ending has no mounts any more; the next of its namespace tells.
        if table.is_empty() || !seen.insert(namespace) {
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
            mounts: parse_mountinfo(&String::from_utf8_lossy(&table)),
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
        mounts: parse_mountinfo(other),
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
    let tables = others.iter().map(|other| other.mounts.as_slice());
    let all = tables.chain([own]).flatten();
    let masters: Masters = all
        .filter_map(|mount| Some((mount.shared?, mount.master?)))
        .collect();
    let mut holders: BTreeMap<ApplicationName, Vec<VolumeHolder>> = BTreeMap::new();
    for other in others {
        let kept: BTreeSet<ApplicationName> = other
            .mounts
            .iter()
            .filter(|mount| mount.kind == "zfs")
            .filter(|mount| !is_let_go(mount, &other.mounts, (own, &masters)))
            .filter_map(|mount| match Place::parse(root, &mount.source)? {
                Place::Volume(application) => Some(application),
                Place::Creating(_) | Place::Receiving(_) => None,
            })
            .collect();
        for application in kept {
            let is_own = |own| other.containers.contains(own);
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
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    /// The node's own mounts, as systemd has them: shared from the root on.
    const NODE: &str = "\
        22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n\
        60 22 0:40 / /flocker/db rw,nodev shared:30 - zfs tank/flocker/db rw,xattr\n";

    fn namespace(process: u32, container: Option<&str>, table: &str) -> Namespace {
        Namespace {
            process: VolumeHolder {
                process,
                command: "tar".to_owned(),
                container: container.map(str::to_owned),
            },
            containers: container.into_iter().map(str::to_owned).collect(),
            mounts: parse_mountinfo(table),
        }
    }

    fn holders_of(
        node: &str,
        others: &[Namespace],
        containers: &Containers,
    ) -> BTreeMap<ApplicationName, Vec<VolumeHolder>> {
        find_holders(("tank/flocker", containers), &parse_mountinfo(node), others)
    }

    fn found(node: &str, table: &str) -> bool {
        let other = namespace(4711, None, table);
        let holders = holders_of(node, &[other], &Containers::new());
        !holders.is_empty()
    }

    #[test]
    fn a_container_that_mounts_the_mount_root_holds_the_volume() {
        let container = "\
            600 500 0:70 / / rw master:200 - overlay overlay rw\n\
            610 600 254:1 /flocker /backup ro - ext4 /dev/vda1 rw\n\
            611 610 0:40 / /backup/db ro - zfs tank/flocker/db rw,xattr\n";
        let other = namespace(4711, Some(ID), container);
        let others = [other.clone()];
        let db: ApplicationName = "db".parse().unwrap();
        let held = [(db.clone(), vec![other.process.clone()])].into();
        let containers = [(db.clone(), "f".repeat(64))].into();
        assert_eq!(holders_of(NODE, &others, &containers), held);
        // Unless it is the application's own.
        let containers = [(db, ID.to_owned())].into();
        assert_eq!(holders_of(NODE, &others, &containers), BTreeMap::new());
        assert_eq!(
            other.process.to_string(),
            "`tar` (process 4711 in container 0123456789ab)"
        );
        // So it does when the node has unmounted it.
        assert!(found(
            "22 1 254:1 / / rw shared:1 - ext4 /dev/vda1 rw",
            container
        ));
    }

    #[test]
    fn a_mount_that_follows_the_nodes_holds_nothing() {
        // A service with mounts of its own, as systemd makes them for `PrivateTmp=`.
        let service = "\
            300 290 254:1 / / rw,relatime shared:90 master:1 - ext4 /dev/vda1 rw\n\
            301 300 0:40 / /flocker/db rw,nodev shared:91 master:30 - zfs tank/flocker/db rw,xattr\n";
        assert!(!found(NODE, service));
        // A container that mounts it with `bind-propagation=rslave`.
        let follows = "\
            610 600 254:1 /flocker /backup ro master:1 - ext4 /dev/vda1 rw\n\
            611 610 0:40 / /backup/db ro master:30 - zfs tank/flocker/db rw,xattr\n";
        assert!(!found(NODE, follows));
        // A namespace in which everything is shared with the node.
        let peer = "\
            400 390 254:1 / / rw shared:1 - ext4 /dev/vda1 rw\n\
            401 400 0:40 / /flocker/db rw shared:30 - zfs tank/flocker/db rw,xattr\n";
        assert!(!found(NODE, peer));
    }

    #[test]
    fn a_mount_that_follows_by_way_of_another_holds_nothing() {
        let service = namespace(
            1,
            None,
            "300 290 254:1 / / rw shared:90 master:1 - ext4 /dev/vda1 rw",
        );
        let below = namespace(
            2,
            None,
            "700 690 254:1 / / rw master:90 - ext4 /dev/vda1 rw\n\
             701 700 0:40 / /flocker/db rw master:91 - zfs tank/flocker/db rw",
        );
        let holders = holders_of(NODE, &[service, below], &Containers::new());
        assert_eq!(holders, BTreeMap::new());
    }

    #[test]
    fn a_mount_at_another_place_or_on_a_private_parent_holds_the_volume() {
        let elsewhere = "\
            300 290 254:1 / / rw master:1 - ext4 /dev/vda1 rw\n\
            301 300 0:40 / /srv/db rw master:30 - zfs tank/flocker/db rw\n";
        assert!(found(NODE, elsewhere));
        let private = "\
            300 290 254:1 / / rw - ext4 /dev/vda1 rw\n\
            301 300 0:40 / /flocker/db rw - zfs tank/flocker/db rw\n";
        assert!(found(NODE, private));
        // The node itself shares nothing.
        let alone = NODE.replace("shared:1 ", "");
        assert!(found(&alone, &private.replace("rw -", "rw master:1 -")));
        // Two groups that follow each other, which no kernel makes.
        let round = "\
            300 290 254:1 / / rw shared:8 master:9 - ext4 /dev/vda1 rw\n\
            302 300 254:1 /x /x rw shared:9 master:8 - ext4 /dev/vda1 rw\n\
            301 300 0:40 / /flocker/db rw - zfs tank/flocker/db rw\n";
        assert!(found(NODE, round));
    }

    #[test]
    fn only_volumes_are_told() {
        for source in [
            "tank/flocker/_creating:db",
            "tank/flocker/db/below",
            "tank/other",
            "tank/flocker",
        ] {
            let other = format!("301 300 0:40 / /x rw - zfs {source} rw\n");
            assert!(!found(NODE, &other), "{source}");
        }
        assert!(!found(
            NODE,
            "301 300 0:40 / /x rw - ext4 tank/flocker/db rw"
        ));
    }

    #[test]
    fn the_containers_of_a_process_are_found_from_the_outermost_on() {
        let inner = "f".repeat(64);
        for cgroup in [
            format!("0::/system.slice/docker-{ID}.scope\n"),
            format!("12:pids:/docker/{ID}\n0::/docker/{ID}\n"),
            format!("0::/machine.slice/libpod-{ID}.scope/container\n"),
            format!("0::/system.slice/docker-{ID}.scope/docker/{inner}\n"),
        ] {
            assert_eq!(containers_of(&cgroup)[0], ID, "{cgroup}");
        }
        for cgroup in [
            "0::/system.slice/cron.service\n".to_owned(),
            format!("0::/x/{}\n", &ID[1..]),
            format!("0::/x/{ID}0\n"),
            String::new(),
        ] {
            assert_eq!(containers_of(&cgroup), [""; 0], "{cgroup}");
        }
    }

    #[test]
    fn each_other_namespace_is_looked_at_once() {
        let namespaces = other_namespaces();
        let own = std::process::id();
        assert!(namespaces.iter().all(|other| other.process.process != own));
    }
}
