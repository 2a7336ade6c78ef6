//! Streams arrive whole, go on after an interruption, and never overwrite anything.

use flocker_model::{ByteCount, VolumeRole};
use flocker_zfs::{Change, PlanSendError, ReceiveError, ReceiveRequest, SendError, Transfer, Zfs};
use tokio::io::AsyncReadExt;

use crate::support::{
    Cluster, dataset, hand_over, newest, noise, observe, push, push_counted, push_once, read, role,
    run, snapshot, touch, web, write,
};

const MEBIBYTE: usize = 1 << 20;

async fn token(zfs: &Zfs) -> Option<String> {
    zfs.prepare_incoming(&web()).await.unwrap().resume_token
}

#[tokio::test]
#[ignore = "needs a ZFS pool"]
async fn a_first_push_is_full_and_the_next_incremental() {
    let Cluster { a, b } = Cluster::with_volume(b"one").await;
    assert_eq!(push(&a, &b).await, [Transfer::Full]);
    assert_eq!(push(&a, &b).await, []);
    let base = newest(&observe(&b).await.unwrap());
    write(&a, "data", b"two").await;
    snapshot(&a).await;
    assert_eq!(push(&a, &b).await, [Transfer::Incremental { from: base }]);

    let copy = observe(&b).await.unwrap();
    assert_eq!(
        Some(newest(&copy)),
        observe(&a).await.unwrap().newest_snapshot
    );
    assert_eq!(
        (copy.written.get(), copy.mounted.as_deref(), copy.resumable),
        (0, None, false)
    );
    let VolumeRole::Replica { owner, handoff, .. } = copy.role else {
        panic!("{copy:?}");
    };
    assert_eq!((owner, handoff), (a.settings().node, None));
    let properties = run(&format!(
        "zfs get -Ho value readonly,canmount,refquota {}",
        dataset(&b)
    ));
    assert_eq!(properties, "on\nnoauto\nnone");
    let holds = run(&format!(
        "zfs list -t snapshot -Ho userrefs {}",
        dataset(&b)
    ));
    assert_eq!(holds, "1\n1");
}

#[tokio::test]
#[ignore = "needs a ZFS pool"]
async fn an_interrupted_first_push_goes_on() {
    let Cluster { a, b } = Cluster::with_volume(&noise(8 * MEBIBYTE)).await;
    push_once(&a, &b, 4 << 20).await.unwrap_err();
    assert!(token(&b).await.is_some());
    let early = observe(&b).await.unwrap();
    assert!(early.resumable && early.snapshots.is_empty(), "{early:?}");

    let (transfer, rest) = push_counted(&a, &b, u64::MAX).await.unwrap().unwrap();
    assert!(matches!(transfer, Transfer::Resume { .. }), "{transfer:?}");
    // What does not compress goes over whole: a stream from the beginning would be longer.
    assert!(rest < 7 << 20, "{rest} bytes");
    assert!(push(&a, &b).await.is_empty());
    assert_eq!(token(&b).await, None);
    hand_over(&a, &b, 1).await;
    assert!(read(&b, "data").await == noise(8 * MEBIBYTE));
    let left = run(&format!("zfs list -Hro name {}", b.settings().dataset));
    assert_eq!(left.lines().count(), 2, "{left}");
}

#[tokio::test]
#[ignore = "needs a ZFS pool"]
async fn an_interrupted_increment_goes_on() {
    let Cluster { a, b } = Cluster::with_volume(b"one").await;
    push(&a, &b).await;
    write(&a, "more", &noise(8 * MEBIBYTE)).await;
    snapshot(&a).await;
    push_once(&a, &b, 4 << 20).await.unwrap_err();
    assert!(observe(&b).await.unwrap().resumable);
    // The application went on meanwhile: first the rest, then what is new.
    write(&a, "data", b"two").await;
    snapshot(&a).await;
    let transfers = push(&a, &b).await;
    assert!(
        matches!(
            transfers[..],
            [Transfer::Resume { .. }, Transfer::Incremental { .. }]
        ),
        "{transfers:?}"
    );
    hand_over(&a, &b, 1).await;
    assert_eq!(read(&b, "data").await, b"two");
    assert!(read(&b, "more").await == noise(8 * MEBIBYTE));
}

#[tokio::test]
#[ignore = "needs a ZFS pool"]
async fn a_token_for_a_snapshot_that_is_gone_is_discarded() {
    let Cluster { a, b } = Cluster::with_volume(&noise(8 * MEBIBYTE)).await;
    push_once(&a, &b, 4 << 20).await.unwrap_err();
    let gone = format!("{}@{}", dataset(&a), "flocker-1-000001");
    write(&a, "data", &noise(6 * MEBIBYTE)).await;
    snapshot(&a).await;
    run(&format!("zfs release flocker {gone} && zfs destroy {gone}"));
    assert_eq!(push(&a, &b).await, [Transfer::Full]);
    assert_eq!(token(&b).await, None);
    // Likewise with a copy in place.
    write(&a, "more", &noise(8 * MEBIBYTE)).await;
    let gone = format!("{}@{}", dataset(&a), snapshot(&a).await.name);
    push_once(&a, &b, 4 << 20).await.unwrap_err();
    write(&a, "more", b"less").await;
    snapshot(&a).await;
    run(&format!("zfs release flocker {gone} && zfs destroy {gone}"));
    assert!(matches!(
        push(&a, &b).await[..],
        [Transfer::Incremental { .. }]
    ));
    assert_eq!(token(&b).await, None);
}

#[tokio::test]
#[ignore = "needs a ZFS pool"]
async fn what_an_interruption_left_can_be_discarded() {
    let Cluster { a, b } = Cluster::with_volume(&noise(8 * MEBIBYTE)).await;
    push_once(&a, &b, 4 << 20).await.unwrap_err();
    assert_eq!(b.discard_partial(&web()).await.unwrap(), Change::Changed);
    assert_eq!(b.discard_partial(&web()).await.unwrap(), Change::Unchanged);
    assert_eq!(observe(&b).await, None);
}

#[tokio::test]
#[ignore = "needs a ZFS pool"]
async fn a_push_that_was_whole_but_never_acknowledged_is_not_repeated() {
    let Cluster { a, b } = Cluster::with_volume(b"one").await;
    push(&a, &b).await;
    // As a crash just before the renaming leaves it.
    let received = format!("{}/_receiving:web", b.settings().dataset);
    run(&format!("zfs rename {} {received}", dataset(&b)));
    assert_eq!(push(&a, &b).await, []);
    assert!(matches!(role(&b).await, VolumeRole::Replica { .. }));
    run(&format!("zfs rename {} {received}", dataset(&b)));
    hand_over(&a, &b, 1).await;
    assert_eq!(read(&b, "data").await, b"one");
}

#[tokio::test]
#[ignore = "needs a ZFS pool"]
async fn a_lost_common_snapshot_is_an_error() {
    let Cluster { a, b } = Cluster::with_volume(b"one").await;
    push(&a, &b).await;
    write(&a, "data", b"two").await;
    snapshot(&a).await;
    let base = format!("{}@flocker-1-000001", dataset(&a));
    run(&format!("zfs release flocker {base} && zfs destroy {base}"));
    let volume = a.open_owned_now(&web()).await.unwrap();
    let incoming = b.prepare_incoming(&web()).await.unwrap();
    let plan = volume.plan_send(newest(volume.copy()), &incoming).await;
    assert!(
        matches!(
            plan,
            Err(SendError::Plan(PlanSendError::NoCommonSnapshot { .. }))
        ),
        "{plan:?}"
    );
}

#[tokio::test]
#[ignore = "needs a ZFS pool"]
async fn a_replica_that_was_written_to_is_refused_and_kept() {
    let Cluster { a, b } = Cluster::with_volume(b"one").await;
    push(&a, &b).await;
    let path = b.mountpoint_of(&web());
    run(&format!("zfs set readonly=off {}", dataset(&b)));
    run(&format!(
        "zfs mount {0} && echo x > {1}/stray && zfs unmount {0}",
        dataset(&b),
        path.display()
    ));
    // Also when nothing has to be sent: the hand-off would be refused after the application was
    // stopped.
    let refused = push_once(&a, &b, u64::MAX).await;
    assert!(
        matches!(refused, Err(ReceiveError::Touched { .. })),
        "{refused:?}"
    );
    write(&a, "data", b"two").await;
    snapshot(&a).await;
    let refused = push_once(&a, &b, u64::MAX).await;
    assert!(
        matches!(refused, Err(ReceiveError::Touched { .. })),
        "{refused:?}"
    );
    run(&format!("zfs mount {}", dataset(&b)));
    assert!(path.join("stray").exists());
    let refused = push_once(&a, &b, u64::MAX).await;
    assert!(
        matches!(refused, Err(ReceiveError::Touched { .. })),
        "{refused:?}"
    );
    b.unmount(&web()).await.unwrap();
}

#[tokio::test]
#[ignore = "needs a ZFS pool"]
async fn others_snapshots_of_a_replica_do_not_stand_in_the_way() {
    let Cluster { a, b } = Cluster::with_volume(b"one").await;
    push(&a, &b).await;
    run(&format!("zfs snapshot {}@autosnap", dataset(&b)));
    assert_eq!(observe(&b).await.unwrap().written, ByteCount::ZERO);
    write(&a, "data", b"two").await;
    hand_over(&a, &b, 1).await;
    assert_eq!(read(&b, "data").await, b"two");
    // Nor on the way back.
    run(&format!("zfs snapshot {}@autosnap", dataset(&a)));
    write(&b, "data", b"three").await;
    run(&format!("zfs snapshot {}@autosnap-late", dataset(&b)));
    let back = hand_over(&b, &a, 2).await;
    assert!(
        matches!(back[..], [Transfer::Incremental { .. }]),
        "{back:?}"
    );
    assert_eq!(read(&a, "data").await, b"three");
}

/// ZFS counts from the newest snapshot on, whoever took that.
#[tokio::test]
#[ignore = "needs a ZFS pool"]
async fn others_snapshots_of_what_was_written_to_a_replica_do_not_hide_it() {
    let Cluster { a, b } = Cluster::with_volume(b"one").await;
    push(&a, &b).await;
    let end = newest(&observe(&b).await.unwrap());
    for name in ["autosnap-daily", "autosnap-hourly"] {
        touch(&b);
        run(&format!("zfs snapshot {}@{name}", dataset(&b)));
    }
    let ask = |property: &str| run(&format!("zfs get -Hpo value {property} {}", dataset(&b)));
    assert_eq!(ask("written"), "0");
    let copy = observe(&b).await.unwrap();
    let measured = ask(&format!("written@{}", copy.snapshots[&end].name));
    let measured: u64 = measured.parse().unwrap();
    // What was written twice is counted twice.
    assert!((1..=copy.written.get()).contains(&measured), "{copy:?}");

    // Before anything is sent, and also when nothing has to be.
    let refused = b.prepare_incoming(&web()).await;
    assert!(
        matches!(refused, Err(ReceiveError::Touched { .. })),
        "{refused:?}"
    );
    write(&a, "data", b"two").await;
    snapshot(&a).await;
    let refused = push_once(&a, &b, u64::MAX).await;
    assert!(
        matches!(refused, Err(ReceiveError::Touched { .. })),
        "{refused:?}"
    );
    // A sender that did not ask is refused as well.
    let request = ReceiveRequest {
        application: web(),
        owner: a.settings().node,
        epoch: flocker_model::Epoch(1),
        transfer: Transfer::Incremental { from: end },
    };
    let refused = b.receive(&request, tokio::io::empty()).await;
    assert!(
        matches!(refused, Err(ReceiveError::Touched { .. })),
        "{refused:?}"
    );
    assert_eq!(observe(&b).await.unwrap(), copy);
}

#[tokio::test]
#[ignore = "needs a ZFS pool"]
async fn an_owner_and_a_later_turns_copy_take_no_stream() {
    let Cluster { a, b } = Cluster::with_volume(b"one").await;
    hand_over(&a, &b, 1).await;
    let request = |owner: &Zfs, epoch| ReceiveRequest {
        application: web(),
        owner: owner.settings().node,
        epoch: flocker_model::Epoch(epoch),
        transfer: Transfer::Full,
    };
    let refused = b.receive(&request(&a, 1), tokio::io::empty()).await;
    assert!(
        matches!(refused, Err(ReceiveError::Stale(_))),
        "{refused:?}"
    );
    // A copy that knows of the turn after: the old owner must not change it.
    let refused = a.receive(&request(&b, 1), tokio::io::empty()).await;
    assert!(
        matches!(refused, Err(ReceiveError::Stale(_))),
        "{refused:?}"
    );
    let refused = a.receive(&request(&a, 5), tokio::io::empty()).await;
    assert!(
        matches!(refused, Err(ReceiveError::Unfit { .. })),
        "{refused:?}"
    );
    let refused = a.receive(&request(&b, 2), tokio::io::empty()).await;
    assert!(
        matches!(refused, Err(ReceiveError::Unfit { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
#[ignore = "needs a ZFS pool"]
async fn rubbish_is_refused() {
    let Cluster { a, b } = Cluster::new();
    let request = ReceiveRequest {
        application: web(),
        owner: a.settings().node,
        epoch: flocker_model::Epoch(1),
        transfer: Transfer::Full,
    };
    let rubbish = noise(MEBIBYTE);
    let refused = b.receive(&request, rubbish.as_slice()).await;
    assert!(
        matches!(refused, Err(ReceiveError::Unfit { .. })),
        "{refused:?}"
    );
    assert_eq!(observe(&b).await, None);
}

#[tokio::test]
#[ignore = "needs a ZFS pool"]
async fn a_send_that_cannot_write_is_a_failure() {
    let Cluster { a, b } = Cluster::with_volume(&noise(4 * MEBIBYTE)).await;
    let volume = a.open_owned_now(&web()).await.unwrap();
    let incoming = b.prepare_incoming(&web()).await.unwrap();
    let plan = volume
        .plan_send(newest(volume.copy()), &incoming)
        .await
        .unwrap();
    let mut sending = volume.send(&plan).unwrap();
    sending.stream.read_exact(&mut [0; 100]).await.unwrap();
    drop(sending.stream);
    assert!(sending.completion.wait().await.is_err());
}
