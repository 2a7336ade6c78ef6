//! After a failure: what can run where it ran is started again, and it is said how things are.

use std::collections::{BTreeMap, BTreeSet};

use flocker_failpoint::reach;
use flocker_model::{ApplicationName, NodeName, Observed};
use flocker_plan::{Action, Outcome, OutcomeKind, Plan, plan_return};

use crate::drive::{Driven, Driver};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::standing::{data_name, standing, volume_owner};

/// What came of starting applications again where they ran.
#[derive(Debug, Default)]
struct Returned {
    /// Those that run there, and where that is.
    running: BTreeMap<ApplicationName, NodeName>,
    /// Those that do not.
    failed: BTreeSet<ApplicationName>,
}

/// After a failure: prints it, starts again what can run where it ran, and says how things are.
pub(crate) async fn recover(driver: &mut Driver<'_>, plan: &Plan, ended: Driven) -> Exit {
    reach(|| "deploy.recover.begun".to_owned()).await;
    for failure in &ended.failures {
        driver.printer.failure(failure);
    }
    driver.announce = false;
    let known = driver.known_nodes();
    let failures = driver.observe_connected().await;
    tell(driver, &failures);
    reach(|| "deploy.recover.observed".to_owned()).await;
    let mut returned = return_all(driver, plan, &ended.unfinished).await;
    // Only then: what can run again at once does not wait for a machine that may have lost its power.
    if driver.has_lost(&known) {
        let mut failures = driver.observe_connected().await;
        failures.extend(driver.ask_lost_again(known).await);
        tell(driver, &failures);
        let mut waiting = ended.unfinished.clone();
        waiting.retain(|name| !returned.running.contains_key(name));
        let later = return_all(driver, plan, &waiting).await;
        returned.running.extend(later.running);
        returned.failed.extend(later.failed);
    }
    if !returned.failed.is_empty() {
        // What is said of it must be so.
        let failures = driver.observe_connected().await;
        tell(driver, &failures);
    }
    reach(|| "deploy.recover.returned".to_owned()).await;
    for name in &returned.failed {
        let text = format!("`{name}` could not be started where it ran before either");
        driver.printer.narrate(&text);
    }
    for name in &ended.unfinished {
        let text = if let Some(node) = returned.running.get(name) {
            format!("`{name}` was not changed; it runs on {node} as before")
        } else {
            let observed = &driver.gathered.observed;
            let standing = standing(name, volume_owner(name, plan, observed), observed);
            let waiting = waits_for(name, plan, &ended.unfinished);
            format!("{standing}{waiting}; deploying again goes on")
        };
        driver.printer.narrate(&text);
    }
    let stranded = ended.unfinished.iter();
    show_ways_on(
        driver,
        plan,
        stranded.filter(|name| !returned.running.contains_key(*name)),
    );
    Exit::StepFailed
}

/// Says which applications a start has waited for in vain, if it was left out for that.
fn waits_for(
    name: &ApplicationName,
    plan: &Plan,
    unfinished: &BTreeSet<ApplicationName>,
) -> String {
    let dependencies = plan.steps().iter().find_map(|step| match &step.action {
        Action::StartApplication {
            specification,
            dependencies,
            ..
        } if specification.application == *name => Some(dependencies),
        _ => None,
    });
    let missing: Vec<String> = dependencies
        .into_iter()
        .flatten()
        .filter(|dependency| unfinished.contains(*dependency))
        .map(|dependency| format!("`{dependency}`"))
        .collect();
    if missing.is_empty() {
        String::new()
    } else {
        format!(" (it depends on {}, which failed)", missing.join(" and "))
    }
}

/// Prints why some nodes were not seen.
fn tell(driver: &Driver<'_>, failures: &[Failure]) {
    for failure in failures {
        driver.printer.failure(failure);
    }
}

/// Starts again what can run where it ran.
async fn return_all(
    driver: &mut Driver<'_>,
    plan: &Plan,
    unfinished: &BTreeSet<ApplicationName>,
) -> Returned {
    let mut returned = Returned::default();
    let return_plan = plan_return(plan, unfinished, &driver.gathered.observed);
    let back = driver.drive(&return_plan).await;
    tell(driver, &back.failures);
    for (name, outcome) in &return_plan.outcomes {
        if back.unfinished.contains(name) {
            returned.failed.insert(name.clone());
        } else {
            returned.running.insert(name.clone(), outcome.node.clone());
        }
    }
    returned
}

/// Says of each of these applications whether it runs, and where its data is.
pub(crate) fn show_standings<'a>(
    driver: &Driver<'_>,
    plan: &Plan,
    names: impl Iterator<Item = &'a ApplicationName>,
) {
    for name in names {
        let observed = &driver.gathered.observed;
        let text = standing(name, volume_owner(name, plan, observed), observed);
        driver.printer.narrate(&text);
    }
}

/// Says how applications that were moved, and fail where they are now, get back to where they ran, and what
/// brings everything to where it is wanted.
pub(crate) fn show_ways_on<'a>(
    driver: &Driver<'_>,
    plan: &Plan,
    failing: impl Iterator<Item = &'a ApplicationName>,
) {
    for name in failing {
        let observed = &driver.gathered.observed;
        let owner = volume_owner(name, plan, observed);
        let outcome = plan.outcomes.get(name);
        if let Some(text) = outcome.and_then(|it| way_back((name, owner), it, observed)) {
            driver.printer.narrate(&text);
        }
    }
    driver
        .printer
        .narrate("run the same deploy again once the cause is mended");
}

/// Says how an application gets back to the node that it came from, if its data has left that.
fn way_back(
    (name, owner): (&ApplicationName, &ApplicationName),
    outcome: &Outcome,
    observed: &Observed,
) -> Option<String> {
    let OutcomeKind::Redeployed { from } = &outcome.kind else {
        return None;
    };
    let node = &outcome.node;
    observed.node(node)?.volumes.get(owner)?.owned_epoch()?;
    let data = data_name(name, owner);
    let (it, written) = if owner == name {
        ("it", "it has")
    } else {
        ("them", "they have")
    };
    Some(format!(
        "`{name}` and {data} are on {node} now; to run {it} on {from} again, with all that {written} \
         written, deploy the configuration that placed {it} there"
    ))
}
