//! Machines that are gone for good.

use flocker_model::{Deployment, NodeObservation};
use flocker_plan::{
    Forgetting, Forgotten, NotForgotten, Plan, Promotion, plan_forgetting, plan_promotion,
};
use insta::assert_snapshot;

use crate::cluster::{
    Cluster, application, database, deployment, name, node_name, show, with_volume,
};

/// `db` on a machine, in a deployment of these.
fn on(node: &str, nodes: &[&str]) -> Deployment {
    let nothing: &[&str] = &[];
    let only: &[&str] = &["db"];
    let empty = nodes.iter().map(|node| (*node, nothing));
    let placed: Vec<(&str, &[&str])> = empty.chain([(node, only)]).collect();
    deployment(&[("db", database())], &placed)
}

fn with_cache(nodes: &[(&str, &[&str])]) -> Deployment {
    let cache = with_volume(application("redis"));
    deployment(&[("db", database()), ("cache", cache)], nodes)
}

fn forget(
    cluster: &Cluster,
    machines: &[&str],
    give_up: &[&str],
) -> Result<Forgotten, Box<NotForgotten>> {
    let forgetting = Forgetting {
        machines: machines
            .iter()
            .map(|it| node_name(it).to_string())
            .collect(),
        give_up: give_up.iter().map(|it| name(it)).collect(),
        at: 1_795_402_590,
    };
    plan_forgetting(&forgetting, &cluster.observed)
}

fn refusal(cluster: &Cluster, machines: &[&str], give_up: &[&str]) -> String {
    let Err(refused) = forget(cluster, machines, give_up) else {
        panic!("{machines:?} were forgotten");
    };
    format!("error: {refused}\n  hint: {}", refused.hint())
}

fn kinds(plan: &Plan) -> Vec<&'static str> {
    plan.steps().iter().map(|step| step.action.kind()).collect()
}

/// Has every node forget the machine, which no later deploy asks.
fn forget_for_good(cluster: &mut Cluster, machine: &str, give_up: &[&str]) {
    let mut forgetting = |give_up: &[&str]| match forget(cluster, &[machine], give_up) {
        Ok(forgotten) => {
            cluster.finish(&forgotten.plan);
            forgotten
        }
        Err(refused) => panic!("{refused}"),
    };
    let forgotten = forgetting(give_up);
    let again = forgetting(&[]);
    assert!(again.plan.is_empty(), "{}", again.plan);
    assert_eq!(again.machines, forgotten.machines);
    cluster.observed.nodes.remove(&node_name(machine));
}

#[test]
fn a_machine_with_an_only_copy_is_not_forgotten_unless_it_is_named() {
    let mut cluster = Cluster::running(2, &on("2", &["1"]));
    let gone = cluster.observed.nodes[&node_name("2")].clone();
    cluster.lose("2");
    assert_snapshot!(refusal(&cluster, &["2"], &[]));
    let wanted = with_cache(&[("1", &["cache"])]);
    assert!(!cluster.plan(&wanted).blocked.is_empty());

    forget_for_good(&mut cluster, "2", &["db"]);
    assert!(kinds(&cluster.plan(&wanted)).contains(&"create-volume"));
    cluster.deploy(&wanted);
    let members = &cluster.machine("1").members;
    let forgotten: Vec<_> = members.all_forgotten().collect();
    assert!(forgotten[0].volumes.contains(&name("db")));
    assert!(!members.contains(forgotten[0].id));

    // It comes back.
    cluster.observed.nodes.insert(node_name("2"), gone);
    assert_snapshot!(
        "a_forgotten_machine_comes_back",
        show(&cluster.plan(&on("2", &["1"])))
    );
}

/// What is no longer wanted is still known to be there.
#[test]
fn a_deploy_without_an_application_does_not_hide_its_only_copy() {
    let mut cluster = Cluster::running(2, &on("2", &["1"]));
    cluster.lose("2");
    cluster.deploy(&with_cache(&[("1", &[])]));
    let refused = refusal(&cluster, &["2"], &[]);
    assert!(refused.contains("--give-up db"), "{refused}");
}

#[test]
fn a_lost_owner_is_replaced_before_it_is_forgotten() {
    let mut cluster = Cluster::running(2, &on("1", &["2"]));
    cluster.deploy(&on("2", &["1"]));
    cluster.write();
    cluster.lose("2");
    assert_snapshot!(refusal(&cluster, &["2"], &[]));
    let promotion = Promotion {
        application: name("db"),
        node: node_name("1"),
        accept_loss_since: 0,
    };
    let promoted = plan_promotion(&promotion, &cluster.observed).unwrap();
    cluster.finish(&promoted);
    forget_for_good(&mut cluster, "2", &[]);
    // It is told so even by a node that has no copy of the volume.
    let members = &cluster.machine("1").members;
    let mut forgotten = members.all_forgotten();
    assert!(forgotten.any(|machine| machine.volumes.contains(&name("db"))));
    cluster.deploy(&on("1", &[]));
}

#[test]
fn a_machine_that_answers_is_not_forgotten() {
    let mut cluster = Cluster::running(2, &on("2", &["1"]));
    assert_snapshot!(refusal(&cluster, &["2"], &["db"]));
    cluster.occupy("2");
    let refused = refusal(&cluster, &["2"], &["db"]);
    assert!(refused.contains("1.1.1.2 answers"), "{refused}");
    assert_snapshot!(refusal(&cluster, &["3"], &[]));
}

#[test]
fn machines_that_are_all_gone_are_forgotten_together() {
    let mut cluster = Cluster::running(3, &on("1", &["2", "3"]));
    cluster.lose("2");
    cluster.lose("3");
    assert_snapshot!(refusal(&cluster, &["2"], &[]));
    assert!(forget(&cluster, &["2", "3"], &[]).is_ok());
}

#[test]
fn a_machine_of_a_deploy_that_never_succeeded_is_not_forgotten_unnamed() {
    let wanted = on("2", &["1"]);
    let mut cluster = Cluster::new(2);
    let made = cluster.plan(&wanted);
    cluster.begin_until(&made, |action| action.kind() == "create-volume");
    cluster.lose("2");
    assert_snapshot!(refusal(&cluster, &["2"], &[]));
    assert!(forget(&cluster, &["2"], &["db"]).is_ok());
}

/// Whatever it has a replica of, nothing is pruned while it may come back.
#[test]
fn snapshots_are_pruned_again_once_a_machine_is_forgotten() {
    let mut cluster = Cluster::running(3, &on("3", &["1", "2"]));
    cluster.write();
    cluster.deploy(&on("1", &["2", "3"]));
    cluster.lose("3");
    for node in ["2", "1", "2"] {
        cluster.write();
        let made = cluster.plan(&on(node, &["1", "2"]));
        assert!(!kinds(&made).contains(&"prune-snapshots"), "{made}");
        cluster.finish(&made);
    }
    forget_for_good(&mut cluster, "3", &[]);
    let made = cluster.plan(&on("2", &["1"]));
    assert!(kinds(&made).contains(&"prune-snapshots"), "{made}");
    cluster.deploy(&on("2", &["1"]));
}

/// One node did not hear of it, and tells no other that the machine belongs to the cluster.
#[test]
fn a_node_that_was_away_learns_of_it_by_the_next_deploy() {
    let mut cluster = Cluster::running(3, &on("1", &["2", "3"]));
    let away = cluster.observed.nodes[&node_name("2")].clone();
    cluster.lose("3");
    forget_for_good(&mut cluster, "3", &[]);
    cluster.observed.nodes.insert(node_name("2"), away);
    let wanted = on("1", &["2"]);
    cluster.deploy(&wanted);
    for number in ["1", "2"] {
        let members = &cluster.machine(number).members;
        assert_eq!(members.all_forgotten().count(), 1, "{number}");
        assert_eq!(members.len(), 2, "{number}");
    }
    let is_seen = |found: &NodeObservation| found.seen().is_some();
    assert!(cluster.observed.nodes.values().all(is_seen));
}
