//! What earlier releases, interrupted programs and power cuts leave is put right by the next mount.

use super::cluster::Cluster;
use super::fake::Pool;
use super::resolving::{moved_twice, on};
use super::wish::{application_name, node_name};

/// The pool's parent dataset has `sync=disabled`, and the volume was made by an earlier release.
async fn unsafe_parent() -> Cluster {
    let mut machines = moved_twice().await;
    machines.write();
    machines.sync(&node_name(2));
    machines.with_pool(&node_name(2), |pool| {
        pool.sync_disabled = true;
        for volume in pool.volumes.values_mut() {
            volume.syncs = false;
        }
    });
    machines
}

#[tokio::test]
async fn a_volume_keeps_acknowledged_writes_once_it_was_mounted_again() {
    let mut machines = unsafe_parent().await;
    let owner = node_name(2);
    let observed = machines.observe().await;
    let pool = &observed.node(&owner).unwrap().pool;
    assert_eq!(pool.sync_disabled.as_deref(), Some("tank"));
    machines.cut_power(&owner);
    machines.restore(&owner).await;
    machines.write();
    machines.cut_power(&owner);
    machines.restore(&owner).await;
    machines.check(&on(2));
}

#[tokio::test]
async fn an_owner_that_an_interrupted_resolve_left_read_only_starts() {
    let mut machines = moved_twice().await;
    let owner = node_name(2);
    machines.cut_power(&owner);
    machines.with_pool(&owner, |pool| {
        for volume in pool.volumes.values_mut() {
            volume.is_readonly = true;
        }
    });
    machines.restore(&owner).await;
    assert!(machines.runs(&owner, &application_name(0)));
    machines.write();
    machines.converge(&on(1)).await;
}

#[tokio::test]
async fn no_directory_is_left_where_a_volume_was_mounted_before_a_power_cut() {
    let mut machines = moved_twice().await;
    let (owner, name) = (node_name(2), application_name(0));
    machines.cut_power(&owner);
    let left = |pool: &mut Pool| pool.mount_points.contains(&name);
    assert!(machines.with_pool(&owner, left));
    // It is not to be started here any more.
    machines.with_pool(&owner, |pool| pool.volumes.remove(&name));
    machines.restore(&owner).await;
    assert!(!machines.with_pool(&owner, left));
}
