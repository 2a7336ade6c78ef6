//! `flocker-cluster node forget`: machines that are gone for good are given up.

use std::collections::BTreeSet;
use std::sync::Arc;

use flocker_model::{NodeName, Observed};
use flocker_plan::{Forgetting, Forgotten, plan_forgetting};

use crate::arguments::Forget;
use crate::decision::refuse_forgotten;
use crate::deploy::give_way;
use crate::drive::Driver;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::gather::{Gathered, gather};
use crate::images::OperatorImages;
use crate::printer::Printer;
use crate::refusal::busy;
use crate::session::Caller;

/// Looks at every machine of the cluster, and has those that answer forget the ones that are gone.
pub(crate) async fn run(arguments: &Forget) -> Exit {
    let common = &arguments.common;
    let mut printer = Printer::new(common.json, common.verbose > 0);
    let caller = Caller::new(&common.ssh, true);
    let nodes: BTreeSet<NodeName> = arguments.via.iter().cloned().collect();
    let gathered = gather(nodes, &caller, |node, holder| {
        printer.narrate(&busy(node, holder));
    })
    .await;
    let mut gathered = match gathered {
        Ok(gathered) => gathered,
        Err(lost) => return give_way(&lost, &printer),
    };
    let forgetting = Forgetting {
        machines: arguments.machines.iter().cloned().collect(),
        give_up: arguments.give_up.iter().cloned().collect(),
        at: caller.clock.seconds(),
    };
    let exit = match decide(arguments, &forgetting, &gathered) {
        Ok(forgotten) => {
            let with = (&mut gathered, &mut printer);
            carry_out(&forgetting, &forgotten, with).await
        }
        Err(failure) => {
            printer.failure(&failure);
            printer.narrate("nothing was changed on any node");
            failure.exit
        }
    };
    for (node, requests) in gathered.end().await {
        printer.detail(&format!("{node}: {requests} requests"));
    }
    exit
}

/// Plans what was decided, or tells what stands in the way.
fn decide(
    arguments: &Forget,
    forgetting: &Forgetting,
    gathered: &Gathered,
) -> Result<Forgotten, Failure> {
    // The node's own failure says more than that it was not seen.
    let mut named = arguments.via.iter();
    if let Some(failure) = named.find_map(|node| gathered.failures.get(node)) {
        return Err(failure.clone());
    }
    if let Some(failure) = refuse_forgotten(&gathered.observed) {
        return Err(failure);
    }
    plan_forgetting(forgetting, &gathered.observed).map_err(|refusal| {
        let exit = if refusal.is_unreachable() {
            Exit::Unreachable
        } else {
            Exit::Blocked
        };
        Failure::new(exit, refusal.to_string()).hint(refusal.hint())
    })
}

/// Runs the steps and looks whether the machines are forgotten.
async fn carry_out(
    forgetting: &Forgetting,
    forgotten: &Forgotten,
    (gathered, printer): (&mut Gathered, &mut Printer),
) -> Exit {
    for loss in &forgotten.losses {
        printer.narrate(&format!("given up: {loss}"));
    }
    let mut failures = Vec::new();
    if !forgotten.plan.steps().is_empty() {
        gathered.go_on().await;
        let mut driver = Driver {
            gathered,
            images: Arc::new(OperatorImages::default()),
            printer,
            announce: false,
        };
        failures = driver.drive(&forgotten.plan).await.failures;
        if failures.is_empty() {
            failures = driver.observe_again().await;
        }
        if failures.is_empty() {
            failures.extend(left_to_do(forgetting, &driver.gathered.observed));
        }
    }
    for failure in &failures {
        printer.failure(failure);
    }
    if !failures.is_empty() {
        printer.narrate("run the same command again once the cause is mended");
        return Exit::StepFailed;
    }
    printer.forgotten(forgotten);
    printer.narrate(
        "new volumes can be made again, and old snapshots are destroyed again. Keep the machines that were \
         forgotten switched off; every node refuses them",
    );
    Exit::Converged
}

/// After everything succeeded, every node that is seen must have forgotten the machines.
fn left_to_do(forgetting: &Forgetting, observed: &Observed) -> Option<Failure> {
    let message = match plan_forgetting(forgetting, observed) {
        Ok(again) if again.plan.steps().is_empty() => return None,
        Ok(again) => again.plan.to_string(),
        Err(refusal) => refusal.to_string(),
    };
    let mut failure = Failure::new(
        Exit::StepFailed,
        "every step succeeded, but not every node has forgotten the machines",
    );
    failure.causes.push(message);
    Some(failure)
}
