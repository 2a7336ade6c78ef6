//! What a machine brings back by itself after a deploy that never finished.

use std::collections::{BTreeMap, BTreeSet};

use flocker_model::{ApplicationName, Deployment, NodeName};
use flocker_plan::{Action, StopKind, plan};

use super::cluster::{Cluster, cluster};
use super::fake::Fault;
use super::wish::{Wish, application_name, deployment, node_name};

/// How many machines there are.
const NODES: usize = 2;
const NOWHERE: Wish = Wish {
    place: None,
    ..Wish::at(0)
};

/// Does the steps of a deploy up to the first that `is_last` accepts; then the operator's side dies.
async fn deploy_until(
    machines: &mut Cluster,
    wanted: &Deployment,
    is_last: impl Fn(&NodeName, &Action) -> bool,
) {
    let made = plan(&cluster(wanted), &machines.observe().await);
    let mut yields = BTreeMap::new();
    for step in made.steps() {
        let done = machines.run((&step.node, &step.action), &yields).await;
        yields.insert(step.id, done.unwrap());
        machines.write();
        if is_last(&step.node, &step.action) {
            return;
        }
    }
    panic!("there is no such step in\n{made}");
}

/// Has a machine lose its power, and boot; returns the lines of its restore, which must succeed.
async fn reboot(machines: &mut Cluster, node: &NodeName) -> Vec<String> {
    machines.cut_power(node);
    let complied = machines.restore(node).await;
    assert!(complied.failures.is_empty(), "{complied:?}");
    assert!(complied.blocked.is_empty(), "{complied:?}");
    machines.check_owners();
    complied.lines
}

fn is_start(action: &Action, name: &ApplicationName) -> bool {
    matches!(action, Action::StartApplication { specification, .. }
        if specification.application == *name)
}

fn is_switch(action: &Action, name: &ApplicationName) -> bool {
    matches!(action, Action::SwitchRoutes { application, .. } if application == name)
}

#[tokio::test]
async fn a_first_deploy_that_never_finished_is_brought_back_as_far_as_it_came() {
    let mut machines = Cluster::new(NODES);
    let (node, first) = (node_name(0), application_name(0));
    let wanted = deployment(NODES, &[Wish::at(0), Wish::at(0), Wish::at(0)]);
    deploy_until(&mut machines, &wanted, |on, action| {
        *on == node && is_switch(action, &first)
    })
    .await;
    let before = machines.observe().await;
    let lines = reboot(&mut machines, &node).await;
    assert_eq!(lines, [format!("Started `{first}` on {node}.")]);
    assert!(machines.runs(&node, &first));
    assert!(!machines.runs(&node, &application_name(1)));
    let after = machines.observe().await;
    let network =
        |observed: &flocker_model::Observed| observed.node(&node).unwrap().network.clone();
    assert_eq!(network(&after), network(&before));
    machines.converge(&wanted).await;
}

#[tokio::test]
async fn what_a_failed_deploy_moved_here_is_brought_back_here_and_not_where_it_was() {
    let mut machines = Cluster::new(NODES);
    let (old, new, moved) = (node_name(0), node_name(1), application_name(0));
    machines
        .converge(&deployment(NODES, &[Wish::at(0), NOWHERE, Wish::at(0)]))
        .await;
    let wanted = deployment(NODES, &[Wish::at(1), Wish::at(1), Wish::at(0)]);
    deploy_until(&mut machines, &wanted, |on, action| {
        *on == new && is_switch(action, &moved)
    })
    .await;
    assert_eq!(
        reboot(&mut machines, &new).await,
        [format!("Started `{moved}` on {new}.")]
    );
    assert!(machines.runs(&new, &moved));
    let stays = application_name(2);
    assert_eq!(
        reboot(&mut machines, &old).await,
        [format!("Started `{stays}` on {old}.")]
    );
    assert!(!machines.runs(&old, &moved));
    machines.write();
    machines.converge(&wanted).await;
}

#[tokio::test]
async fn what_was_released_is_not_brought_back() {
    let mut machines = Cluster::new(NODES);
    let (old, new, moved) = (node_name(0), node_name(1), application_name(0));
    machines
        .converge(&deployment(NODES, &[Wish::at(0), NOWHERE, NOWHERE]))
        .await;
    let wanted = deployment(NODES, &[Wish::at(1), NOWHERE, NOWHERE]);
    let is_stop = |_: &NodeName, action: &Action| matches!(action, Action::StopApplication { .. });
    let mut stopped = machines.fork();
    deploy_until(&mut stopped, &wanted, is_stop).await;
    // Until then it is brought back where it is owned.
    reboot(&mut stopped, &old).await;
    assert!(stopped.runs(&old, &moved));

    let is_release = |_: &NodeName, action: &Action| matches!(action, Action::ReleaseVolume { .. });
    deploy_until(&mut machines, &wanted, is_release).await;
    for node in [&old, &new] {
        assert_eq!(reboot(&mut machines, node).await, [""; 0]);
        assert!(!machines.runs(node, &moved));
    }
    machines.converge(&wanted).await;
}

/// It owned the volume once before, and the program that it ran then may be too old for it now.
#[tokio::test]
async fn a_volume_that_came_back_is_not_started_as_it_once_was() {
    let mut machines = Cluster::new(NODES);
    let (node, moved) = (node_name(0), application_name(0));
    let newer = |place| Wish {
        version: true,
        ..Wish::at(place)
    };
    machines
        .converge(&deployment(NODES, &[Wish::at(0), NOWHERE, NOWHERE]))
        .await;
    // The operator's side dies before what is left there is removed.
    let away = deployment(NODES, &[newer(1), NOWHERE, NOWHERE]);
    deploy_until(&mut machines, &away, |_, action| is_start(action, &moved)).await;
    let back = deployment(NODES, &[newer(0), NOWHERE, NOWHERE]);
    deploy_until(&mut machines, &back, |on, action| {
        *on == node && matches!(action, Action::AcquireVolume { .. })
    })
    .await;
    assert_eq!(reboot(&mut machines, &node).await, [""; 0]);
    assert!(!machines.runs(&node, &moved));
    machines.converge(&back).await;
}

#[tokio::test]
async fn what_was_being_taken_away_is_not_brought_back_wherever_that_was_interrupted() {
    let mut before = Cluster::new(1);
    let (node, removed) = (node_name(0), application_name(0));
    let all = deployment(1, &[Wish::at(0), Wish::at(0), Wish::at(0)]);
    before.converge(&all).await;
    let wanted = deployment(1, &[NOWHERE, Wish::at(0), NOWHERE]);
    let made = plan(&cluster(&wanted), &before.observe().await);
    let is_stop = |action: &Action| {
        matches!(action, Action::StopApplication { application, kind: StopKind::ForGood }
            if *application == removed)
    };
    let first = made.steps().iter().position(|step| is_stop(&step.action));
    let steps = &made.steps()[first.unwrap()..];
    let mut points = 0;
    loop {
        let mut machines = before.fork();
        machines.faults.arm(points, Fault::Hang);
        let attempt = async {
            for step in steps {
                let task = (&step.node, &step.action);
                machines.run(task, &BTreeMap::new()).await.unwrap();
            }
        };
        tokio::select! {
            () = attempt => {}
            () = machines.faults.hanging() => {}
        }
        let passed = machines.faults.disarm();
        // The first of them is before anything was done.
        let begun = passed > 1;
        reboot(&mut machines, &node).await;
        assert_eq!(machines.runs(&node, &removed), !begun, "point {points}");
        assert!(machines.runs(&node, &application_name(1)));
        machines.converge(&wanted).await;
        if passed <= points {
            break;
        }
        points += 1;
    }
    // Or there was nothing to interrupt.
    assert!(points > 10, "{points}");
}

/// The operator's side died while ports were held; nothing was rebooted.
#[tokio::test]
async fn a_restore_by_hand_lets_ports_go_that_a_dead_deploy_held() {
    let mut machines = Cluster::new(NODES);
    let (node, moved) = (node_name(0), application_name(0));
    machines
        .converge(&deployment(NODES, &[Wish::at(0), NOWHERE, NOWHERE]))
        .await;
    let wanted = deployment(NODES, &[Wish::at(1), NOWHERE, NOWHERE]);
    let is_stop = |_: &NodeName, action: &Action| matches!(action, Action::StopApplication { .. });
    deploy_until(&mut machines, &wanted, is_stop).await;
    let complied = machines.restore(&node).await;
    assert_eq!(complied.lines, [format!("Started `{moved}` on {node}.")]);
    assert!(machines.runs(&node, &moved));
    let observed = machines.observe().await;
    let network = observed.node(&node).unwrap().network.as_ref().unwrap();
    assert_eq!(network.held, BTreeSet::new());
    machines.converge(&wanted).await;
}

#[tokio::test]
async fn what_should_run_here_and_cannot_is_told() {
    let mut machines = Cluster::new(1);
    let (node, lost) = (node_name(0), application_name(0));
    machines
        .converge(&deployment(1, &[Wish::at(0), Wish::at(0), NOWHERE]))
        .await;
    machines.destroy_volume(&node, &lost);
    machines.cut_power(&node);
    let complied = machines.restore(&node).await;
    let about: Vec<_> = complied.blocked.iter().map(|it| &it.application).collect();
    assert_eq!(about, [&Some(lost.clone())], "{complied:?}");
    assert!(!machines.runs(&node, &lost));
    assert!(machines.runs(&node, &application_name(1)));
}
