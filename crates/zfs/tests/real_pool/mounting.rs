//! Volumes are mounted where they should be, or not at all.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};

use flocker_model::Obstacle;
use flocker_zfs::{Change, MountError, UnmountError, Zfs};

use crate::support::{Cluster, create, dataset, push, run, snapshot, web};

async fn mount(zfs: &Zfs) -> Result<Change, MountError> {
    let volume = zfs.open_owned_now(&web()).await.unwrap();
    volume.mount().await.map(|(change, _)| change)
}

async fn obstacle(zfs: &Zfs) -> Option<Obstacle> {
    let mut found = zfs.observe_obstructions().await.unwrap();
    found.remove(&web()).map(|obstruction| obstruction.by)
}

#[tokio::test]
#[ignore = "needs a ZFS pool"]
async fn mounting_and_unmounting_are_idempotent() {
    let Cluster { a, .. } = Cluster::new();
    create(&a).await;
    assert_eq!(mount(&a).await.unwrap(), Change::Changed);
    assert_eq!(mount(&a).await.unwrap(), Change::Unchanged);
    let path = a.mountpoint_of(&web());
    let found = run(&format!("findmnt -no SOURCE,FSTYPE {}", path.display()));
    assert_eq!(found, format!("{} zfs", dataset(&a)));
    assert_eq!(a.unmount(&web()).await.unwrap(), Change::Changed);
    assert_eq!(a.unmount(&web()).await.unwrap(), Change::Unchanged);
}

#[tokio::test]
#[ignore = "needs a ZFS pool"]
async fn nothing_is_mounted_over_files_or_other_mounts() {
    let Cluster { a, .. } = Cluster::new();
    create(&a).await;
    let path = a.mountpoint_of(&web());
    assert!(!path.exists());
    std::fs::create_dir(&path).unwrap();
    std::fs::write(path.join("stray"), "x").unwrap();
    assert!(matches!(mount(&a).await, Err(MountError::NotEmpty { .. })));
    assert_eq!(obstacle(&a).await, Some(Obstacle::Files));
    std::fs::remove_file(path.join("stray")).unwrap();

    std::fs::create_dir_all(&path).unwrap();
    run(&format!("mount -t tmpfs tmpfs {}", path.display()));
    let refused = mount(&a).await;
    let seen = obstacle(&a).await;
    run(&format!("umount {}", path.display()));
    assert!(
        matches!(refused, Err(MountError::Taken { .. })),
        "{refused:?}"
    );

    let tmpfs = || "tmpfs".to_owned();
    let (source, kind) = (tmpfs(), tmpfs());
    assert_eq!(seen, Some(Obstacle::Mount { source, kind }));

    let elsewhere = path.with_extension("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    run(&format!(
        "mount -t zfs -o zfsutil {} {}",
        dataset(&a),
        elsewhere.display()
    ));
    let refused = mount(&a).await;
    assert!(
        matches!(refused, Err(MountError::Elsewhere { .. })),
        "{refused:?}"
    );
    assert_eq!(a.unmount(&web()).await.unwrap(), Change::Changed);
}

/// Reads a property of the volume.
fn property(zfs: &Zfs, name: &str) -> String {
    run(&format!("zfs get -Ho value {name} {}", dataset(zfs)))
}

/// `volume resolve` may have been cut after it had made the volume read-only.
#[tokio::test]
#[ignore = "needs a ZFS pool"]
async fn a_mount_makes_a_read_only_owner_writable() {
    let Cluster { a, .. } = Cluster::new();
    create(&a).await;
    run(&format!("zfs set readonly=on {}", dataset(&a)));
    assert_eq!(mount(&a).await.unwrap(), Change::Changed);
    std::fs::write(a.mountpoint_of(&web()).join("data"), "x").unwrap();
    assert_eq!(property(&a, "readonly"), "off");
    a.unmount(&web()).await.unwrap();
}

#[tokio::test]
#[ignore = "needs a ZFS pool"]
async fn volumes_keep_acknowledged_writes_below_a_parent_that_does_not() {
    let Cluster { a, b } = Cluster::new();
    for zfs in [&a, &b] {
        let root = &zfs.settings().dataset;
        run(&format!("zfs create -p -o sync=disabled {root}"));
        assert_eq!(
            zfs.observe_pool().await.0.sync_disabled.as_ref(),
            Some(root)
        );
    }
    create(&a).await;
    snapshot(&a).await;
    push(&a, &b).await;
    assert_eq!([&a, &b].map(|zfs| property(zfs, "sync")), ["standard"; 2]);
    // As an earlier release left it.
    run(&format!("zfs inherit sync {}", dataset(&a)));
    assert_eq!(property(&a, "sync"), "disabled");
    mount(&a).await.unwrap();
    assert_eq!(property(&a, "sync"), "standard");
    a.unmount(&web()).await.unwrap();
}

#[tokio::test]
#[ignore = "needs a ZFS pool"]
async fn a_mount_point_goes_with_its_mount_and_after_a_power_cut() {
    let Cluster { a, .. } = Cluster::new();
    create(&a).await;
    let path = a.mountpoint_of(&web());
    assert!(!path.exists());
    mount(&a).await.unwrap();
    a.remove_mount_points().await;
    assert!(path.exists());
    a.unmount(&web()).await.unwrap();
    assert!(!path.exists());
    std::fs::create_dir(&path).unwrap();
    a.remove_mount_points().await;
    assert!(!path.exists());
}

#[tokio::test]
#[ignore = "needs a ZFS pool"]
async fn who_keeps_a_volume_busy_is_named() {
    let Cluster { a, .. } = Cluster::new();
    create(&a).await;
    mount(&a).await.unwrap();
    let mut user = Command::new("cat")
        .current_dir(a.mountpoint_of(&web()))
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let refused = a.unmount(&web()).await.unwrap_err();
    user.kill().unwrap();
    user.wait().unwrap();
    let UnmountError::Busy { holders, .. } = refused else {
        panic!("{refused:?}");
    };
    let found: Vec<_> = holders
        .iter()
        .map(|holder| (holder.process, holder.name.as_str()))
        .collect();
    assert_eq!(found, [(user.id(), "cat")]);
    assert_eq!(a.unmount(&web()).await.unwrap(), Change::Changed);
}

/// Starts a process in a mount namespace of its own, which follows the node's or does not.
fn with_own_mounts(propagation: &str) -> Child {
    let mut process = Command::new("unshare")
        .args(["--mount", "--propagation", propagation])
        // It says so when it has its own mounts.
        .args(["sh", "-c", "echo; exec cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut output = std::io::BufReader::new(process.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut output, &mut line).unwrap();
    process
}

#[tokio::test]
#[ignore = "needs a ZFS pool"]
async fn a_copy_of_the_mount_in_another_namespace_is_found() {
    let Cluster { a, .. } = Cluster::new();
    create(&a).await;
    mount(&a).await.unwrap();
    let mut follower = with_own_mounts("slave");
    let mut other = with_own_mounts("private");
    // It is seen before, too, and whoever lets go by itself is not.
    let mut held = a.observe_holders(BTreeMap::new()).await;
    let held = held.remove(&web()).unwrap_or_default();
    let seen: Vec<_> = held.iter().map(|holder| holder.process).collect();
    assert_eq!(seen, [other.id()], "{held:?}");
    let refused = a.unmount(&web()).await.unwrap_err();
    for process in [&mut other, &mut follower] {
        process.kill().unwrap();
        process.wait().unwrap();
    }
    let UnmountError::MountedElsewhere { holders, .. } = refused else {
        panic!("{refused:?}");
    };
    assert!(
        holders.iter().any(|holder| holder.process == other.id()),
        "{holders:?}"
    );
}
