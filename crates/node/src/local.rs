//! What the node does by itself: comply with a configuration, and bring back after a boot what it ran.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr as _;

use flocker_model::{ApplicationName, Deployment, NodeMemory, NodeName, NodeObservation, Observed};
use flocker_plan::{Action, Blocked, Goal, OutcomeKind, Plan, Scope, StepId, plan, plan_restore};
use flocker_remote::protocol::{LockHolder, LockPurpose, StepFailure};
use tokio::sync::mpsc;

use crate::claims;
use crate::execute::membership::refresh_keys;
use crate::execute::{applications, run_action};
use crate::failure::{OrFailure as _, failure_of};
use crate::lock::NodeLock;
use crate::machine::Machine;
use crate::places::reach;
use crate::platform::{Platform, Volumes as _};

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Complied {
    /// A line for each application that was changed.
    pub(crate) lines: Vec<String>,
    /// What needs another node, or stands in the way.
    pub(crate) blocked: Vec<Blocked>,
    /// What failed.
    pub(crate) failures: Vec<StepFailure>,
    /// The peers that did not answer whether they own what was started, and why.
    pub(crate) silent: BTreeMap<NodeName, StepFailure>,
}

impl Complied {
    /// Tells whether some of it can be done as soon as a key is loaded.
    pub(crate) fn waits_for_key(&self) -> bool {
        let mut blocked = self.blocked.iter();
        blocked.any(|blocked| blocked.kind.waits_for_key())
    }
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
    if ready.is_err() {
        // So that systemd does not count the attempt against the application.
        machine.store.note_unprepared(application).or_failure()?;
    }
    ready?;
    machine.store.forget_stop(application).or_failure()
}

/// Starts again what was started here and not taken away since, as after a boot.
///
/// By what the node itself remembers, not by the last deployment that was applied in full: of one
/// that failed in one application, the others are to come back as well. Whoever changes the node
/// meanwhile is waited for, for nobody would restore it afterwards: their deploy may fail. What they
/// started is what counts then.
pub(crate) async fn restore(machine: &Machine<impl Platform>) -> Result<Complied, StepFailure> {
    let _lock = loop {
        match lock(machine)? {
            Ok(lock) => break lock,
            Err(who) => tracing::info!("waiting until {who} has changed this node"),
        }
        let place = machine.store.node_lock();
        place.wait_until_free().await?;
    };
    machine.volumes.remove_mount_points().await;
    let memory = machine.store.memory().or_failure()?;
    if memory == NodeMemory::default() {
        return Ok(Complied::default());
    }
    let node = remembered_name(machine)?;
    let planned = |observed: &Observed| plan_restore(&node, &memory, observed);
    comply_locked(machine, (&node, BTreeSet::new()), planned).await
}

/// Finds what this node was last called: by a deployment that was applied in full, or else by one
/// that began and had the machines get to know each other. Without either nobody deployed from
/// elsewhere.
fn remembered_name(machine: &Machine<impl Platform>) -> Result<NodeName, StepFailure> {
    if let Some(applied) = machine.store.applied().or_failure()? {
        return Ok(applied.node);
    }
    let members = machine.store.members().or_failure()?;
    match members.get(machine.id) {
        Some(own) => Ok(own.name.clone()),
        None => NodeName::from_str("localhost").or_failure(),
    }
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
    let goal = Goal::new(deployment, Scope::Node(node.clone()));
    let others = deployment.nodes.keys().cloned().collect();
    comply_locked(machine, (node, others), |observed| plan(&goal, observed)).await
}

/// Takes the right to change the node, or tells who has it.
fn lock(machine: &Machine<impl Platform>) -> Result<Result<NodeLock, String>, StepFailure> {
    let holder = LockHolder {
        purpose: LockPurpose::Comply,
        operator: "flocker-node".to_owned(),
        session: String::new(),
        started: machine.clock.milliseconds(),
        since: machine.clock.seconds(),
        process: std::process::id(),
    };
    let locked = machine.store.lock_node(&holder).or_failure()?;
    Ok(locked.map_err(|holder| {
        holder.map_or_else(|| "somebody else".to_owned(), |holder| holder.operator)
    }))
}

/// Does what is planned for this node by what it sees of itself, by somebody who has the lock.
/// `others` are machines that the plan may be about; those that the node remembers are, too. The
/// places on the way are called those of a restore.
async fn comply_locked(
    machine: &Machine<impl Platform>,
    (node, mut others): (&NodeName, BTreeSet<NodeName>),
    planned_for: impl Fn(&Observed) -> Plan,
) -> Result<Complied, StepFailure> {
    reach(|| "restore.locked".to_owned()).await;
    refresh_keys(machine);
    let look = machine.observe(None).await?;
    reach(|| "restore.observed".to_owned()).await;
    let mut observed = Observed {
        at: Some(machine.clock.seconds()),
        ..Observed::default()
    };
    let members = look.members().iter();
    let remembered = members.filter(|member| member.id != machine.id);
    others.extend(remembered.map(|member| member.name.clone()));
    let unasked = others.into_iter();
    observed.nodes = unasked
        .map(|other| (other, NodeObservation::NotAsked))
        .collect();
    observed.nodes.insert(node.clone(), look.into());
    let mut silent = BTreeMap::new();
    let mut planned = planned_for(&observed);
    // Another node may have taken the place of this one while it was away. Whoever starts nothing
    // need not ask.
    if starts_on_a_volume(&planned) {
        let told = claims::ask_peers(machine).await?;
        reach(|| "restore.asked".to_owned()).await;
        silent = told.silent;
        observed.claims = told.claims;
        observed.twins = told.twins;
        let not_understood = told.not_understood.into_iter();
        observed.not_understood = not_understood
            .map(|(peer, failure)| (peer, in_one_line(failure)))
            .collect();
        planned = planned_for(&observed);
    }
    let plan = planned;
    reach(|| "restore.planned".to_owned()).await;
    for note in &plan.notes {
        tracing::warn!("{note}");
    }
    let (failures, done) = run_in_order(machine, &plan).await;
    reach(|| "restore.done".to_owned()).await;
    Ok(Complied {
        lines: lines(&plan, &done),
        blocked: plan.blocked,
        failures,
        silent,
    })
}

/// Writes a failure with its causes.
fn in_one_line(failure: StepFailure) -> String {
    let parts = std::iter::once(failure.message).chain(failure.causes);
    parts.collect::<Vec<String>>().join(": ")
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
            Ok(ended) => {
                for note in ended.notes {
                    tracing::warn!("{note}");
                }
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
