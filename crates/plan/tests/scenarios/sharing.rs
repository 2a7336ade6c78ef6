//! A volume that several applications of one node see.

use std::collections::{BTreeMap, BTreeSet};

use flocker_model::{Application, Deployment, SharedMount, SharedVolume};
use flocker_plan::{Action, StopKind, plan_return};
use insta::assert_snapshot;

use crate::cluster::{
    Cluster, application, database, deployment, name, node_name, show, web, with_volume,
};

/// The same, seeing the whole volume of `owner`.
fn sharing(mut application: Application, owner: &str) -> Application {
    let mount = SharedMount {
        directory: None,
        read_only: false,
    };
    application.shared = Some(SharedVolume {
        application: name(owner),
        mounts: BTreeMap::from([(name("/shared"), mount)]),
    });
    application
}

/// A database, and a backup that sees its volume.
fn with_backup(on: &str) -> Deployment {
    let other = if on == "1" { "2" } else { "1" };
    deployment(
        &[
            ("backup", sharing(application("restic"), "db")),
            ("db", database()),
        ],
        &[(on, &["db", "backup"]), (other, &[])],
    )
}

/// The same file without the backup.
fn without_backup(on: &str) -> Deployment {
    let other = if on == "1" { "2" } else { "1" };
    deployment(&[("db", database())], &[(on, &["db"]), (other, &[])])
}

/// Lists the applications that a plan stops, in order.
fn stops(cluster: &Cluster, wanted: &Deployment) -> Vec<String> {
    let made = cluster.plan(wanted);
    let stops = made.steps().iter().filter_map(|step| match &step.action {
        Action::StopApplication { application, .. } => Some(application.to_string()),
        _ => None,
    });
    stops.collect()
}

#[test]
fn a_volume_moves_with_all_that_see_it() {
    let mut cluster = Cluster::running(2, &with_backup("1"));
    cluster.write();
    assert_snapshot!(cluster.deploy(&with_backup("2")));
    let containers = &cluster.machine("1").containers;
    assert!(containers.is_empty(), "{containers:?}");
}

/// It is in no file any more, and runs all the same.
#[test]
fn what_the_file_no_longer_has_is_stopped_before_the_volume_moves() {
    let mut cluster = Cluster::running(2, &with_backup("1"));
    cluster.write();
    let made = cluster.plan(&without_backup("2"));
    let kinds = made.steps().iter().filter_map(|step| match &step.action {
        Action::StopApplication { application, kind } => Some((application.to_string(), *kind)),
        _ => None,
    });
    assert_eq!(
        kinds.collect::<BTreeMap<_, _>>(),
        BTreeMap::from([
            ("backup".to_owned(), StopKind::ForGood),
            ("db".to_owned(), StopKind::ForNow),
        ])
    );
    cluster.deploy(&without_backup("2"));
    assert!(cluster.machine("1").containers.is_empty());
}

#[test]
fn a_sharer_comes_and_goes_without_a_stop_of_the_owner() {
    let mut cluster = Cluster::running(2, &without_backup("1"));
    assert_eq!(stops(&cluster, &with_backup("1")), [""; 0]);
    cluster.deploy(&with_backup("1"));
    assert_eq!(stops(&cluster, &without_backup("1")), ["backup"]);
    cluster.deploy(&without_backup("1"));
    assert!(cluster.copy("1", "db").mounted.is_some());
}

#[test]
fn an_owner_is_made_again_without_a_stop_of_its_sharers() {
    let mut cluster = Cluster::running(2, &with_backup("1"));
    let mut changed = with_backup("1");
    let owner = changed.applications.get_mut(&name("db")).unwrap();
    owner.environment.insert("NEW".to_owned(), "1".into());
    let made = cluster.plan(&changed);
    let about_backup = made.steps().iter().filter(|step| {
        let is_record = matches!(step.action, Action::RecordDeployment { .. });
        !is_record && step.action.application() == Some(&name("backup"))
    });
    assert_eq!(about_backup.count(), 0, "{made}");
    cluster.deploy(&changed);
}

#[test]
fn all_that_see_a_volume_return_after_a_move_that_failed() {
    let mut cluster = Cluster::running(2, &with_backup("1"));
    cluster.write();
    let made = cluster.plan(&with_backup("2"));
    cluster.begin_until(&made, |action| {
        matches!(action, Action::PushVolume { kind, .. } if *kind == flocker_plan::PushKind::Last)
    });
    let failed = BTreeSet::from([name("backup"), name("db")]);
    let back = plan_return(&made, &failed, &cluster.observed);
    assert_snapshot!(show(&back));
    cluster.finish(&back);
    let machine = cluster.machine("1");
    assert!(
        machine
            .containers
            .values()
            .all(flocker_model::ContainerState::is_up)
    );
}

#[test]
fn a_boot_starts_the_owner_first() {
    let mut cluster = Cluster::running(2, &with_backup("1"));
    cluster.reboot("1");
    let made = cluster.plan_restore("1");
    assert_snapshot!(made.to_string());
    cluster.finish(&made);
    cluster.deploy(&with_backup("2"));
    cluster.reboot("1");
    let made = cluster.plan_restore("1");
    let starts = |action: &Action| matches!(action, Action::StartApplication { .. });
    assert!(
        !made.steps().iter().any(|step| starts(&step.action)),
        "{made}"
    );
}

/// The reader of the files refuses these as well; nothing of them is planned whoever asks.
#[test]
fn what_is_not_placed_with_its_volume_is_refused() {
    let backup = || sharing(application("restic"), "db");
    let apart = deployment(
        &[("backup", backup()), ("db", database()), ("web", web())],
        &[("1", &["db"]), ("2", &["backup"]), ("3", &["web"])],
    );
    let mut chain = deployment(
        &[
            ("backup", backup()),
            ("db", sharing(application("postgres"), "first")),
            ("first", with_volume(application("postgres"))),
        ],
        &[("1", &["first", "db", "backup"]), ("2", &[])],
    );
    let cluster = Cluster::new(3);
    let texts = [cluster.plan(&apart), cluster.plan(&chain)].map(|made| {
        let about = |step: &&flocker_plan::Step| {
            step.action.application() == Some(&name("backup"))
                || step.action.application() == Some(&name("db"))
        };
        assert_eq!(made.steps().iter().filter(about).count(), 0, "{made}");
        let blocked = made.blocked.iter();
        let lines = blocked.map(|blocked| format!("{blocked}\nhint: {}", blocked.hint()));
        lines.collect::<Vec<_>>().join("\n")
    });
    assert_snapshot!(texts.join("\n\n"));
    let placed = chain.nodes.get_mut(&node_name("1")).unwrap();
    placed.remove(&name("db"));
    assert_eq!(cluster.plan(&chain).blocked.len(), 1);
}

/// Nothing of a volume's applications is touched while something stands in the way of one of them.
#[test]
fn what_stands_in_the_way_of_one_keeps_all_where_they_are() {
    let mut cluster = Cluster::running(2, &with_backup("1"));
    let mut wanted = with_backup("2");
    let backup = wanted.applications.get_mut(&name("backup")).unwrap();
    backup.routes.insert(
        crate::cluster::port(22).into(),
        crate::cluster::port(22).into(),
    );
    cluster.write();
    let made = cluster.plan(&wanted);
    assert_eq!(made.blocked.len(), 2, "{made}");
    assert_eq!(stops(&cluster, &wanted), [""; 0]);
}
