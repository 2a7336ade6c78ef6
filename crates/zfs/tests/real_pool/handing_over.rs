//! There is one owner, or for a moment none, and never two.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};

use flocker_model::{Epoch, SnapshotGuid, VolumeRole};
use flocker_zfs::{AcquireError, Change, OpenError, ReleaseError, Transfer, Zfs};

use crate::support::{
    Cluster, acquire, dataset, hand_over, newest, observe, push, read, release, role, run,
    snapshot, web, write,
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

/// Says who owns a volume as earlier releases did.
fn say_as_before(zfs: &Zfs, (owner, epoch): (&Zfs, u64)) {
    let owner = owner.settings().node;
    run(&format!(
        "zfs set flocker:owner={owner} flocker:epoch={epoch} flocker:handoff=- {0} && \
         zfs inherit flocker:ownership {0}",
        dataset(zfs)
    ));
}

/// Reads all properties that say who owns a volume.
fn said(zfs: &Zfs) -> Vec<String> {
    let names = "flocker:ownership,flocker:owner,flocker:epoch,flocker:handoff";
    let values = run(&format!("zfs get -Ho value {names} {}", dataset(zfs)));
    values.lines().map(str::to_owned).collect()
}

#[tokio::test]
#[ignore = "needs a ZFS pool"]
async fn volumes_of_an_earlier_release_are_handed_over_and_say_so_in_one_property() {
    let Cluster { a, b } = Cluster::with_volume(b"one").await;
    push(&a, &b).await;
    say_as_before(&a, (&a, 1));
    say_as_before(&b, (&a, 1));
    assert_eq!(role(&a).await, VolumeRole::Owned { epoch: Epoch(1) });
    write(&a, "data", b"two").await;
    hand_over(&a, &b, 1).await;
    assert_eq!(read(&b, "data").await, b"two");
    let owner = b.settings().node;
    let handoff = format!(",handoff={}", newest(&observe(&a).await.unwrap()));
    for (zfs, handoff) in [(&a, handoff.as_str()), (&b, "")] {
        let ownership = format!("owner={owner},epoch=2{handoff}");
        assert_eq!(said(zfs), [ownership.as_str(), "-", "-", "-"]);
    }
}

/// A mount that was detached lazily is in no table, and whoever has a file open writes to it still.
#[tokio::test]
#[ignore = "needs a ZFS pool"]
async fn a_writer_that_no_table_shows_is_refused_before_the_last_snapshot() {
    let Cluster { a, .. } = Cluster::with_volume(b"one").await;
    let volume = a.open_owned_now(&web()).await.unwrap();
    volume.mount().await.unwrap();
    let path = a.mountpoint_of(&web());
    let file = OpenOptions::new().append(true).open(path.join("data"));
    let mut file = file.unwrap();
    run(&format!("umount --lazy {}", path.display()));
    assert_eq!(observe(&a).await.unwrap().mounted, None);
    file.write_all(b"before").unwrap();

    let volume = a.open_owned_now(&web()).await.unwrap();
    assert_eq!(volume.seal().await.unwrap(), Change::Changed);
    let refused = file.write_all(b"after").unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ReadOnlyFilesystem);
    drop(file);
    snapshot(&a).await;
    let volume = a.open_owned_now(&web()).await.unwrap();
    assert_eq!(volume.seal().await.unwrap(), Change::Unchanged);
    assert_eq!(read(&a, "data").await, b"onebefore");
}
