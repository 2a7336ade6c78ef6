//! Deploys whose every step succeeds, or that have none, and after which something is not as wanted.

use std::ffi::OsStr;

use crate::nodes::{Ended, Nodes};
use crate::{expect_converged, expect_failed, expect_said};

const APPLICATION: &str = "db: {image: busybox, volume: /data, routes: [5432]}\n";

#[test]
fn what_has_just_started_is_awaited_though_nothing_is_to_be_done() {
    let nodes = Nodes::new();
    expect_converged(&nodes.deploy("node1"));
    nodes.restart("node1");
    nodes.fail(
        ("node1", "await-health"),
        "db ended right after its start with status 1; it printed nothing",
    );
    let failed = nodes.deploy("node1");
    expect_failed(
        &failed,
        &[
            "error: node1: cannot see db stay up",
            "db ended right after its start with status 1",
        ],
    );
    assert!(
        !failed.result.contains("Nothing changed."),
        "{}",
        failed.result
    );
    nodes.mend();
    let again = nodes.deploy("node1");
    expect_converged(&again);
    assert!(
        again.result.contains("Nothing changed."),
        "{}",
        again.result
    );
}

#[test]
fn an_omitted_node_that_is_away_fails_the_deploy() {
    let nodes = Nodes::new();
    let web = "web: {image: busybox}\n";
    let files = format!("{APPLICATION}{web}");
    let deployed = nodes.deploy_files(&files, "nodes: {node1: [db], node2: [web]}\n");
    expect_converged(&deployed);
    nodes.silence("node2");
    for _ in 0..2 {
        let without = nodes.deploy_files(APPLICATION, "nodes: {node1: [db]}\n");
        assert_eq!(without.code, Some(6), "{}", without.said);
        expect_said(
            &without,
            &[
                "\nerror: node2 is not in the deployment and could not be looked at: what it ran may \
               still run there\n",
            ],
        );
        assert!(nodes.runs_on("node1"));
    }
    nodes.mend();
    expect_converged(&nodes.deploy_files(APPLICATION, "nodes: {node1: [db]}\n"));
}

/// Forgets the second node, with these options.
fn forget(nodes: &Nodes, options: &[&str]) -> Ended {
    let arguments = ["node", "forget", "node2", "--via", "node1"];
    nodes.run(arguments.iter().chain(options).map(OsStr::new))
}

#[test]
fn a_machine_that_is_gone_is_forgotten_with_its_volume() {
    let nodes = Nodes::new();
    expect_converged(&nodes.deploy("node2"));
    nodes.switch_second_off();
    let refused = forget(&nodes, &[]);
    assert_eq!(refused.code, Some(4), "{}", refused.said);
    expect_said(
        &refused,
        &[
            "error: node2 is not forgotten, because this would be lost: the volume of `db`, of which \
             node2 may have the only copy\n",
            "add `--give-up db`\n",
            "nothing was changed on any node\n",
        ],
    );
    let forgotten = forget(&nodes, &["--give-up", "db"]);
    assert_eq!(forgotten.code, Some(0), "{}", forgotten.said);
    assert_eq!(
        forgotten.result,
        "Forgot node2 (node 00000000-0000-0000-0000-000000000002).\n"
    );
    expect_said(
        &forgotten,
        &["given up: the volume of `db`, of which node2"],
    );
    let alone = nodes.deploy_files(APPLICATION, "nodes: {node1: [db]}\n");
    expect_converged(&alone);
    expect_said(&alone, &["note: node1: `db` begins with a new volume"]);
}
