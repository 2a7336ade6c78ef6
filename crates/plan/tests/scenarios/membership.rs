//! Nodes that come, go, and are not there.

use flocker_model::{Deployment, NodeId};
use flocker_plan::{Goal, Scope, left_running};
use insta::assert_snapshot;

use crate::cluster::{Cluster, database, deployment, name, node_name, show, web};

/// Lists the machines that may run what a deployment does not have there.
fn may_run(cluster: &Cluster, wanted: &Deployment) -> Vec<String> {
    let left = left_running(&Goal::new(wanted, Scope::Cluster), &cluster.observed);
    left.iter().map(|left| left.node.to_string()).collect()
}

#[test]
fn a_node_joins() {
    let applications = [("db", database())];
    let mut cluster = Cluster::running(1, &deployment(&applications, &[("1", &["db"])]));
    cluster.join(2);
    let after = deployment(&applications, &[("1", &["db"]), ("2", &[])]);
    assert_snapshot!(cluster.deploy(&after));
}

#[test]
fn an_omitted_node_is_emptied_and_forgotten() {
    let applications = [("web", web())];
    let before = deployment(&applications, &[("1", &[]), ("2", &["web"])]);
    let mut cluster = Cluster::running(2, &before);
    let after = deployment(&applications, &[("1", &["web"])]);
    assert_snapshot!(cluster.deploy(&after));
    assert!(!cluster.machine("1").members.contains(id(2)));
}

#[test]
fn an_omitted_nodes_volumes_follow() {
    let applications = [("db", database()), ("web", web())];
    let before = deployment(&applications, &[("1", &[]), ("2", &["db", "web"])]);
    let mut cluster = Cluster::running(2, &before);
    let after = deployment(&applications, &[("1", &["db"])]);
    assert_snapshot!(cluster.deploy(&after));
}

#[test]
fn an_omitted_node_comes_back() {
    let applications = [("db", database()), ("web", web())];
    let both = deployment(&applications, &[("1", &["web"]), ("2", &["db"])]);
    let mut cluster = Cluster::running(2, &both);
    cluster.deploy(&deployment(&applications, &[("1", &["web", "db"])]));
    assert_snapshot!(cluster.deploy(&both));
}

#[test]
fn a_node_of_the_deployment_cannot_be_reached() {
    let wanted = deployment(&[("db", database())], &[("1", &["db"]), ("2", &[])]);
    let mut cluster = Cluster::running(2, &wanted);
    cluster.lose("2");
    assert_snapshot!(show(&cluster.plan(&wanted)));
}

#[test]
fn an_omitted_node_that_cannot_be_reached_may_have_the_volume() {
    let before = deployment(&[("web", web())], &[("1", &["web"]), ("2", &[])]);
    let mut cluster = Cluster::running(2, &before);
    cluster.lose("2");
    let without = deployment(&[("web", web())], &[("1", &["web"])]);
    assert_snapshot!(
        "an_unreachable_node_is_omitted",
        show(&cluster.plan(&without))
    );
    let added = deployment(
        &[("web", web()), ("db", database())],
        &[("1", &["web", "db"])],
    );
    assert_snapshot!(
        "a_new_volume_beside_an_unreachable_node",
        show(&cluster.plan(&added))
    );
}

#[test]
fn the_owner_cannot_be_reached() {
    let on = |node| {
        deployment(
            &[("db", database())],
            &[("1", &[]), ("2", &[]), (node, &["db"])],
        )
    };
    let mut cluster = Cluster::running(2, &on("1"));
    cluster.deploy(&on("2"));
    cluster.lose("2");
    let alone = deployment(&[("db", database())], &[("1", &["db"])]);
    assert_snapshot!(show(&cluster.plan(&alone)));
}

#[test]
fn one_machine_under_two_names() {
    let mut cluster = Cluster::new(2);
    let id = cluster.machine("1").id;
    cluster.machine("2").id = id;
    let wanted = deployment(&[("web", web())], &[("1", &["web"]), ("2", &[])]);
    assert_snapshot!(show(&cluster.plan(&wanted)));
}

#[test]
fn an_omitted_node_that_is_away_may_run_what_it_ran() {
    let before = deployment(
        &[("web", web()), ("db", database())],
        &[("1", &["web"]), ("2", &["db"])],
    );
    let mut cluster = Cluster::running(2, &before);
    cluster.lose("2");
    let without = deployment(&[("web", web())], &[("1", &["web"])]);
    cluster.deploy(&without);
    assert_eq!(may_run(&cluster, &without), ["1.1.1.2"]);
}

#[test]
fn an_omitted_node_that_was_emptied_runs_nothing() {
    let on = |node| deployment(&[("db", database())], &[("1", &[]), (node, &["db"])]);
    let mut cluster = Cluster::running(2, &on("2"));
    let without = on("1");
    cluster.deploy(&without);
    assert_eq!(may_run(&cluster, &without), <[String; 0]>::default());
    let at_rest = cluster.clone();
    cluster.lose("2");
    assert_eq!(may_run(&cluster, &without), <[String; 0]>::default());
    // As soon as it may be given something again, that is over.
    let mut cluster = at_rest;
    let made = cluster.plan(&on("2"));
    let admissions = made.steps().iter();
    let admissions = admissions.filter(|step| step.action.kind() == "admit-members");
    assert_eq!(admissions.count(), 2, "{made}");
    cluster.begin_until(&made, |action| action.kind() == "acquire-volume");
    cluster.lose("2");
    assert_eq!(may_run(&cluster, &without), ["1.1.1.2"]);
}

#[test]
fn what_was_just_started_is_seen_to_stay_up_by_the_next_deploy() {
    let wanted = deployment(&[("db", database())], &[("1", &["db"])]);
    let mut cluster = Cluster::running(1, &wanted);
    let goal = Goal::new(&wanted, Scope::Cluster);
    let made = cluster.plan(&wanted);
    assert!(made.settling(&goal, &cluster.observed).is_empty());
    let container = cluster.machine("1").containers.get_mut(&name("db"));
    container.unwrap().just_started = true;
    assert!(cluster.plan(&wanted).is_empty());
    let settling = made.settling(&goal, &cluster.observed);
    assert_snapshot!(show(&settling));
}

fn id(number: u128) -> NodeId {
    NodeId(uuid::Uuid::from_u128(number))
}

/// A new machine, 3, has the address of machine 2, which is away.
fn with_another_machine_at_2(before: &Deployment) -> Cluster {
    let mut cluster = Cluster::running(2, before);
    cluster.join(3);
    let another = cluster.observed.nodes.remove(&node_name("3"));
    let replaced = another.map(|it| cluster.observed.nodes.insert(node_name("2"), it));
    assert!(replaced.is_some(), "machine 3 has joined");
    cluster
}

#[test]
fn a_name_that_leads_to_another_machine_blocks() {
    let on = |node| {
        deployment(
            &[("db", database())],
            &[("1", &[]), ("2", &[]), (node, &["db"])],
        )
    };
    let cluster = with_another_machine_at_2(&on("2"));
    // Neither a new volume, nor anything else that would drop the key of the former machine.
    assert_snapshot!(show(&cluster.plan(&on("2"))));
    let without = deployment(&[("web", web())], &[("1", &["web"]), ("2", &[])]);
    assert!(!cluster.plan(&without).blocked.is_empty());
    // A deployment that leaves the name out knows the former machine all the same.
    let mut alone = cluster.clone();
    alone.observed.nodes.remove(&node_name("2"));
    alone.lose("2");
    let left = deployment(&[("web", web())], &[("1", &["web"])]);
    let made = alone.plan(&left);
    assert!(made.blocked.is_empty(), "{made}");
    alone.finish(&made);
    assert!(alone.machine("1").members.contains(id(2)));
}

#[test]
fn a_machine_with_a_new_address_is_the_same_one() {
    let on = |nodes: &[(&str, &[&str])]| deployment(&[("db", database())], nodes);
    let mut cluster = Cluster::running(2, &on(&[("1", &[]), ("2", &["db"])]));
    let moved = cluster.observed.nodes.remove(&node_name("2")).unwrap();
    cluster.join(2);
    // Another machine has its old address.
    cluster.machine("2").id = id(22);
    cluster.observed.nodes.insert(node_name("3"), moved);
    let made = cluster.plan(&on(&[("1", &[]), ("2", &[]), ("3", &["db"])]));
    assert!(made.blocked.is_empty(), "{made}");
    cluster.finish(&made);
    let members = &cluster.machine("1").members;
    assert_eq!(members.len(), 3);
    assert!(members.contains(id(2)));
    assert_eq!(members.named(&node_name("2")).count(), 1);
}
