//! Pools that are full, read-only, or not where they were.

use std::fs::File;
use std::io::{ErrorKind, Write as _};

use flocker_model::{ByteCount, PoolHealth, VolumeRole};
use flocker_zfs::{ObserveError, Zfs, ZfsSettings};

use crate::support::{
    Cluster, Pool, create, hand_over, noise, observe, read, role, run, snapshot, web,
};

/// Writes to the owned volume until there is no space left; returns how many bytes that took.
async fn fill(zfs: &Zfs) -> usize {
    let volume = zfs.open_owned_now(&web()).await.unwrap();
    let (_, mounted) = volume.mount().await.unwrap();
    let mut file = File::create(mounted.path().join("data")).unwrap();
    let chunk = noise(1 << 20);
    let mut written = 0;
    loop {
        // Space that is given back only with the next transaction is not free yet.
        let done = file.write(&chunk).and_then(|bytes| {
            file.sync_all()?;
            Ok(bytes)
        });
        match done {
            Ok(bytes) => written += bytes,
            Err(error) => {
                let full = [ErrorKind::StorageFull, ErrorKind::QuotaExceeded];
                assert!(full.contains(&error.kind()), "{error}");
                break;
            }
        }
    }
    drop(file);
    zfs.unmount(&web()).await.unwrap();
    written
}

/// A limit is for what is written, and in the way of nothing else.
#[tokio::test]
#[ignore = "needs a ZFS pool"]
async fn a_volume_that_is_full_moves() {
    let Cluster { a, b } = Cluster::new();
    create(&a).await;
    let limit = Some(ByteCount::mebibytes(8));
    let volume = a.open_owned_now(&web()).await.unwrap();
    volume.set_maximum_size(limit).await.unwrap();
    snapshot(&a).await;
    let written = fill(&a).await;
    hand_over(&a, &b, 1).await;
    assert!(read(&b, "data").await.len() >= written);
}

/// ZFS takes no snapshot then, which is told before anything is stopped; and nothing is lost.
#[tokio::test]
#[ignore = "needs a ZFS pool"]
async fn a_full_pool_says_so_and_gives_its_volume_away_when_it_has_space() {
    let pool = Pool::new("full");
    let a = Cluster::below(&pool.name).a;
    let b = Cluster::new().b;
    create(&a).await;
    snapshot(&a).await;
    let written = fill(&a).await;
    let volume = a.open_owned_now(&web()).await.unwrap();
    let refused = volume.take_snapshot().await.unwrap_err().to_string();
    assert!(
        refused.ends_with("No space left on device (os error 28)"),
        "{refused}"
    );
    pool.grow();
    hand_over(&a, &b, 1).await;
    assert!(matches!(role(&a).await, VolumeRole::Replica { .. }));
    assert!(read(&b, "data").await.len() >= written);
}

#[tokio::test]
#[ignore = "needs a ZFS pool"]
async fn a_read_only_pool_takes_no_volume_and_shows_what_it_has() {
    let pool = Pool::new("fixed");
    let a = Cluster::below(&pool.name).a;
    create(&a).await;
    let before = observe(&a).await.unwrap().role;
    pool.import_again(&format!("-o readonly=on {}", pool.name));
    let PoolHealth::Unusable { problem } = a.observe_pool().await.health else {
        panic!("a read-only pool takes volumes");
    };
    assert_eq!(problem, "is imported read-only");
    assert_eq!(role(&a).await, before);
}

/// Its volumes are unknown then, which is not absent.
#[tokio::test]
#[ignore = "needs a ZFS pool"]
async fn a_renamed_pool_is_missed() {
    let pool = Pool::new("old");
    let a = Cluster::below(&pool.name).a;
    create(&a).await;
    let renamed = Zfs::new(ZfsSettings {
        dataset: a
            .settings()
            .dataset
            .replacen(&pool.name, "flocker-renamed", 1),
        ..a.settings().clone()
    });
    let owned = role(&a).await;
    pool.import_again(&format!("{} flocker-renamed", pool.name));
    assert!(matches!(
        a.observe_pool().await.health,
        PoolHealth::Unusable { .. }
    ));
    let found = a.observe_volumes().await;
    assert!(
        matches!(found, Err(ObserveError::NoPool { .. })),
        "{found:?}"
    );
    // Where the settings follow, everything is there again.
    assert_eq!(role(&renamed).await, owned);
    run(&format!(
        "zpool export flocker-renamed && zpool import -d /var/tmp flocker-renamed {}",
        pool.name
    ));
}
