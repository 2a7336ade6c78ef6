//! Deploys that died half-way, and what the next one does.

use std::collections::BTreeSet;

use flocker_model::{ContainerStatus, Deployment, UnitState};
use flocker_plan::{Action, Plan, PushKind, check, plan_return};
use insta::assert_snapshot;

use crate::cluster::{
    Cluster, application, database, deployment, name, node_name, show, web, with_route, with_volume,
};

fn on(node: &str) -> Deployment {
    deployment(
        &[("db", database())],
        &[("1", &[]), ("2", &[]), (node, &["db"])],
    )
}

/// A move from 1 to 2 that died after a step, and what it was to do.
fn began(is_last: impl Fn(&Action) -> bool) -> (Cluster, Plan) {
    let mut cluster = Cluster::running(2, &on("1"));
    cluster.write();
    let made = cluster.plan(&on("2"));
    cluster.begin_until(&made, is_last);
    (cluster, made)
}

/// The same, where nobody asks what it was to do.
fn died_after(is_last: impl Fn(&Action) -> bool) -> Cluster {
    began(is_last).0
}

fn is_stop(action: &Action) -> bool {
    matches!(action, Action::StopApplication { .. })
}

fn is_start(action: &Action) -> bool {
    matches!(action, Action::StartApplication { .. })
}

#[test]
fn after_each_step_the_next_deploy_converges_whatever_it_wants() {
    let made = Cluster::running(2, &on("1")).plan(&on("2"));
    for count in 0..=made.steps().len() {
        for next in ["1", "2"] {
            let mut cluster = Cluster::running(2, &on("1"));
            cluster.begin(&made, count);
            cluster.deploy(&on(next));
        }
    }
}

#[test]
fn died_after_pushing_ahead() {
    let is_ahead = |action: &Action| {
        matches!(
            action,
            Action::PushVolume {
                kind: PushKind::Ahead,
                ..
            }
        )
    };
    assert_snapshot!(died_after(is_ahead).deploy(&on("2")));
}

#[test]
fn died_after_the_stop() {
    assert_snapshot!(
        "died_after_the_stop_goes_on",
        died_after(is_stop).deploy(&on("2"))
    );
    assert_snapshot!(
        "died_after_the_stop_turns_back",
        died_after(is_stop).deploy(&on("1"))
    );
}

#[test]
fn died_after_the_release() {
    let is_release = |action: &Action| matches!(action, Action::ReleaseVolume { .. });
    assert_snapshot!(
        "died_after_the_release_goes_on",
        died_after(is_release).deploy(&on("2"))
    );
    assert_snapshot!(
        "died_after_the_release_turns_back",
        died_after(is_release).deploy(&on("1"))
    );
}

#[test]
fn died_after_taking_over() {
    let is_acquire = |action: &Action| matches!(action, Action::AcquireVolume { .. });
    assert_snapshot!(died_after(is_acquire).deploy(&on("2")));
}

#[test]
fn died_after_the_start_with_ports_held() {
    assert_snapshot!(died_after(is_start).deploy(&on("2")));
}

#[test]
fn a_first_copy_is_there_in_part() {
    let is_ahead = |action: &Action| {
        matches!(
            action,
            Action::PushVolume {
                kind: PushKind::Ahead,
                ..
            }
        )
    };
    let mut cluster = died_after(is_ahead);
    let copy = cluster.copy("2", "db");
    copy.snapshots.clear();
    copy.newest_snapshot = None;
    copy.resumable = true;
    assert_snapshot!(cluster.deploy(&on("2")));
}

#[test]
fn died_before_a_new_volume_had_its_container() {
    let mut cluster = Cluster::new(2);
    let made = cluster.plan(&on("1"));
    cluster.begin_until(&made, |action| {
        matches!(action, Action::CreateVolume { .. })
    });
    assert_snapshot!("the_new_volume_is_used", cluster.clone().deploy(&on("1")));
    assert_snapshot!("the_new_volume_moves", cluster.deploy(&on("2")));
}

/// What starts db again after a plan that failed.
fn back(cluster: &Cluster, made: &Plan) -> Plan {
    let failed = BTreeSet::from([name("db")]);
    let back = plan_return(made, &failed, &cluster.observed);
    let violations = check(&back, &cluster.observed);
    assert!(violations.is_empty(), "{violations:?}\n{back}");
    back
}

#[test]
fn a_failed_move_turns_back_until_the_release() {
    let (stopped, made) = began(is_stop);
    assert_snapshot!(show(&back(&stopped, &made)));
    let (released, made) = began(|action| matches!(action, Action::ReleaseVolume { .. }));
    assert_eq!(back(&released, &made), Plan::default());
}

/// The database in its second version on a node.
fn newer_on(node: &str) -> Deployment {
    let newer = with_route(with_volume(application("postgres:2")), 5432);
    deployment(&[("db", newer)], &[("1", &[]), ("2", &[]), (node, &["db"])])
}

/// Does everything that a deployment asks for but record it, as if another application had failed.
fn run_unrecorded(cluster: &mut Cluster, deployment: &Deployment) {
    let made = cluster.plan(deployment);
    let is_record = |action: &Action| matches!(action, Action::RecordDeployment { .. });
    let mut steps = made.steps().iter();
    let before = steps.position(|step| is_record(&step.action));
    let before = before.unwrap_or_else(|| panic!("nothing is recorded in\n{made}"));
    cluster.begin(&made, before);
    cluster.write();
}

/// The second version of the database runs on 1, whatever was recorded; its move to 2 fails.
fn assert_newer_returns(mut cluster: Cluster) {
    run_unrecorded(&mut cluster, &newer_on("1"));
    let made = cluster.plan(&newer_on("2"));
    cluster.begin_until(&made, is_stop);
    let back = back(&cluster, &made);
    let mut starts = back.steps().iter().filter_map(|step| match &step.action {
        Action::StartApplication { specification, .. } => {
            Some((&step.node, specification.image.to_string()))
        }
        _ => None,
    });
    let expected = (&node_name("1"), "postgres:2".to_owned());
    assert_eq!(starts.next(), Some(expected), "{back}");
    assert_eq!(starts.next(), None, "{back}");
    cluster.finish(&back);
    for number in ["1", "2"] {
        let network = cluster.machine(number).network.as_ref();
        assert!(network.is_some_and(|network| network.held.is_empty()));
    }
    cluster.deploy(&newer_on("2"));
}

#[test]
fn a_return_starts_no_other_version_than_the_one_that_was_stopped() {
    assert_newer_returns(Cluster::running(2, &on("1")));
}

#[test]
fn what_no_deploy_recorded_is_returned_as_well() {
    assert_newer_returns(Cluster::new(2));
}

/// It would end once more, and only clients of what runs are to be let in.
#[test]
fn a_return_does_not_try_again_what_has_just_failed_to_start() {
    let mut cluster = Cluster::running(2, &on("1"));
    let made = cluster.plan(&newer_on("1"));
    cluster.begin_until(&made, is_start);
    let mut running = cluster.clone();
    for container in cluster.machine("1").containers.values_mut() {
        container.status = ContainerStatus::Stopped { exit_code: 1 };
        container.unit = UnitState::Missing;
    }
    assert_eq!(back(&cluster, &made), Plan::default());

    // It runs, and that could not be told.
    let back = back(&running, &made);
    assert!(back.outcomes.is_empty(), "it was changed: {back}");
    running.finish(&back);
    let network = running.machine("2").network.as_ref();
    assert!(network.is_some_and(|network| network.held.is_empty()));
}

#[test]
fn what_another_node_runs_is_not_returned() {
    let moved = |node| deployment(&[("db", web())], &[("1", &[]), ("2", &[]), (node, &["db"])]);
    let mut cluster = Cluster::running(2, &moved("1"));
    let made = cluster.plan(&moved("2"));
    cluster.begin_until(&made, is_start);
    cluster.reboot("1");
    assert_eq!(back(&cluster, &made), Plan::default());
}

/// A start that failed before there was a container leaves a record with the application's passwords.
#[test]
fn a_record_without_a_container_is_removed_elsewhere() {
    let on = |node| {
        deployment(
            &[("web", web())],
            &[("1", &[]), ("2", &[]), (node, &["web"])],
        )
    };
    let mut cluster = Cluster::running(2, &on("1"));
    let machine = cluster.machine("1");
    machine.containers.clear();
    assert_eq!(machine.remembered.applications.len(), 1);
    let removed = |made: &Plan| {
        let mut steps = made.steps().iter();
        steps.any(|step| step.node == node_name("1") && step.action.kind() == "remove-application")
    };
    let nowhere = deployment(&[("web", web())], &[("1", &[]), ("2", &[])]);
    let made = cluster.plan(&nowhere);
    assert!(removed(&made), "{made}");
    let made = cluster.plan(&on("2"));
    assert!(removed(&made), "{made}");
    cluster.deploy(&on("2"));
    assert!(cluster.machine("1").remembered.applications.is_empty());
}
