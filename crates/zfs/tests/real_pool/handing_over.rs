//! There is one owner, or for a moment none, and never two.

use flocker_model::{Epoch, SnapshotGuid, VolumeRole};
use flocker_zfs::{AcquireError, Change, OpenError, ReleaseError, Transfer};

use crate::support::{
    Cluster, acquire, dataset, hand_over, observe, push, read, release, role, run, snapshot, web,
    write,
};

#[tokio::test]
#[ignore = "needs a ZFS pool"]
async fn a_volume_goes_there_and_back_with_its_data() {
    let Cluster { a, b } = Cluster::with_volume(b"one").await;
    assert_eq!(hand_over(&a, &b, 1).await, [Transfer::Full]);
    assert_eq!(role(&b).await, VolumeRole::Owned { epoch: Epoch(2) });
    assert_eq!(read(&b, "data").await, b"one");
    write(&b, "data", b"two").await;
    let back = hand_over(&b, &a, 2).await;
    assert!(
        matches!(back[..], [Transfer::Incremental { .. }]),
        "{back:?}"
    );
    assert_eq!(read(&a, "data").await, b"two");
    write(&a, "data", b"three").await;
    let again = hand_over(&a, &b, 3).await;
    assert!(
        matches!(again[..], [Transfer::Incremental { .. }]),
        "{again:?}"
    );
    assert_eq!(read(&b, "data").await, b"three");
}

#[tokio::test]
#[ignore = "needs a ZFS pool"]
async fn releasing_and_acquiring_are_idempotent() {
    let Cluster { a, b } = Cluster::with_volume(b"one").await;
    push(&a, &b).await;
    let first = a.release(&web(), &release(1, &b)).await.unwrap();
    let second = a.release(&web(), &release(1, &b)).await.unwrap();
    assert_eq!(
        (first.change, second.change),
        (Change::Changed, Change::Unchanged)
    );
    assert_eq!(first.snapshot, second.snapshot);
    let released = VolumeRole::Replica {
        owner: b.settings().node,
        epoch: Epoch(2),
        handoff: Some(first.snapshot),
    };
    assert_eq!(role(&a).await, released);
    let found = a.open_replica(&web()).await.unwrap();
    assert_eq!(
        first.replica.copy(),
        found.copy(),
        "the handle is what would be read"
    );
    // Between the two there is no owner.
    assert!(matches!(
        a.open_owned_now(&web()).await,
        Err(OpenError::Stale(_))
    ));
    assert!(matches!(
        b.open_owned_now(&web()).await,
        Err(OpenError::Stale(_))
    ));

    let acquire = acquire(2, first.snapshot);
    assert_eq!(b.acquire(&web(), &acquire).await.unwrap(), Change::Changed);
    assert_eq!(
        b.acquire(&web(), &acquire).await.unwrap(),
        Change::Unchanged
    );
    let late = a.release(&web(), &release(1, &a)).await;
    assert!(matches!(late, Err(ReleaseError::Stale(_))), "{late:?}");
}

#[tokio::test]
#[ignore = "needs a ZFS pool"]
async fn only_a_quiet_volume_that_was_pushed_is_released() {
    let Cluster { a, b } = Cluster::with_volume(b"one").await;
    write(&a, "data", b"two").await;
    let refused = a.release(&web(), &release(1, &b)).await;
    assert!(
        matches!(refused, Err(ReleaseError::Written { .. })),
        "{refused:?}"
    );

    let volume = a.open_owned_now(&web()).await.unwrap();
    volume.mount().await.unwrap();
    let refused = a.release(&web(), &release(1, &b)).await;
    assert!(
        matches!(refused, Err(ReleaseError::Mounted { .. })),
        "{refused:?}"
    );
    a.unmount(&web()).await.unwrap();
    let sent = snapshot(&a).await.guid;

    let mut other = release(1, &b);
    other.snapshot = Some(SnapshotGuid(sent.0 ^ 1));
    let refused = a.release(&web(), &other).await;
    assert!(
        matches!(refused, Err(ReleaseError::OtherSnapshot { .. })),
        "{refused:?}"
    );
    assert_eq!(role(&a).await, VolumeRole::Owned { epoch: Epoch(1) });

    // Somebody else's snapshot of the same data is no change.
    run(&format!("zfs snapshot {}@autosnap", dataset(&a)));
    other.snapshot = Some(sent);
    assert_eq!(a.release(&web(), &other).await.unwrap().snapshot, sent);
    let readonly = run(&format!("zfs get -Ho value readonly {}", dataset(&a)));
    assert_eq!(readonly, "on");
}

#[tokio::test]
#[ignore = "needs a ZFS pool"]
async fn only_exactly_what_was_handed_off_is_acquired() {
    let Cluster { a, b } = Cluster::with_volume(b"one").await;
    let absent = b.acquire(&web(), &acquire(2, SnapshotGuid(1))).await;
    assert!(matches!(absent, Err(AcquireError::Stale(_))), "{absent:?}");
    push(&a, &b).await;
    write(&a, "data", b"two").await;
    let last = snapshot(&a).await.guid;
    let behind = b.acquire(&web(), &acquire(2, last)).await;
    assert!(
        matches!(behind, Err(AcquireError::OtherSnapshot { .. })),
        "{behind:?}"
    );
    push(&a, &b).await;
    let old_turn = b.acquire(&web(), &acquire(1, last)).await;
    assert!(
        matches!(old_turn, Err(AcquireError::Stale(_))),
        "{old_turn:?}"
    );

    let path = b.mountpoint_of(&web());
    run(&format!("zfs set readonly=off {}", dataset(&b)));
    run(&format!(
        "zfs mount {0} && echo x > {1}/stray && zfs unmount {0}",
        dataset(&b),
        path.display()
    ));
    let touched = b.acquire(&web(), &acquire(2, last)).await;
    assert!(
        matches!(touched, Err(AcquireError::Touched { .. })),
        "{touched:?}"
    );
    // Somebody's snapshot of it does not make it untouched.
    run(&format!("zfs snapshot {}@autosnap", dataset(&b)));
    let touched = b.acquire(&web(), &acquire(2, last)).await;
    assert!(
        matches!(touched, Err(AcquireError::Touched { .. })),
        "{touched:?}"
    );
    assert!(matches!(role(&b).await, VolumeRole::Replica { .. }));
}

#[tokio::test]
#[ignore = "needs a ZFS pool"]
async fn an_unmounted_volume_that_was_not_written_keeps_its_snapshot() {
    let Cluster { a, .. } = Cluster::with_volume(b"one").await;
    let first = snapshot(&a).await;
    let second = snapshot(&a).await;
    assert_eq!(first.guid, second.guid);
    assert_eq!(second.change, Change::Unchanged);
    assert_eq!(observe(&a).await.unwrap().snapshots.len(), 1);
}
