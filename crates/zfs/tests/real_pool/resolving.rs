//! What the operator alone decides: a replica in the place of a lost owner, a copy out of use.

use flocker_model::{DeploymentId, Epoch, SetAsideName, VolumeRole};
use flocker_zfs::{AcquireError, Change, Promote, SetAside, SetAsideError, Transfer, Zfs};

use crate::support::{
    Cluster, acquire, dataset, deployment, hand_over, newest, noise, observe, push, push_once,
    read, release, role, run, snapshot, touch, web, write,
};

/// The promotion of what a node's replica is now.
async fn promotion(zfs: &Zfs, next: u64, deployment: Option<DeploymentId>) -> Promote {
    let copy = observe(zfs).await.unwrap();
    let VolumeRole::Replica { owner, epoch, .. } = copy.role else {
        panic!("{copy:?} is no replica");
    };
    Promote {
        owner,
        epoch,
        snapshot: newest(&copy),
        next: Epoch(next),
        deployment,
    }
}

/// The setting aside of what a node's copy is now.
async fn setting_aside(zfs: &Zfs, at: u64) -> SetAside {
    let copy = observe(zfs).await.unwrap();
    let epoch = match copy.role {
        VolumeRole::Owned { epoch } | VolumeRole::Replica { epoch, .. } => epoch,
        VolumeRole::Foreign { .. } => Epoch(0),
    };
    let name = SetAsideName {
        application: web(),
        epoch,
        at,
    };
    SetAside {
        name,
        role: copy.role,
        newest: copy.newest_snapshot,
    }
}

/// The dataset that a copy is once it was set aside.
fn aside(zfs: &Zfs, set_aside: &SetAside) -> String {
    format!("{}/{}", zfs.settings().dataset, set_aside.name)
}

#[tokio::test]
#[ignore = "needs a ZFS pool"]
async fn a_replica_takes_the_place_of_a_lost_owner() {
    let Cluster { a, b } = Cluster::with_volume(b"one").await;
    push(&a, &b).await;
    write(&a, "data", b"lost").await;
    let promote = promotion(&b, 2, Some(deployment())).await;
    assert_eq!(b.promote(&web(), &promote).await.unwrap(), Change::Changed);
    assert_eq!(role(&b).await, VolumeRole::Owned { epoch: Epoch(2) });
    // The answer may have been lost.
    assert_eq!(
        b.promote(&web(), &promote).await.unwrap(),
        Change::Unchanged
    );
    assert_eq!(read(&b, "data").await, b"one");
    write(&b, "data", b"two").await;
    assert_eq!(read(&b, "data").await, b"two");
    // The old owner knows nothing of it, and must not be able to push over it.
    assert!(push_once(&a, &b, u64::MAX).await.is_err());
}

#[tokio::test]
#[ignore = "needs a ZFS pool"]
async fn only_exactly_the_expected_replica_is_promoted() {
    let Cluster { a, b } = Cluster::with_volume(b"one").await;
    push(&a, &b).await;
    let promote = promotion(&b, 2, None).await;
    let mut other_owner = promote.clone();
    other_owner.owner = b.settings().node;
    let mut other_epoch = promote.clone();
    other_epoch.epoch = Epoch(0);
    for other in [other_owner, other_epoch] {
        let refused = b.promote(&web(), &other).await;
        assert!(
            matches!(refused, Err(AcquireError::Stale(_))),
            "{refused:?}"
        );
    }
    let owner = a.promote(&web(), &promote).await;
    assert!(matches!(owner, Err(AcquireError::Stale(_))), "{owner:?}");

    write(&a, "data", b"two").await;
    snapshot(&a).await;
    push(&a, &b).await;
    let older = b.promote(&web(), &promote).await;
    assert!(
        matches!(older, Err(AcquireError::OtherSnapshot { .. })),
        "{older:?}"
    );

    let promote = promotion(&b, 2, None).await;
    let path = b.mountpoint_of(&web());
    run(&format!("zfs set readonly=off {}", dataset(&b)));
    run(&format!("zfs mount {}", dataset(&b)));
    let mounted = b.promote(&web(), &promote).await;
    assert!(
        matches!(mounted, Err(AcquireError::Touched { .. })),
        "{mounted:?}"
    );
    run(&format!(
        "echo x > {1}/stray && zfs unmount {0}",
        dataset(&b),
        path.display()
    ));
    let written = b.promote(&web(), &promote).await;
    assert!(
        matches!(written, Err(AcquireError::Touched { .. })),
        "{written:?}"
    );
    assert!(matches!(role(&b).await, VolumeRole::Replica { .. }));
}

#[tokio::test]
#[ignore = "needs a ZFS pool"]
async fn what_a_dying_owner_was_sending_is_no_obstacle() {
    let Cluster { a, b } = Cluster::with_volume(b"one").await;
    push(&a, &b).await;
    write(&a, "more", &noise(4 << 20)).await;
    snapshot(&a).await;
    assert!(push_once(&a, &b, 1 << 20).await.is_err());
    assert!(observe(&b).await.unwrap().resumable);
    let promote = promotion(&b, 2, None).await;
    b.promote(&web(), &promote).await.unwrap();
    let promoted = observe(&b).await.unwrap();
    assert!(!promoted.resumable);
    assert_eq!(promoted.deployment, None);
    assert_eq!(read(&b, "data").await, b"one");
}

#[tokio::test]
#[ignore = "needs a ZFS pool"]
async fn a_stale_owners_copy_is_kept_out_of_use_and_the_volume_comes_back_in_full() {
    let Cluster { a, b } = Cluster::with_volume(b"one").await;
    push(&a, &b).await;
    let promote = promotion(&b, 2, None).await;
    b.promote(&web(), &promote).await.unwrap();
    write(&a, "data", b"of the stale owner").await;

    let stale = setting_aside(&a, 1_795_402_590).await;
    assert_eq!(a.set_aside(&stale).await.unwrap(), Change::Changed);
    assert_eq!(a.set_aside(&stale).await.unwrap(), Change::Unchanged);
    assert_eq!(observe(&a).await, None);
    let kept = a.observe_set_aside().await.unwrap();
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].dataset, aside(&a, &stale));
    assert_eq!(kept[0].name, stale.name);

    // It is whole, read-only, and out of the volume's way.
    run(&format!("zfs mount {}", kept[0].dataset));
    let place = a.settings().mount_root.join(stale.name.to_string());
    let contents = std::fs::read(place.join("data")).unwrap();
    assert_eq!(contents, b"of the stale owner");
    assert!(std::fs::write(place.join("data"), b"changed").is_err());
    run(&format!("zfs unmount {}", kept[0].dataset));

    write(&b, "data", b"two").await;
    assert_eq!(hand_over(&b, &a, 2).await, [Transfer::Full]);
    assert_eq!(read(&a, "data").await, b"two");
    assert_eq!(a.observe_set_aside().await.unwrap(), kept);
}

#[tokio::test]
#[ignore = "needs a ZFS pool"]
async fn only_exactly_the_expected_copy_is_set_aside() {
    let Cluster { a, b } = Cluster::with_volume(b"one").await;
    push(&a, &b).await;
    let before = setting_aside(&b, 1).await;
    write(&a, "data", b"two").await;
    snapshot(&a).await;
    push(&a, &b).await;
    let changed = b.set_aside(&before).await;
    assert!(
        matches!(changed, Err(SetAsideError::Changed { .. })),
        "{changed:?}"
    );
    let mut other = setting_aside(&b, 1).await;
    other.role = VolumeRole::Owned { epoch: Epoch(1) };
    let stale = b.set_aside(&other).await;
    assert!(matches!(stale, Err(SetAsideError::Stale(_))), "{stale:?}");

    let expected = setting_aside(&b, 1).await;
    run(&format!("zfs mount {}", dataset(&b)));
    let mounted = b.set_aside(&expected).await;
    assert!(
        matches!(mounted, Err(SetAsideError::Mounted { .. })),
        "{mounted:?}"
    );
    run(&format!("zfs unmount {}", dataset(&b)));
    assert_eq!(b.set_aside(&expected).await.unwrap(), Change::Changed);
}

#[tokio::test]
#[ignore = "needs a ZFS pool"]
async fn a_foreign_dataset_is_set_aside_as_it_is() {
    let Cluster { a, b } = Cluster::with_volume(b"one").await;
    run(&format!("zfs create -p -o canmount=noauto {}", dataset(&b)));
    let foreign = setting_aside(&b, 1).await;
    assert!(matches!(foreign.role, VolumeRole::Foreign { .. }));
    assert_eq!(b.set_aside(&foreign).await.unwrap(), Change::Changed);
    let readonly = format!("zfs get -Ho source readonly {}", aside(&b, &foreign));
    assert_eq!(run(&readonly), "default");
    assert_eq!(push(&a, &b).await, [Transfer::Full]);
}

#[tokio::test]
#[ignore = "needs a ZFS pool"]
async fn part_of_a_first_copy_is_set_aside() {
    let Cluster { a, b } = Cluster::with_volume(b"one").await;
    write(&a, "more", &noise(4 << 20)).await;
    snapshot(&a).await;
    assert!(push_once(&a, &b, 1 << 20).await.is_err());
    let partial = setting_aside(&b, 1).await;
    assert_eq!(partial.newest, None);
    assert_eq!(b.set_aside(&partial).await.unwrap(), Change::Changed);
    assert_eq!(observe(&b).await, None);
    assert_eq!(push(&a, &b).await, [Transfer::Full]);
}

/// Nobody owns the volume then, and what was handed off is whole where it came from.
#[tokio::test]
#[ignore = "needs a ZFS pool"]
async fn what_was_changed_after_it_was_handed_off_is_set_aside() {
    let Cluster { a, b } = Cluster::with_volume(b"one").await;
    push(&a, &b).await;
    let released = a.release(&web(), &release(1, &b)).await.unwrap();
    touch(&b);
    run(&format!("zfs snapshot {}@autosnap", dataset(&b)));
    let refused = b.acquire(&web(), &acquire(2, released.snapshot)).await;
    let Err(AcquireError::Touched { .. }) = &refused else {
        panic!("{refused:?}");
    };
    let told = refused.unwrap_err().to_string();
    assert!(
        told.contains("`flocker-cluster volume resolve web --set-aside NODE`"),
        "{told}"
    );
    let changed = setting_aside(&b, 1).await;
    assert_eq!(b.set_aside(&changed).await.unwrap(), Change::Changed);

    let promote = promotion(&a, 1002, None).await;
    assert_eq!(a.promote(&web(), &promote).await.unwrap(), Change::Changed);
    assert_eq!(hand_over(&a, &b, 1002).await, [Transfer::Full]);
    assert_eq!(read(&b, "data").await, b"one");
}

/// A crash right after `zfs receive` has made its dataset leaves none of the properties.
#[tokio::test]
#[ignore = "needs a ZFS pool"]
async fn the_beginning_of_a_first_copy_is_seen_and_set_aside() {
    let Cluster { a, b } = Cluster::with_volume(b"one").await;
    write(&a, "more", &noise(4 << 20)).await;
    let sent = format!("{}@{}", dataset(&a), snapshot(&a).await.name);
    let root = &b.settings().dataset;
    let begin = format!(
        "zfs create -p {root} && \
         (zfs send {sent} | head -c 1000000 | zfs receive -s -u '{root}/_receiving:web' || true)"
    );
    run(&begin);
    assert!(observe(&b).await.unwrap().is_nameless_part());
    let beginning = setting_aside(&b, 1).await;
    assert_eq!(b.set_aside(&beginning).await.unwrap(), Change::Changed);
    assert_eq!(observe(&b).await, None);

    // Or it is continued.
    run(&begin);
    let pushed = push(&a, &b).await;
    assert!(matches!(pushed[0], Transfer::Resume { .. }), "{pushed:?}");
    assert!(!observe(&b).await.unwrap().is_first_copy);
}
