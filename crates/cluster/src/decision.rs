//! A decision of the operator about one volume: planned, carried out, and seen to hold.

use std::collections::BTreeSet;
use std::sync::Arc;

use flocker_failpoint::reach;
use flocker_model::{ApplicationName, ByteCount, NodeName, Observed, VolumeCopy};
use flocker_plan::{Blocked, OutcomeKind, Plan, StepId, forgotten_machines};

use crate::arguments::Common;
use crate::deploy::give_way;
use crate::drive::Driver;
use crate::exit::Exit;
use crate::export_file::{ExportFile, Exported};
use crate::failure::Failure;
use crate::gather::{Gathered, gather};
use crate::images::OperatorImages;
use crate::printer::Printer;
use crate::refusal::busy;
use crate::session::Caller;

/// A decision of the operator.
pub(crate) struct Decision<'a> {
    pub(crate) application: &'a ApplicationName,
    pub(crate) node: &'a NodeName,
    /// Whether every machine that is there must have been looked at. One that could not be, because
    /// it speaks another protocol, say, is not lost.
    pub(crate) must_see_all: bool,
    pub(crate) plan: &'a (dyn Fn(&Observed) -> Result<Plan, Failure> + 'a),
    /// Whether everything is as decided, if the same decision is refused then.
    pub(crate) is_done: Option<&'a (dyn Fn(&Observed) -> bool + 'a)>,
    /// The file that the volume is written to once the steps are done.
    pub(crate) export: Option<&'a ExportFile>,
}

/// Looks at the node and at every machine that it remembers, and carries the decision out.
pub(crate) async fn run(decision: &Decision<'_>, common: &Common) -> Exit {
    let mut printer = Printer::new(common.json, common.verbose > 0);
    let caller = Caller::new(&common.ssh, true);
    let nodes = BTreeSet::from([decision.node.clone()]);
    let gathered = gather(nodes, &caller, |node, holder| {
        printer.narrate(&busy(node, holder));
    })
    .await;
    let mut gathered = match gathered {
        Ok(gathered) => gathered,
        Err(lost) => return give_way(&lost, &printer),
    };
    let exit = match decide(decision, &gathered, &printer) {
        Ok(plan) => carry_out(decision, &plan, (&mut gathered, &mut printer)).await,
        Err(failures) => {
            for failure in &failures {
                printer.failure(failure);
            }
            printer.narrate("nothing was changed on any node");
            failures
                .first()
                .map_or(Exit::Blocked, |failure| failure.exit)
        }
    };
    for (node, requests) in gathered.end().await {
        printer.detail(&format!("{node}: {requests} requests"));
    }
    exit
}

/// Plans what was decided, or tells what stands in the way.
fn decide(
    decision: &Decision<'_>,
    gathered: &Gathered,
    printer: &Printer,
) -> Result<Plan, Vec<Failure>> {
    // The node's own failure says more than that it was not seen.
    if let Some(failure) = gathered.failures.get(decision.node) {
        return Err(vec![failure.clone()]);
    }
    if let Some(failure) = refuse_forgotten(&gathered.observed) {
        return Err(vec![failure]);
    }
    let unusable: Vec<Failure> = gathered
        .unusable()
        .filter_map(|node| Some(not_looked_at(node, gathered.failures.get(node)?)))
        .collect();
    if decision.must_see_all && !unusable.is_empty() {
        return Err(unusable);
    }
    for failure in gathered.failures.values() {
        printer.narrate("warning: decided without a machine that was not seen:");
        printer.narrate(&failure.to_string());
    }
    (decision.plan)(&gathered.observed).map_err(|failure| vec![failure])
}

/// Refuses to decide anything together with a machine that was given up.
pub(crate) fn refuse_forgotten(observed: &Observed) -> Option<Failure> {
    let kind = forgotten_machines(observed).into_iter().next()?;
    let application = None;
    let blocked = Blocked { application, kind };
    let failure = Failure::new(Exit::Blocked, blocked.to_string());
    Some(failure.hint(blocked.hint()))
}

/// Says that a machine is there but could not be looked at, which is not the same as lost.
fn not_looked_at(node: &NodeName, failure: &Failure) -> Failure {
    let mut causes = vec![failure.message.clone()];
    causes.extend(failure.causes.clone());
    let hint = failure
        .hint
        .as_ref()
        .map_or_else(String::new, |hint| format!("{hint}; or "));
    Failure {
        exit: Exit::Blocked,
        message: format!("{node} answers, and may have the volume, but could not be looked at"),
        causes,
        hint: Some(format!("{hint}switch {node} off if it is to be given up")),
    }
}

/// Runs the steps and looks whether the nodes are as decided.
async fn carry_out(
    decision: &Decision<'_>,
    plan: &Plan,
    (gathered, printer): (&mut Gathered, &mut Printer),
) -> Exit {
    reach(|| "volume.observed".to_owned()).await;
    if plan.steps().is_empty() {
        for (name, outcome) in &plan.outcomes {
            printer.outcome(name, outcome);
        }
        return Exit::Converged;
    }
    gathered.go_on().await;
    let mut driver = Driver {
        gathered,
        images: Arc::new(OperatorImages::default()),
        printer,
        announce: false,
    };
    let mut failures = driver.drive(plan).await.failures;
    reach(|| "volume.driven".to_owned()).await;
    if failures.is_empty() {
        failures = driver.observe_again().await;
        reach(|| "volume.verify.observed".to_owned()).await;
    }
    let mut exported = None;
    if failures.is_empty() {
        match decision.export {
            None => failures.extend(check(decision, &driver.gathered.observed)),
            Some(file) => match download(decision, file, &mut driver).await {
                Ok(done) => exported = Some(done),
                Err(failure) => failures.push(failure),
            },
        }
    }
    for failure in &failures {
        printer.failure(failure);
    }
    if !failures.is_empty() {
        printer.narrate("run the same command again once the cause is mended");
        return Exit::StepFailed;
    }
    for (name, outcome) in &plan.outcomes {
        match &exported {
            Some(exported) => printer.exported((name, outcome), exported),
            None => printer.outcome(name, outcome),
        }
        let found = (&outcome.kind, &gathered.observed);
        printer.narrate(&what_next(decision, found));
    }
    Exit::Converged
}

/// Writes the snapshot that the steps have taken to its file.
async fn download(
    decision: &Decision<'_>,
    file: &ExportFile,
    driver: &mut Driver<'_>,
) -> Result<Exported, Failure> {
    let Decision {
        application, node, ..
    } = decision;
    let Driver {
        gathered, printer, ..
    } = driver;
    let copy = gathered
        .observed
        .node(node)
        .and_then(|state| state.volumes.get(application));
    let snapshot = copy.and_then(VolumeCopy::newest_own);
    let (Some(snapshot), Some(session)) = (snapshot, gathered.sessions.get(node)) else {
        let message = format!("{node}: the snapshot of `{application}` is not there any more");
        return Err(Failure::new(Exit::StepFailed, message));
    };
    let connection = session.connection().clone();
    let step = StepId::new(0);
    printer.begins(step, &format!("{node}: write the volume of {application}"));
    let tell = |progress| printer.step_progresses(node, step, &progress);
    let wanted = (*node, *application, snapshot);
    let bytes = file.download(&connection, wanted, tell).await;
    printer.step_ends(step);
    Ok(Exported {
        file: file.clone(),
        bytes: ByteCount::new(bytes?),
        snapshot,
    })
}

/// After everything succeeded, everything must be as decided: the same decision leaves nothing to do.
fn check(decision: &Decision<'_>, observed: &Observed) -> Option<Failure> {
    let is_done = match decision.is_done {
        Some(is_done) => is_done(observed),
        None => match (decision.plan)(observed) {
            Ok(plan) => plan.steps().is_empty(),
            Err(failure) => return Some(failure),
        },
    };
    let message = format!(
        "{}: every step succeeded, but `{}` is not as decided",
        decision.node, decision.application
    );
    (!is_done).then(|| Failure::new(Exit::StepFailed, message))
}

/// Says what the operator does after that.
fn what_next(decision: &Decision<'_>, (kind, observed): (&OutcomeKind, &Observed)) -> String {
    let Decision {
        application, node, ..
    } = decision;
    let mut nodes = observed.seen();
    let is_left = nodes.any(|(_, state)| state.volumes.contains_key(*application));
    let applied = observed.node(node).and_then(|state| state.applied.as_ref());
    let is_deployed = applied.is_some_and(|applied| applied.volumes.contains_key(*application));
    match kind {
        OutcomeKind::SetAside { dataset } if !is_left && is_deployed => format!(
            "its data is unchanged, in {dataset} on {node}, until you destroy that dataset. No node that \
             was seen has another copy: import data before you deploy `{application}` again. To begin \
             with an empty volume instead, deploy once without `{application}`"
        ),
        OutcomeKind::SetAside { dataset } if !is_left => format!(
            "its data is unchanged, in {dataset} on {node}, until you destroy that dataset. No node that \
             was seen has another copy: import the data again, or the next deploy makes an empty volume"
        ),
        OutcomeKind::SetAside { dataset } => format!(
            "its data is unchanged, in {dataset} on {node}, until you destroy that dataset. Deploy again"
        ),
        OutcomeKind::Imported { .. } => format!(
            "deploy with {node} among the nodes of the deployment: the volume moves to wherever \
             `{application}` is placed. The source was not changed; do not start on it what used it \
             before"
        ),
        OutcomeKind::Exported => format!(
            "`flocker-cluster volume import APPLICATION --from stream:FILE --on NODE` brings it in \
             again, and so does `zfs receive` anywhere; `{application}` went on meanwhile"
        ),
        _ => format!(
            "deploy again with `{application}` placed on {node}, and without the lost node, to start \
             it there. Should the old owner come back, its copy is not started, and a deploy says \
             how to set it aside"
        ),
    }
}

#[cfg(test)]
mod tests {
    use flocker_model::NodeObservation;

    use super::*;

    fn node(name: &str) -> NodeName {
        NodeName::try_from(name.to_owned()).unwrap()
    }

    /// Decides with everything in sight but for these.
    fn decided(must_see_all: bool, failures: &[(&str, bool)]) -> Result<Plan, Vec<Failure>> {
        let failed = |name: &str| {
            Failure::new(Exit::Unreachable, format!("{name}: no answer")).hint("look at it")
        };
        let look = |answered| {
            let reason = "no answer".to_owned();
            if answered {
                NodeObservation::Unusable { reason }
            } else {
                NodeObservation::Unreachable { reason }
            }
        };
        let mut gathered = Gathered::empty(Caller::default());
        gathered.observed.nodes = failures
            .iter()
            .map(|(name, answered)| (node(name), look(*answered)))
            .collect();
        gathered.failures = failures
            .iter()
            .map(|(name, _)| (node(name), failed(name)))
            .collect();
        let application = ApplicationName::try_from("db".to_owned()).unwrap();
        let decision = Decision {
            application: &application,
            node: &node("node1"),
            must_see_all,
            plan: &|_| Ok(Plan::default()),
            is_done: None,
            export: None,
        };
        decide(&decision, &gathered, &Printer::new(false, false))
    }

    #[test]
    fn a_machine_that_answers_is_not_lost() {
        assert!(decided(true, &[("node2", false)]).is_ok());
        let refusals = decided(true, &[("node2", true)]).unwrap_err();
        assert_eq!(refusals[0].exit, Exit::Blocked);
        insta::assert_snapshot!(refusals[0], @r"
        error: node2 answers, and may have the volume, but could not be looked at
          caused by: node2: no answer
          hint: look at it; or switch node2 off if it is to be given up
        ");
        assert!(decided(false, &[("node2", true)]).is_ok());
    }

    #[test]
    fn the_same_import_is_refused_once_it_is_done() {
        let refused = |_: &Observed| Err(Failure::new(Exit::Blocked, "imported before"));
        let check_with = |is_done| {
            let decision = Decision {
                application: &ApplicationName::try_from("db".to_owned()).unwrap(),
                node: &node("node1"),
                must_see_all: false,
                plan: &refused,
                is_done,
                export: None,
            };
            check(&decision, &Observed::default()).map(|failure| failure.exit)
        };
        assert_eq!(check_with(None), Some(Exit::Blocked));
        assert_eq!(check_with(Some(&|_| true)), None);
        assert_eq!(check_with(Some(&|_| false)), Some(Exit::StepFailed));
    }

    #[test]
    fn the_node_itself_must_have_been_looked_at() {
        for must_see_all in [false, true] {
            let refusals = decided(must_see_all, &[("node1", true)]).unwrap_err();
            assert_eq!(refusals[0].message, "node1: no answer");
        }
    }
}
