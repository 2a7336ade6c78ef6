//! What stands in the way.

use std::collections::BTreeMap;

use flocker_model::{
    ByteCount, Epoch, FirewallObstacle, Obstacle, Obstruction, PoolHealth, PoolProblem, Protocol,
    ServicePort, SnapshotGuid, SnapshotState, VolumeHolder, VolumeRole,
};
use insta::assert_snapshot;

use crate::cluster::{
    Cluster, application, database, deployment, name, node_name, port, show, with_route,
    with_volume,
};

fn on(node: &str) -> flocker_model::Deployment {
    deployment(
        &[("db", database())],
        &[("1", &[]), ("2", &[]), (node, &["db"])],
    )
}

/// A cluster in which the volume moved from 1 to 2.
fn moved() -> Cluster {
    let mut cluster = Cluster::running(2, &on("1"));
    cluster.write();
    cluster.deploy(&on("2"));
    cluster.write();
    cluster
}

#[test]
fn two_owners() {
    let mut cluster = moved();
    cluster.copy("1", "db").role = VolumeRole::Owned { epoch: Epoch(1) };
    assert_snapshot!(show(&cluster.plan(&on("2"))));
}

#[test]
fn a_replica_was_written_to() {
    let mut cluster = moved();
    cluster.copy("1", "db").written = ByteCount::mebibytes(3);
    assert_snapshot!(show(&cluster.plan(&on("1"))));
}

#[test]
fn nothing_in_common() {
    let mut cluster = moved();
    let replica = cluster.copy("1", "db");
    let other = SnapshotState {
        name: "other".to_owned(),
        created: 1_400_000_000,
    };
    replica.snapshots = [(SnapshotGuid(77), other)].into();
    replica.newest_snapshot = Some(SnapshotGuid(77));
    assert_snapshot!(show(&cluster.plan(&on("1"))));
}

#[test]
fn a_foreign_dataset() {
    let mut cluster = moved();
    cluster.copy("1", "db").role = VolumeRole::Foreign {
        problem: "was not made by Flocker".to_owned(),
    };
    assert_snapshot!(show(&cluster.plan(&on("1"))));
}

#[test]
fn the_next_owner_lost_what_was_handed_off() {
    let mut cluster = moved();
    let next = cluster.machine("2");
    next.volumes.clear();
    // Nothing was started there yet.
    next.remembered.applications.clear();
    assert_snapshot!(show(&cluster.plan(&on("2"))));
}

#[test]
fn an_old_hand_off_is_not_believed_while_a_machine_is_unseen() {
    let on = |node| {
        deployment(
            &[("db", database())],
            &[("1", &[]), ("2", &[]), ("3", &[]), (node, &["db"])],
        )
    };
    let mut cluster = Cluster::running(3, &on("1"));
    cluster.deploy(&on("2"));
    cluster.write();
    cluster.deploy(&on("3"));
    cluster.machine("2").volumes.clear();
    cluster.lose("3");
    let without = deployment(&[("db", database())], &[("1", &[]), ("2", &["db"])]);
    assert_snapshot!(show(&cluster.plan(&without)));
}

#[test]
fn what_was_handed_off_was_written_to() {
    let mut cluster = Cluster::running(2, &on("1"));
    let made = cluster.plan(&on("2"));
    cluster.begin_until(&made, |action| {
        matches!(action, flocker_plan::Action::ReleaseVolume { .. })
    });
    cluster.copy("2", "db").written = ByteCount::mebibytes(3);
    assert_snapshot!(show(&cluster.plan(&on("2"))));
}

#[test]
fn a_foreign_dataset_elsewhere_is_left_alone() {
    let mut cluster = moved();
    let newer = SnapshotState {
        name: "flocker-9-000001".to_owned(),
        created: 1_400_000_000,
    };
    let copy = cluster.copy("1", "db");
    copy.snapshots.insert(SnapshotGuid(77), newer);
    copy.newest_snapshot = Some(SnapshotGuid(77));
    copy.role = VolumeRole::Foreign {
        problem: "was not made by Flocker".to_owned(),
    };
    assert_snapshot!(show(&cluster.plan(&on("2"))));
}

#[test]
fn a_volume_vanished() {
    let mut cluster = Cluster::running(2, &on("1"));
    cluster.machine("1").volumes.clear();
    assert_snapshot!(show(&cluster.plan(&on("1"))));
}

#[test]
fn port_22_is_taken() {
    let wanted = deployment(&[("db", with_route(database(), 22))], &[("1", &["db"])]);
    assert_snapshot!(show(&Cluster::new(1).plan(&wanted)));
}

#[test]
fn a_firewall_drops_routes() {
    let wanted = deployment(&[("db", with_route(database(), 5432))], &[("1", &["db"])]);
    let mut cluster = Cluster::new(1);
    let chain = |table: &str, chain: &str| FirewallObstacle::Chain {
        table: table.to_owned(),
        chain: chain.to_owned(),
        protocol: None,
    };
    cluster.machine("1").firewall = [
        FirewallObstacle::LegacyIptables,
        FirewallObstacle::DockerDropsMark,
        FirewallObstacle::DockerChainsMissing,
        chain("inet firewalld", "filter_FORWARD"),
        chain("inet filter", "forward"),
    ]
    .into();
    assert_snapshot!(show(&cluster.plan(&wanted)));
}

#[test]
fn a_firewall_that_drops_udp_matters_to_routes_of_udp() {
    let on = |application| deployment(&[("db", application)], &[("1", &["db"])]);
    let mut cluster = Cluster::new(1);
    let drops_udp = |table: &str, chain: &str| FirewallObstacle::Chain {
        table: table.to_owned(),
        chain: chain.to_owned(),
        protocol: Some(Protocol::Udp),
    };
    cluster.machine("1").firewall = [
        drops_udp("inet filter", "forward"),
        drops_udp("ip filter", "FORWARD"),
    ]
    .into();
    let plan = cluster.plan(&on(with_route(database(), 5432)));
    assert!(plan.blocked.is_empty(), "{plan}");
    let mut name_server = database();
    let udp = ServicePort {
        protocol: Protocol::Udp,
        port: port(53),
    };
    name_server.routes.insert(udp.into(), port(53).into());
    assert_snapshot!(show(&cluster.plan(&on(name_server))));
}

#[test]
fn a_firewall_does_not_matter_without_routes_and_links() {
    let wanted = deployment(
        &[("db", with_volume(application("postgres")))],
        &[("1", &["db"])],
    );
    let mut cluster = Cluster::new(1);
    cluster.machine("1").firewall = [FirewallObstacle::LegacyIptables].into();
    assert!(cluster.plan(&wanted).blocked.is_empty());
}

#[test]
fn not_enough_space_for_both() {
    let volume = |image| with_volume(application(image));
    let applications = [("a", volume("a")), ("b", volume("b"))];
    let on = |node| {
        deployment(
            &applications,
            &[("1", &[]), ("2", &[]), (node, &["a", "b"])],
        )
    };
    let mut cluster = Cluster::running(2, &on("1"));
    cluster.copy("1", "a").referenced = ByteCount::mebibytes(600);
    cluster.copy("1", "b").referenced = ByteCount::mebibytes(600);
    assert_snapshot!(show(&cluster.plan(&on("2"))));
}

/// Plans a move of an application that runs, which must not be stopped for what is refused.
fn refused(cluster: &Cluster, wanted: &flocker_model::Deployment) -> String {
    let name = name("db");
    let source = cluster.observed.node(&node_name("1"));
    let container = source.and_then(|state| state.containers.get(&name));
    let runs = container.is_some_and(flocker_model::ContainerState::is_up);
    assert!(runs, "it runs before");
    let made = cluster.plan(wanted);
    assert!(!made.blocked.is_empty(), "{made}");
    for step in made.steps() {
        let touched = step.action.application() == Some(&name);
        assert!(!touched, "{} is planned in\n{made}", step.action);
    }
    show(&made)
}

#[test]
fn what_the_target_cannot_take_stays_up_where_it_runs() {
    let limited = |node| {
        let mut wanted = on(node);
        let database = wanted.applications.get_mut(&"db".parse().unwrap()).unwrap();
        let volume = database.volume.as_mut().unwrap();
        volume.maximum_size = Some(ByteCount::mebibytes(100));
        wanted
    };
    let mut cluster = Cluster::running(2, &on("1"));
    cluster.copy("1", "db").referenced = ByteCount::mebibytes(600);
    assert_snapshot!("more_than_its_limit", refused(&cluster, &limited("2")));

    cluster.machine("2").pool.available = ByteCount::mebibytes(500);
    assert_snapshot!("more_than_the_pool_has", refused(&cluster, &on("2")));

    let mut cluster = Cluster::running(2, &on("1"));
    cluster.machine("2").listening.insert(port(5432).into());
    assert_snapshot!("a_program_has_its_port", refused(&cluster, &on("2")));
}

#[test]
fn something_is_in_the_volumes_place_on_the_target() {
    let obstruct = |by| {
        let mut cluster = Cluster::running(2, &on("1"));
        let path = "/flocker/db".to_owned();
        let obstruction = Obstruction { path, by };
        cluster.machine("2").obstructed = BTreeMap::from([(name("db"), obstruction)]);
        cluster
    };
    let cluster = obstruct(Obstacle::Files);
    assert_snapshot!("files", refused(&cluster, &on("2")));
    let cluster = obstruct(Obstacle::Mount {
        source: "/dev/sdb1".to_owned(),
        kind: "ext4".to_owned(),
    });
    assert_snapshot!("mount", refused(&cluster, &on("2")));
    // It is in nobody's way while the volume stays elsewhere.
    let stays = cluster.plan(&on("1"));
    assert!(
        stays.blocked.is_empty() && stays.steps().is_empty(),
        "{stays}"
    );
}

#[test]
fn a_pool_is_unusable() {
    let health = PoolHealth::Unusable {
        problem: PoolProblem::ReadOnly,
    };
    let mut cluster = Cluster::running(2, &on("1"));
    cluster.machine("2").pool.health = health.clone();
    assert_snapshot!("the_targets_pool_is_unusable", refused(&cluster, &on("2")));
    let mut cluster = Cluster::running(2, &on("1"));
    cluster.machine("1").pool.health = health;
    assert_snapshot!("the_sources_pool_is_unusable", refused(&cluster, &on("2")));
}

#[test]
fn a_volume_whose_key_is_not_loaded_is_neither_moved_nor_replaced() {
    let lock = |cluster: &mut Cluster, node: &str| {
        let dataset = "tank/secret".to_owned();
        cluster.copy(node, "db").key_needed = Some(dataset.clone());
        let problem = PoolProblem::KeyNotLoaded { dataset };
        cluster.machine(node).pool.health = PoolHealth::Unusable { problem };
    };
    let mut cluster = Cluster::running(2, &on("1"));
    lock(&mut cluster, "1");
    assert_snapshot!("the_sources_key_is_not_loaded", refused(&cluster, &on("2")));
    cluster.reboot("1");
    let made = cluster.plan(&on("1"));
    let mut touched = made.steps().iter().map(|step| step.action.application());
    assert!(touched.all(|application| application.is_none()), "{made}");
    assert_snapshot!("the_owners_key_is_not_loaded", show(&made));
    let mut cluster = moved();
    cluster.deploy(&on("1"));
    lock(&mut cluster, "2");
    assert_snapshot!("the_targets_key_is_not_loaded", refused(&cluster, &on("2")));
    // A volume may have a key of its own.
    cluster.machine("2").pool.health = PoolHealth::Usable;
    assert_snapshot!(
        "the_replicas_key_is_not_loaded",
        refused(&cluster, &on("2"))
    );
    cluster.copy("2", "db").key_needed = None;
    cluster.copy("1", "db").key_needed = Some("tank/flocker/db".to_owned());
    assert_snapshot!("the_volumes_key_is_not_loaded", refused(&cluster, &on("2")));
}

#[test]
fn a_boot_starts_what_needs_no_key_and_waits_for_the_key() {
    let wanted = deployment(
        &[("db", database()), ("web", application("nginx"))],
        &[("1", &["db", "web"])],
    );
    let mut cluster = Cluster::running(1, &wanted);
    cluster.reboot("1");
    let dataset = "tank/secret".to_owned();
    cluster.copy("1", "db").key_needed = Some(dataset.clone());
    let problem = PoolProblem::KeyNotLoaded { dataset };
    cluster.machine("1").pool.health = PoolHealth::Unusable { problem };
    let made = cluster.plan_restore("1");
    assert!(
        made.blocked
            .iter()
            .all(|blocked| blocked.kind.waits_for_key())
    );
    assert_snapshot!("a_boot_without_the_key", show(&made));
    // The key of new volumes is not this one's.
    cluster.copy("1", "db").key_needed = None;
    let made = cluster.plan_restore("1");
    assert!(made.blocked.is_empty(), "{made}");
}

#[test]
fn what_others_keep_mounted_is_not_stopped() {
    let held = || {
        let mut cluster = Cluster::running(2, &on("1"));
        let holder = |process, command: &str, container| VolumeHolder {
            process,
            command: command.to_owned(),
            container,
        };
        let container = "0123456789abcdef".repeat(4);
        cluster.copy("1", "db").held_by = vec![
            holder(4711, "borg", Some(container)),
            holder(815, "bash", None),
        ];
        cluster
    };
    let cluster = held();
    assert_snapshot!("held_and_moved", refused(&cluster, &on("2")));
    let removed = deployment(&[], &[("1", &[]), ("2", &[])]);
    assert_snapshot!("held_and_removed", refused(&cluster, &removed));
    // It is in no way of anything else.
    let stays = cluster.plan(&on("1"));
    assert!(stays.blocked.is_empty() && stays.steps().is_empty());
    let mut newer = database();
    newer.image = name("postgres:17");
    // A container that is made again is stopped, and its volume unmounted, too.
    let changed = deployment(&[("db", newer)], &[("1", &["db"]), ("2", &[])]);
    assert!(!cluster.plan(&changed).blocked.is_empty());
}

#[test]
fn the_targets_pool_cannot_be_looked_at() {
    let mut cluster = Cluster::running(2, &on("1"));
    cluster.lose_pool("2", PoolProblem::NotImported);
    assert_snapshot!(refused(&cluster, &on("2")));
}

/// The volume is where it was, and nobody makes an empty one or starts an old one instead.
#[test]
fn the_owners_pool_cannot_be_looked_at() {
    let mut cluster = Cluster::running(2, &on("1"));
    cluster.lose_pool("1", PoolProblem::Suspended);
    for wanted in ["1", "2"] {
        let made = cluster.plan(&on(wanted));
        assert!(made.steps().is_empty(), "{made}");
    }
    assert_snapshot!("without_a_replica", show(&cluster.plan(&on("2"))));
    let mut cluster = moved();
    cluster.lose_pool("2", PoolProblem::Suspended);
    let made = cluster.plan(&on("1"));
    assert!(made.steps().is_empty(), "{made}");
    assert_snapshot!("with_a_replica", show(&made));
}

/// A machine that the deployment omits may have the volume as well.
#[test]
fn an_omitted_machines_pool_cannot_be_looked_at() {
    let mut cluster = Cluster::running(2, &on("1"));
    cluster.lose_pool("1", PoolProblem::NotImported);
    let wanted = deployment(&[("db", database())], &[("2", &["db"])]);
    let made = cluster.plan(&wanted);
    assert!(!made.blocked.is_empty(), "{made}");
    assert_snapshot!(show(&made));
}

/// At its boot a node waits for its pool: what a deployment placed on it may not be all that there
/// is.
#[test]
fn a_machine_without_its_pool_restores_nothing() {
    let mut cluster = Cluster::running(2, &on("1"));
    cluster.reboot("1");
    cluster.lose_pool("1", PoolProblem::NotImported);
    let made = cluster.plan_restore("1");
    assert!(made.steps().is_empty(), "{made}");
    assert_snapshot!(show(&made));
}

#[test]
fn others_snapshots_are_no_obstacle_to_taking_over() {
    let mut cluster = Cluster::running(2, &on("1"));
    let made = cluster.plan(&on("2"));
    cluster.begin_until(&made, |action| {
        matches!(action, flocker_plan::Action::ReleaseVolume { .. })
    });
    cluster.copy("2", "db").newest_snapshot = Some(SnapshotGuid(4711));
    assert_snapshot!(show(&cluster.plan(&on("2"))));
}

/// Programs that take snapshots of everything in a pool take them of replicas as well.
#[test]
fn others_snapshots_do_not_keep_a_volume_from_coming_back() {
    let mut alone = moved();
    let mut beside_others = moved();
    for place in ["1", "2"] {
        for node in ["1", "2"] {
            beside_others.copy(node, "db").newest_snapshot = Some(SnapshotGuid(4711));
        }
        assert_eq!(beside_others.deploy(&on(place)), alone.deploy(&on(place)));
    }
}

#[test]
fn others_snapshots_of_what_was_written_to_a_replica_do_not_hide_it() {
    let mut cluster = moved();
    let replica = cluster.copy("1", "db");
    replica.written = ByteCount::mebibytes(3);
    replica.newest_snapshot = Some(SnapshotGuid(4711));
    let text = show(&cluster.plan(&on("1")));
    assert!(
        text.contains("the replica of its volume was written to on 1.1.1.1"),
        "{text}"
    );
    assert!(
        text.contains(
            "newest snapshot GUID 4711; Flocker's newest taken at 1970-01-01 00:00:01 UTC, \
             3.0 MiB written since)"
        ),
        "{text}"
    );
    assert!(
        text.contains("`flocker-cluster volume resolve db --set-aside 1.1.1.1`"),
        "{text}"
    );
}
