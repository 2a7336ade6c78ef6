//! What the node does by itself: comply with a configuration, and recover after a boot.

use std::collections::{BTreeMap, BTreeSet};

use flocker_model::{ApplicationName, Deployment, NodeName, NodeObservation, Observed};
use flocker_plan::{Action, Blocked, Goal, OutcomeKind, Plan, Scope, StepId, plan};
use flocker_remote::protocol::{LockHolder, LockPurpose, StepFailure};
use tokio::sync::mpsc;

use crate::claims;
use crate::execute::{applications, run_action};
use crate::failure::{OrFailure as _, failure_of};
use crate::lock::{NodeLock, wait_blocking};
use crate::machine::Machine;
use crate::places::reach;
use crate::platform::Platform;
use crate::serve::{milliseconds_since_1970, seconds_since_1970};

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Complied {
    /// A line for each application that was changed.
    pub(crate) lines: Vec<String>,
    /// What needs another node, or stands in the way.
    pub(crate) blocked: Vec<Blocked>,
    /// What failed.
    pub(crate) failures: Vec<StepFailure>,
    /// The peers that could not be asked whether they own what was started, and why.
    pub(crate) silent: BTreeMap<NodeName, StepFailure>,
}

/// Makes everything ready that an application's first instruction may rely on: what its unit runs
/// before each start.
pub(crate) async fn prepare(
    machine: &Machine<impl Platform>,
    application: &ApplicationName,
) -> Result<(), StepFailure> {
    let record = machine.store.application(application).or_failure()?;
    let record = record
        .ok_or_else(|| failure_of(format!("{application} was never deployed to this node")))?;
    reach(|| "prepare.before".to_owned()).await;
    let ready = applications::make_ready(machine, &record, ("prepare", None)).await;
    reach(|| "prepare.after".to_owned()).await;
    ready
}

/// Complies with the last deployment that this node was part of, as after a boot; with none, there
/// is nothing to do.
///
/// Whoever changes the node meanwhile is waited for, for nobody would restore it afterwards: their
/// deploy may fail. What they deployed is what counts then.
pub(crate) async fn restore(
    machine: &Machine<impl Platform>,
) -> Result<Option<Complied>, StepFailure> {
    let _lock = loop {
        match lock(machine)? {
            Ok(lock) => break lock,
            Err(who) => tracing::info!("waiting until {who} has changed this node"),
        }
        let place = machine.store.node_lock();
        wait_blocking(move || place.wait_until_free()).await?;
    };
    let Some(applied) = machine.store.applied().or_failure()? else {
        return Ok(None);
    };
    let complied = comply_locked(machine, &applied.deployment, &applied.node).await;
    complied.map(Some)
}

/// Makes what is local comply with `deployment`, in which this node is called `node`.
///
/// Fails while somebody else changes the node.
pub(crate) async fn comply(
    machine: &Machine<impl Platform>,
    deployment: &Deployment,
    node: &NodeName,
) -> Result<Complied, StepFailure> {
    let _lock = lock(machine)?.map_err(|who| {
        failure_of(format!(
            "{who} is changing this node; try again when that has ended"
        ))
    })?;
    comply_locked(machine, deployment, node).await
}

/// Takes the right to change the node, or tells who has it.
fn lock(machine: &Machine<impl Platform>) -> Result<Result<NodeLock, String>, StepFailure> {
    let holder = LockHolder {
        purpose: LockPurpose::Comply,
        operator: "flocker-node".to_owned(),
        session: String::new(),
        started: milliseconds_since_1970(),
        since: seconds_since_1970(),
        process: std::process::id(),
    };
    let locked = machine.store.lock_node(&holder).or_failure()?;
    Ok(locked.map_err(|holder| {
        holder.map_or_else(|| "somebody else".to_owned(), |holder| holder.operator)
    }))
}

/// The same, by somebody who has the lock. The places on the way are called those of a restore.
async fn comply_locked(
    machine: &Machine<impl Platform>,
    deployment: &Deployment,
    node: &NodeName,
) -> Result<Complied, StepFailure> {
    reach(|| "restore.locked".to_owned()).await;
    let look = machine.observe(None).await?;
    reach(|| "restore.observed".to_owned()).await;
    let mut observed = Observed {
        at: Some(seconds_since_1970()),
        ..Observed::default()
    };
    let others = deployment.nodes.keys().chain(look.members().keys());
    for other in others.filter(|other| *other != node) {
        observed
            .nodes
            .insert(other.clone(), NodeObservation::NotAsked);
    }
    observed.nodes.insert(node.clone(), look.into());
    let goal = Goal {
        deployment,
        scope: Scope::Node(node.clone()),
    };
    let mut silent = BTreeMap::new();
    let mut planned = plan(&goal, &observed);
    // Another node may have taken the place of this one while it was away. Whoever starts nothing
    // need not ask.
    if starts_on_a_volume(&planned) {
        let told = claims::ask_peers(machine).await?;
        reach(|| "restore.asked".to_owned()).await;
        silent = told.silent;
        observed.claims = told.claims;
        planned = plan(&goal, &observed);
    }
    let plan = planned;
    reach(|| "restore.planned".to_owned()).await;
    let (failures, done) = run_in_order(machine, &plan).await;
    reach(|| "restore.done".to_owned()).await;
    Ok(Complied {
        lines: lines(&plan, &done),
        blocked: plan.blocked,
        failures,
        silent,
    })
}

/// Tells whether a plan starts anything that writes to a volume.
fn starts_on_a_volume(plan: &Plan) -> bool {
    let is_start = |action: &Action| {
        matches!(
            action,
            Action::StartApplication {
                volume: Some(_),
                ..
            }
        )
    };
    plan.steps().iter().any(|step| is_start(&step.action))
}

/// Runs the steps one by one, leaving out those that wait for one that failed.
async fn run_in_order(
    machine: &Machine<impl Platform>,
    plan: &Plan,
) -> (Vec<StepFailure>, BTreeSet<StepId>) {
    let (progress, _unread) = mpsc::unbounded_channel();
    let mut failures = Vec::new();
    let mut done = BTreeSet::new();
    for step in plan.steps() {
        if !step.after.iter().all(|before| done.contains(before)) {
            continue;
        }
        tracing::info!(step = %step.action, why = %step.why, "begin");
        match run_action(machine, step.action.clone(), &progress).await {
            Ok(_) => {
                done.insert(step.id);
            }
            Err(failure) => {
                let message = format!("cannot {}: {}", step.action, failure.message);
                failures.push(StepFailure { message, ..failure });
            }
        }
    }
    (failures, done)
}

/// Lists the lines of the applications that have become what they should.
fn lines(plan: &Plan, done: &BTreeSet<StepId>) -> Vec<String> {
    let finished: BTreeMap<&ApplicationName, String> = plan
        .outcomes
        .iter()
        .filter(|(_, outcome)| outcome.kind != OutcomeKind::Unchanged)
        .filter(|(_, outcome)| outcome.done_after.is_subset(done))
        .map(|(name, outcome)| (name, outcome.line(name)))
        .collect();
    finished.into_values().collect()
}
