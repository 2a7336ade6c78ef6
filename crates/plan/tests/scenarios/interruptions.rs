//! Deploys that died half-way, and what the next one does.

use std::collections::BTreeSet;

use flocker_plan::{Action, PushKind, plan_return};
use insta::assert_snapshot;

use crate::cluster::{
    Cluster, application, database, deployment, name, show, with_route, with_volume,
};

fn on(node: &str) -> flocker_model::Deployment {
    deployment(
        &[("db", database())],
        &[("1", &[]), ("2", &[]), (node, &["db"])],
    )
}

/// A move from 1 to 2 that died after a step.
fn died_after(is_last: impl Fn(&Action) -> bool) -> Cluster {
    let mut cluster = Cluster::running(2, &on("1"));
    cluster.write();
    let made = cluster.plan(&on("2"));
    cluster.begin_until(&made, is_last);
    cluster
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
    let is_stop = |action: &Action| matches!(action, Action::StopApplication { .. });
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
    let is_start = |action: &Action| matches!(action, Action::StartApplication { .. });
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

#[test]
fn a_failed_move_turns_back_until_the_release() {
    let failed = BTreeSet::from([name("db")]);
    let back = |cluster: &Cluster| {
        let plans = plan_return(&failed, &cluster.observed);
        plans.iter().map(show).collect::<Vec<_>>().join("\n\n")
    };
    let stopped = died_after(|action| matches!(action, Action::StopApplication { .. }));
    assert_snapshot!(back(&stopped));
    let released = died_after(|action| matches!(action, Action::ReleaseVolume { .. }));
    assert_eq!(back(&released), "");
}

/// The second version runs, and is recorded nowhere: another application of that deploy failed. Its
/// move fails as well.
fn died_with_an_unrecorded_version() -> Cluster {
    let newer = with_route(with_volume(application("postgres:2")), 5432);
    let newer_on = |node: &str| {
        deployment(
            &[("db", newer.clone())],
            &[("1", &[]), ("2", &[]), (node, &["db"])],
        )
    };
    let mut cluster = Cluster::running(2, &on("1"));
    let changed = cluster.plan(&newer_on("1"));
    let is_record = |action: &Action| matches!(action, Action::RecordDeployment { .. });
    let steps = changed.steps();
    let before = steps.iter().position(|step| is_record(&step.action));
    cluster.begin(&changed, before.unwrap());
    cluster.write();
    let moved = cluster.plan(&newer_on("2"));
    cluster.begin_until(&moved, |action| {
        matches!(action, Action::StopApplication { .. })
    });
    cluster
}

#[test]
fn a_return_starts_no_other_version_than_the_one_that_was_stopped() {
    let cluster = died_with_an_unrecorded_version();
    let plans = plan_return(&BTreeSet::from([name("db")]), &cluster.observed);
    assert_eq!(plans, vec![]);
}
