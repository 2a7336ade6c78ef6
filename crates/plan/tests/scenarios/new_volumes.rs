//! Volumes that would be new, and evidence that they are not.

use flocker_model::{Deployment, Epoch, NodeId, VolumeRole};
use flocker_plan::{Action, Plan};
use insta::assert_snapshot;

use crate::cluster::{
    Cluster, application, database, deployment, name, node_name, seed, show, web, with_volume,
};

fn db_on(node: &str) -> Deployment {
    deployment(
        &[("db", database())],
        &[("1", &[]), ("2", &[]), (node, &["db"])],
    )
}

/// `db` on its node, and another application with a volume beside it.
fn with_another(node: &str) -> Deployment {
    let another = with_volume(application("redis"));
    deployment(
        &[("db", database()), ("cache", another)],
        &[("1", &["cache"]), ("2", &[]), (node, &["db"])],
    )
}

fn notes(plan: &Plan) -> String {
    let notes: Vec<String> = plan.notes.iter().map(ToString::to_string).collect();
    notes.join("\n")
}

/// Makes a machine forget all that is outside of its pool, but for who it is.
fn forget_all(cluster: &mut Cluster, number: &str) {
    let machine = cluster.machine(number);
    machine.members.clear();
    machine.applied = None;
    machine.remembered = flocker_model::NodeMemory::default();
    machine.containers.clear();
    machine.network = None;
}

#[test]
fn a_lost_volume_of_a_deploy_that_failed_is_not_replaced() {
    let wanted = deployment(&[("db", database())], &[("1", &["db"])]);
    let mut cluster = Cluster::new(1);
    let made = cluster.plan(&wanted);
    cluster.begin_until(&made, |action| {
        matches!(action, Action::StartApplication { .. })
    });
    let machine = cluster.machine("1");
    assert_eq!(machine.applied, None);
    // Another pool, or another dataset in node.toml.
    machine.volumes.clear();
    assert_snapshot!(show(&cluster.plan(&wanted)));
    // The way out that the hint has.
    cluster.deploy(&deployment(&[("db", database())], &[("1", &[])]));
    cluster.deploy(&wanted);
}

#[test]
fn a_volume_of_a_node_that_forgot_is_not_replaced() {
    let wanted = deployment(
        &[("web", web()), ("db", database())],
        &[("1", &["web"]), ("2", &["db"])],
    );
    let mut cluster = Cluster::running(2, &wanted);
    forget_all(&mut cluster, "2");
    cluster.machine("2").volumes.clear();
    let blocked = show(&cluster.plan(&wanted));
    assert!(blocked.contains("its volume was on 1.1.1.2"), "{blocked}");
}

#[test]
fn every_new_volume_is_noted() {
    let wanted = db_on("1");
    let mut cluster = Cluster::new(2);
    assert_eq!(
        notes(&cluster.plan(&wanted)),
        "1.1.1.1: `db` begins with a new volume, without earlier data: no copy of its volume was seen \
         (these nodes know of no cluster, so no machine outside of the deployment was asked)"
    );
    cluster.deploy(&wanted);
    assert_eq!(notes(&cluster.plan(&wanted)), "");
    assert_eq!(
        notes(&cluster.plan(&with_another("2"))),
        "1.1.1.1: `cache` begins with a new volume, without earlier data: no copy of its volume was seen"
    );
}

#[test]
fn a_node_that_forgot_may_have_had_the_volume() {
    let mut cluster = Cluster::running(2, &db_on("1"));
    cluster.deploy(&db_on("2"));
    forget_all(&mut cluster, "2");
    let wanted = with_another("2");
    assert_snapshot!(show(&cluster.plan(&wanted)));
    // The operator knows better.
    let made = cluster.plan_with_new_volumes(&wanted);
    assert!(made.blocked.is_empty(), "{made}");
}

#[test]
fn a_node_with_only_a_replica_may_have_had_the_volume() {
    let mut cluster = Cluster::running(2, &db_on("1"));
    cluster.deploy(&db_on("2"));
    forget_all(&mut cluster, "1");
    cluster.observed.nodes.remove(&node_name("2"));
    let cache = with_volume(application("redis"));
    let wanted = deployment(&[("cache", cache)], &[("1", &["cache"])]);
    assert_snapshot!(show(&cluster.plan(&wanted)));
}

#[test]
fn an_owner_that_no_node_remembers_may_have_the_volume() {
    let mut cluster = Cluster::running(2, &db_on("1"));
    cluster.deploy(&db_on("2"));
    let stranger = NodeId(uuid::Uuid::from_u128(77));
    cluster.copy("1", "db").role = VolumeRole::Replica {
        owner: stranger,
        epoch: Epoch(1),
        handoff: None,
    };
    let wanted = with_another("2");
    assert_snapshot!(show(&cluster.plan(&wanted)));
    assert!(cluster.plan_with_new_volumes(&wanted).blocked.is_empty());
    // What exists is not doubted.
    assert!(cluster.plan(&db_on("2")).blocked.is_empty());
}

/// Neither is one that joins, whatever was interrupted before.
#[test]
fn an_interrupted_first_deploy_needs_no_option() {
    let wanted = seed("1");
    let made = Cluster::new(2).plan(&wanted);
    for done in 0..made.steps().len() {
        let mut cluster = Cluster::new(2);
        cluster.begin(&made, done);
        let again = cluster.plan(&wanted);
        assert!(again.blocked.is_empty(), "after {done} steps:\n{again}");
    }
    let cache = with_volume(application("redis"));
    let joined = deployment(
        &[("db", database()), ("cache", cache)],
        &[("1", &["db"]), ("2", &["cache"])],
    );
    let alone = deployment(&[("db", database())], &[("1", &["db"])]);
    let mut cluster = Cluster::running(1, &alone);
    cluster.join(2);
    let made = cluster.plan(&joined);
    for done in 0..made.steps().len() {
        let mut joining = cluster.clone();
        joining.begin(&made, done);
        let again = joining.plan(&joined);
        assert!(again.blocked.is_empty(), "after {done} steps:\n{again}");
    }
}

/// The node records where the volume is to be, and no volume was made yet.
#[test]
fn a_deployment_that_one_node_applied_alone_needs_no_option() {
    let wanted = db_on("1");
    let mut applied = Cluster::new(2);
    let alone = applied.plan_alone(&wanted, "2");
    applied.finish(&alone);
    let made = applied.plan(&wanted);
    // The node knows the other one, which was not told anything.
    let introduced = made.steps().iter().find_map(|step| match &step.action {
        Action::AdmitMembers { members } if step.node == node_name("2") => Some(members.clone()),
        _ => None,
    });
    applied.machine("2").members = introduced.unwrap();
    let again = applied.plan(&wanted);
    assert!(again.blocked.is_empty(), "{again}");
}

/// Data that was imported is not evidence of another machine.
#[test]
fn an_import_before_the_first_deploy_needs_no_option() {
    let mut cluster = Cluster::running(1, &deployment(&[("db", database())], &[("1", &["db"])]));
    cluster.deploy(&deployment(&[], &[("1", &[])]));
    forget_all(&mut cluster, "1");
    cluster.copy("1", "db").import = Some("/srv/db".to_owned());
    cluster.copy("1", "db").role = VolumeRole::Owned {
        epoch: Epoch::begun_again(1_795_402_590),
    };
    let cache = with_volume(application("redis"));
    let wanted = deployment(&[("cache", cache)], &[("1", &["cache"])]);
    let made = cluster.plan(&wanted);
    assert!(made.blocked.is_empty(), "{made}");
    let db = name("db");
    assert!(cluster.machine("1").volumes.contains_key(&db));
}
