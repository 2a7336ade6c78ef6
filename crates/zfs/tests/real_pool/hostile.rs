//! Streams that no honest node sends.

use flocker_model::{Epoch, SnapshotGuid, VolumeRole};
use flocker_zfs::{ReceiveError, ReceiveRequest, Transfer, Zfs};

use crate::support::{
    Cluster, dataset, newest, noise, observe, push, read, role, run, snapshot, web, write,
};

const MEBIBYTE: usize = 1 << 20;

/// What `zfs send` writes.
fn sent(arguments: &str) -> Vec<u8> {
    let output = std::process::Command::new("sh")
        .args(["-c", &format!("zfs send {arguments}")])
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "zfs send {arguments}: {stderr}");
    output.stdout
}

/// Has `b` receive what claims to be `a`'s volume.
async fn receive(
    (a, b): (&Zfs, &Zfs),
    transfer: Transfer,
    stream: &[u8],
) -> Result<SnapshotGuid, ReceiveError> {
    let request = ReceiveRequest {
        application: web(),
        owner: a.settings().node,
        epoch: Epoch(1),
        transfer,
    };
    Ok(b.receive(&request, stream).await?.newest)
}

/// Everything below a node's dataset, which the first stream makes, and what was set on it.
fn everything(zfs: &Zfs) -> String {
    let root = &zfs.settings().dataset;
    let listed = run(&format!(
        "zfs list -rHo name -t filesystem,snapshot {root} 2>/dev/null || true; \
         zfs get -rHp -t filesystem,snapshot -s local,received -o name,property,value all {root} \
         2>/dev/null || true"
    ));
    let below = format!("{root}/");
    let lines = listed.lines().filter(|line| line.starts_with(&below));
    lines.collect::<Vec<_>>().join("\n")
}

/// The snapshot that Flocker took last.
async fn last(zfs: &Zfs) -> String {
    let copy = observe(zfs).await.unwrap();
    let newest = newest(&copy);
    format!("{}@{}", dataset(zfs), copy.snapshots[&newest].name)
}

#[tokio::test]
#[ignore = "needs a ZFS pool"]
async fn garbage_is_refused_wherever_it_begins() {
    let Cluster { a, b } = Cluster::with_volume(&noise(4 * MEBIBYTE)).await;
    let whole = sent(&last(&a).await);
    // None of it looks like a stream; the head does; and all but a byte in the middle does, which
    // a checksum tells.
    let garbage = noise(MEBIBYTE);
    let headed = [&whole[..312], &garbage].concat();
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 0x10;
    for (what, stream) in [
        ("noise", garbage),
        ("zeros", vec![0; MEBIBYTE]),
        ("text", b"zfs destroy -r tank\n".repeat(1000)),
        ("a head and noise", headed),
        ("a flipped bit", flipped),
    ] {
        let refused = receive((&a, &b), Transfer::Full, &stream).await;
        assert!(refused.is_err(), "{what}: {refused:?}");
        let copy = observe(&b).await;
        assert!(copy.is_none_or(|copy| copy.snapshots.is_empty()), "{what}");
        let mounted = run("cat /proc/self/mounts");
        assert!(
            !mounted.contains(&b.settings().dataset),
            "{what}: {mounted}"
        );
    }
    // What was kept of it stands in nobody's way.
    b.discard_partial(&web()).await.unwrap();
    push(&a, &b).await;
    assert!(matches!(role(&b).await, VolumeRole::Replica { .. }));
}

#[tokio::test]
#[ignore = "needs a ZFS pool"]
async fn a_stream_of_a_dataset_that_is_not_flockers_is_refused() {
    let Cluster { a, b } = Cluster::with_volume(b"one").await;
    let other = format!("{}/other", a.settings().dataset);
    run(&format!(
        "zfs create -o mountpoint=none {other} && zfs snapshot {other}@autosnap && \
         zfs snapshot {other}@flocker-1-000001"
    ));
    let before = everything(&b);
    let refused = receive(
        (&a, &b),
        Transfer::Full,
        &sent(&format!("{other}@autosnap")),
    )
    .await;
    assert!(
        matches!(refused, Err(ReceiveError::Unfit { .. })),
        "{refused:?}"
    );
    assert_eq!(everything(&b), before);
    // With a copy in place, the dataset's own history is what the kernel compares.
    push(&a, &b).await;
    let base = newest(&observe(&b).await.unwrap());
    let before = everything(&b);
    let incremental = sent(&format!("-i @autosnap {other}@flocker-1-000001"));
    for transfer in [Transfer::Full, Transfer::Incremental { from: base }] {
        let refused = receive((&a, &b), transfer, &incremental).await;
        assert!(
            matches!(refused, Err(ReceiveError::Unfit { .. })),
            "{refused:?}"
        );
        assert_eq!(everything(&b), before);
    }
}

#[tokio::test]
#[ignore = "needs a ZFS pool"]
async fn a_replication_package_is_refused_with_all_that_is_in_it() {
    let Cluster { a, b } = Cluster::with_volume(b"one").await;
    let volume = dataset(&a);
    run(&format!(
        "zfs create -o canmount=off {volume}/child && zfs snapshot {volume}@autosnap && \
         zfs snapshot -r {volume}@flocker-1-000009 && \
         zfs set com.example:evil=yes setuid=on {volume}"
    ));
    let before = everything(&b);
    for options in ["-R", "-p", "-R -p", "-b", "-h"] {
        let stream = sent(&format!("{options} {volume}@flocker-1-000009"));
        let refused = receive((&a, &b), Transfer::Full, &stream).await;
        assert!(
            matches!(refused, Err(ReceiveError::Unfit { .. })),
            "{options}: {refused:?}"
        );
        assert_eq!(everything(&b), before, "{options}");
    }
    // Likewise in the place of an increment.
    let first = format!("{volume}@flocker-1-000001");
    let whole = sent(&first);
    receive((&a, &b), Transfer::Full, &whole).await.unwrap();
    let from = newest(&observe(&b).await.unwrap());
    let before = everything(&b);
    for options in [
        "-R -I @flocker-1-000001",
        "-I @flocker-1-000001",
        "-p -i @flocker-1-000001",
    ] {
        let stream = sent(&format!("{options} {volume}@flocker-1-000009"));
        let refused = receive((&a, &b), Transfer::Incremental { from }, &stream).await;
        assert!(
            matches!(refused, Err(ReceiveError::Unfit { .. })),
            "{options}: {refused:?}"
        );
        assert_eq!(everything(&b), before, "{options}");
    }
}

#[tokio::test]
#[ignore = "needs a ZFS pool"]
async fn no_property_of_a_stream_reaches_the_replica() {
    let Cluster { a, b } = Cluster::with_volume(b"one").await;
    let volume = dataset(&a);
    let node = b.settings().node;
    run(&format!(
        "zfs set setuid=on exec=on devices=on quota=1G copies=2 com.example:evil=yes \
         flocker:ownership=owner={node},epoch=99 flocker:owner={node} flocker:epoch=99 \
         flocker:handoff=1 canmount=on \
         mountpoint=/run/flocker-contract/evil readonly=off {volume}"
    ));
    // Somebody who can send a package can also cut its first part off.
    let package = sent(&format!("-p {volume}@flocker-1-000001"));
    let refused = receive((&a, &b), Transfer::Full, &package).await;
    assert!(
        matches!(refused, Err(ReceiveError::Unfit { .. })),
        "{refused:?}"
    );
    let magic = 0x2_f5ba_cbac_u64.to_le_bytes();
    let inner = (8..package.len() - 8)
        .filter(|at| package[*at..*at + 8] == magic)
        .nth(1)
        .expect("a package has a stream in it");
    receive((&a, &b), Transfer::Full, &package[inner - 8..])
        .await
        .unwrap();
    let set = everything(&b);
    for evil in [
        "evil",
        "quota\t1",
        "copies\t2",
        "\t99",
        "setuid",
        "devices",
        "exec",
    ] {
        let found: Vec<_> = set
            .lines()
            .filter(|line| line.starts_with(&dataset(&b)) && line.contains(evil))
            .collect();
        assert_eq!(found, [""; 0], "{evil}");
    }
    let expected = VolumeRole::Replica {
        owner: a.settings().node,
        epoch: Epoch(1),
        handoff: None,
    };
    assert_eq!(role(&b).await, expected);
    let properties = run(&format!(
        "zfs get -Ho value readonly,canmount,mounted {}",
        dataset(&b)
    ));
    assert_eq!(properties, "on\nnoauto\nno");
}

#[tokio::test]
#[ignore = "needs a ZFS pool"]
async fn a_truncated_stream_is_no_copy_wherever_it_ends() {
    let Cluster { a, b } = Cluster::with_volume(&noise(4 * MEBIBYTE)).await;
    let whole = sent(&last(&a).await);
    for length in [0, 1, 311, 312, 313, 4096, whole.len() / 2, whole.len() - 1] {
        let refused = receive((&a, &b), Transfer::Full, &whole[..length]).await;
        assert!(refused.is_err(), "{length}: {refused:?}");
        let copy = observe(&b).await;
        assert!(
            copy.is_none_or(|copy| copy.snapshots.is_empty()),
            "{length}"
        );
    }
    push(&a, &b).await;
    let base = newest(&observe(&b).await.unwrap());
    write(&a, "more", &noise(4 * MEBIBYTE)).await;
    snapshot(&a).await;
    let first = format!("{}@flocker-1-000001", dataset(&a));
    let increment = sent(&format!("-i {first} {}", last(&a).await));
    for length in [0, 312, increment.len() / 2, increment.len() - 1] {
        let transfer = Transfer::Incremental { from: base };
        let refused = receive((&a, &b), transfer, &increment[..length]).await;
        assert!(refused.is_err(), "{length}: {refused:?}");
        let copy = observe(&b).await.unwrap();
        assert_eq!(newest(&copy), base, "{length}");
    }
    push(&a, &b).await;
    assert_eq!(
        newest(&observe(&b).await.unwrap()),
        newest(&observe(&a).await.unwrap())
    );
}

#[tokio::test]
#[ignore = "needs a ZFS pool"]
async fn an_increment_of_another_base_is_refused() {
    let Cluster { a, b } = Cluster::with_volume(b"one").await;
    write(&a, "data", b"two").await;
    let second = snapshot(&a).await;
    write(&a, "data", b"three").await;
    snapshot(&a).await;
    let names: Vec<_> = (1..=3)
        .map(|it| format!("{}@flocker-1-00000{it}", dataset(&a)))
        .collect();
    receive((&a, &b), Transfer::Full, &sent(&names[0]))
        .await
        .unwrap();
    let base = newest(&observe(&b).await.unwrap());
    let before = everything(&b);
    let skipping = sent(&format!("-i {} {}", names[1], names[2]));
    for (what, transfer) in [
        (
            "announced as it is",
            Transfer::Incremental { from: second.guid },
        ),
        (
            "announced as if it fitted",
            Transfer::Incremental { from: base },
        ),
        ("announced as full", Transfer::Full),
        (
            "announced as a rest",
            Transfer::Resume {
                token: "1-x-0-0".to_owned(),
            },
        ),
    ] {
        let refused = receive((&a, &b), transfer, &skipping).await;
        assert!(
            matches!(refused, Err(ReceiveError::Unfit { .. })),
            "{what}: {refused:?}"
        );
        assert_eq!(everything(&b), before, "{what}");
    }
    // A head that was forged to say what is expected: the kernel compares what it has.
    let mut forged = skipping;
    forged[48..56].copy_from_slice(&base.0.to_le_bytes());
    let refused = receive((&a, &b), Transfer::Incremental { from: base }, &forged).await;
    assert!(refused.is_err(), "{refused:?}");
    b.discard_partial(&web()).await.unwrap();
    assert_eq!(newest(&observe(&b).await.unwrap()), base);
    // The honest way still works.
    push(&a, &b).await;
    crate::support::hand_over(&a, &b, 1).await;
    assert_eq!(read(&b, "data").await, b"three");
}
