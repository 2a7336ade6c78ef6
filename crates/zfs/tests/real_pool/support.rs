//! Two nodes on one pool, and what an administrator's hand can do to them.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use flocker_model::{
    ApplicationName, DeploymentId, Digest, Epoch, NodeId, SnapshotGuid, VolumeCopy, VolumeRole,
};
use flocker_zfs::{
    Acquire, Change, NewVolume, ReceiveError, ReceiveRequest, Release, Snapshot, Transfer, Zfs,
    ZfsSettings,
};
use tokio::io::AsyncReadExt;
use uuid::Uuid;

static CLUSTERS: AtomicU32 = AtomicU32::new(0);

/// Two nodes, `a` and `b`, that have nothing yet.
pub(crate) struct Cluster {
    pub(crate) a: Zfs,
    pub(crate) b: Zfs,
}

impl Cluster {
    /// Makes two nodes below the dataset that the environment names.
    pub(crate) fn new() -> Self {
        Self::below(&test_dataset())
    }

    /// Makes two nodes below a dataset.
    pub(crate) fn below(dataset: &str) -> Self {
        Self::between(dataset, dataset)
    }

    /// Makes two nodes, each below a dataset.
    pub(crate) fn between(below_a: &str, below_b: &str) -> Self {
        let number = CLUSTERS.fetch_add(1, Ordering::Relaxed);
        let unique = format!("{}-{number}", std::process::id());
        let node = |name: &str, dataset: &str, id: u128| {
            Zfs::new(ZfsSettings {
                dataset: format!("{dataset}/{unique}/{name}"),
                mount_root: PathBuf::from(format!("/run/flocker-contract/{unique}/{name}")),
                node: NodeId(Uuid::from_u128(id)),
            })
        };
        Self {
            a: node("a", below_a, 0xa),
            b: node("b", below_b, 0xb),
        }
    }

    /// Makes two nodes of which `a` has a volume with a snapshot, and its data in a file.
    pub(crate) async fn with_volume(contents: &[u8]) -> Self {
        let cluster = Self::new();
        create(&cluster.a).await;
        write(&cluster.a, "data", contents).await;
        snapshot(&cluster.a).await;
        cluster
    }
}

/// The dataset that the environment names.
pub(crate) fn test_dataset() -> String {
    std::env::var("FLOCKER_TEST_ZFS_DATASET")
        .expect("FLOCKER_TEST_ZFS_DATASET names a dataset to make test volumes below")
}

/// An encrypted dataset with a key of its own, which is in a file.
pub(crate) struct Encrypted {
    pub(crate) dataset: String,
}

impl Encrypted {
    pub(crate) fn new() -> Self {
        let number = CLUSTERS.fetch_add(1, Ordering::Relaxed);
        let name = format!("encrypted-{}-{number}", std::process::id());
        let dataset = format!("{}/{name}", test_dataset());
        run(&format!(
            "head -c 32 /dev/urandom > /run/{name}.key && zfs create -p -o encryption=on \
             -o keyformat=raw -o keylocation=file:///run/{name}.key -o mountpoint=none {dataset}"
        ));
        Self { dataset }
    }

    pub(crate) fn unload_key(&self) {
        run(&format!("zfs unload-key {}", self.dataset));
    }

    pub(crate) fn load_key(&self) {
        run(&format!("zfs load-key {}", self.dataset));
    }
}

/// A pool of its own in a file, for what must not happen to the others' pool.
pub(crate) struct Pool {
    pub(crate) name: String,
    file: String,
}

impl Pool {
    pub(crate) fn new(purpose: &str) -> Self {
        Self::with_options(purpose, "")
    }

    /// Makes a pool with options of `zpool create`.
    pub(crate) fn with_options(purpose: &str, options: &str) -> Self {
        let name = format!("flocker-{purpose}-{}", std::process::id());
        let file = format!("/var/tmp/{name}.img");
        run(&format!(
            "truncate -s 256M {file} && zpool create {options} -O mountpoint=none {name} {file}"
        ));
        Self { name, file }
    }

    /// Makes the pool twice as large.
    pub(crate) fn grow(&self) {
        run(&format!(
            "truncate -s 512M {1} && zpool online -e {0} {1}",
            self.name, self.file
        ));
    }

    /// Takes the pool away from the machine; what is in it stays.
    pub(crate) fn export(&self) {
        run(&format!("zpool export {}", self.name));
    }

    /// Brings it back.
    pub(crate) fn import(&self) {
        run(&format!("zpool import -d {} {}", self.file, self.name));
    }

    /// Exports the pool, and imports it with these arguments after `-d FILE`.
    pub(crate) fn import_again(&self, arguments: &str) {
        run(&format!(
            "zpool export {} && zpool import -d {} {arguments}",
            self.name, self.file
        ));
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // A test that failed may have left it exported.
        run(&format!(
            "zpool list {0} >/dev/null 2>&1 || zpool import -d {1} {0}; \
             zpool destroy -f {0}; rm -f {1}",
            self.name, self.file
        ));
    }
}

/// The application of these tests.
pub(crate) fn web() -> ApplicationName {
    "web".parse().unwrap()
}

/// The deployment of these tests.
pub(crate) fn deployment() -> DeploymentId {
    DeploymentId(Digest::from_recorded("test"))
}

/// Runs a command as an administrator would, and returns what it wrote.
pub(crate) fn run(command: &str) -> String {
    let output = Command::new("sh").args(["-c", command]).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "`{command}` failed: {stderr}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// The dataset of the application's volume on a node.
pub(crate) fn dataset(zfs: &Zfs) -> String {
    format!("{}/{}", zfs.settings().dataset, web())
}

/// The volume that is to be made.
pub(crate) fn new_volume() -> NewVolume {
    NewVolume {
        application: web(),
        maximum_size: None,
        deployment: deployment(),
    }
}

/// Makes the volume, empty.
pub(crate) async fn create(zfs: &Zfs) -> Change {
    match zfs.begin_create(&new_volume()).await.unwrap() {
        None => Change::Unchanged,
        Some(making) => {
            making.finish().await.unwrap();
            Change::Changed
        }
    }
}

/// Writes a file in the owned volume, which is mounted for that and unmounted again.
pub(crate) async fn write(zfs: &Zfs, name: &str, contents: &[u8]) {
    let volume = zfs.open_owned_now(&web()).await.unwrap();
    let (_, mounted) = volume.mount().await.unwrap();
    std::fs::write(mounted.path().join(name), contents).unwrap();
    zfs.unmount(&web()).await.unwrap();
}

/// Writes to a replica, as an administrator's hand can.
pub(crate) fn touch(zfs: &Zfs) {
    run(&format!(
        "zfs set readonly=off {0} && zfs mount {0} && echo x >> {1}/stray && zfs unmount {0}",
        dataset(zfs),
        zfs.mountpoint_of(&web()).display()
    ));
}

/// Reads a file of the owned volume, which is mounted for that and unmounted again.
pub(crate) async fn read(zfs: &Zfs, name: &str) -> Vec<u8> {
    let volume = zfs.open_owned_now(&web()).await.unwrap();
    let (_, mounted) = volume.mount().await.unwrap();
    let contents = std::fs::read(mounted.path().join(name)).unwrap();
    zfs.unmount(&web()).await.unwrap();
    contents
}

/// Takes a snapshot of the owned volume.
pub(crate) async fn snapshot(zfs: &Zfs) -> Snapshot {
    let volume = zfs.open_owned_now(&web()).await.unwrap();
    let (snapshot, volume) = volume.take_snapshot().await.unwrap();
    let mut found = zfs.open_owned_now(&web()).await.unwrap().copy().clone();
    if volume.copy().mounted.is_some() {
        // What is written to a mounted volume comes to the disk when it likes.
        (found.written, found.referenced) = (volume.copy().written, volume.copy().referenced);
    }
    for (guid, state) in &mut found.snapshots {
        // The clock may tick in between.
        state.created = volume.copy().snapshots[guid].created;
    }
    assert_eq!(volume.copy(), &found, "the handle is what would be read");
    snapshot
}

/// Looks at the volume.
pub(crate) async fn observe(zfs: &Zfs) -> Option<VolumeCopy> {
    let all = zfs.observe_volumes().await.unwrap().remove(&web());
    let one = zfs.observe_volume(&web()).await.unwrap();
    assert_eq!(all, one, "one look and many looks agree");
    one
}

/// Looks at what the volume is.
pub(crate) async fn role(zfs: &Zfs) -> VolumeRole {
    observe(zfs).await.unwrap().role
}

/// Data that does not compress, the same each time.
pub(crate) fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut data = Vec::with_capacity(bytes + 8);
    while data.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        data.extend_from_slice(&state.to_le_bytes());
    }
    data.truncate(bytes);
    data
}

/// Sends what the other node lacks, and returns which kinds of stream that took.
pub(crate) async fn push(from: &Zfs, to: &Zfs) -> Vec<Transfer> {
    let mut transfers = Vec::new();
    while let Some(transfer) = push_once(from, to, u64::MAX).await.unwrap() {
        transfers.push(transfer);
    }
    transfers
}

/// Sends one stream, cut off after so many bytes, and returns its kind if one was needed.
pub(crate) async fn push_once(
    from: &Zfs,
    to: &Zfs,
    bytes: u64,
) -> Result<Option<Transfer>, ReceiveError> {
    let sent = push_counted(from, to, bytes).await?;
    Ok(sent.map(|(transfer, _)| transfer))
}

/// Does the same, and returns also how many bytes went over.
pub(crate) async fn push_counted(
    from: &Zfs,
    to: &Zfs,
    bytes: u64,
) -> Result<Option<(Transfer, u64)>, ReceiveError> {
    let volume = from.open_owned_now(&web()).await.unwrap();
    let target = newest(volume.copy());
    let incoming = to.prepare_incoming(&web()).await?;
    let plan = volume.plan_send(target, &incoming).await.unwrap();
    let Some(transfer) = plan.transfer() else {
        return Ok(None);
    };
    assert!(volume.estimate(&plan).await.unwrap().get() > 0);
    let sending = volume.send(&plan).unwrap();
    let request = ReceiveRequest {
        application: web(),
        owner: from.settings().node,
        epoch: volume.epoch(),
        transfer: transfer.clone(),
    };
    let mut stream = sending.stream.take(bytes);
    to.receive(&request, &mut stream).await?;
    if bytes == u64::MAX {
        sending.completion.wait().await.unwrap();
    }
    Ok(Some((transfer, bytes - stream.limit())))
}

/// The newest of Flocker's snapshots of a copy.
pub(crate) fn newest(copy: &VolumeCopy) -> SnapshotGuid {
    let newest = copy
        .snapshots
        .iter()
        .max_by_key(|(_, state)| state.name.clone());
    *newest.unwrap().0
}

/// A release of epoch `epoch` to a node.
pub(crate) fn release(epoch: u64, to: &Zfs) -> Release {
    Release {
        epoch: Epoch(epoch),
        to: to.settings().node,
        snapshot: None,
        deployment: deployment(),
    }
}

/// An acquisition in epoch `epoch` of a copy that ends with `snapshot`.
pub(crate) fn acquire(epoch: u64, snapshot: SnapshotGuid) -> Acquire {
    Acquire {
        epoch: Epoch(epoch),
        snapshot,
        deployment: deployment(),
    }
}

/// Moves the volume, whose owner's turn is `epoch`, with everything in it.
pub(crate) async fn hand_over(from: &Zfs, to: &Zfs, epoch: u64) -> Vec<Transfer> {
    snapshot(from).await;
    let transfers = push(from, to).await;
    let released = from.release(&web(), &release(epoch, to)).await.unwrap();
    let acquired = to
        .acquire(&web(), &acquire(epoch + 1, released.snapshot))
        .await;
    assert_eq!(acquired.unwrap(), Change::Changed);
    transfers
}
