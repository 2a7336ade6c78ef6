//! Turns a goal and what was seen into steps.

mod access;
mod arrival;
mod dependencies;
mod image;
mod membership;
mod mounts;
mod need;
mod order;
mod placement;
mod preconditions;
mod prune;
mod refusing;
mod restoring;
mod retire;
mod returning;
mod route;
mod state;

use std::collections::{BTreeMap, BTreeSet};

use flocker_model::{ApplicationName, Deployment, ImageReference, NodeName, Observed};

pub use restoring::plan_restore;
pub use returning::plan_return;

use crate::{Goal, Plan};
use order::in_order;
use state::Planner;

/// Plans how to get from what was seen to what is wanted.
///
/// Deterministic: equal arguments give equal plans. What cannot be planned is in
/// [`Plan::blocked`]; [`Plan::complete`] refuses such a plan as a whole.
pub fn plan(goal: &Goal<'_>, observed: &Observed) -> Plan {
    planned(goal, observed).plan
}

/// Works out which images each node has to ask its registry about before [`plan`] can tell where
/// they come from: those of which no node and no archive has a copy that fits.
///
/// The answers belong into [`Observed::registries`]. Nothing needs to be asked where something
/// stands in the way of the plan already.
pub fn registry_questions(
    goal: &Goal<'_>,
    observed: &Observed,
) -> BTreeMap<NodeName, BTreeSet<ImageReference>> {
    let planner = planned(goal, observed);
    if planner.plan.blocked.is_empty() {
        planner.questions
    } else {
        BTreeMap::new()
    }
}

/// Makes all steps.
fn planned<'a>(goal: &'a Goal<'a>, observed: &'a Observed) -> Planner<'a> {
    let mut planner = Planner::new(goal, observed);
    planner.check_preconditions();
    planner.keep_unmovable();
    planner.admit_members();
    planner.prepare_networks();
    for application in in_start_order(goal.deployment) {
        planner.place_or_report(&application);
    }
    planner.finish_when_awaited();
    planner.retire_unwanted();
    planner.prune_settled();
    planner.finish_networks();
    planner.check_pushes();
    planner.record();
    planner
}

/// Lists the placed applications so that what one depends on comes before it, and a link's target before
/// its source where that can be.
fn in_start_order(deployment: &Deployment) -> Vec<ApplicationName> {
    let placed = |name: &&ApplicationName| deployment.place_of(name).is_some();
    let dependencies = |name: &ApplicationName| {
        let application = deployment.applications.get(name);
        let names = application.into_iter().flat_map(|it| it.depends_on.keys());
        names.filter(placed).collect()
    };
    let links = |name: &ApplicationName| {
        let application = deployment.applications.get(name);
        let links = application.into_iter().flat_map(|it| &it.links);
        links.map(|link| &link.target).filter(placed).collect()
    };
    let names = deployment.placed().map(|(name, _, _)| name);
    let order = in_order(names, &dependencies, &links);
    order.into_iter().cloned().collect()
}
