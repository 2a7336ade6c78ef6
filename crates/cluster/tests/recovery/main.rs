//! What becomes of a deploy that loses a node: the whole program, and nodes in memory behind real
//! OpenSSH servers. What these make of a step is what simulating it says.
//!
//! Needed on the machine: what the tests of the transport need, and `bash`.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test reports by panicking, and its fixtures do, too"
)]

#[expect(dead_code, reason = "the tests that it is written for use more of it")]
#[path = "../../../remote/tests/sshd/fixture.rs"]
mod fixture;
mod health;
mod left;
mod nodes;
mod registries;

use nodes::{Afterwards, Ended, Nodes};

/// The place at which `db` is stopped and not yet given up.
const BEFORE_RELEASE: &str = "push-volume.last";

/// Two nodes, with `db` on the first.
fn running_on_node1() -> Nodes {
    let nodes = Nodes::new();
    expect_converged(&nodes.deploy("node1"));
    assert!(nodes.runs_on("node1"));
    nodes
}

fn expect_converged(ended: &Ended) {
    assert_eq!(ended.code, Some(0), "{}", ended.said);
}

fn expect_failed(ended: &Ended, texts: &[&str]) {
    assert_eq!(ended.code, Some(5), "{}", ended.said);
    expect_said(ended, texts);
}

fn expect_said(ended: &Ended, texts: &[&str]) {
    for text in texts {
        assert!(ended.said.contains(*text), "no `{text}` in {}", ended.said);
    }
}

/// Deploying again needs nobody's hand, and nothing is left to do then.
fn expect_to_go_on(nodes: &Nodes) {
    expect_converged(&nodes.deploy("node2"));
    assert!(nodes.runs_on("node2"));
    assert!(!nodes.runs_on("node1"));
    let again = nodes.deploy("node2");
    expect_converged(&again);
    assert!(
        again.result.contains("Nothing changed."),
        "{}",
        again.result
    );
}

#[test]
fn a_node_that_is_lost_before_the_release_is_asked_again_and_runs_the_application_again() {
    let nodes = running_on_node1();
    nodes.kill(("node1", BEFORE_RELEASE), Afterwards::Answers);
    let failed = nodes.deploy("node2");
    expect_failed(
        &failed,
        &[
            "error: node1: it is not known whether it could ",
            "\nnode1: it was lost, and is asked once more\n",
            "\n`db` was not changed; it runs on node1 as before\n",
        ],
    );
    assert!(nodes.runs_on("node1"));
    assert!(!nodes.runs_on("node2"));
    expect_to_go_on(&nodes);
}

#[test]
fn what_a_lost_node_owns_is_told_when_it_does_not_answer_again() {
    for (afterwards, why) in [
        (
            Afterwards::IsMute,
            "\nerror: node1: flocker-node did not begin\n",
        ),
        (
            Afterwards::IsTaken,
            "\nerror: node1: kim@laptop has been changing it since ",
        ),
    ] {
        let nodes = running_on_node1();
        nodes.kill(("node1", BEFORE_RELEASE), afterwards);
        let failed = nodes.deploy("node2");
        expect_failed(
            &failed,
            &[
                why,
                "\nit is not known whether `db` runs: node1, which owns its data, could not be \
                 seen; deploying again goes on\n",
            ],
        );
        assert!(!nodes.runs_on("node1"));
        assert!(!nodes.runs_on("node2"));
        nodes.mend();
        expect_to_go_on(&nodes);
    }
}

/// It is not claimed that the application stayed up, and neither that it did not.
#[test]
fn a_node_that_is_lost_while_an_application_settles_fails_the_deploy() {
    let nodes = running_on_node1();
    nodes.kill(("node2", "await-health"), Afterwards::Answers);
    let failed = nodes.deploy("node2");
    expect_failed(
        &failed,
        &[
            "error: node2: it is not known whether it could ",
            "\n`db` runs on node2\n",
            "\nrun the same deploy again once the cause is mended\n",
        ],
    );
    expect_to_go_on(&nodes);
}

#[test]
fn a_node_that_is_lost_at_the_last_look_is_asked_again_before_it_is_believed() {
    let nodes = running_on_node1();
    nodes.kill(("node2", "observe"), Afterwards::Answers);
    let ended = nodes.deploy("node2");
    expect_converged(&ended);
    expect_said(&ended, &["\nnode2: it was lost, and is asked once more\n"]);
    expect_to_go_on(&nodes);

    let nodes = running_on_node1();
    nodes.kill(("node2", "observe"), Afterwards::IsMute);
    expect_failed(
        &nodes.deploy("node2"),
        &[
            "\nevery step succeeded; deploy again to see whether everything is as wanted\n",
            "\nit is not known whether `db` runs: node2, which owns its data, could not be seen\n",
        ],
    );
    nodes.mend();
    expect_to_go_on(&nodes);
}
