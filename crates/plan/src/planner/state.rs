//! What the planner knows and has decided so far.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use flocker_model::{
    ApplicationName, ByteCount, DeploymentId, ImageName, ImageReference, NodeName, NodeNetwork,
    NodeState, Observed,
};

use crate::network::{Addresses, Wiring};
use crate::steps::Because;
use crate::survey::is_down;
use crate::{Action, Blocked, BlockedKind, Goal, LinkPorts, Plan, StepId};

use super::arrival::Arrival;
use super::dependencies::Progress;
use super::image::Brought;

/// A plan in the making.
pub(super) struct Planner<'a> {
    pub(super) goal: &'a Goal<'a>,
    pub(super) observed: &'a Observed,
    /// The fingerprint of what is wanted.
    pub(super) deployment: DeploymentId,
    pub(super) plan: Plan,
    pub(super) link_ports: LinkPorts,
    pub(super) addresses: Addresses,
    /// The step that admits the cluster's machines on each node where that is needed.
    pub(super) admitted: BTreeMap<NodeName, StepId>,
    /// The step that prepares each node's table where that is needed.
    pub(super) prepared: BTreeMap<NodeName, StepId>,
    /// What each node's table will be after the steps so far.
    pub(super) networks: BTreeMap<NodeName, NodeNetwork>,
    /// The step after which each application that is started or moved answers on each node.
    pub(super) answers: BTreeMap<ApplicationName, BTreeMap<NodeName, StepId>>,
    /// How far each application is after which steps, of those that this plan starts or waits for.
    pub(super) progress: BTreeMap<ApplicationName, Progress>,
    /// How each image comes to each node that is to use it.
    pub(super) images: BTreeMap<(NodeName, ImageName), Brought<'a>>,
    /// The images that each node would pull although its registry has not been asked for them.
    pub(super) questions: BTreeMap<NodeName, BTreeSet<ImageReference>>,
    /// Applications whose volume is moved by this plan, and where it is pushed from.
    pub(super) moving: BTreeMap<ApplicationName, NodeName>,
    /// What the volumes that move to each node take of its pool.
    pub(super) claimed: BTreeMap<NodeName, ByteCount>,
    /// Placed applications of which nothing is planned, because something stands in the way.
    pub(super) skipped: BTreeSet<ApplicationName>,
    /// Those of them that see the same volume as one that something stands in the way of.
    pub(super) held_back: BTreeSet<ApplicationName>,
    /// How the volume of each application that was planned comes to its place.
    pub(super) arrivals: BTreeMap<ApplicationName, Arrival>,
    /// The steps after which each application's image is at its place and accounted for.
    pub(super) images_ready: BTreeMap<ApplicationName, Vec<StepId>>,
}

impl<'a> Planner<'a> {
    /// Begins an empty plan.
    pub(super) fn new(goal: &'a Goal<'a>, observed: &'a Observed) -> Self {
        Self {
            goal,
            observed,
            deployment: goal.deployment.id(),
            plan: Plan::default(),
            link_ports: LinkPorts::allocate(goal.deployment),
            addresses: known_addresses(goal, observed),
            admitted: BTreeMap::new(),
            prepared: BTreeMap::new(),
            networks: observed
                .seen()
                .map(|(node, state)| (node.clone(), state.network.clone().unwrap_or_default()))
                .collect(),
            answers: BTreeMap::new(),
            progress: BTreeMap::new(),
            images: BTreeMap::new(),
            questions: BTreeMap::new(),
            moving: BTreeMap::new(),
            claimed: BTreeMap::new(),
            skipped: BTreeSet::new(),
            held_back: BTreeSet::new(),
            arrivals: BTreeMap::new(),
            images_ready: BTreeMap::new(),
        }
    }

    /// Lists the nodes that answered and that the goal covers.
    pub(super) fn covered(&self) -> Vec<(&'a NodeName, &'a NodeState)> {
        let goal = self.goal;
        self.observed
            .seen()
            .filter(|(node, _)| goal.covers(node))
            .collect()
    }

    /// Lists those of them that the deployment has; ports answer there.
    pub(super) fn serving(&self) -> Vec<(&'a NodeName, &'a NodeState)> {
        let nodes = &self.goal.deployment.nodes;
        let mut covered = self.covered();
        covered.retain(|(node, _)| nodes.contains_key(*node));
        covered
    }

    /// Lists all steps so far.
    pub(super) fn all_steps(&self) -> Vec<StepId> {
        self.plan.steps().iter().map(|step| step.id).collect()
    }

    /// Adds a step.
    pub(super) fn add(&mut self, node: &NodeName, action: Action, because: Because<'_>) -> StepId {
        self.plan.add(node, action, because)
    }

    /// Reports that something stands in the way of the whole plan.
    pub(super) fn block(&mut self, kind: BlockedKind) {
        self.plan.blocked.push(Blocked {
            application: None,
            kind,
        });
    }

    /// Reports that something stands in the way of one application.
    pub(super) fn block_application(&mut self, application: &ApplicationName, kind: BlockedKind) {
        self.plan.blocked.push(Blocked {
            application: Some(application.clone()),
            kind,
        });
    }

    /// Leaves out what is reported already.
    pub(super) fn report_once(&mut self) {
        let mut reported: Vec<Blocked> = Vec::new();
        for blocked in std::mem::take(&mut self.plan.blocked) {
            if !reported.contains(&blocked) {
                reported.push(blocked);
            }
        }
        self.plan.blocked = reported;
    }

    /// Tells whether an application neither runs on a node, nor would be started there by anything
    /// but a plan, nor has its volume mounted.
    pub(super) fn is_down(&self, node: &NodeName, application: &ApplicationName) -> bool {
        self.observed
            .node(node)
            .is_some_and(|state| is_down(state, application))
    }

    /// Tells whether something stands in the way of an application.
    pub(super) fn is_blocked(&self, application: &ApplicationName) -> bool {
        let mut blocked = self.plan.blocked.iter();
        blocked.any(|blocked| blocked.application.as_ref() == Some(application))
    }

    /// Returns what ports lead to.
    pub(super) fn wiring(&self) -> Wiring<'_> {
        Wiring {
            deployment: self.goal.deployment,
            link_ports: &self.link_ports,
            addresses: &self.addresses,
        }
    }
}

/// Finds the address of a node: what its settings say, else its name if that is an address, else
/// where it was reached, else what a node remembers of it. A node that was not seen is remembered with
/// what its settings said.
pub(super) fn address_of(name: &NodeName, observed: &Observed) -> Option<Ipv4Addr> {
    let state = observed.node(name);
    let given = || state?.address;
    let contacted = || Some(state?.contact?.address);
    let remembered = || {
        observed
            .seen()
            .find_map(|(_, state)| state.members.named(name).next())
            .map(|member| member.contact.address)
    };
    let unseen = || state.is_none().then(remembered)?;
    given()
        .or_else(unseen)
        .or_else(|| name.as_address())
        .or_else(contacted)
        .or_else(remembered)
}

/// Collects the address of each node.
fn known_addresses(goal: &Goal<'_>, observed: &Observed) -> Addresses {
    let names = goal.deployment.nodes.keys().chain(observed.nodes.keys());
    names
        .filter_map(|name| Some((name.clone(), address_of(name, observed)?)))
        .collect()
}
