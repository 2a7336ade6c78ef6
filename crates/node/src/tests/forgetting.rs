//! A machine is given up for good, and comes back.

use std::collections::BTreeMap;

use flocker_model::{NodeName, Observed};
use flocker_plan::{BlockedKind, Forgetting, Forgotten, plan, plan_forgetting};

use super::cluster::{Cluster, cluster};
use super::fake::Trouble;
use super::resolving::{moved_twice, on, promote, without};
use super::wish::{application_name, node_name};

fn forget(observed: &Observed, give_up: bool) -> Forgotten {
    let name: NodeName = node_name(2);
    let forgetting = Forgetting {
        machines: [name.to_string()].into(),
        give_up: give_up.then(|| application_name(0)).into_iter().collect(),
        at: 1_795_402_590,
    };
    plan_forgetting(&forgetting, observed).unwrap()
}

/// The third machine owns the volume, the others have replicas, and it is given up.
async fn without_the_third(promoted: bool) -> Cluster {
    let machines = moved_twice().await;
    let lost = [node_name(2)];
    machines.part(&lost[0]);
    if promoted {
        let promotion = promote(&without(&machines, &lost).await, 1);
        machines.drive(&promotion).await.unwrap();
    }
    let observed = without(&machines, &lost).await;
    let forgotten = forget(&observed, !promoted);
    machines.drive(&forgotten.plan).await.unwrap();
    machines
}

/// Has something befall the pools of the other machines.
fn befall_others(machines: &Cluster, trouble: Option<Trouble>) {
    for index in [0, 1] {
        machines.befall_pool(&node_name(index), trouble);
    }
}

#[tokio::test]
async fn a_forgotten_machine_that_returns_starts_nothing() {
    for promoted in [true, false] {
        let mut machines = without_the_third(promoted).await;
        let lost = node_name(2);
        machines.cut_power(&lost);
        machines.rejoin(&lost);
        // It is told so whatever the others' pools have.
        let trouble = (!promoted).then_some(Trouble::Missing);
        befall_others(&machines, trouble);
        let complied = machines.restore(&lost).await;
        befall_others(&machines, None);
        assert!(!machines.runs(&lost, &application_name(0)), "{complied:?}");
        let told: Vec<String> = complied.blocked.iter().map(ToString::to_string).collect();
        let is_told = |told: &String| told.contains(&format!("has forgotten {lost}"));
        assert!(told.iter().any(is_told), "{told:?}");
        // Every deploy that meets it refuses it.
        let wanted = on(2);
        let made = plan(&cluster(&wanted), &machines.observe().await);
        let is_refused = |kind: &BlockedKind| matches!(kind, BlockedKind::MachineForgotten { .. });
        assert!(made.blocked.iter().any(|it| is_refused(&it.kind)), "{made}");
    }
}

#[tokio::test]
async fn a_forgotten_machine_may_push_nothing() {
    let machines = moved_twice().await;
    let observed = machines.observe().await;
    // It is there, and owns the volume: everybody else was told that it is gone.
    let forgotten = forget(&without(&machines, &[node_name(2)]).await, true);
    machines.drive(&forgotten.plan).await.unwrap();
    let move_back = plan(&cluster(&on(0)), &observed);
    let push = move_back.steps().iter();
    let mut push = push.filter(|step| step.action.kind().starts_with("push-volume"));
    let push = push.next().unwrap();
    let done = machines
        .run((&push.node, &push.action), &BTreeMap::new())
        .await;
    let failure = format!("{:?}", done.unwrap_err());
    assert!(failure.contains("was forgotten at 2026-11-23"), "{failure}");
}
