//! One deploy, end to end: parse, look, plan, do, look again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use flocker_config::Parsed;
use flocker_failpoint::reach;
use flocker_model::ApplicationName;
use flocker_plan::{
    Blocked, BlockedKind, Goal, LeftRunning, Outcome, OutcomeKind, Plan, Scope, left_running, plan,
};

use crate::arguments::Deploy;
use crate::configuration::read_configuration;
use crate::drive::Driver;
use crate::earlier::left_behind;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::gather::{Gathered, gather};
use crate::images::OperatorImages;
use crate::printer::Printer;
use crate::recover::{recover, show_standings, show_ways_on};
use crate::refusal::busy;
use crate::session::Caller;

/// Whether the plan is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It is.
    Deploy,
    /// It is only shown.
    Show,
}

/// Runs `flocker-cluster deploy` or `plan`.
pub(crate) async fn run(arguments: &Deploy, mode: Mode) -> Exit {
    let mut printer = Printer::new(arguments.common.json, arguments.common.verbose > 0);
    match prepare(arguments, &printer).await {
        Ok(prepared) => {
            let caller = Caller::new(&arguments.common.ssh, mode == Mode::Deploy);
            run_prepared(&prepared, mode, (&caller, &mut printer)).await
        }
        Err(exit) => exit,
    }
}

/// The files and images of a deploy, before the nodes are looked at.
pub(crate) struct Prepared {
    /// The files.
    pub(crate) parsed: Parsed,
    /// This machine's images.
    pub(crate) images: Arc<OperatorImages>,
    /// Whether new volumes may be made although a node may have had them.
    pub(crate) new_volumes: bool,
}

impl Prepared {
    fn goal(&self) -> Goal<'_> {
        Goal {
            new_volumes: self.new_volumes,
            ..Goal::new(&self.parsed.deployment, Scope::Cluster)
        }
    }
}

/// Looks at the nodes, then shows the plan or carries it out.
pub(crate) async fn run_prepared(
    prepared: &Prepared,
    mode: Mode,
    (caller, printer): (&Caller, &mut Printer),
) -> Exit {
    let mut gathered = match look(prepared, (caller, printer)).await {
        Ok(gathered) => gathered,
        Err(exit) => return exit,
    };
    let exit = match mode {
        Mode::Deploy => deploy(prepared, (&mut gathered, printer)).await,
        Mode::Show => show(prepared, &gathered, printer),
    };
    for (node, requests) in gathered.end().await {
        printer.detail(&format!("{node}: {requests} requests"));
    }
    exit
}

/// Everything before a look at the nodes: the files, and this machine's images.
async fn prepare(arguments: &Deploy, printer: &Printer) -> Result<Prepared, Exit> {
    let parsed = read_configuration(arguments, printer).await?;
    let images = OperatorImages::observe(&parsed.deployment, &arguments.image_archives)
        .await
        .map_err(|error| {
            let failure = Failure::new(Exit::Configuration, error.to_string());
            let failure = match std::error::Error::source(&error) {
                Some(source) => failure.caused_by(source),
                None => failure,
            };
            printer.failure(&failure);
            failure.exit
        })?;
    Ok(Prepared {
        parsed,
        images: Arc::new(images),
        new_volumes: arguments.new_volumes,
    })
}

/// Looks at every node.
async fn look(
    prepared: &Prepared,
    (caller, printer): (&Caller, &Printer),
) -> Result<Gathered, Exit> {
    let nodes = prepared.parsed.deployment.nodes.keys().cloned().collect();
    let mut gathered = gather(nodes, caller, |node, holder| {
        printer.narrate(&busy(node, holder));
    })
    .await
    .map_err(|lost| give_way(&lost, printer))?;
    gathered.observed.operator_images = prepared.images.list();
    gathered.ask_registries(&prepared.goal()).await;
    Ok(gathered)
}

/// Says to whom way was given.
pub(crate) fn give_way(lost: &Failure, printer: &Printer) -> Exit {
    printer.failure(lost);
    printer.narrate("nothing was changed on any node");
    lost.exit
}

/// Shows the plan and what stands in its way.
fn show(prepared: &Prepared, gathered: &Gathered, printer: &Printer) -> Exit {
    let goal = &prepared.goal();
    let plan = plan(goal, &gathered.observed);
    if let Some(exit) = refuse(&plan.blocked, gathered, printer) {
        return exit;
    }
    let earlier_data = &prepared.parsed.earlier_data;
    let left = left_behind(&plan, goal.deployment, &gathered.observed, earlier_data);
    if !printer.is_json() {
        // As JSON they are a part of the plan.
        for left in &left {
            printer.left_behind(left);
        }
        for note in &plan.notes {
            printer.note(note);
        }
    }
    match printer.plan(&plan, &left) {
        Ok(()) => Exit::Converged,
        Err(error) => {
            let failure = Failure::new(Exit::Internal, "cannot write the plan as JSON");
            printer.failure(&failure.caused_by(&error));
            Exit::Internal
        }
    }
}

/// Carries the plan out and looks whether everything desired is true.
async fn deploy(prepared: &Prepared, (gathered, printer): (&mut Gathered, &mut Printer)) -> Exit {
    let goal = &prepared.goal();
    reach(|| "deploy.observed".to_owned()).await;
    let plan = plan(goal, &gathered.observed);
    if let Some(exit) = refuse(&plan.blocked, gathered, printer) {
        return exit;
    }
    warn_of_unseen(gathered, printer);
    for note in &plan.notes {
        printer.note(note);
    }
    let earlier_data = &prepared.parsed.earlier_data;
    for left in left_behind(&plan, goal.deployment, &gathered.observed, earlier_data) {
        printer.left_behind(&left);
    }
    reach(|| "deploy.planned".to_owned()).await;
    let unchanged = unchanged(&plan);
    let settling = plan.settling(goal, &gathered.observed);
    if plan.steps().is_empty() && settling.steps().is_empty() {
        printer.unchanged(&unchanged, true);
        return expect_nothing_left(goal, gathered, printer);
    }
    gathered.go_on().await;
    let mut driver = Driver {
        gathered,
        images: Arc::clone(&prepared.images),
        printer,
        announce: true,
    };
    let ended = driver.drive(&plan).await;
    if !ended.failures.is_empty() {
        return recover(&mut driver, &plan, ended).await;
    }
    reach(|| "deploy.driven".to_owned()).await;
    let exit = verify(&mut driver, goal, (&plan, &settling)).await;
    if exit != Exit::Converged {
        printer.unchanged(&unchanged, false);
        return exit;
    }
    if plan.steps().is_empty() {
        printer.unchanged(&unchanged, true);
    } else if unchanged.len() == plan.outcomes.len() {
        printer.put_right(&unchanged, plan.steps().len());
    } else {
        printer.unchanged(&unchanged, false);
    }
    expect_nothing_left(goal, gathered, printer)
}

/// Warns of machines that the deployment omits and that were not looked at.
fn warn_of_unseen(gathered: &Gathered, printer: &Printer) {
    for (node, failure) in &gathered.failures {
        printer.narrate(&format!(
            "warning: {node} is not in the deployment and was left alone:"
        ));
        printer.narrate(&failure.to_string());
    }
}

/// After everything else succeeded: a machine that was not seen must have nothing that the files do
/// not have there.
fn expect_nothing_left(goal: &Goal<'_>, gathered: &Gathered, printer: &Printer) -> Exit {
    let left = left_running(goal, &gathered.observed);
    for LeftRunning { node, reason, says } in &left {
        let message = format!(
            "{node} is not in the deployment and could not be looked at: what it ran may still run there"
        );
        let gone = says.as_ref().map_or_else(String::new, |says| {
            format!(
                ". If {node} is gone for good, `flocker-cluster node forget {node} --via {says}` gives \
                 it up"
            )
        });
        let mut failure = Failure::new(Exit::Unreachable, message).hint(format!(
            "deploy again once {node} answers; everything else is as wanted{gone}"
        ));
        failure.causes.push(reason.clone());
        printer.failure(&failure);
    }
    if left.is_empty() {
        Exit::Converged
    } else {
        Exit::Unreachable
    }
}

/// Lists the applications that are as wanted already.
fn unchanged(plan: &Plan) -> BTreeMap<ApplicationName, Outcome> {
    plan.outcomes
        .iter()
        .filter(|(_, outcome)| outcome.kind == OutcomeKind::Unchanged)
        .map(|(name, outcome)| (name.clone(), outcome.clone()))
        .collect()
}

/// Prints what stands in the way, if anything does.
fn refuse(blocked: &[Blocked], gathered: &Gathered, printer: &Printer) -> Option<Exit> {
    if blocked.is_empty() {
        return None;
    }
    let mut unreachable = false;
    let mut told = BTreeSet::new();
    for blocked in blocked {
        let node = match &blocked.kind {
            BlockedKind::NodeUnreachable { node, .. }
            | BlockedKind::NodeUnusable { node, .. }
            | BlockedKind::PoolUnusable { node, .. } => {
                told.insert(node);
                gathered.failures.get(node)
            }
            _ => None,
        };
        let failure = match node {
            Some(failure) => failure.clone(),
            None => Failure::new(
                if blocked.kind.is_unreachable() {
                    Exit::Unreachable
                } else {
                    Exit::Blocked
                },
                blocked.to_string(),
            )
            .hint(blocked.hint()),
        };
        unreachable |= failure.exit == Exit::Unreachable;
        printer.failure(&failure);
    }
    for (node, failure) in &gathered.failures {
        if !told.contains(node) {
            printer.narrate(&format!(
                "warning: {node} is not in the deployment and was not seen:"
            ));
            printer.narrate(&failure.to_string());
        }
    }
    printer.narrate("nothing was changed on any node");
    Some(if unreachable {
        Exit::Unreachable
    } else {
        Exit::Blocked
    })
}

/// After everything succeeded, asks the nodes whether it is so, and stays so.
async fn verify(
    driver: &mut Driver<'_>,
    goal: &Goal<'_>,
    (done, settling): (&Plan, &Plan),
) -> Exit {
    // The applications' lines have been printed when they began to answer.
    driver.announce = false;
    let ended = driver.drive(settling).await;
    reach(|| "deploy.verify.settled".to_owned()).await;
    let (failures, left) = look_again(driver, goal).await;
    reach(|| "deploy.verify.observed".to_owned()).await;
    if !ended.failures.is_empty() {
        for failure in &ended.failures {
            driver.printer.failure(failure);
        }
        show_standings(driver, done, ended.unfinished.iter());
        show_ways_on(driver, done, ended.unfinished.iter());
        return Exit::StepFailed;
    }
    if failures.is_empty() && left.is_empty() {
        return Exit::Converged;
    }
    if failures.is_empty() {
        let mut failure = Failure::new(
            Exit::StepFailed,
            "every step succeeded, but the cluster is not as wanted",
        )
        .hint("deploy again; if this stays so, look at the applications' logs on that node");
        let steps = left.steps().iter();
        failure.causes.extend(
            steps.map(|step| format!("{}: still has to {} ({})", step.node, step.action, step.why)),
        );
        failure
            .causes
            .extend(left.blocked.iter().map(Blocked::to_string));
        driver.printer.failure(&failure);
    } else {
        let text = "every step succeeded; deploy again to see whether everything is as wanted";
        driver.printer.narrate(text);
        let observed = &driver.gathered.observed;
        let outcomes = done.outcomes.iter();
        let unseen = outcomes.filter(|(_, outcome)| observed.node(&outcome.node).is_none());
        show_standings(driver, done, unseen.map(|(name, _)| name));
    }
    Exit::StepFailed
}

/// Observes every node again, prints what fails, and plans what is left to do.
async fn look_again(driver: &mut Driver<'_>, goal: &Goal<'_>) -> (Vec<Failure>, Plan) {
    let failures = driver.observe_again().await;
    for failure in &failures {
        driver.printer.failure(failure);
    }
    let left = plan(goal, &driver.gathered.observed);
    (failures, left)
}
