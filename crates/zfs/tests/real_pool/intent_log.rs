//! A crash leaves acknowledged writes in the intent log, and a snapshot must have them.

use std::fs::File;
use std::io::Write;

use flocker_zfs::Zfs;

use crate::support::{Cluster, Pool, create, hand_over, read, run, snapshot, web};

impl Pool {
    /// Writes nothing but the intent log from here on.
    ///
    /// **Source**: `zpool freeze`, which the tests of `OpenZFS` use for this and no manual names.
    fn freeze(&self) {
        run(&format!("zpool sync {0} && zpool freeze {0}", self.name));
    }
}

#[tokio::test]
#[ignore = "needs a ZFS pool"]
async fn a_snapshot_after_a_crash_has_what_was_acknowledged_before() {
    let pool = Pool::new("log");
    let Cluster { a, b } = Cluster::below(&pool.name);
    create(&a).await;
    snapshot(&a).await;
    let volume = a.open_owned_now(&web()).await.unwrap();
    let (_, mounted) = volume.mount().await.unwrap();
    let write = |name: &str, contents: &[u8]| {
        let mut file = File::create(mounted.path().join(name)).unwrap();
        file.write_all(contents).unwrap();
        file.sync_all().unwrap();
    };
    // A frozen pool cannot begin an intent log, only go on with one.
    write("before", b"");
    pool.freeze();
    write("data", b"acknowledged");
    a.unmount(&web()).await.unwrap();
    // Forgets all that is in memory only.
    pool.import_again(&format!("-f {}", pool.name));

    // A new process, as after a boot, of a node whose application is not running.
    let a = Zfs::new(a.settings().clone());
    hand_over(&a, &b, 1).await;
    assert_eq!(read(&b, "data").await, b"acknowledged");
}
