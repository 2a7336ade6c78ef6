//! What volumes promise.

use std::collections::BTreeSet;

use flocker_model::{
    ApplicationName, ByteCount, DeploymentId, Digest, Epoch, NodeId, Obstacle, Obstruction,
    OwnerClaim, SetAsideName, SnapshotGuid, VolumeCopy, VolumeRole,
};
use flocker_remote::protocol::{Change, StepFailure};
use flocker_zfs::{
    Acquire, Incoming, NewImport, NewVolume, NodeMark, Promote, ReceiveRequest, Release, SetAside,
    Transfer,
};
use tokio::io::AsyncReadExt as _;
use uuid::Uuid;

use crate::failure::failure_of;
use crate::platform::{OwnedVolume as _, Volumes};

/// Two machines that have nothing yet, and a hand on the files in their volumes.
trait Machines: Sync {
    type Volumes: Volumes;

    /// The first or the second machine.
    fn volumes(&self, machine: Machine) -> &Self::Volumes;

    /// Who it is.
    fn node(&self, machine: Machine) -> NodeId;

    /// Writes to the mounted volume, as an application does.
    fn write(&self, machine: Machine, bytes: &[u8]);

    /// Reads everything that was written to the mounted volume.
    fn read(&self, machine: Machine) -> Vec<u8>;

    /// Writes to the volume that is being made, as whoever fills it does.
    fn fill(&self, machine: Machine, bytes: &[u8]);

    /// Writes to the volume that is being imported, after what is in it already, which is returned.
    fn fill_import(&self, machine: Machine, bytes: &[u8]) -> Vec<u8>;

    /// Puts a file where the volume is to be mounted, or takes it away.
    fn obstruct(&self, machine: Machine, is_there: bool);

    /// Takes a snapshot of the copy, as other programs do.
    fn take_others_snapshot(&self, machine: Machine);
}

/// One of two machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Machine {
    A,
    B,
}
use Machine::{A, B};

fn web() -> ApplicationName {
    "web".parse().unwrap()
}

fn deployment() -> DeploymentId {
    DeploymentId(Digest::from_recorded("test"))
}

fn new_volume() -> NewVolume {
    NewVolume {
        application: web(),
        maximum_size: None,
        deployment: deployment(),
    }
}

/// Looks at the copy; one look and many agree.
async fn observe(machines: &impl Machines, machine: Machine) -> Option<VolumeCopy> {
    let volumes = machines.volumes(machine);
    let one = volumes.observe_volume(&web()).await.unwrap();
    let all = volumes.observe_volumes().await.unwrap().remove(&web());
    assert_eq!(one, all);
    one
}

async fn role(machines: &impl Machines, machine: Machine) -> VolumeRole {
    observe(machines, machine).await.unwrap().role
}

/// Writes to the owned volume, which is mounted for that.
async fn write(machines: &impl Machines, machine: Machine, bytes: &[u8]) {
    let volumes = machines.volumes(machine);
    let volume = volumes.open_owned_now(&web()).await.unwrap();
    let mounted = volume.mount().await.unwrap();
    assert_eq!(mounted.as_ref(), volumes.mountpoint_of(&web()));
    machines.write(machine, bytes);
    assert_eq!(volumes.unmount(&web()).await.unwrap(), Change::Changed);
}

/// Makes the volume with nothing in it.
async fn make(volumes: &impl Volumes) -> Result<Change, StepFailure> {
    volumes.create(&new_volume(), |_| async { Ok(()) }).await
}

/// Makes the volume with something in it.
async fn create(machines: &impl Machines, bytes: &[u8]) {
    make(machines.volumes(A)).await.unwrap();
    write(machines, A, bytes).await;
}

async fn snapshot(machines: &impl Machines, machine: Machine) -> SnapshotGuid {
    let volume = machines.volumes(machine).open_owned_now(&web()).await;
    volume.unwrap().snapshot().await.unwrap()
}

/// Sends one stream from the one to the other, cut off after so many bytes.
async fn send(
    machines: &impl Machines,
    (from, to): (Machine, Machine),
    (target, most): (SnapshotGuid, u64),
) -> Result<Option<Transfer>, StepFailure> {
    let volume = machines.volumes(from).open_owned_now(&web()).await.unwrap();
    let there = machines.volumes(to);
    let incoming = there.prepare_incoming(&web()).await.unwrap();
    let Some(sending) = volume.send(target, &incoming).await.unwrap() else {
        return Ok(None);
    };
    assert!(sending.estimate > ByteCount::ZERO);
    let request = ReceiveRequest {
        application: web(),
        owner: machines.node(from),
        epoch: volume.epoch(),
        transfer: sending.transfer.clone(),
    };
    let received = there.receive(&request, sending.stream.take(most)).await?;
    sending.completion.await.unwrap();
    assert_eq!(received, target);
    Ok(Some(sending.transfer))
}

/// Sends until the other has the snapshot; returns how.
async fn push(
    machines: &impl Machines,
    way: (Machine, Machine),
    target: SnapshotGuid,
) -> Vec<Transfer> {
    let mut transfers = Vec::new();
    while let Some(transfer) = send(machines, way, (target, u64::MAX)).await.unwrap() {
        transfers.push(transfer);
    }
    transfers
}

fn release(epoch: u64, to: NodeId) -> Release {
    Release {
        epoch: Epoch(epoch),
        to,
        snapshot: None,
        deployment: deployment(),
    }
}

fn acquire(epoch: u64, snapshot: SnapshotGuid) -> Acquire {
    Acquire {
        epoch: Epoch(epoch),
        snapshot,
        deployment: deployment(),
    }
}

/// Moves the volume, which the owner has in this epoch.
async fn hand_over(
    machines: &impl Machines,
    (from, to): (Machine, Machine),
    epoch: u64,
) -> Vec<Transfer> {
    let target = snapshot(machines, from).await;
    let transfers = push(machines, (from, to), target).await;
    let release = release(epoch, machines.node(to));
    let released = machines.volumes(from).release(&web(), &release).await;
    assert_eq!(released.unwrap(), (Change::Changed, target));
    let acquire = acquire(epoch + 1, target);
    let acquired = machines.volumes(to).acquire(&web(), &acquire).await;
    assert_eq!(acquired.unwrap(), Change::Changed);
    transfers
}

async fn a_new_volume_is_owned_empty_and_made_once(machines: &impl Machines) {
    assert_eq!(observe(machines, A).await, None);
    let volumes = machines.volumes(A);
    let opened = volumes.open_owned_now(&web()).await;
    assert!(opened.unwrap_err().stale);
    assert_eq!(make(volumes).await.unwrap(), Change::Changed);
    assert_eq!(make(volumes).await.unwrap(), Change::Unchanged);
    let copy = observe(machines, A).await.unwrap();
    assert_eq!(copy.owned_epoch(), Some(Epoch::FIRST));
    assert_eq!(copy.deployment, Some(deployment()));
    assert!(copy.snapshots.is_empty() && copy.mounted.is_none() && !copy.resumable);
    let opened = volumes.open_owned(&web(), Epoch(2)).await;
    assert!(opened.unwrap_err().stale);
}

/// Makes the volume with what a caller puts into it first.
async fn create_filled(machines: &impl Machines, bytes: &[u8]) -> Result<Change, StepFailure> {
    let volumes = machines.volumes(A);
    let fill = |directory| async move {
        assert_eq!(directory, volumes.mountpoint_of(&web()));
        assert_eq!(observe(machines, A).await, None);
        machines.fill(A, bytes);
        match bytes {
            b"" => Err(failure_of("nothing to fill it with")),
            _ => Ok(()),
        }
    };
    volumes.create(&new_volume(), fill).await
}

async fn a_volume_exists_once_it_is_filled(machines: &impl Machines) {
    let failed = create_filled(machines, b"").await.unwrap_err();
    assert_eq!(failed.message, "nothing to fill it with");
    assert_eq!(observe(machines, A).await, None);
    let made = create_filled(machines, b"first").await;
    assert_eq!(made.unwrap(), Change::Changed);
    let again = create_filled(machines, b"second").await;
    assert_eq!(again.unwrap(), Change::Unchanged);

    let volumes = machines.volumes(A);
    let volume = volumes.open_owned(&web(), Epoch::FIRST).await.unwrap();
    let _mounted = volume.mount().await.unwrap();
    assert_eq!(machines.read(A), b"first");
}

async fn a_mounted_volume_is_seen_so_and_unmounted_once(machines: &impl Machines) {
    create(machines, b"data").await;
    let volumes = machines.volumes(A);
    for _ in 0..2 {
        let volume = volumes.open_owned(&web(), Epoch::FIRST).await.unwrap();
        volume.mount().await.unwrap();
        let place = volumes.mountpoint_of(&web());
        let mounted = observe(machines, A).await.unwrap().mounted;
        assert_eq!(mounted.as_deref(), place.to_str());
    }
    assert_eq!(machines.read(A), b"data");
    assert_eq!(volumes.unmount(&web()).await.unwrap(), Change::Changed);
    assert_eq!(volumes.unmount(&web()).await.unwrap(), Change::Unchanged);
    assert_eq!(observe(machines, A).await.unwrap().mounted, None);
    assert!(!volumes.mountpoint_of(&web()).exists());
}

async fn nothing_is_mounted_over_files_which_are_seen_before(machines: &impl Machines) {
    let volumes = machines.volumes(A);
    machines.obstruct(A, true);
    let seen = volumes.observe_obstructions().await.unwrap();
    let path = volumes.mountpoint_of(&web()).to_string_lossy().into_owned();
    let by = Obstacle::Files;
    assert_eq!(seen, [(web(), Obstruction { path, by })].into());
    machines.obstruct(A, false);

    make(volumes).await.unwrap();
    machines.obstruct(A, true);
    let volume = volumes.open_owned_now(&web()).await.unwrap();
    assert!(volume.mount().await.is_err());
    machines.obstruct(A, false);
    volumes.remove_mount_points().await;

    let volume = volumes.open_owned_now(&web()).await.unwrap();
    volume.mount().await.unwrap();
    assert_eq!(volumes.observe_obstructions().await.unwrap(), [].into());
}

async fn a_volume_moves_there_and_back_with_all_that_was_written(machines: &impl Machines) {
    create(machines, b"one").await;
    assert_eq!(hand_over(machines, (A, B), 1).await, [Transfer::Full]);
    let owner = machines.node(B);
    let handed = role(machines, A).await;
    assert!(
        matches!(handed, VolumeRole::Replica { owner: to, epoch: Epoch(2), handoff: Some(_) } if to == owner)
    );
    assert_eq!(
        role(machines, B).await,
        VolumeRole::Owned { epoch: Epoch(2) }
    );
    write(machines, B, b"two").await;
    let back = hand_over(machines, (B, A), 2).await;
    assert!(
        matches!(back[..], [Transfer::Incremental { .. }]),
        "{back:?}"
    );
    let volume = machines.volumes(A).open_owned(&web(), Epoch(3)).await;
    volume.unwrap().mount().await.unwrap();
    assert_eq!(machines.read(A), b"onetwo");
    machines.volumes(A).unmount(&web()).await.unwrap();
}

async fn what_was_not_written_to_is_not_snapshotted_again(machines: &impl Machines) {
    create(machines, b"data").await;
    let first = snapshot(machines, A).await;
    assert_eq!(snapshot(machines, A).await, first);
    write(machines, A, b"more").await;
    let second = snapshot(machines, A).await;
    assert_ne!(first, second);
    let copy = observe(machines, A).await.unwrap();
    assert_eq!(copy.newest_snapshot, Some(second));
    assert_eq!(copy.written, ByteCount::ZERO);
    assert_eq!(copy.snapshots.len(), 2);
}

async fn only_what_was_snapshotted_and_unmounted_is_released(machines: &impl Machines) {
    create(machines, b"data").await;
    let volumes = machines.volumes(A);
    let give = release(1, machines.node(B));
    assert!(!volumes.release(&web(), &give).await.unwrap_err().stale);
    let target = snapshot(machines, A).await;
    write(machines, A, b"more").await;
    assert!(!volumes.release(&web(), &give).await.unwrap_err().stale);
    let volume = volumes.open_owned_now(&web()).await.unwrap();
    volume.mount().await.unwrap();
    assert!(!volumes.release(&web(), &give).await.unwrap_err().stale);
    volumes.unmount(&web()).await.unwrap();
    let later = release(2, machines.node(B));
    assert!(volumes.release(&web(), &later).await.unwrap_err().stale);
    let newest = snapshot(machines, A).await;
    assert_ne!(newest, target);
    let released = volumes.release(&web(), &give).await.unwrap();
    assert_eq!(released, (Change::Changed, newest));
    let again = volumes.release(&web(), &give).await.unwrap();
    assert_eq!(again, (Change::Unchanged, newest));
    let other = release(1, NodeId(uuid::Uuid::from_u128(99)));
    assert!(volumes.release(&web(), &other).await.unwrap_err().stale);
    assert!(volumes.open_owned_now(&web()).await.unwrap_err().stale);
}

async fn only_the_snapshot_that_was_handed_off_is_acquired(machines: &impl Machines) {
    create(machines, b"data").await;
    let old = snapshot(machines, A).await;
    push(machines, (A, B), old).await;
    write(machines, A, b"more").await;
    let new = snapshot(machines, A).await;
    let there = machines.volumes(B);
    assert!(
        !there
            .acquire(&web(), &acquire(2, new))
            .await
            .unwrap_err()
            .stale
    );
    assert!(
        there
            .acquire(&web(), &acquire(1, old))
            .await
            .unwrap_err()
            .stale
    );
    push(machines, (A, B), new).await;
    let taken = there.acquire(&web(), &acquire(2, new)).await.unwrap();
    assert_eq!(taken, Change::Changed);
    let again = there.acquire(&web(), &acquire(2, new)).await.unwrap();
    assert_eq!(again, Change::Unchanged);
}

/// The lost owner's place is taken, and its copy is set aside.
async fn a_lost_owner_is_replaced_and_its_copy_set_aside(machines: &impl Machines) {
    create(machines, b"one").await;
    let target = snapshot(machines, A).await;
    push(machines, (A, B), target).await;
    let promote = Promote {
        owner: machines.node(A),
        epoch: Epoch::FIRST,
        snapshot: target,
        next: Epoch(2),
        deployment: None,
    };
    let other = Promote {
        epoch: Epoch(7),
        next: Epoch(8),
        ..promote.clone()
    };
    let there = machines.volumes(B);
    assert!(there.promote(&web(), &other).await.unwrap_err().stale);
    let other = Promote {
        snapshot: SnapshotGuid(target.0 ^ 1),
        ..promote.clone()
    };
    there.promote(&web(), &other).await.unwrap_err();
    for change in [Change::Changed, Change::Unchanged] {
        assert_eq!(there.promote(&web(), &promote).await.unwrap(), change);
    }
    let promoted = VolumeRole::Owned { epoch: Epoch(2) };
    assert_eq!(role(machines, B).await, promoted);
    assert_eq!(observe(machines, B).await.unwrap().deployment, None);

    let set_aside = SetAside {
        name: SetAsideName {
            application: web(),
            epoch: Epoch::FIRST,
            at: 1,
        },
        role: VolumeRole::Owned {
            epoch: Epoch::FIRST,
        },
        newest: Some(target),
    };
    let here = machines.volumes(A);
    let other = SetAside {
        role: promoted,
        ..set_aside.clone()
    };
    assert!(here.set_aside(&other).await.unwrap_err().stale);
    let volume = here.open_owned_now(&web()).await.unwrap();
    volume.mount().await.unwrap();
    here.set_aside(&set_aside).await.unwrap_err();
    here.unmount(&web()).await.unwrap();
    for change in [Change::Changed, Change::Unchanged] {
        assert_eq!(here.set_aside(&set_aside).await.unwrap(), change);
    }
    assert_eq!(observe(machines, A).await, None);
    assert_eq!(hand_over(machines, (B, A), 2).await, [Transfer::Full]);
}

async fn a_replica_remembers_a_later_owner(machines: &impl Machines) {
    create(machines, b"one").await;
    hand_over(machines, (A, B), 1).await;
    let here = machines.volumes(A);
    let claim = OwnerClaim {
        owner: NodeId(Uuid::from_u128(0xc)),
        epoch: Epoch(5),
    };
    // Nobody becomes an owner like this.
    let own = OwnerClaim {
        owner: machines.node(A),
        ..claim.clone()
    };
    assert!(here.record_owner(&web(), own).await.unwrap_err().stale);
    for change in [Change::Changed, Change::Unchanged] {
        let recorded = here.record_owner(&web(), claim.clone()).await;
        assert_eq!(recorded.unwrap(), change);
    }
    let remembered = VolumeRole::Replica {
        owner: claim.owner,
        epoch: claim.epoch,
        handoff: None,
    };
    assert_eq!(role(machines, A).await, remembered);
    let earlier = OwnerClaim {
        epoch: Epoch(4),
        ..claim.clone()
    };
    let refused = here.record_owner(&web(), earlier).await;
    assert!(refused.unwrap_err().stale);
    // Nobody talks an owner out of its volume.
    let refused = machines.volumes(B).record_owner(&web(), claim).await;
    assert!(refused.unwrap_err().stale);
    assert_eq!(role(machines, A).await, remembered);
    assert_eq!(
        role(machines, B).await,
        VolumeRole::Owned { epoch: Epoch(2) }
    );
}

async fn others_snapshots_are_in_nobodys_way(machines: &impl Machines) {
    create(machines, b"one").await;
    let first = snapshot(machines, A).await;
    push(machines, (A, B), first).await;
    for machine in [A, B] {
        machines.take_others_snapshot(machine);
        let copy = observe(machines, machine).await.unwrap();
        assert_ne!(copy.newest_snapshot, Some(first));
        assert_eq!(copy.newest_own(), Some(first));
        assert_eq!(copy.written, ByteCount::ZERO);
    }
    assert_eq!(snapshot(machines, A).await, first);
    for (way, epoch) in [((A, B), 1), ((B, A), 2)] {
        write(machines, way.0, b"more").await;
        machines.take_others_snapshot(way.0);
        let copy = observe(machines, way.0).await.unwrap();
        assert!(copy.written > ByteCount::ZERO, "{copy:?}");
        let transfers = hand_over(machines, way, epoch).await;
        assert!(
            matches!(transfers[..], [Transfer::Incremental { .. }]),
            "{transfers:?}"
        );
        machines.take_others_snapshot(way.0);
    }
}

async fn a_stream_that_breaks_off_is_continued(machines: &impl Machines) {
    // More than ZFS gathers before it writes anything down.
    let data: Vec<u8> = (0..1_u32 << 19)
        .flat_map(|i| i.wrapping_mul(0x9e37_79b9).to_le_bytes())
        .collect();
    create(machines, &data).await;
    let target = snapshot(machines, A).await;
    let most = data.len() as u64 / 2;
    send(machines, (A, B), (target, most)).await.unwrap_err();
    let copy = observe(machines, B).await.unwrap();
    assert!(copy.resumable && matches!(copy.role, VolumeRole::Replica { .. }));
    let resumed = push(machines, (A, B), target).await;
    assert!(
        matches!(resumed[..], [Transfer::Resume { .. }]),
        "{resumed:?}"
    );
    assert!(!observe(machines, B).await.unwrap().resumable);
    assert!(hand_over(machines, (A, B), 1).await.is_empty());
    let volume = machines.volumes(B).open_owned_now(&web()).await.unwrap();
    volume.mount().await.unwrap();
    assert!(machines.read(B) == data, "everything arrived");
    machines.volumes(B).unmount(&web()).await.unwrap();
}

async fn an_owner_receives_nothing(machines: &impl Machines) {
    create(machines, b"data").await;
    make(machines.volumes(B)).await.unwrap();
    snapshot(machines, A).await;
    let request = ReceiveRequest {
        application: web(),
        owner: machines.node(A),
        epoch: Epoch::FIRST,
        transfer: Transfer::Full,
    };
    let volume = machines.volumes(A).open_owned_now(&web()).await.unwrap();
    let target = volume.copy().newest_snapshot.unwrap();
    let incoming = flocker_zfs::Incoming::default();
    let sending = volume.send(target, &incoming).await.unwrap().unwrap();
    let received = machines.volumes(B).receive(&request, sending.stream).await;
    assert!(received.unwrap_err().stale);
    assert_eq!(
        role(machines, B).await,
        VolumeRole::Owned { epoch: Epoch(1) }
    );
}

async fn pruning_keeps_the_newest_and_what_is_to_be_kept(machines: &impl Machines) {
    create(machines, b"1").await;
    let mut taken = vec![snapshot(machines, A).await];
    for bytes in [b"2", b"3", b"4"] {
        write(machines, A, bytes).await;
        taken.push(snapshot(machines, A).await);
    }
    let volumes = machines.volumes(A);
    let keep = BTreeSet::from([taken[1]]);
    let pruned = volumes.prune_snapshots(&web(), &keep).await.unwrap();
    assert_eq!(pruned, Change::Changed);
    let copy = observe(machines, A).await.unwrap();
    let left: BTreeSet<_> = copy.snapshots.into_keys().collect();
    assert_eq!(left, BTreeSet::from([taken[1], taken[3]]));
    let again = volumes.prune_snapshots(&web(), &keep).await.unwrap();
    assert_eq!(again, Change::Unchanged);
}

async fn a_limit_is_set_lifted_and_not_received(machines: &impl Machines) {
    create(machines, b"data").await;
    let limit = Some(ByteCount::mebibytes(64));
    let volumes = machines.volumes(A);
    for change in [Change::Changed, Change::Unchanged] {
        let volume = volumes.open_owned_now(&web()).await.unwrap();
        assert_eq!(volume.set_maximum_size(limit).await.unwrap(), change);
    }
    assert_eq!(observe(machines, A).await.unwrap().maximum_size, limit);
    let target = snapshot(machines, A).await;
    push(machines, (A, B), target).await;
    assert_eq!(observe(machines, B).await.unwrap().maximum_size, None);
    let volume = volumes.open_owned_now(&web()).await.unwrap();
    assert_eq!(
        volume.set_maximum_size(None).await.unwrap(),
        Change::Changed
    );
    assert_eq!(observe(machines, A).await.unwrap().maximum_size, None);
}

fn import_from(from: &str) -> NewImport {
    NewImport {
        application: web(),
        from: from.to_owned(),
        epoch: Epoch::FIRST,
        deployment: None,
    }
}

/// Goes on with an import; without bytes it is interrupted. Returns what an earlier attempt left.
async fn import(
    machines: &impl Machines,
    from: &str,
    bytes: &[u8],
) -> Result<(Change, Vec<u8>), StepFailure> {
    let volumes = machines.volumes(A);
    let mut before = Vec::new();
    let fill = |directory| {
        before = machines.fill_import(A, bytes);
        async move {
            assert_eq!(directory, volumes.mountpoint_of(&web()));
            match bytes {
                b"one" => Err(failure_of("interrupted")),
                _ => Ok(()),
            }
        }
    };
    let change = volumes.import(&import_from(from), fill).await?;
    Ok((change, before))
}

async fn an_import_goes_on_with_what_it_has_and_exists_once_it_is_whole(machines: &impl Machines) {
    let volumes = machines.volumes(A);
    let interrupted = import(machines, "/srv/db", b"one").await.unwrap_err();
    assert_eq!(interrupted.message, "interrupted");
    let copy = observe(machines, A).await.unwrap();
    assert_eq!(copy.unfinished_import(), Some("/srv/db"));
    assert!(make(volumes).await.unwrap_err().stale);
    assert!(volumes.open_owned_now(&web()).await.unwrap_err().stale);
    import(machines, "/srv/other", b"two").await.unwrap_err();

    let (change, before) = import(machines, "/srv/db", b"two").await.unwrap();
    assert_eq!((change, before), (Change::Changed, b"one".to_vec()));
    let copy = observe(machines, A).await.unwrap();
    assert_eq!(copy.owned_epoch(), Some(Epoch::FIRST));
    assert_eq!(copy.import.as_deref(), Some("/srv/db"));
    assert_eq!((copy.snapshots.len(), copy.written), (1, ByteCount::ZERO));
    assert!(copy.mounted.is_none() && copy.deployment.is_none());
    let (change, _) = import(machines, "/srv/db", b"three").await.unwrap();
    assert_eq!(change, Change::Unchanged);
    let other = import(machines, "/srv/other", b"three").await.unwrap_err();
    assert!(other.stale, "{other:?}");

    hand_over(machines, (A, B), 1).await;
    let volume = machines.volumes(B).open_owned(&web(), Epoch(2)).await;
    volume.unwrap().mount().await.unwrap();
    assert_eq!(machines.read(B), b"onetwo");
    machines.volumes(B).unmount(&web()).await.unwrap();
}

async fn an_unfinished_import_can_be_set_aside(machines: &impl Machines) {
    import(machines, "/srv/db", b"one").await.unwrap_err();
    let copy = observe(machines, A).await.unwrap();
    let set_aside = SetAside {
        name: SetAsideName {
            application: web(),
            epoch: Epoch(0),
            at: 1,
        },
        role: copy.role,
        newest: None,
    };
    let volumes = machines.volumes(A);
    assert_eq!(
        volumes.set_aside(&set_aside).await.unwrap(),
        Change::Changed
    );
    assert_eq!(observe(machines, A).await, None);
    assert_eq!(make(volumes).await.unwrap(), Change::Changed);
}

async fn a_stream_becomes_a_volume_that_ends_with_its_snapshot(machines: &impl Machines) {
    create(machines, b"data").await;
    let target = snapshot(machines, A).await;
    let volume = machines.volumes(A).open_owned_now(&web()).await.unwrap();
    let sending = volume.send(target, &Incoming::default()).await.unwrap();
    let mut stream = Vec::new();
    let mut sending = sending.unwrap();
    sending.stream.read_to_end(&mut stream).await.unwrap();
    sending.completion.await.unwrap();

    let (there, new) = (machines.volumes(B), import_from("stream:web.zfs"));
    let cut = &stream[..stream.len() - 1];
    there.import_stream(&new, cut).await.unwrap_err();
    let garbage = b"no stream at all, but long enough to be looked at".repeat(10);
    there
        .import_stream(&new, garbage.as_slice())
        .await
        .unwrap_err();
    let imported = there.import_stream(&new, stream.as_slice()).await;
    assert_eq!(imported.unwrap(), Change::Changed);
    // It may be another stream of the same name by now.
    let again = there.import_stream(&new, stream.as_slice()).await;
    assert!(again.unwrap_err().stale);
    let copy = observe(machines, B).await.unwrap();
    assert_eq!(copy.owned_epoch(), Some(Epoch::FIRST));
    assert_eq!((copy.newest_own(), copy.snapshots.len()), (Some(target), 1));
    let volume = there.open_owned(&web(), Epoch::FIRST).await.unwrap();
    volume.mount().await.unwrap();
    assert_eq!(machines.read(B), b"data");
    there.unmount(&web()).await.unwrap();
}

/// A node that lost its directory finds out by this who it is.
async fn a_pool_says_which_node_it_belongs_to(machines: &impl Machines) {
    let volumes = machines.volumes(A);
    make(volumes).await.unwrap();
    assert_eq!(volumes.observe_pool().await.1, NodeMark::Absent);
    volumes.mark_pool().await.unwrap();
    let node = NodeMark::Node(machines.node(A));
    assert_eq!(volumes.observe_pool().await.1, node);
    // The volumes inherit the property, which changes nothing about them.
    let epoch = Epoch::FIRST;
    assert_eq!(role(machines, A).await, VolumeRole::Owned { epoch });
}

/// Every test of the suite.
macro_rules! volumes_suite {
    ($fixture:path) => {
        crate::tests::contract::suite! {
            crate::tests::contract::run, $fixture,
            a_new_volume_is_owned_empty_and_made_once
            a_volume_exists_once_it_is_filled
            a_mounted_volume_is_seen_so_and_unmounted_once
            nothing_is_mounted_over_files_which_are_seen_before
            a_volume_moves_there_and_back_with_all_that_was_written
            what_was_not_written_to_is_not_snapshotted_again
            only_what_was_snapshotted_and_unmounted_is_released
            only_the_snapshot_that_was_handed_off_is_acquired
            a_lost_owner_is_replaced_and_its_copy_set_aside
            a_replica_remembers_a_later_owner
            others_snapshots_are_in_nobodys_way
            a_stream_that_breaks_off_is_continued
            an_owner_receives_nothing
            pruning_keeps_the_newest_and_what_is_to_be_kept
            a_limit_is_set_lifted_and_not_received
            an_import_goes_on_with_what_it_has_and_exists_once_it_is_whole
            an_unfinished_import_can_be_set_aside
            a_stream_becomes_a_volume_that_ends_with_its_snapshot
            a_pool_says_which_node_it_belongs_to
        }
    };
}

/// In memory.
mod fake {
    use flocker_model::NodeId;
    use uuid::Uuid;

    use super::{Machine, Machines, web};
    use crate::tests::fake::{FakeVolumes, Faults, Guids, Host};

    struct InMemory([FakeVolumes; 2]);

    async fn new() -> Option<InMemory> {
        let guids = Guids::default();
        let volumes = |id: u128| FakeVolumes {
            host: Host::new(Faults::default()),
            node: NodeId(Uuid::from_u128(id)),
            guids: guids.clone(),
        };
        Some(InMemory([volumes(0xa), volumes(0xb)]))
    }

    impl Machines for InMemory {
        type Volumes = FakeVolumes;

        fn volumes(&self, machine: Machine) -> &FakeVolumes {
            &self.0[machine as usize]
        }

        fn node(&self, machine: Machine) -> NodeId {
            self.volumes(machine).node
        }

        fn write(&self, machine: Machine, bytes: &[u8]) {
            let mut state = self.volumes(machine).host.state();
            state
                .disk
                .pool
                .volumes
                .get_mut(&web())
                .unwrap()
                .write(bytes);
        }

        fn fill(&self, machine: Machine, bytes: &[u8]) {
            let mut state = self.volumes(machine).host.state();
            let making = state.disk.pool.creating.get_mut(&web()).unwrap();
            assert!(making.contents.is_empty());
            making.write(bytes);
        }

        fn fill_import(&self, machine: Machine, bytes: &[u8]) -> Vec<u8> {
            let mut state = self.volumes(machine).host.state();
            let importing = state.disk.pool.importing.get_mut(&web()).unwrap();
            let before = importing.contents.clone();
            importing.write(bytes);
            before
        }

        fn read(&self, machine: Machine) -> Vec<u8> {
            let state = self.volumes(machine).host.state();
            state.disk.pool.volumes[&web()].contents.clone()
        }

        fn obstruct(&self, machine: Machine, is_there: bool) {
            let mut state = self.volumes(machine).host.state();
            state.disk.pool.obstructed = is_there.then(web).into_iter().collect();
        }

        fn take_others_snapshot(&self, machine: Machine) {
            let volumes = self.volumes(machine);
            let guid = volumes.guids.next_of_others();
            let mut state = volumes.host.state();
            let dataset = state.disk.pool.volumes.get_mut(&web()).unwrap();
            dataset.take_others_snapshot(guid);
        }
    }

    volumes_suite! { new }
}

/// On a real pool: below the dataset that `FLOCKER_TEST_ZFS_DATASET` names, as root.
#[cfg(feature = "real-machine")]
mod pool {
    use std::fs::OpenOptions;
    use std::io::Write as _;
    use std::process::Command;
    use std::sync::atomic::{AtomicU32, Ordering};

    use flocker_model::NodeId;
    use flocker_zfs::{Zfs, ZfsSettings};
    use uuid::Uuid;

    use super::{Machine, Machines, web};
    use crate::tests::contract::skip;

    static PAIRS: AtomicU32 = AtomicU32::new(0);
    static SNAPSHOTS: AtomicU32 = AtomicU32::new(0);

    /// Two machines on one pool.
    struct OnPool([Zfs; 2]);

    async fn new() -> Option<OnPool> {
        let Ok(below) = std::env::var("FLOCKER_TEST_ZFS_DATASET") else {
            skip("FLOCKER_TEST_ZFS_DATASET names no dataset to make test volumes below");
            return None;
        };
        let number = PAIRS.fetch_add(1, Ordering::Relaxed);
        let unique = format!("platform-{}-{number}", std::process::id());
        let zfs = |name: &str, id: u128| {
            Zfs::new(ZfsSettings {
                dataset: format!("{below}/{unique}/{name}"),
                mount_root: format!("/run/flocker-contract/{unique}/{name}").into(),
                node: NodeId(Uuid::from_u128(id)),
            })
        };
        Some(OnPool([zfs("a", 0xa), zfs("b", 0xb)]))
    }

    impl Machines for OnPool {
        type Volumes = Zfs;

        fn volumes(&self, machine: Machine) -> &Zfs {
            &self.0[machine as usize]
        }

        fn node(&self, machine: Machine) -> NodeId {
            self.volumes(machine).settings().node
        }

        fn write(&self, machine: Machine, bytes: &[u8]) {
            let path = self.volumes(machine).mountpoint_of(&web()).join("data");
            let mut options = OpenOptions::new();
            let mut file = options.create(true).append(true).open(path).unwrap();
            file.write_all(bytes).unwrap();
            file.sync_all().unwrap();
        }

        fn fill(&self, machine: Machine, bytes: &[u8]) {
            let path = self.volumes(machine).mountpoint_of(&web());
            assert_eq!(std::fs::read_dir(&path).unwrap().count(), 0);
            std::fs::write(path.join("data"), bytes).unwrap();
        }

        fn fill_import(&self, machine: Machine, bytes: &[u8]) -> Vec<u8> {
            let path = self.volumes(machine).mountpoint_of(&web()).join("data");
            let before = std::fs::read(path).unwrap_or_default();
            self.write(machine, bytes);
            before
        }

        fn read(&self, machine: Machine) -> Vec<u8> {
            let path = self.volumes(machine).mountpoint_of(&web()).join("data");
            std::fs::read(path).unwrap()
        }

        fn obstruct(&self, machine: Machine, is_there: bool) {
            let place = self.volumes(machine).mountpoint_of(&web());
            if is_there {
                std::fs::create_dir_all(&place).unwrap();
                std::fs::write(place.join("stray"), "").unwrap();
            } else {
                std::fs::remove_file(place.join("stray")).unwrap();
            }
        }

        fn take_others_snapshot(&self, machine: Machine) {
            let number = SNAPSHOTS.fetch_add(1, Ordering::Relaxed);
            let below = &self.volumes(machine).settings().dataset;
            let name = format!("{below}/{}@autosnap-{number}", web());
            let mut command = Command::new("zfs");
            let taken = command.args(["snapshot", &name]).status().unwrap();
            assert!(taken.success(), "{name}");
        }
    }

    volumes_suite! { new }
}
