//! What one machine does alone, after a boot or by hand.

use flocker_model::{ContainerStatus, Deployment, FirewallObstacle, UnitState};
use insta::assert_snapshot;

use crate::cluster::{Cluster, database, deployment, seed, show, web, with_route};

#[test]
fn a_machine_restores_after_a_power_cut() {
    let mut cluster = Cluster::running(2, &seed("2"));
    cluster.reboot("1");
    cluster.reboot("2");
    for number in ["1", "2"] {
        let made = cluster.plan_restore(number);
        assert_snapshot!(format!("a_machine_restores_{number}"), show(&made));
        cluster.finish(&made);
    }
    let again = cluster.plan(&seed("2"));
    assert!(again.is_empty(), "{again}");
}

#[test]
fn a_firewall_keeps_nothing_from_being_restored() {
    let mut cluster = Cluster::running(1, &routed_alone());
    cluster.reboot("1");
    cluster.machine("1").firewall = [FirewallObstacle::DockerChainsMissing].into();
    assert_snapshot!(show(&cluster.plan_restore("1")));
}

/// One application that answers on a port.
fn routed_alone() -> Deployment {
    deployment(&[("db", with_route(database(), 5432))], &[("1", &["db"])])
}

#[test]
fn a_machine_does_not_restore_what_it_gave_away() {
    let mut cluster = Cluster::running(2, &seed("1"));
    let made = cluster.plan(&seed("2"));
    cluster.begin_until(&made, |action| {
        matches!(action, flocker_plan::Action::ReleaseVolume { .. })
    });
    cluster.reboot("1");
    assert_snapshot!(show(&cluster.plan_restore("1")));
}

#[test]
fn docker_was_restarted() {
    let wanted = deployment(
        &[("db", database()), ("web", web())],
        &[("1", &["db", "web"])],
    );
    let mut cluster = Cluster::running(1, &wanted);
    for container in cluster.machine("1").containers.values_mut() {
        container.status = ContainerStatus::Stopped { exit_code: 0 };
        container.unit = UnitState::Failed;
        container.links = None;
    }
    cluster.machine("1").network = None;
    assert_snapshot!(cluster.deploy(&wanted));
}

#[test]
fn a_machine_alone_leaves_what_needs_another() {
    let applications = [("db", database()), ("web", web())];
    let before = deployment(&applications, &[("1", &["db", "web"]), ("2", &[])]);
    let after = deployment(&applications, &[("1", &[]), ("2", &["db", "web"])]);
    let cluster = Cluster::running(2, &before);
    assert_snapshot!(
        "alone_on_the_old_node",
        show(&cluster.plan_alone(&after, "1"))
    );
    assert_snapshot!(
        "alone_on_the_new_node",
        show(&cluster.plan_alone(&after, "2"))
    );
}
