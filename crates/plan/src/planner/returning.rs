//! Starting applications again where they ran, after a deploy that failed.

use std::collections::BTreeSet;

use flocker_model::{
    ApplicationName, Endpoint, NodeName, NodeNetwork, NodeState, Observed, RememberedApplication,
    RoutePort, ServicePort,
};

use crate::network::towards;
use crate::steps::Because;
use crate::survey::is_down;
use crate::{Action, Outcome, OutcomeKind, Plan, StepId};

use super::need::{Need, need};
use super::restoring::{Restorer, ports_here};
use super::sharing::owners_first;
use super::state::address_of;

/// Plans how the applications that a failed deploy left stopped run again where they ran, for as
/// long as their volume is owned there, and how the ports that it held for them are let go.
///
/// `made` is what the deploy planned, and `failed` are the applications that did not become as it
/// wanted them. What ran is what the nodes remember, as at a boot: a deployment is recorded only
/// when all of it was applied, so that the last one that was may know nothing of it. Only what is
/// there as it was stopped is started: nothing is made anew, and no other version of it.
pub fn plan_return(made: &Plan, failed: &BTreeSet<ApplicationName>, observed: &Observed) -> Plan {
    let mut plan = Plan::default();
    let owner_of = |name: &ApplicationName| seen_elsewhere(name, observed);
    for name in owners_first(&failed.iter().collect::<Vec<_>>(), owner_of) {
        let places = observed
            .seen()
            .filter_map(|node| Place::find(name, node, (made, observed)));
        let places: Vec<Place<'_>> = places.collect();
        if let [place] = places.as_slice()
            && is_down_elsewhere(name, place.node, observed)
        {
            place.bring_back(name, observed, &mut plan);
        }
    }
    plan
}

/// Returns the other application whose volume one saw when it was started last.
fn seen_elsewhere<'a>(
    name: &ApplicationName,
    observed: &'a Observed,
) -> Option<&'a ApplicationName> {
    let mut remembered = observed
        .seen()
        .filter_map(|(_, state)| state.remembered.applications.get(name));
    remembered.find_map(|remembered| {
        let shared = remembered.specification.shared.as_ref()?;
        Some(&shared.application)
    })
}

/// Tells whether no other node that was seen runs the application, or would.
fn is_down_elsewhere(name: &ApplicationName, place: &NodeName, observed: &Observed) -> bool {
    let mut others = observed.seen().filter(|(node, _)| *node != place);
    others.all(|(_, state)| is_down(state, name))
}

/// A node that an application can be brought back on, or runs on.
struct Place<'a> {
    node: &'a NodeName,
    state: &'a NodeState,
    remembered: &'a RememberedApplication,
    need: Need,
    /// Whether the deploy that failed was to start it there so: it did not run so before.
    is_new: bool,
}

impl<'a> Place<'a> {
    /// Tells what a node has of an application, if nothing but a start is missing.
    fn find(
        name: &ApplicationName,
        (node, state): (&'a NodeName, &'a NodeState),
        (made, observed): (&Plan, &'a Observed),
    ) -> Option<Self> {
        let remembered = state.remembered.applications.get(name)?;
        let restorer = Restorer::new((node, state), observed, Plan::default());
        if remembered.retired || !restorer.has_its_volume(remembered).is_ok_and(|has| has) {
            return None;
        }
        let place = Self {
            node,
            state,
            remembered,
            need: need(Some(state), &remembered.specification, &remembered.links),
            is_new: starts(made, node, remembered),
        };
        let can_return = match place.need {
            Need::Nothing | Need::Relink => true,
            // What has just failed to start would do so once more.
            Need::Start | Need::Restart => !place.is_new,
            // What is there is not what ran last.
            Need::Create | Need::Recreate => false,
        };
        can_return.then_some(place)
    }

    /// Adds the steps after which the application runs, and every node sends its clients on to it.
    fn bring_back(&self, name: &ApplicationName, observed: &'a Observed, plan: &mut Plan) {
        let first = plan.steps().len();
        let place = (self.node, self.state);
        let mut restorer = Restorer::new(place, observed, std::mem::take(plan));
        let started = match self.need {
            Need::Start | Need::Restart => {
                Some(restorer.start(self.remembered, self.need, Vec::new()))
            }
            _ => None,
        };
        let after: Vec<StepId> = started.into_iter().collect();
        restorer.let_ports_go(name, &after);
        *plan = restorer.plan;
        self.let_ports_go_elsewhere((name, &after), observed, plan);

        let steps = plan.steps()[first..].iter().map(|step| step.id);
        let done_after: BTreeSet<StepId> = steps.collect();
        // What the deploy changed is not as it was, even if it runs.
        if done_after.is_empty() || self.is_new {
            return;
        }
        let kind = match started {
            Some(_) => OutcomeKind::Started,
            None => OutcomeKind::Changed,
        };
        let outcome = Outcome {
            kind,
            node: self.node.clone(),
            done_after,
        };
        plan.outcomes.insert(name.clone(), outcome);
    }

    /// Lets the ports go that the other nodes hold for the application; they lead to its node then,
    /// wherever they led before.
    fn let_ports_go_elsewhere(
        &self,
        (name, after): (&ApplicationName, &[StepId]),
        observed: &Observed,
        plan: &mut Plan,
    ) {
        let address = address_of(self.node, observed);
        let (Some(network), Some(address)) = (&self.state.network, address) else {
            return;
        };
        let here = ports_here(name, network);
        for (node, state) in observed.seen().filter(|(node, _)| *node != self.node) {
            let Some(network) = &state.network else {
                continue;
            };
            let ports = towards(address, &here).filtered(|port, _| {
                network.held.contains(&port) && leads_to(name, (node, port), observed)
            });
            if ports.is_empty() {
                continue;
            }
            let action = Action::SwitchRoutes {
                application: name.clone(),
                ports,
            };
            let why = "it answers there, and its ports are held";
            plan.add(node, action, Because { after, why });
        }
    }
}

/// Tells whether a plan was to start what a node remembers.
fn starts(plan: &Plan, node: &NodeName, remembered: &RememberedApplication) -> bool {
    plan.steps().iter().any(|step| {
        step.node == *node
            && matches!(&step.action, Action::StartApplication { specification, volume, .. }
                if **specification == remembered.specification && *volume == remembered.volume)
    })
}

/// Tells whether a port of a node leads to an application, if need be through other nodes: after
/// several moves that failed it may lead to where the application once ran. What leads to another
/// application, which has the port now, is none of this.
fn leads_to<'a>(
    name: &ApplicationName,
    (mut node, mut port): (&'a NodeName, RoutePort),
    observed: &'a Observed,
) -> bool {
    // No further than there are nodes, or it goes round.
    for _ in 0..observed.nodes.len() {
        let network = observed.node(node).and_then(|state| state.network.as_ref());
        match network.and_then(|network| endpoint_of(port, network)) {
            Some(Endpoint::Local { application, .. }) => return application == name,
            Some(Endpoint::Remote { address, port: to }) => {
                let mut seen = observed.seen().map(|(node, _)| node);
                let Some(next) = seen.find(|next| address_of(next, observed) == Some(*address))
                else {
                    return false;
                };
                let protocol = port.port.protocol;
                let to = ServicePort {
                    protocol,
                    port: *to,
                };
                (node, port) = (next, to.into());
            }
            None => return false,
        }
    }
    false
}

/// Finds where a node sends what a peer sends to a port of it.
fn endpoint_of(port: RoutePort, network: &NodeNetwork) -> Option<&Endpoint> {
    let ports = &network.ports;
    let routed = ports.routes.get(&port).map(|routed| &routed.endpoint);
    let wire = || ports.links.get(&port.port).or(ports.wires.get(&port.port));
    routed.or_else(wire)
}
