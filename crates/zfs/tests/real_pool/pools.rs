//! Pools that are full, read-only, or not where they were.

use std::fs::File;
use std::io::{ErrorKind, Write as _};

use flocker_model::{ByteCount, PoolHealth, PoolProblem, VolumeRole};
use flocker_zfs::{ObserveError, Zfs, ZfsSettings};

use crate::support::{
    Cluster, Pool, create, hand_over, new_volume, noise, observe, read, role, run, snapshot, web,
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

/// On disks as people have them: the root block that an import rewrites takes more there than on disks
/// with small sectors.
#[tokio::test]
#[ignore = "needs a ZFS pool"]
async fn a_boot_makes_no_replica_look_written_to() {
    for sector in ["9", "12", "13"] {
        let pool = Pool::with_options("sectors", &format!("-o ashift={sector}"));
        let Cluster { a, b } = Cluster::below(&pool.name);
        create(&a).await;
        let volume = a.open_owned_now(&web()).await.unwrap();
        let (_, mounted) = volume.mount().await.unwrap();
        // What is synchronous leaves a log behind, which the import resets.
        let mut file = File::create(mounted.path().join("data")).unwrap();
        file.write_all(b"kept").unwrap();
        file.sync_all().unwrap();
        drop(file);
        a.unmount(&web()).await.unwrap();
        hand_over(&a, &b, 1).await;
        pool.import_again(&pool.name);
        let replica = observe(&a).await.unwrap();
        assert_eq!(replica.written, ByteCount::ZERO, "sectors of 2^{sector}");
        hand_over(&b, &a, 2).await;
        assert_eq!(read(&a, "data").await, b"kept");
    }
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
    let PoolHealth::Unusable { problem } = a.observe_pool().await.0.health else {
        panic!("a read-only pool takes volumes");
    };
    assert_eq!(problem, PoolProblem::ReadOnly);
    assert_eq!(role(&a).await, before);
}

/// The pool is told to be missing, and what is in it to be unknown, one volume and all of them.
async fn assert_missing(zfs: &Zfs) {
    let problem = PoolProblem::NotImported;
    let health = zfs.observe_pool().await.0.health;
    assert_eq!(health, PoolHealth::Unusable { problem });
    let all = zfs.observe_volumes().await.map(|_| ());
    let one = zfs.observe_volume(&web()).await.map(|_| ());
    for unknown in [all, one] {
        let Err(ObserveError::Pool { pool, problem }) = unknown else {
            panic!("{unknown:?}");
        };
        assert_eq!(
            Some(pool.as_str()),
            zfs.settings().dataset.split('/').next()
        );
        assert_eq!(problem, PoolProblem::NotImported);
    }
}

#[tokio::test]
#[ignore = "needs a ZFS pool"]
async fn an_exported_pool_is_missed_and_comes_back_with_all_that_it_had() {
    let pool = Pool::new("away");
    let a = Cluster::below(&pool.name).a;
    create(&a).await;
    snapshot(&a).await;
    let known = async || {
        let copy = observe(&a).await.unwrap();
        (copy.role, copy.newest_snapshot)
    };
    let before = known().await;
    pool.export();
    assert_missing(&a).await;
    let made = a.begin_create(&new_volume()).await;
    assert!(made.is_err(), "an empty volume where one may be: {made:?}");
    pool.import();
    assert_eq!(known().await, before);
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
    assert_missing(&a).await;
    // Where the settings follow, everything is there again.
    assert_eq!(role(&renamed).await, owned);
    run(&format!(
        "zpool export flocker-renamed && zpool import -d /var/tmp flocker-renamed {}",
        pool.name
    ));
}
