//! Data from outside becomes a volume.

use std::process::Command;

use flocker_model::{ByteCount, Epoch};
use flocker_zfs::{Change, ImportError, NewImport, Zfs};

use crate::support::{Cluster, dataset, observe, read, run, web};

fn new_import(from: &str) -> NewImport {
    NewImport {
        application: web(),
        from: from.to_owned(),
        epoch: Epoch::begun_again(1_795_402_590),
        deployment: None,
    }
}

/// Copies a file into an import, which is not finished then.
async fn fill(zfs: &Zfs, new: &NewImport, contents: &str) -> flocker_zfs::Importing {
    let importing = zfs.begin_import(new).await.unwrap().unwrap();
    std::fs::write(importing.path().join("data"), contents).unwrap();
    importing
}

#[tokio::test]
#[ignore = "needs a ZFS pool"]
async fn an_import_cut_after_its_snapshot_has_one_in_the_end() {
    let Cluster { a, .. } = Cluster::new();
    let new = new_import("/srv/web");
    drop(fill(&a, &new, "first").await);
    let unfinished = format!("{}/_importing:web", a.settings().dataset);
    run(&format!(
        "zfs unmount {unfinished} && zfs snapshot {unfinished}@flocker-1-000001"
    ));
    fill(&a, &new, "second").await.finish().await.unwrap();
    let copy = observe(&a).await.unwrap();
    assert_eq!(copy.owned_epoch(), Some(new.epoch));
    assert_eq!((copy.snapshots.len(), copy.written), (1, ByteCount::ZERO));
    assert_eq!(read(&a, "data").await, b"second");
}

#[tokio::test]
#[ignore = "needs a ZFS pool"]
async fn a_file_with_several_streams_does_not_become_a_volume() {
    let cluster = Cluster::with_volume(b"contents").await;
    let snapshot = format!("{}@flocker-1-000001", dataset(&cluster.a));
    let sent = Command::new("zfs").args(["send", &snapshot]).output();
    let stream = sent.unwrap().stdout;
    let new = new_import("stream:web.zfs");
    let twice = stream.repeat(2);
    let refused = cluster.b.import_stream(&new, twice.as_slice()).await;
    assert!(
        matches!(refused, Err(ImportError::Unfit { .. })),
        "{refused:?}"
    );
    let copy = observe(&cluster.b).await.unwrap();
    assert_eq!(copy.unfinished_import(), Some("stream:web.zfs"));
    let imported = cluster.b.import_stream(&new, stream.as_slice()).await;
    assert_eq!(imported.unwrap(), Change::Changed);
    assert_eq!(read(&cluster.b, "data").await, b"contents");
}
