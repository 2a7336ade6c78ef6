//! What comes of what nodes say while a plan is driven.

use flocker_plan::StepId;
use serde_json::{Value, json};

use super::*;
use crate::session::Caller;

/// Makes a plan that stops `web` on a node and removes it there.
fn plan_to_remove() -> Plan {
    let stopping = json!({ "stop-application": { "application": "web", "kind": "for-good" } });
    let removing = json!({ "remove-application": { "application": "web" } });
    let step = |id: u32, action: &Value, after: &[u32]| json!({ "id": id, "node": "node1", "action": action, "after": after, "why": "a test" });
    let plan = json!({
        "steps": [step(0, &stopping, &[]), step(1, &removing, &[0])],
        "outcomes": {
            "web": {
                "outcome": "stopped", "volume_kept": true, "node": "node1", "done_after": [1],
            },
        },
        "blocked": [],
    });
    serde_json::from_value(plan).unwrap()
}

/// What a test needs around a driver: no node is connected.
fn nobody() -> (Gathered, Printer) {
    let gathered = Gathered::empty(Caller::default());
    (gathered, Printer::new(false, false))
}

fn driver((gathered, printer): &mut (Gathered, Printer)) -> Driver<'_> {
    Driver {
        gathered,
        images: Arc::new(OperatorImages::default()),
        printer,
        announce: true,
    }
}

fn node() -> NodeName {
    NodeName::try_from("node1".to_owned()).unwrap()
}

#[test]
fn a_failed_step_is_told_with_its_node_cause_and_hint() {
    let plan = plan_to_remove();
    let mut schedule = Schedule::new(&plan);
    schedule.begin_ready();
    let event = Event::Failed {
        step: StepId::new(0),
        failure: StepFailure {
            message: "systemd did not stop the unit".to_owned(),
            causes: vec!["connection refused".to_owned()],
            hint: Some("look at the unit's log".to_owned()),
            stale: false,
        },
    };
    let mut around = nobody();
    let failure = driver(&mut around)
        .note_event(&plan, &mut schedule, (&node(), event))
        .unwrap();
    assert_eq!(failure.exit, Exit::StepFailed);
    insta::assert_snapshot!(failure, @r"
    error: node1: cannot stop web
      caused by: systemd did not stop the unit
      caused by: connection refused
      hint: look at the unit's log
    ");
}

#[test]
fn a_command_that_a_node_advises_names_it() {
    let plan = plan_to_remove();
    let mut schedule = Schedule::new(&plan);
    schedule.begin_ready();
    let event = Event::Failed {
        step: StepId::new(0),
        failure: StepFailure {
            message: "`flocker-cluster volume resolve web --set-aside NODE` helps".to_owned(),
            causes: Vec::new(),
            hint: None,
            stale: false,
        },
    };
    let mut around = nobody();
    let failure = driver(&mut around).note_event(&plan, &mut schedule, (&node(), event));
    assert_eq!(
        failure.unwrap().causes,
        ["`flocker-cluster volume resolve web --set-aside node1` helps"]
    );
}

#[test]
fn a_lost_nodes_running_steps_are_told() {
    let plan = plan_to_remove();
    let mut schedule = Schedule::new(&plan);
    schedule.begin_ready();
    let mut around = nobody();
    let lost = Failure::new(Exit::Unreachable, "node1: the connection was lost");
    let failures = driver(&mut around).note_loss(&plan, &mut schedule, (&node(), lost));
    assert_eq!(failures.len(), 1);
    assert_eq!(failures[0].exit, Exit::StepFailed);
    insta::assert_snapshot!(failures[0], @r"
    error: node1: it is not known whether it could stop web
      caused by: node1: the connection was lost
    ");
}

/// What an honest node says once, a hostile one may say twice, too early, or of others' steps.
#[test]
fn a_report_on_a_step_that_is_not_the_nodes_is_not_believed() {
    let plan = plan_to_remove();
    let mut schedule = Schedule::new(&plan);
    schedule.begin_ready();
    let mut around = nobody();
    let mut driver = driver(&mut around);
    let other: NodeName = "node2".parse().unwrap();
    let done = |step| Event::Done {
        step: StepId::new(step),
        done: StepDone::plain(Change::Changed),
    };
    let failed = |step| Event::Failed {
        step: StepId::new(step),
        failure: failure_of(&std::io::Error::other("no")),
    };
    let progress = |step| Event::Progress {
        step: StepId::new(step),
        progress: flocker_remote::protocol::Progress {
            what: "push".to_owned(),
            done: 1,
            total: None,
        },
    };
    // Step 0 runs on node1, step 1 waits for it, and there is no step 7.
    for (from, event) in [
        (&other, done(0)),
        (&other, failed(0)),
        (&other, progress(0)),
        (&node(), done(1)),
        (&node(), failed(1)),
        (&node(), done(7)),
        (&node(), done(u32::MAX)),
    ] {
        let text = format!("{event:?}");
        let failure = driver.note_event(&plan, &mut schedule, (from, event));
        let failure = failure.unwrap_or_else(|| panic!("{from} was believed: {text}"));
        assert_eq!(failure.exit, Exit::StepFailed);
        assert_eq!(schedule.running(), [StepId::new(0)], "{from}: {text}");
    }
    let answer = driver.note_event(&plan, &mut schedule, (&node(), done(0)));
    assert_eq!(answer, None);
    assert_eq!(schedule.begin_ready(), [StepId::new(1)]);
    let twice = driver.note_event(&plan, &mut schedule, (&node(), failed(0)));
    insta::assert_snapshot!(twice.unwrap(), @r"
    error: node1: it reported on step #0, which it was not given; the report is ignored
      hint: find out what answers as flocker-node on node1
    ");
    assert_eq!(
        schedule.running(),
        [StepId::new(1)],
        "the first answer stays"
    );
}

#[tokio::test]
async fn a_plan_ends_when_its_node_is_not_connected() {
    let plan = plan_to_remove();
    let mut around = nobody();
    let ended = driver(&mut around).drive(&plan).await;
    let failures: Vec<String> = ended.failures.iter().map(ToString::to_string).collect();
    assert_eq!(
        failures,
        ["error: node1: stop web: the node is not connected"]
    );
    assert_eq!(ended.failures[0].exit, Exit::Unreachable);
    assert_eq!(ended.unfinished.len(), 1);
}
