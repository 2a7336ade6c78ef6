//! Bringing back after a boot what a node remembers.

use std::collections::BTreeMap;

use flocker_model::{
    ApplicationName, Endpoint, FirewallObstacle, ImageReference, LeadingPorts, NodeMemory,
    NodeName, NodeNetwork, NodeObservation, NodeState, Observed, RememberedApplication,
    ServicePort, VolumeRole,
};

use crate::steps::Because;
use crate::survey::{Whereabouts, foreign_dataset, locate, unseen_reason, unusable_copy};
use crate::{
    Action, Blocked, BlockedKind, ImageSource, Outcome, OutcomeKind, Plan, StepId, StopKind,
};

use super::image::has_image;
use super::need::{Need, need};
use super::order::in_order;

/// Plans how `node` brings back what it remembers that it runs, as after a boot.
///
/// Only by what it was asked to do itself, and not by a deployment: one that never finished was
/// recorded nowhere, and what it has started here is to run all the same. Nothing is started whose
/// volume the node does not own in the turn in which it started it, nor anything that was being
/// taken away. Nothing is taken away either: that is left to the next deploy.
pub fn plan_restore(node: &NodeName, memory: &NodeMemory, observed: &Observed) -> Plan {
    let mut plan = Plan::default();
    if *memory == NodeMemory::default() {
        return plan;
    }
    let Some(state) = observed.node(node) else {
        plan.blocked.push(Blocked {
            application: None,
            kind: unseen(node, observed),
        });
        return plan;
    };
    let mut restorer = Restorer::new((node, state), observed, plan);
    restorer.restore_table(memory);
    restorer.tell_of_firewalls(memory);
    for name in in_start_order(memory) {
        if let Some(remembered) = memory.applications.get(name)
            && !remembered.retired
            && let Err(kind) = restorer.restore(name, remembered)
        {
            restorer.plan.blocked.push(Blocked {
                application: Some(name.clone()),
                kind: *kind,
            });
        }
    }
    restorer.plan
}

/// Says why a node cannot look at itself.
fn unseen(node: &NodeName, observed: &Observed) -> BlockedKind {
    let observation = observed.nodes.get(node);
    if let Some(NodeObservation::WithoutPool(poolless)) = observation {
        return BlockedKind::of_poolless(node, poolless);
    }
    BlockedKind::NodeUnreachable {
        node: node.clone(),
        reason: observation.and_then(unseen_reason).unwrap_or_default(),
    }
}

/// A plan of what a node brings back, in the making.
pub(super) struct Restorer<'a> {
    node: &'a NodeName,
    observed: &'a Observed,
    state: &'a NodeState,
    /// The step that brings the routing table back, if one is needed.
    table: Option<StepId>,
    /// The steps that bring images that are gone.
    images: BTreeMap<&'a ImageReference, StepId>,
    pub(super) plan: Plan,
}

impl<'a> Restorer<'a> {
    /// Goes on with a plan for one node.
    pub(super) fn new(
        (node, state): (&'a NodeName, &'a NodeState),
        observed: &'a Observed,
        plan: Plan,
    ) -> Self {
        Self {
            node,
            observed,
            state,
            table: None,
            images: BTreeMap::new(),
            plan,
        }
    }

    /// Brings the routing table back, whole: what does not run yet has no entry in it until it has
    /// an address.
    ///
    /// Before anything is started: the first thing that a container may do is use its links.
    fn restore_table(&mut self, memory: &NodeMemory) {
        if let (None, Some(network)) = (&self.state.network, &memory.network) {
            let action = Action::ProgramNetwork {
                network: network.clone(),
            };
            let why = "it has no routing table of ours";
            self.table = Some(self.add(action, &[], why));
        }
    }

    /// Reports firewalls that drop connections to the table's ports. They keep nothing from being
    /// started.
    fn tell_of_firewalls(&mut self, memory: &NodeMemory) {
        let ports = || memory.network.iter().flat_map(|table| table.ports.keys());
        let hinders = |it: &&FirewallObstacle| ports().any(|port| it.drops(port.port.protocol));
        let obstacles = self.state.firewall.iter().filter(hinders);
        let blocked = obstacles.map(|obstacle| Blocked {
            application: None,
            kind: BlockedKind::FirewallDrops {
                node: self.node.clone(),
                obstacle: obstacle.clone(),
            },
        });
        self.plan.blocked.extend(blocked);
    }

    /// Brings one application back, if it is to run here.
    fn restore(
        &mut self,
        name: &ApplicationName,
        remembered: &'a RememberedApplication,
    ) -> Result<(), Box<BlockedKind>> {
        if !self.has_its_volume(remembered)? {
            return Ok(());
        }
        let first = self.plan.steps().len();
        let specification = &remembered.specification;
        let need = need(Some(self.state), specification, &remembered.links);
        let mut after: Vec<StepId> = self.table.into_iter().collect();
        match need {
            Need::Nothing => {}
            Need::Relink => {
                let action = Action::SetLinks {
                    application: name.clone(),
                    links: remembered.links.clone(),
                };
                let why = "its links do not lead where they should";
                after = vec![self.add(action, &after, why)];
            }
            Need::Create | Need::Recreate | Need::Restart | Need::Start => {
                after = vec![self.start(remembered, need, after)];
            }
        }
        self.let_ports_go(name, &after);
        let steps = self.plan.steps()[first..].iter().map(|step| step.id);
        let outcome = Outcome {
            kind: match need {
                _ if self.plan.steps().len() == first => OutcomeKind::Unchanged,
                Need::Nothing | Need::Relink => OutcomeKind::Changed,
                _ => OutcomeKind::Started,
            },
            node: self.node.clone(),
            done_after: steps.collect(),
        };
        self.plan.outcomes.insert(name.clone(), outcome);
        Ok(())
    }

    /// Tells whether the node has what an application is to write to, as far as it can say: it
    /// fails where that should be here and is not, and where it cannot be used.
    pub(super) fn has_its_volume(
        &self,
        remembered: &RememberedApplication,
    ) -> Result<bool, Box<BlockedKind>> {
        let Some(name) = remembered.specification.volume_owner() else {
            return Ok(true);
        };
        let copy = self.state.volumes.get(name);
        match copy.map(|copy| (&copy.role, copy)) {
            // It was handed over, or somebody took its place.
            Some((VolumeRole::Replica { .. }, _)) => Ok(false),
            // It came back since, and was not started yet.
            Some((VolumeRole::Owned { epoch }, _)) if Some(*epoch) != remembered.volume => {
                Ok(false)
            }
            Some((VolumeRole::Owned { .. }, copy)) => {
                match unusable_copy(self.node, self.state, copy) {
                    Some(unusable) => Err(Box::new(unusable)),
                    None => self.located(name).map(|()| true),
                }
            }
            Some((VolumeRole::Foreign { problem }, _)) => {
                let at = (self.node, name);
                Err(Box::new(foreign_dataset(
                    self.observed,
                    at,
                    problem.clone(),
                )))
            }
            None => self.located(name).map(|()| false),
        }
    }

    /// Fails unless the volume is owned, by the account of everybody who was seen or asked.
    fn located(&self, name: &ApplicationName) -> Result<(), Box<BlockedKind>> {
        match locate(name, self.observed) {
            Whereabouts::Owned { .. } | Whereabouts::HandedOff { .. } => Ok(()),
            Whereabouts::Nowhere => Err(Box::new(BlockedKind::VolumeVanished {
                node: self.node.clone(),
            })),
            Whereabouts::Blocked(kind) => Err(match *kind {
                BlockedKind::VolumeUnknown { unseen } => Box::new(BlockedKind::NeedsOtherNode {
                    node: unseen.away.first().unwrap_or(self.node).clone(),
                    what: "its volume is not here and may be elsewhere".to_owned(),
                }),
                other => Box::new(other),
            }),
        }
    }

    /// Adds the steps that start an application; returns the last of them.
    ///
    /// It does not wait for what its links lead to: the order of the steps has that first, and one
    /// that fails is to keep no other down.
    pub(super) fn start(
        &mut self,
        remembered: &'a RememberedApplication,
        need: Need,
        mut after: Vec<StepId>,
    ) -> StepId {
        let specification = &remembered.specification;
        if matches!(need, Need::Create | Need::Recreate) {
            after.extend(self.bring_image(&specification.image));
        }
        if need == Need::Restart {
            let action = Action::StopApplication {
                application: specification.application.clone(),
                kind: StopKind::ForNow,
            };
            after = vec![self.add(action, &after, "it runs without its volume")];
        }
        let action = Action::StartApplication {
            specification: Box::new(specification.clone()),
            links: remembered.links.clone(),
            volume: remembered.volume,
            dependencies: remembered.dependencies.clone(),
            completes: false,
        };
        let why = match need {
            Need::Recreate => "it runs with another configuration",
            Need::Restart => "its volume is there now",
            _ => "it does not run",
        };
        self.add(action, &after, why)
    }

    /// Gets an image that is gone.
    fn bring_image(&mut self, image: &'a ImageReference) -> Option<StepId> {
        if has_image(self.state, image) {
            return None;
        }
        if let Some(step) = self.images.get(image) {
            return Some(*step);
        }
        let action = Action::EnsureImage {
            image: image.clone(),
            from: ImageSource::Registry(None),
        };
        let step = self.add(action, &[], "the image is gone");
        self.images.insert(image, step);
        Some(step)
    }

    /// Lets ports go that lead to an application here and are held, by a move of it that never came
    /// to its end.
    pub(super) fn let_ports_go(&mut self, name: &ApplicationName, after: &[StepId]) {
        let Some(network) = &self.state.network else {
            return;
        };
        let ports = ports_here(name, network);
        if ports.keys().any(|port| network.held.contains(&port)) {
            let action = Action::SwitchRoutes {
                application: name.clone(),
                ports,
            };
            self.add(action, after, "it answers here, and its ports are held");
        }
    }

    /// Adds a step.
    fn add(&mut self, action: Action, after: &[StepId], why: &str) -> StepId {
        self.plan.add(self.node, action, Because { after, why })
    }
}

/// Finds the ports of a node's table that lead to an application on that node.
pub(super) fn ports_here(name: &ApplicationName, network: &NodeNetwork) -> LeadingPorts {
    network.ports.filtered(|_, endpoint| matches!(endpoint, Endpoint::Local { application, .. } if application == name))
}

/// Lists the applications so that what one depends on comes before it, and so does the one whose volume
/// it sees; and what its links lead to on this node where that can be.
///
/// No more than the order is kept: what runs elsewhere may be down for longer than anybody should wait
/// after a boot, and one that fails is to keep no other down.
fn in_start_order(memory: &NodeMemory) -> Vec<&ApplicationName> {
    let known = |name: &ApplicationName| memory.applications.get_key_value(name);
    let dependencies = |name: &ApplicationName| {
        let remembered = memory.applications.get(name);
        let names = remembered.into_iter().flat_map(|it| &it.dependencies);
        let owner = remembered.and_then(|it| it.specification.volume_owner());
        let owner = owner.filter(|owner| *owner != name);
        let names = names.chain(owner).filter_map(known);
        names.map(|(name, _)| name).collect()
    };
    let links = |name: &ApplicationName| {
        let remembered = memory.applications.get(name);
        let links = remembered.into_iter().flat_map(|it| &it.links);
        let ports = links.map(|(local, port)| ServicePort {
            protocol: local.port.protocol,
            port: *port,
        });
        let target = |port| match memory.network.as_ref()?.ports.links.get(&port)? {
            Endpoint::Local { application, .. } => Some(known(application)?.0),
            Endpoint::Remote { .. } => None,
        };
        ports.filter_map(target).collect()
    };
    in_order(memory.applications.keys(), &dependencies, &links)
}
