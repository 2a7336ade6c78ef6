//! Starting applications again where they ran, after a move that failed before its release.

use std::collections::BTreeSet;

use flocker_model::{ApplicationName, AppliedDeployment, ContainerSpecification, Observed};

use crate::survey::{Whereabouts, locate};
use crate::{Goal, Plan, Scope};

use super::in_link_order;
use super::state::Planner;

/// Plans how the applications that a failed deploy left stopped run again where their last applied
/// deployment had them, if their volume is still owned there.
///
/// Gives one plan for each last applied deployment that differs; mostly one, none after a first
/// deploy.
pub fn plan_return(failed: &BTreeSet<ApplicationName>, observed: &Observed) -> Vec<Plan> {
    let mut remembered: Vec<&AppliedDeployment> = Vec::new();
    for (_, state) in observed.seen() {
        if let Some(applied) = &state.applied
            && !remembered.iter().any(|other| other.id == applied.id)
        {
            remembered.push(applied);
        }
    }
    remembered
        .into_iter()
        .map(|applied| return_to(applied, failed, observed))
        .filter(|plan| !plan.steps().is_empty())
        .collect()
}

/// Plans the return of those failed applications that `applied` placed on a node that still has
/// what they need.
fn return_to(
    applied: &AppliedDeployment,
    failed: &BTreeSet<ApplicationName>,
    observed: &Observed,
) -> Plan {
    let goal = Goal {
        deployment: &applied.deployment,
        scope: Scope::Cluster,
    };
    let mut planner = Planner::new(&goal, observed);
    for name in in_link_order(goal.deployment) {
        if failed.contains(&name) && can_return(&name, applied, observed) {
            planner.place_or_report(&name);
        }
    }
    planner.plan
}

/// Tells whether nothing has to move for the application to run where it ran.
fn can_return(name: &ApplicationName, applied: &AppliedDeployment, observed: &Observed) -> bool {
    let (Some(application), Some(place)) = (
        applied.deployment.applications.get(name),
        applied.deployment.place_of(name),
    ) else {
        return false;
    };
    let Some(state) = observed.node(place) else {
        return false;
    };
    // Another node's memory of its own past says nothing about this one.
    if state.applied.as_ref().map(|applied| &applied.id) != Some(&applied.id) {
        return false;
    }
    // What runs there since the deployment that was applied in full may have changed the data, and
    // the version before it may not be able to read that.
    let wanted = ContainerSpecification::new(name, application).digest();
    let found = state.containers.get(name);
    if found.is_some_and(|container| container.configuration != wanted) {
        return false;
    }
    application.volume.is_none()
        || matches!(locate(name, observed), Whereabouts::Owned { node, .. } if node == *place)
}
