//! Applications that may end: those that are done, and those that were told to end.

use std::collections::BTreeMap;

use flocker_model::{DependencyCondition, Deployment, RestartPolicy, StopGracePeriod};
use flocker_plan::{Action, Note, OutcomeKind, StopKind, plan};
use tokio::sync::mpsc::unbounded_channel;

use super::cluster::{Cluster, cluster};
use crate::execute::run_action;

use super::wish::{Wish, application_name, deployment, node_name};

/// Two applications that are not started again once they have done what they are for.
fn wanted(restart: RestartPolicy) -> Deployment {
    let mut wanted = deployment(1, &[Wish::at(0), Wish::at(0)]);
    for application in wanted.applications.values_mut() {
        application.restart = restart;
    }
    wanted
}

#[tokio::test]
async fn what_was_told_to_end_is_started_again_and_what_is_done_is_not() {
    for restart in [RestartPolicy::OnFailure, RestartPolicy::Never] {
        let wanted = wanted(restart);
        let (node, done, told) = (node_name(0), application_name(0), application_name(1));
        let mut machines = Cluster::new(1);
        machines.converge(&wanted).await;
        machines.end_by_itself(&node, &done);
        let made = plan(&cluster(&wanted), &machines.observe().await);
        assert!(made.is_empty(), "{made}");

        // As an administrator does, and Docker when it is stopped: both end with status 0.
        machines.stop_unit(&node, &told).await;
        let made = plan(&cluster(&wanted), &machines.observe().await);
        assert_eq!(made.outcomes[&told].kind, OutcomeKind::Started, "{made}");
        assert_eq!(made.outcomes[&done].kind, OutcomeKind::Unchanged, "{made}");
        // Docker is started again, and the node restores itself.
        let complied = machines.restore(&node).await;
        assert_eq!(complied.lines, [format!("Started `{told}` on {node}.")]);
        assert!(machines.runs(&node, &told));
        assert!(!machines.runs(&node, &done));

        machines.end_by_itself(&node, &told);
        let made = plan(&cluster(&wanted), &machines.observe().await);
        assert!(made.is_empty(), "{made}");
    }
}

#[tokio::test]
async fn a_job_that_is_waited_for_may_fail_before_it_succeeds() {
    let mut machines = Cluster::new(1);
    let (node, job) = (node_name(0), application_name(0));
    let fail = || {
        let host = &machines.machine(&node).containers.host;
        let mut state = host.state();
        state.running.processes.failing.insert(job.clone());
    };
    fail();
    let alone = wanted(RestartPolicy::OnFailure);
    let made = plan(&cluster(&alone), &machines.observe().await);
    let failure = machines.fork().drive(&made).await.unwrap_err();
    assert!(failure.contains("right after its start"), "{failure}");

    let mut awaited = alone;
    let other = awaited.applications.get_mut(&application_name(1)).unwrap();
    let completed = (job.clone(), DependencyCondition::Completed);
    other.depends_on = BTreeMap::from([completed]);
    machines.converge(&awaited).await;
    assert!(machines.runs(&node, &application_name(1)));
}

#[tokio::test]
async fn what_is_taken_down_leaves_no_mark() {
    let (node, told) = (node_name(0), application_name(1));
    let mut machines = Cluster::new(1);
    machines.converge(&wanted(RestartPolicy::Never)).await;
    let mark = machines.machine(&node).store.stop_mark(&told);
    machines.stop_unit(&node, &told).await;
    assert!(mark.exists());
    let nothing = Wish {
        place: None,
        ..Wish::at(0)
    };
    machines.converge(&deployment(1, &[nothing, nothing])).await;
    assert!(!mark.exists());
}

/// The stubborn application has a grace period of 0 seconds, so that the test waits for nothing.
#[tokio::test]
async fn a_stop_tells_of_an_application_that_had_to_be_killed() {
    let mut wanted = wanted(RestartPolicy::Always);
    for application in wanted.applications.values_mut() {
        application.stop_grace_period = StopGracePeriod::from_seconds(0);
    }
    let mut machines = Cluster::new(1);
    machines.converge(&wanted).await;
    let machine = machines.machine(&node_name(0));
    let stubborn = application_name(0);
    let insist = || {
        let mut state = machine.containers.host.state();
        state.running.processes.stubborn.insert(stubborn.clone());
    };
    insist();
    for application in [stubborn.clone(), application_name(1)] {
        let stop = Action::StopApplication {
            application: application.clone(),
            kind: StopKind::ForGood,
        };
        let (progress, _unread) = unbounded_channel();
        let done = run_action(machine, stop, &progress).await.unwrap();
        let is_told = |note: &Note| matches!(note, Note::Killed { application: name, .. } if *name == application);
        assert_eq!(done.notes.iter().any(is_told), application == stubborn);
    }
}
