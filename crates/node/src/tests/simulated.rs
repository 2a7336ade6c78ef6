//! Executors do what [`simulate`] says that actions mean: the planner is checked by the one, and
//! the machines are run by the other.

use std::collections::{BTreeMap, BTreeSet};

use flocker_model::{ContainerStatus, Health, NodeObservation, Observed, SnapshotGuid, VolumeRole};
use flocker_plan::{Plan, plan, simulate};
use proptest::prelude::{Just, Strategy, any};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use proptest::{collection, prop_oneof};

use super::cluster::{Cluster, cluster};
use super::wish::{Wish, deployment, node_name, wishes};

/// How many sequences of deployments are tried.
const CASES: u32 = 25;
/// How many machines there are.
const NODES: usize = 3;

/// What happens between two deployments.
#[derive(Debug, Clone, Copy)]
enum Event {
    /// Nothing.
    Nothing,
    /// A machine loses its power.
    PowerCut(usize),
    /// Somebody removes the links inside the containers of a machine.
    LinksLost(usize),
}

/// What is wanted one after the other, what happens before, and whether each step is done twice.
type Case = (Vec<(Event, Vec<Wish>)>, bool);

fn cases() -> impl Strategy<Value = Case> {
    let event = prop_oneof![
        2 => Just(Event::Nothing),
        1 => (0..NODES).prop_map(Event::PowerCut),
        3 => (0..NODES).prop_map(Event::LinksLost),
    ];
    let goals = collection::vec((event, wishes(NODES)), 1..5);
    (goals, any::<bool>())
}

#[test]
fn every_action_does_to_a_machine_what_simulating_it_says() {
    let config = Config {
        cases: CASES,
        failure_persistence: None,
        max_shrink_iters: 200,
        ..Config::default()
    };
    let random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(config, random);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let seen = std::cell::RefCell::new(BTreeSet::new());
    let result = runner.run(&cases(), |case| {
        seen.borrow_mut().extend(runtime.block_on(follow(&case)));
        Ok(())
    });
    result.unwrap_or_else(|failure| panic!("{failure}"));
    // Each kind of action was among them, or this shows less than it says.
    let seen = seen.into_inner();
    assert_eq!(seen.len(), 20, "{seen:?}");
}

/// Goes through one sequence; returns the kinds of actions that were done.
async fn follow((goals, twice): &Case) -> BTreeSet<String> {
    let mut kinds = BTreeSet::new();
    let mut machines = Cluster::new(NODES);
    let mut before = None;
    for (event, wishes) in goals {
        match event {
            Event::Nothing => {}
            Event::PowerCut(index) => {
                // Simulating knows nothing of what is in intent logs alone.
                machines.sync(&node_name(*index));
                machines.cut_power(&node_name(*index));
            }
            Event::LinksLost(index) => {
                machines.lose_links(&node_name(*index));
                if let Some(before) = &before {
                    let made = plan(&cluster(before), &machines.observe().await);
                    kinds.extend(made.steps().iter().map(|step| kind(&step.action)));
                    compare(&mut machines, &made, *twice).await;
                }
            }
        }
        let deployment = deployment(NODES, wishes);
        // The second time for what is known only of what runs: whether its health is checked.
        for _ in 0..2 {
            machines.take_others_snapshots();
            let observed = machines.observe().await;
            let made = plan(&cluster(&deployment), &observed);
            assert!(made.blocked.is_empty(), "{made}");
            kinds.extend(made.steps().iter().map(|step| kind(&step.action)));
            compare(&mut machines, &made, *twice).await;
        }
        machines.converge(&deployment).await;
        before = Some(deployment);
    }
    kinds
}

/// Has images declare what they do: that is known only once they are there.
fn declare(expected: &mut Observed, observed: &Observed) {
    for (node, found) in &mut expected.nodes {
        let (NodeObservation::Seen(state), Some(real)) = (found, observed.node(node)) else {
            continue;
        };
        for (image, details) in &mut state.images {
            if let Some(real) = real.images.get(image) {
                details.volumes.clone_from(&real.volumes);
            }
        }
    }
}

/// Does each step of a plan, once or twice, and what simulating it says.
async fn compare(machines: &mut Cluster, made: &Plan, twice: bool) {
    let mut observed = machines.observe().await;
    let mut yields = BTreeMap::new();
    for step in made.steps() {
        for _ in 0..=usize::from(twice) {
            let task = (&step.node, &step.action);
            let mut expected = observed.clone();
            if let Err(refusal) = simulate(&mut expected, task, &yields) {
                panic!("{refusal}\nin\n{made}");
            }
            let done = machines.run(task, &yields).await;
            let yielded = done.unwrap_or_else(|failure| {
                panic!("{} {failure:?}\nin\n{made}", step.id);
            });
            yields.insert(step.id, yielded);
            observed = machines.observe().await;
            declare(&mut expected, &observed);
            let difference = difference(&observed, &expected);
            assert!(
                difference.is_empty(),
                "{} {difference}\nin\n{made}",
                step.id
            );
        }
        machines.check_owners();
        machines.write();
        observed = machines.observe().await;
    }
}

/// Names the kind of an action, as it is written in code.
fn kind(action: &flocker_plan::Action) -> String {
    let text = format!("{action:?}");
    let end = text.find(|letter: char| !letter.is_alphanumeric());
    text[..end.unwrap_or(text.len())].to_owned()
}

/// Shows what differs, line by line of what can be compared.
fn difference(found: &Observed, expected: &Observed) -> String {
    let (found, expected) = (comparable(found), comparable(expected));
    if found == expected {
        return String::new();
    }
    let lines = |text: &str, other: &str, mark: char| -> String {
        let other: BTreeSet<&str> = other.lines().collect();
        let only = text.lines().filter(|line| !other.contains(line));
        let marked: Vec<String> = only.map(|line| format!("\n{mark} {line}")).collect();
        marked.concat()
    };
    let only_found = lines(&found, &expected, '+');
    let only_expected = lines(&expected, &found, '-');
    format!("the order of lines differs, or:{only_found}{only_expected}")
}

/// Leaves out what no plan depends on: how things are called and when they came to be. Snapshots
/// are numbered by age.
fn comparable(observed: &Observed) -> String {
    let mut observed = observed.clone();
    let numbers = numbers(&observed);
    let number = |guid: SnapshotGuid| SnapshotGuid(numbers[&guid]);
    for observation in observed.nodes.values_mut() {
        let NodeObservation::Seen(state) = observation else {
            continue;
        };
        for container in state.containers.values_mut() {
            container.id.clear();
            match &mut container.status {
                ContainerStatus::Running { since, health } => {
                    since.clear();
                    // Nor does one know before whether an image brings a check along.
                    *health = Health::Unchecked;
                }
                // Why it ended is not what a plan depends on.
                ContainerStatus::Stopped { exit_code } => *exit_code = 0,
            }
        }
        for copy in state.volumes.values_mut() {
            let snapshots = std::mem::take(&mut copy.snapshots);
            copy.snapshots = snapshots
                .into_iter()
                .map(|(guid, mut snapshot)| {
                    snapshot.name.clear();
                    snapshot.created = 0;
                    (number(guid), snapshot)
                })
                .collect();
            copy.newest_snapshot = copy.newest_snapshot.map(number);
            if let VolumeRole::Replica { handoff, .. } = &mut copy.role {
                *handoff = handoff.map(number);
            }
        }
    }
    serde_json::to_string_pretty(&observed).unwrap()
}

/// Numbers every snapshot that is spoken of, oldest first.
fn numbers(observed: &Observed) -> BTreeMap<SnapshotGuid, u64> {
    let copies = observed
        .seen()
        .flat_map(|(_, state)| state.volumes.values());
    let guids: BTreeSet<SnapshotGuid> = copies
        .flat_map(|copy| {
            let handoff = match copy.role {
                VolumeRole::Replica { handoff, .. } => handoff,
                VolumeRole::Owned { .. } | VolumeRole::Foreign { .. } => None,
            };
            let spoken_of = handoff.into_iter().chain(copy.newest_snapshot);
            spoken_of.chain(copy.snapshots.keys().copied())
        })
        .collect();
    guids.into_iter().zip(1..).collect()
}
