//! Turns a goal and what was seen into steps.

mod access;
mod arrival;
mod image;
mod membership;
mod mounts;
mod need;
mod placement;
mod preconditions;
mod prune;
mod refusing;
mod restoring;
mod retire;
mod returning;
mod route;
mod sharing;
mod state;

use std::collections::{BTreeMap, BTreeSet};

use flocker_model::{ApplicationName, Deployment, ImageReference, NodeName, Observed};

pub use restoring::plan_restore;
pub use returning::plan_return;

use crate::{Goal, Plan};
use sharing::{of_applications, owners_first};
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

/// Makes all steps; of applications that see one volume either for all of them or for none.
fn planned<'a>(goal: &'a Goal<'a>, observed: &'a Observed) -> Planner<'a> {
    let mut planner = Planner::new(goal, observed);
    loop {
        planner.make_steps();
        let held_back = planner.connected_to_skipped();
        if held_back.is_subset(&planner.held_back) {
            return planner;
        }
        let blocked = of_applications(&planner.plan.blocked);
        planner = Planner::new(goal, observed);
        planner.held_back = held_back;
        planner.plan.blocked = blocked;
    }
}

impl Planner<'_> {
    /// Makes all steps.
    fn make_steps(&mut self) {
        self.check_preconditions();
        self.keep_unmovable();
        self.admit_members();
        self.prepare_networks();
        for application in in_order(self.goal.deployment) {
            self.place_or_report(&application);
        }
        self.retire_unwanted();
        self.prune_settled();
        self.finish_networks();
        self.check_pushes();
        self.record();
        self.report_once();
    }
}

/// Lists the placed applications in the order in which they are planned.
fn in_order(deployment: &Deployment) -> Vec<ApplicationName> {
    let order = in_link_order(deployment);
    let owner_of = |name: &ApplicationName| {
        let shared = deployment.applications.get(name)?.shared.as_ref()?;
        Some(&shared.application)
    };
    let sorted = owners_first(&order.iter().collect::<Vec<_>>(), owner_of);
    sorted.into_iter().cloned().collect()
}

/// Lists the placed applications so that a link's target comes before its source, as far as links
/// do not form a circle.
fn in_link_order(deployment: &Deployment) -> Vec<ApplicationName> {
    let mut order = Vec::new();
    for (application, _, _) in deployment.placed() {
        visit(application, deployment, &mut order, &mut Vec::new());
    }
    order
}

/// Puts the targets of `application`'s links into `order`, then itself; `path` ends circles.
fn visit(
    application: &ApplicationName,
    deployment: &Deployment,
    order: &mut Vec<ApplicationName>,
    path: &mut Vec<ApplicationName>,
) {
    if order.contains(application) || path.contains(application) {
        return;
    }
    let Some(definition) = deployment.applications.get(application) else {
        return;
    };
    if deployment.place_of(application).is_none() {
        return;
    }
    path.push(application.clone());
    for link in &definition.links {
        visit(&link.target, deployment, order, path);
    }
    path.pop();
    order.push(application.clone());
}
