//! Volumes are made whole, and what is not ours stays somebody else's.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;

use flocker_model::{ByteCount, Epoch, PoolHealth, PoolProblem, VolumeRole};
use flocker_zfs::{
    Change, CreateError, Making, NewVolume, ObserveError, OpenError, Zfs, ZfsSettings,
};

use crate::support::{
    Cluster, create, dataset, deployment, hand_over, new_volume, observe, push, role, run,
    snapshot, web,
};

async fn refuses_to_create(zfs: &Zfs) -> bool {
    matches!(
        zfs.begin_create(&new_volume()).await,
        Err(CreateError::Stale(_))
    )
}

#[tokio::test]
#[ignore = "needs a ZFS pool"]
async fn a_new_volume_is_owned_and_roots() {
    let Cluster { a, .. } = Cluster::new();
    assert_eq!(observe(&a).await, None);
    let new = NewVolume {
        maximum_size: Some(ByteCount::mebibytes(64)),
        ..new_volume()
    };
    let making = a.begin_create(&new).await.unwrap().unwrap();
    assert_eq!(making.path(), a.mountpoint_of(&web()));
    making.finish().await.unwrap();
    assert!(a.begin_create(&new).await.unwrap().is_none());

    let copy = observe(&a).await.unwrap();
    assert_eq!(
        copy.role,
        VolumeRole::Owned {
            epoch: Epoch::FIRST
        }
    );
    assert_eq!(copy.maximum_size, Some(ByteCount::mebibytes(64)));
    assert_eq!(copy.deployment, Some(deployment()));
    assert_eq!(copy.mounted, None);
    let properties = run(&format!("zfs get -Ho value canmount,atime {}", dataset(&a)));
    assert_eq!(properties, "noauto\noff");

    let volume = a.open_owned(&web(), Epoch::FIRST).await.unwrap();
    let (_, mounted) = volume.mount().await.unwrap();
    let root = std::fs::metadata(mounted.path()).unwrap();
    assert_eq!((root.uid(), root.gid()), (0, 0));
    assert_eq!(root.mode() & 0o7777, 0o755);
    a.unmount(&web()).await.unwrap();
}

#[tokio::test]
#[ignore = "needs a ZFS pool"]
async fn a_volume_exists_with_its_first_contents_or_not_at_all() {
    let Cluster { a, .. } = Cluster::new();
    let begin = async || a.begin_create(&new_volume()).await.unwrap().unwrap();
    let fill = |making: &Making| {
        assert_eq!(std::fs::read_dir(making.path()).unwrap().count(), 0);
        std::fs::write(making.path().join("first"), "contents").unwrap();
        std::os::unix::fs::chown(making.path(), Some(999), Some(999)).unwrap();
    };
    // The program dies at this place, and the next one begins anew.
    let making = begin().await;
    fill(&making);
    drop(making);
    assert_eq!(observe(&a).await, None);
    let making = begin().await;
    fill(&making);
    making.abandon().await.unwrap();
    let root = &a.settings().dataset;
    let left = || run(&format!("zfs list -Hro name {root}"));
    assert_eq!(left(), *root);

    let making = begin().await;
    fill(&making);
    assert_eq!(observe(&a).await, None);
    making.finish().await.unwrap();
    assert_eq!(left(), format!("{root}\n{}", dataset(&a)));
    assert_eq!(observe(&a).await.unwrap().mounted, None);
    let volume = a.open_owned(&web(), Epoch::FIRST).await.unwrap();
    let (_, mounted) = volume.mount().await.unwrap();
    let first = std::fs::read(mounted.path().join("first")).unwrap();
    assert_eq!(first, b"contents");
    assert_eq!(std::fs::metadata(mounted.path()).unwrap().uid(), 999);
    a.unmount(&web()).await.unwrap();
}

#[tokio::test]
#[ignore = "needs a ZFS pool"]
async fn what_a_crash_left_of_making_is_removed() {
    let Cluster { a, .. } = Cluster::new();
    let root = &a.settings().dataset;
    run(&format!("zfs create -p -o mountpoint=none {root}"));
    run(&format!("zfs create '{root}/_creating:web'"));
    assert_eq!(observe(&a).await, None);
    assert_eq!(create(&a).await, Change::Changed);
    assert_eq!(
        role(&a).await,
        VolumeRole::Owned {
            epoch: Epoch::FIRST
        }
    );
    let left = run(&format!("zfs list -Hro name {root}"));
    assert_eq!(left.lines().count(), 2, "{left}");
}

/// Another node made the volume in the end, and now it comes here.
#[tokio::test]
#[ignore = "needs a ZFS pool"]
async fn what_a_crash_left_of_making_is_not_in_the_way_of_what_arrives() {
    let Cluster { a, b } = Cluster::with_volume(b"made elsewhere").await;
    let root = &b.settings().dataset;
    let (left, place) = (format!("{root}/_creating:web"), b.mountpoint_of(&web()));
    run(&format!("zfs create -p -o mountpoint=none {root}"));
    run(&format!(
        "zfs create -o mountpoint={} '{left}'",
        place.display()
    ));
    // Part of the first contents.
    std::fs::write(place.join("file"), "").unwrap();

    push(&a, &b).await;
    hand_over(&a, &b, 1).await;
    let volume = b.open_owned(&web(), Epoch(2)).await.unwrap();
    volume.mount().await.unwrap();
    b.unmount(&web()).await.unwrap();
    let datasets = run(&format!("zfs list -Hro name {root}"));
    assert!(!datasets.contains("_creating"), "{datasets}");
}

#[tokio::test]
#[ignore = "needs a ZFS pool"]
async fn an_owner_that_is_set_on_a_parent_owns_nothing() {
    let Cluster { a, .. } = Cluster::new();
    let (root, node) = (&a.settings().dataset, a.settings().node);
    run(&format!("zfs create -p -o mountpoint=none {root}"));
    run(&format!(
        "zfs set flocker:ownership=owner={node},epoch=1 {root}"
    ));
    let path = a.mountpoint_of(&web());
    run(&format!(
        "zfs create -o canmount=noauto -o mountpoint={} {}",
        path.display(),
        dataset(&a)
    ));
    let VolumeRole::Foreign { problem } = role(&a).await else {
        panic!("inherited properties made a volume ours");
    };
    assert!(problem.contains("inherited from"), "{problem}");
    assert!(refuses_to_create(&a).await);
    let opened = a.open_owned(&web(), Epoch::FIRST).await;
    assert!(matches!(opened, Err(OpenError::Stale(_))));
}

#[tokio::test]
#[ignore = "needs a ZFS pool"]
async fn foreign_datasets_are_told_and_left_alone() {
    let Cluster { a, .. } = Cluster::new();
    let root = &a.settings().dataset;
    run(&format!("zfs create -p -o mountpoint=none {root}"));
    run(&format!("zfs create -s -V 16M {}", dataset(&a)));
    assert!(matches!(role(&a).await, VolumeRole::Foreign { .. }));
    assert!(refuses_to_create(&a).await);
    run(&format!("zfs create '{root}/no application'"));
    run(&format!("zfs create -p {root}/deep/er"));
    let names: Vec<_> = a
        .observe_volumes()
        .await
        .unwrap()
        .into_keys()
        .map(String::from)
        .collect();
    assert_eq!(names, ["deep", "web"]);
}

#[tokio::test]
#[ignore = "needs a ZFS pool"]
async fn a_renamed_or_cloned_volume_is_nobodys() {
    let Cluster { a, .. } = Cluster::new();
    create(&a).await;
    let taken = snapshot(&a).await;
    let root = &a.settings().dataset;
    run(&format!(
        "zfs clone {}@{} {root}/clone",
        dataset(&a),
        taken.name
    ));
    run(&format!("zfs rename {} {root}/other", dataset(&a)));
    let found = a.observe_volumes().await.unwrap();
    assert_eq!(found.len(), 2);
    for copy in found.values() {
        assert!(matches!(copy.role, VolumeRole::Foreign { .. }), "{copy:?}");
    }
}

#[tokio::test]
#[ignore = "needs a ZFS pool"]
async fn the_maximum_size_can_be_changed() {
    let Cluster { a, .. } = Cluster::new();
    create(&a).await;
    for (maximum, change) in [
        (Some(ByteCount::mebibytes(8)), Change::Changed),
        (Some(ByteCount::mebibytes(8)), Change::Unchanged),
        (None, Change::Changed),
    ] {
        let volume = a.open_owned_now(&web()).await.unwrap();
        assert_eq!(volume.set_maximum_size(maximum).await.unwrap(), change);
        assert_eq!(observe(&a).await.unwrap().maximum_size, maximum);
    }
}

#[tokio::test]
#[ignore = "needs a ZFS pool"]
async fn only_our_own_older_snapshots_are_destroyed() {
    let Cluster { a, .. } = Cluster::new();
    create(&a).await;
    let mut ours = Vec::new();
    for _ in 0..4 {
        // A mounted volume's snapshots are never shared, so that there are four.
        let volume = a.open_owned_now(&web()).await.unwrap();
        volume.mount().await.unwrap();
        ours.push(snapshot(&a).await);
    }
    a.unmount(&web()).await.unwrap();
    run(&format!("zfs snapshot {}@autosnap", dataset(&a)));
    run(&format!("zfs hold backup {}@{}", dataset(&a), ours[0].name));

    let keep = BTreeSet::from([ours[1].guid]);
    assert_eq!(
        a.prune_snapshots(&web(), &keep).await.unwrap(),
        Change::Changed
    );
    let left = run(&format!(
        "zfs list -t snapshot -Ho name {} | cut -d@ -f2",
        dataset(&a)
    ));
    let expected = [&ours[0].name, &ours[1].name, &ours[3].name, "autosnap"].join("\n");
    assert_eq!(left, expected);
    assert_eq!(
        a.prune_snapshots(&web(), &keep).await.unwrap(),
        Change::Unchanged
    );
}

#[tokio::test]
#[ignore = "needs a ZFS pool"]
async fn the_pool_is_usable_and_a_missing_one_is_not() {
    let Cluster { a, .. } = Cluster::new();
    let pool = a.observe_pool().await.0;
    assert_eq!(pool.health, PoolHealth::Usable);
    assert!(pool.available > ByteCount::mebibytes(1));
    let missing = Zfs::new(ZfsSettings {
        dataset: "no-such-pool/flocker".to_owned(),
        ..a.settings().clone()
    });
    assert!(matches!(
        missing.observe_pool().await.0.health,
        PoolHealth::Unusable {
            problem: PoolProblem::NotImported
        }
    ));
    // Unknown is not absent.
    let unknown = missing.observe_volumes().await;
    assert!(
        matches!(
            unknown,
            Err(ObserveError::Pool {
                problem: PoolProblem::NotImported,
                ..
            })
        ),
        "{unknown:?}"
    );
    let unknown = missing.observe_volume(&web()).await;
    assert!(
        matches!(
            unknown,
            Err(ObserveError::Pool {
                problem: PoolProblem::NotImported,
                ..
            })
        ),
        "{unknown:?}"
    );
}
