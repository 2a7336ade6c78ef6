//! What is said of applications whose health checks fail, and of those that depend on them.

use crate::nodes::Nodes;
use crate::{expect_converged, expect_failed};

const CHECKED: &str = "\
db: {image: busybox, volume: /data, routes: [5432], healthcheck: {test: pg_isready}}
web: {image: busybox, depends_on: {db: {condition: service_healthy}}}
";

const ILL: &str = "db runs, and fails its `healthcheck`; the check printed:\n  no";

#[test]
fn a_failed_check_after_a_move_is_told_with_the_way_back() {
    let nodes = Nodes::new();
    expect_converged(&nodes.deploy_as("node1", CHECKED));
    nodes.fail(("node2", "await-health"), ILL);
    let failed = nodes.deploy_as("node2", CHECKED);
    expect_failed(
        &failed,
        &[
            "error: node2: cannot see db stay up and pass its health check",
            "db runs, and fails its `healthcheck`; the check printed:",
            "\n`db` runs on node2; deploying again goes on\n",
            "\n`db` and its data are on node2 now; to run it on node1 again, with all that it has \
             written, deploy the configuration that placed it there\n",
        ],
    );
    assert!(!failed.result.contains("Re-deployed"), "{}", failed.result);
    assert!(nodes.runs_on("node2"));
    // The advice is right.
    nodes.mend();
    expect_converged(&nodes.deploy_as("node1", CHECKED));
    assert!(nodes.runs_on("node1"));
}

#[test]
fn dependents_of_what_is_not_healthy_are_not_started() {
    let nodes = Nodes::new();
    nodes.fail(("node2", "await-health"), ILL);
    let failed = nodes.deploy_as("node2", CHECKED);
    expect_failed(
        &failed,
        &[
            "\n`db` runs on node2; deploying again goes on\n",
            "\n`web` does not run on any node (it depends on `db`, which failed); deploying again goes \
             on\n",
        ],
    );
    assert!(!failed.result.contains("Deployed"), "{}", failed.result);
    nodes.mend();
    let again = nodes.deploy_as("node2", CHECKED);
    expect_converged(&again);
    assert!(
        again.result.contains("Deployed `web` to node1."),
        "{}",
        again.result
    );
}

#[test]
fn a_failed_job_keeps_its_dependents_down() {
    let nodes = Nodes::new();
    let job = "\
db: {image: busybox}
job: {image: busybox, restart: no, depends_on: [db]}
web: {image: busybox, depends_on: {job: {condition: service_completed_successfully}}}
";
    nodes.fail(
        ("node1", "await-completion"),
        "job did not complete: it ended with status 1; it printed nothing",
    );
    let failed = nodes.deploy_as("node2", job);
    expect_failed(
        &failed,
        &[
            "error: node1: cannot see job end without an error",
            "\n`web` does not run on any node (it depends on `job`, which failed); deploying again \
             goes on\n",
        ],
    );
    assert!(
        !failed.result.contains("Deployed `web`"),
        "{}",
        failed.result
    );
    nodes.mend();
    expect_converged(&nodes.deploy_as("node2", job));
}
