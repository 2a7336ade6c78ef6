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
        mounts: Some(parse_mountinfo(table)),
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
    let containers = [(db.clone(), ["f".repeat(64)].into())].into();
    assert_eq!(holders_of(NODE, &others, &containers), held);
    // Unless it is the application's own.
    let containers = [(db, ["f".repeat(64), ID.to_owned()].into())].into();
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

#[test]
fn a_namespace_whose_mounts_cannot_be_read_may_hold_what_is_mounted_here() {
    let unreadable = Namespace {
        mounts: None,
        ..namespace(4711, None, "")
    };
    let db: ApplicationName = "db".parse().unwrap();
    let held = [(db, vec![unreadable.process.clone()])].into();
    let others = [unreadable];
    assert_eq!(holders_of(NODE, &others, &Containers::new()), held);
    // The node has nothing mounted that it could hold.
    let bare = "22 1 254:1 / / rw shared:1 - ext4 /dev/vda1 rw";
    assert_eq!(
        holders_of(bare, &others, &Containers::new()),
        BTreeMap::new()
    );
}
