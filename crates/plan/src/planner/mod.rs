//! Turns a goal and what was seen into steps.

mod access;
mod arrival;
mod dependencies;
mod image;
mod layouts;
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
mod sharing;
mod state;

use std::collections::{BTreeMap, BTreeSet};

use flocker_model::{ApplicationName, Deployment, ImageReference, NodeName, Observed};

pub use restoring::plan_restore;
pub use returning::plan_return;

use crate::{Goal, Plan};
use order::in_order;
use sharing::of_applications;
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
        self.note_unsafe_pools();
        self.keep_unmovable();
        self.admit_members();
        self.prepare_networks();
        for application in in_start_order(self.goal.deployment) {
            self.place_or_report(&application);
        }
        self.finish_when_awaited();
        self.retire_unwanted();
        self.prune_settled();
        self.finish_networks();
        self.check_pushes();
        self.record();
        self.report_once();
    }
}

/// Lists the placed applications so that what one depends on comes before it, and so does the one whose
/// volume it sees; and a link's target before its source where that can be.
fn in_start_order(deployment: &Deployment) -> Vec<ApplicationName> {
    let placed = |name: &&ApplicationName| deployment.place_of(name).is_some();
    let dependencies = |name: &ApplicationName| {
        let application = deployment.applications.get(name);
        let names = application.into_iter().flat_map(|it| it.depends_on.keys());
        let owner = application.and_then(|it| Some(&it.shared.as_ref()?.application));
        names.chain(owner).filter(placed).collect()
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
