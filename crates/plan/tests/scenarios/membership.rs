//! Nodes that come, go, and are not there.

use insta::assert_snapshot;

use crate::cluster::{Cluster, database, deployment, show, web};

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
    assert!(
        !cluster
            .machine("1")
            .members
            .contains_key(&crate::cluster::node_name("2"))
    );
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
