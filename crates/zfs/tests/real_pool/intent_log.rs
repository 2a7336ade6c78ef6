//! A crash leaves acknowledged writes in the intent log, and a snapshot must have them.

use std::fs::File;
use std::io::Write;

use flocker_zfs::Zfs;

use crate::support::{Cluster, create, hand_over, read, run, snapshot, web};

/// A pool of its own in a file, so that it can be stopped as a crash does.
struct Pool {
    name: String,
    file: String,
}

impl Pool {
    fn new() -> Self {
        let name = format!("flocker-log-{}", std::process::id());
        let file = format!("/var/tmp/{name}.img");
        run(&format!(
            "truncate -s 256M {file} && zpool create -O mountpoint=none {name} {file}"
        ));
        Self { name, file }
    }

    /// Writes nothing but the intent log from here on.
    ///
    /// **Source**: `zpool freeze`, which the tests of `OpenZFS` use for this and no manual names.
    fn freeze(&self) {
        run(&format!("zpool sync {0} && zpool freeze {0}", self.name));
    }

    /// Forgets all that is in memory only.
    fn crash(&self) {
        run(&format!(
            "zpool export {0} && zpool import -f -d {1} {0}",
            self.name, self.file
        ));
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        run(&format!(
            "zpool destroy -f {}; rm -f {}",
            self.name, self.file
        ));
    }
}

#[tokio::test]
#[ignore = "needs a ZFS pool"]
async fn a_snapshot_after_a_crash_has_what_was_acknowledged_before() {
    let pool = Pool::new();
    let Cluster { a, b } = Cluster::below(&pool.name);
    create(&a).await;
    snapshot(&a).await;
    let volume = a.open_owned_now(&web()).await.unwrap();
    let (_, mounted) = volume.mount().await.unwrap();
    pool.freeze();
    let mut file = File::create(mounted.path().join("data")).unwrap();
    file.write_all(b"acknowledged").unwrap();
    file.sync_all().unwrap();
    drop(file);
    a.unmount(&web()).await.unwrap();
    pool.crash();

    // A new process, as after a boot, of a node whose application is not running.
    let a = Zfs::new(a.settings().clone());
    hand_over(&a, &b, 1).await;
    assert_eq!(read(&b, "data").await, b"acknowledged");
}
