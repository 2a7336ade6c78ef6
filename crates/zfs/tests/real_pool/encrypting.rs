//! Volumes go to and from encrypted pools, and wait for their keys.

use flocker_model::{Epoch, PoolHealth, PoolProblem, VolumeRole};
use flocker_zfs::output::parse_dry_run;
use flocker_zfs::{MountError, StreamFlags, Transfer};

use crate::support::{
    Cluster, Encrypted, Pool, create, dataset, hand_over, new_volume, noise, observe, push,
    push_once, read, role, run, snapshot, test_dataset, web, write,
};

/// What compresses so well that ZFS keeps it in the place of a pointer.
const SMALL: &[u8] = &[b'x'; 4096];

/// The datasets that two nodes have their volumes below, in each way that is not plain alone.
fn ways() -> [(&'static str, String, String); 3] {
    let (plain, here, there) = (test_dataset(), Encrypted::new(), Encrypted::new());
    [
        ("to an encrypted one", plain.clone(), here.dataset.clone()),
        ("from an encrypted one", here.dataset.clone(), plain),
        ("between encrypted ones", here.dataset, there.dataset),
    ]
}

fn is_encrypted(dataset: &str) -> bool {
    run(&format!("zfs get -Ho value encryption {dataset}")) != "off"
}

#[tokio::test]
#[ignore = "needs a ZFS pool"]
async fn a_volume_moves_to_and_from_encrypted_pools() {
    for (way, from, to) in ways() {
        let Cluster { a, b } = Cluster::between(&from, &to);
        create(&a).await;
        write(&a, "data", &noise(300_000)).await;
        write(&a, "small", SMALL).await;
        let full = hand_over(&a, &b, 1).await;
        assert_eq!(full, [Transfer::Full], "{way}");
        assert_eq!(is_encrypted(&dataset(&a)), is_encrypted(&from));
        assert_eq!(is_encrypted(&dataset(&b)), is_encrypted(&to));
        assert_eq!(read(&b, "data").await, noise(300_000));

        write(&b, "back", SMALL).await;
        let back = hand_over(&b, &a, 2).await;
        assert!(
            matches!(back[..], [Transfer::Incremental { .. }]),
            "{way}: {back:?}"
        );
        assert_eq!(read(&a, "back").await, SMALL);

        write(&a, "again", &noise(5000)).await;
        let again = hand_over(&a, &b, 3).await;
        assert!(
            matches!(again[..], [Transfer::Incremental { .. }]),
            "{way}: {again:?}"
        );
        for (name, contents) in [("small", SMALL), ("again", &noise(5000)), ("back", SMALL)] {
            assert_eq!(read(&b, name).await, contents, "{way}: {name}");
        }
    }
}

#[tokio::test]
#[ignore = "needs a ZFS pool"]
async fn an_interrupted_transfer_to_or_from_an_encrypted_pool_is_continued() {
    for (way, from, to) in ways() {
        let Cluster { a, b } = Cluster::between(&from, &to);
        create(&a).await;
        let data = noise(8 << 20);
        write(&a, "data", &data).await;
        snapshot(&a).await;
        push_once(&a, &b, 3 << 20).await.unwrap_err();
        let token = b.prepare_incoming(&web()).await.unwrap().resume_token;
        let token = token.expect("part of it was received");
        // The token tells what the stream has, which is no more than what it may have.
        let told = parse_dry_run(&run(&format!("zfs send -nvP -t {token} 2>&1")));
        assert!(told.flags.compressed, "{way}");
        assert!(!(told.flags.embedded && is_encrypted(&to)), "{way}");
        let rest = push(&a, &b).await;
        assert_eq!(rest, [Transfer::Resume { token }], "{way}");
        hand_over(&a, &b, 1).await;
        assert!(read(&b, "data").await == data, "{way}");
    }
}

#[tokio::test]
#[ignore = "needs a ZFS pool"]
async fn a_pool_without_features_gets_what_it_can_take() {
    // It has what receiving needs, and no more.
    let options = "-d -o feature@lz4_compress=enabled -o feature@extensible_dataset=enabled";
    let pool = Pool::with_options("features", options);
    let Cluster { a, b } = Cluster::between(&test_dataset(), &pool.name);
    create(&a).await;
    write(&a, "small", SMALL).await;
    let takes = b.prepare_incoming(&web()).await.unwrap().takes;
    assert_eq!(takes, StreamFlags::default());
    hand_over(&a, &b, 1).await;
    assert_eq!(read(&b, "small").await, SMALL);
    write(&b, "back", SMALL).await;
    hand_over(&b, &a, 2).await;
    assert_eq!(read(&a, "back").await, SMALL);
}

#[tokio::test]
#[ignore = "needs a ZFS pool"]
async fn a_volume_whose_key_is_not_loaded_says_so_and_waits() {
    let encrypted = Encrypted::new();
    let a = Cluster::below(&encrypted.dataset).a;
    create(&a).await;
    write(&a, "data", b"kept").await;
    let before = observe(&a).await.unwrap();
    assert_eq!(before.key_needed, None);
    assert_eq!(a.observe_pool().await.0.health, PoolHealth::Usable);

    encrypted.unload_key();
    let locked = observe(&a).await.unwrap();
    assert_eq!(
        locked.key_needed.as_deref(),
        Some(encrypted.dataset.as_str())
    );
    assert_eq!(locked.role, before.role);
    let problem = PoolProblem::KeyNotLoaded {
        dataset: encrypted.dataset.clone(),
    };
    let pool = a.observe_pool().await.0;
    assert_eq!(pool.health, PoolHealth::Unusable { problem });
    let volume = a.open_owned_now(&web()).await.unwrap();
    let refused = volume.mount().await.unwrap_err();
    assert!(
        matches!(&refused, MountError::KeyNotLoaded { root, .. } if *root == encrypted.dataset),
        "{refused:?}"
    );
    // Nor is anything new made, which would be empty.
    let other = flocker_zfs::NewVolume {
        application: "other".parse().unwrap(),
        ..new_volume()
    };
    assert!(a.begin_create(&other).await.is_err());

    encrypted.load_key();
    let epoch = Epoch::FIRST;
    assert_eq!(role(&a).await, VolumeRole::Owned { epoch });
    assert_eq!(observe(&a).await.unwrap().key_needed, None);
    assert_eq!(read(&a, "data").await, b"kept");
}
