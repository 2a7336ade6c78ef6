//! First deploys and moves.

use flocker_plan::{Goal, Scope};
use insta::assert_snapshot;

use crate::cluster::{Cluster, application, database, deployment, seed, show, web, with_volume};

#[test]
fn the_seeds_first_deploy() {
    let mut cluster = Cluster::new(2);
    cluster.operator_has("clusterhq/trac:latest");
    assert_snapshot!(cluster.deploy(&seed("1")));
}

#[test]
fn the_seeds_second_deploy_does_nothing() {
    let cluster = Cluster::running(2, &seed("1"));
    assert!(cluster.plan(&seed("1")).is_empty());
}

#[test]
fn the_seeds_database_moves() {
    let mut cluster = Cluster::running(2, &seed("1"));
    cluster.write();
    assert_snapshot!(cluster.deploy(&seed("2")));
}

/// Somebody once pulled `latest` there. The database's data must not meet that.
#[test]
fn another_image_of_that_name_is_replaced_before_a_move() {
    let mut cluster = Cluster::running(2, &seed("1"));
    cluster.write();
    cluster.has_image("2", "clusterhq/postgresql:latest", "sha256:old");
    assert_snapshot!(cluster.deploy(&seed("2")));
    let postgresql = "clusterhq/postgresql:latest".parse().unwrap();
    let images = [
        cluster.machine("1").images.get(&postgresql).cloned(),
        cluster.machine("2").images.get(&postgresql).cloned(),
    ];
    assert_eq!(images[0], images[1]);
}

/// Neither takes the other's image from it while that is on its way.
#[test]
fn of_two_that_trade_places_one_decides_what_their_images_name_means() {
    let volume = || with_volume(application("postgres"));
    let applications = [("one", volume()), ("two", volume())];
    let before = deployment(&applications, &[("1", &["one"]), ("2", &["two"])]);
    let after = deployment(&applications, &[("1", &["two"]), ("2", &["one"])]);
    let mut cluster = Cluster::running(2, &before);
    cluster.has_image("2", &volume().image.with_tag(), "sha256:other");
    let plan = cluster.deploy(&after);
    assert_eq!(plan.matches("stream image").count(), 1, "{plan}");
}

#[test]
fn the_way_back_is_as_short() {
    let mut cluster = Cluster::running(2, &seed("1"));
    cluster.deploy(&seed("2"));
    cluster.write();
    assert_snapshot!(cluster.deploy(&seed("1")));
}

#[test]
fn an_application_without_a_volume_moves_without_a_pause() {
    let there = |node| {
        deployment(
            &[("web", web())],
            &[("1", &[]), ("2", &[]), (node, &["web"])],
        )
    };
    let mut cluster = Cluster::running(2, &there("1"));
    assert_snapshot!(cluster.deploy(&there("2")));
}

#[test]
fn two_applications_change_places() {
    let applications = [("db", database()), ("log", with_volume(application("log")))];
    let before = deployment(&applications, &[("1", &["db"]), ("2", &["log"])]);
    let after = deployment(&applications, &[("1", &["log"]), ("2", &["db"])]);
    let mut cluster = Cluster::running(2, &before);
    assert_snapshot!(cluster.deploy(&after));
}

#[test]
fn three_applications_go_round() {
    let volume = |image| with_volume(application(image));
    let applications = [("a", volume("a")), ("b", volume("b")), ("c", volume("c"))];
    let before = deployment(
        &applications,
        &[("1", &["a"]), ("2", &["b"]), ("3", &["c"])],
    );
    let after = deployment(
        &applications,
        &[("1", &["c"]), ("2", &["a"]), ("3", &["b"])],
    );
    let mut cluster = Cluster::running(3, &before);
    assert_snapshot!(cluster.deploy(&after));
}

/// A volume that was on 1, 3, 1 and 2 still has a base for the copy on 3.
#[test]
fn old_replicas_stay_of_use() {
    let on = |node| {
        deployment(
            &[("db", database())],
            &[("1", &[]), ("2", &[]), ("3", &[]), (node, &["db"])],
        )
    };
    let mut cluster = Cluster::running(3, &on("1"));
    for node in ["3", "1", "2", "3", "1"] {
        cluster.write();
        cluster.deploy(&on(node));
    }
    cluster.write();
    assert_snapshot!(cluster.deploy(&on("2")));
}

/// Only once its clients are served: what starts, and nothing else.
#[test]
fn what_was_started_is_seen_to_stay_up() {
    let mut cluster = Cluster::running(2, &seed("1"));
    let moving = cluster.plan(&seed("2"));
    let wanted = seed("2");
    let goal = Goal::new(&wanted, Scope::Cluster);
    assert_snapshot!(show(&moving.settling(&goal, &cluster.observed)));
    cluster.deploy(&wanted);
    let settling = cluster.plan(&wanted).settling(&goal, &cluster.observed);
    assert!(settling.is_empty());
}
