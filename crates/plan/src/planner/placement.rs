//! Making one application run where it is placed.

use std::collections::BTreeSet;

use flocker_model::{
    Application, ApplicationName, ContainerSpecification, ContainerStatus, Health, NodeName,
    PoolHealth,
};

use crate::steps::Because;
use crate::survey::{Whereabouts, locate};
use crate::{Action, BlockedKind, Outcome, OutcomeKind, StepId, StopKind};

use super::arrival::{Arrival, Obstacle, Placing};
use super::need::{Need, need};
use super::refusing::refuse_held;
use super::state::Planner;

/// An application that is to run at its place.
#[derive(Debug, Clone, Copy)]
struct Running<'a> {
    application: &'a Application,
    placing: Placing<'a>,
    need: Need,
}

/// Finds the node that an application comes from. With another's volume comes only what ran beside it.
fn came_from(
    application: &Application,
    arrival: &Arrival,
    elsewhere: &[NodeName],
) -> Option<NodeName> {
    let own = arrival.from.as_ref();
    let own = own.filter(|_| application.shared.is_none());
    own.or(elsewhere.first()).cloned()
}

impl Planner<'_> {
    /// Plans one application, or reports what stands in its way and plans nothing of it.
    pub(super) fn place_or_report(&mut self, name: &ApplicationName) {
        let deployment = self.goal.deployment;
        let (Some(application), Some(place)) =
            (deployment.applications.get(name), deployment.place_of(name))
        else {
            return;
        };
        if !self.goal.covers(place) {
            return;
        }
        if self.observed.node(place).is_none() {
            // That its place cannot be reached is reported already; which replica there is, not.
            if application.volume.is_some()
                && let Whereabouts::Blocked(kind) = locate(name, self.observed)
                && matches!(*kind, BlockedKind::OwnerUnseen { answers: false, .. })
            {
                self.block_application(name, *kind);
            }
            return;
        }
        if self.is_blocked(name) || self.is_held_back(name, application) {
            self.skipped.insert(name.clone());
            return;
        }
        if application.volume.is_some() && self.lacks_pool(place) {
            self.skipped.insert(name.clone());
            return;
        }
        let length = self.plan.steps().len();
        let networks = self.networks.clone();
        let images = self.images.clone();
        let claimed = self.claimed.clone();
        let progress = self.progress.clone();
        let images_ready = self.images_ready.clone();
        if let Err(kind) = self.place(name, application, place) {
            self.plan.truncate(length);
            self.networks = networks;
            self.images = images;
            self.claimed = claimed;
            self.progress = progress;
            self.images_ready = images_ready;
            self.moving.remove(name);
            self.skipped.insert(name.clone());
            self.block_application(name, *kind);
        }
    }

    /// Plans one application.
    fn place(
        &mut self,
        name: &ApplicationName,
        application: &Application,
        place: &NodeName,
    ) -> Result<(), Obstacle> {
        let before = self.plan.steps().len();
        let wanted = ContainerSpecification::new(name, application);
        let links = self.link_ports.of_source(application);
        let need = need(self.observed.node(place), &wanted, &links);
        let need = self.need_of_job(name, place, need);
        let mut ready = self.answering_targets(application, place);
        if self.is_to_be_checked(&wanted, place, need) {
            ready.extend(self.make_image_ready(&wanted, place)?);
        }
        ready.extend(self.prepared.get(place));
        let starts = !matches!(need, Need::Nothing | Need::Relink);
        if starts || (application.volume.is_some() && self.arrives(name, place)) {
            ready.extend(self.await_dependencies(application));
        }
        ready.extend(self.stops_of(place, name));
        let placing = Placing {
            name,
            place,
            image: &application.image,
            user: application.options.process.user.as_ref(),
            ready: &ready,
        };
        let arrival = self.arrive(placing, application)?;
        // A volume that arrives makes any container that is there stale.
        let need = match need {
            Need::Nothing | Need::Relink if arrival.from.is_some() => Need::Restart,
            need => need,
        };
        if matches!(need, Need::Restart | Need::Recreate)
            && let Some(copy) = self.copy(place, name)
        {
            refuse_held(place, copy)?;
        }
        let elsewhere = self.elsewhere(name, place);
        let from = came_from(application, &arrival, &elsewhere);
        let there = arrival.clone();
        let running = Running {
            application,
            placing,
            need,
        };
        let started = self.make_run(running, arrival);
        self.await_configured_check(name, application);
        self.note_arrival((name, application), there, started);
        let routed = self.switch_routes(name, place, started);
        self.leave_elsewhere(name, &elsewhere, &routed);
        let forgetful = self.remembered_elsewhere(name, place);
        self.leave_elsewhere(name, &forgetful, &routed);

        let steps = self.plan.steps()[before..].iter().map(|step| step.id);
        let done_after: BTreeSet<StepId> = steps.collect();
        let outcome = Outcome {
            kind: kind(need, from, !done_after.is_empty()),
            node: place.clone(),
            done_after,
        };
        self.plan.outcomes.insert(name.clone(), outcome);
        if matches!(need, Need::Nothing | Need::Relink) {
            self.await_health(name, place);
        }
        Ok(())
    }

    /// Plans how the volume that an application sees comes to its place.
    fn arrive(
        &mut self,
        placing: Placing<'_>,
        application: &Application,
    ) -> Result<Arrival, Obstacle> {
        match (&application.volume, &application.shared) {
            (Some(volume), _) => self.bring_volume(placing, volume),
            (None, Some(shared)) => Ok(self.arrival_of(&shared.application).unwrap_or_default()),
            (None, None) => Ok(Arrival::default()),
        }
    }

    /// Notes how a volume came to its place, for others that see it: they start after its own
    /// application.
    fn note_arrival(
        &mut self,
        (name, application): (&ApplicationName, &Application),
        mut arrival: Arrival,
        started: Option<StepId>,
    ) {
        if application.volume.is_some() {
            arrival.after.extend(started);
            self.arrivals.insert(name.clone(), arrival);
        }
    }

    /// Tells whether an application is left alone because something stands in the way of another that
    /// sees the same volume.
    fn is_held_back(&self, name: &ApplicationName, application: &Application) -> bool {
        let shared = application.shared.as_ref();
        self.held_back.contains(name)
            || shared.is_some_and(|shared| !self.arrivals.contains_key(&shared.application))
    }

    /// Brings an application's image to its place, and accounts for the volumes that it declares;
    /// returns the steps that do so.
    pub(super) fn make_image_ready(
        &mut self,
        wanted: &ContainerSpecification,
        place: &NodeName,
    ) -> Result<Vec<StepId>, Obstacle> {
        let name = &wanted.application;
        if let Some(ready) = self.images_ready.get(name) {
            return Ok(ready.clone());
        }
        let origin = self.origin(name, place);
        let brought = self.bring_image(place, &wanted.image, origin.as_ref())?;
        let mut ready: Vec<StepId> = brought.into_iter().collect();
        ready.extend(self.account_for_image(place, wanted, brought)?);
        self.images_ready.insert(name.clone(), ready.clone());
        Ok(ready)
    }

    /// Tells whether the place must have the image, and see that it can make the container, before
    /// anything is stopped: it makes one, or the volume comes from a node where it is stopped. A
    /// container that the place has from before was made when it may have had other devices and paths.
    pub(super) fn is_to_be_checked(
        &self,
        wanted: &ContainerSpecification,
        place: &NodeName,
        need: Need,
    ) -> bool {
        let comes = wanted.volume_owner().is_some_and(|owner| {
            matches!(locate(owner, self.observed), Whereabouts::Owned { node, .. } if node != *place)
        });
        comes || matches!(need, Need::Create | Need::Recreate)
    }

    /// Waits for the health of an application that is to stay as it is.
    ///
    /// Never in the way of anything else, and not of its own start: a check is first made some time
    /// after that, in which nobody should be kept from the application.
    fn await_health(&mut self, name: &ApplicationName, place: &NodeName) {
        let state = self.observed.node(place);
        let container = state.and_then(|state| state.containers.get(name));
        let is_ill = container.is_some_and(|container| {
            matches!(
                container.status,
                ContainerStatus::Running {
                    health: Health::Starting | Health::Unhealthy,
                    ..
                }
            )
        });
        if is_ill {
            let application = name.clone();
            let because = Because {
                after: &[],
                why: "it runs, and its health check has not passed",
            };
            let step = self.add(place, Action::AwaitHealth { application }, because);
            self.note_health(name, step);
        }
    }

    /// Adds the steps that make the container run; returns the last of them.
    fn make_run(&mut self, running: Running<'_>, arrival: Arrival) -> Option<StepId> {
        let Placing {
            name, place, ready, ..
        } = running.placing;
        let links = self.link_ports.of_source(running.application);
        if running.need == Need::Nothing {
            return arrival.after.last().copied();
        }
        let mut after = arrival.after;
        if running.need == Need::Relink {
            let action = Action::SetLinks {
                application: name.clone(),
                links,
            };
            let because = Because {
                after: &after,
                why: "its links do not lead where they should",
            };
            return Some(self.add(place, action, because));
        }
        after.extend(ready);
        if matches!(running.need, Need::Recreate | Need::Restart) {
            let held = self.hold(name, place, &after);
            after.extend(held);
        }
        if running.need == Need::Restart {
            let because = Because {
                after: &after,
                why: "it runs without its volume",
            };
            after.push(self.stop(place, (name, StopKind::ForNow), because));
        }
        let action = Action::StartApplication {
            specification: Box::new(ContainerSpecification::new(name, running.application)),
            links,
            volume: arrival.epoch,
            dependencies: self
                .dependencies_of(running.application)
                .into_keys()
                .collect(),
            completes: false,
        };
        let why = match running.need {
            Need::Recreate => "it runs with another configuration",
            Need::Start => "it does not run",
            Need::Restart => "its volume is there now",
            Need::Create | Need::Relink | Need::Nothing => "it is placed here",
        };
        let because = Because { after: &after, why };
        let started = self.add(place, action, because);
        self.note_start(name, started);
        Some(started)
    }

    /// Lists the steps after which the applications that this one's links lead to answer at its
    /// place, so that its first connections are not refused.
    fn answering_targets(&self, application: &Application, place: &NodeName) -> Vec<StepId> {
        let targets: BTreeSet<&ApplicationName> =
            application.links.iter().map(|link| &link.target).collect();
        targets
            .into_iter()
            .filter_map(|target| self.answers.get(target)?.get(place).copied())
            .collect()
    }

    /// Finds the other node that an application has run on so far: where its volume is or was, or else
    /// its container.
    fn origin(&self, name: &ApplicationName, place: &NodeName) -> Option<NodeName> {
        let kept = match locate(name, self.observed) {
            Whereabouts::Owned { node, .. } => Some(node),
            Whereabouts::HandedOff { from, .. } => Some(from),
            Whereabouts::Nowhere | Whereabouts::Blocked(_) => None,
        };
        match kept {
            Some(node) => (node != *place).then_some(node),
            None => self.elsewhere(name, place).into_iter().next(),
        }
    }

    /// Tells whether a volume comes to a place that does not own it, so that whatever is there starts
    /// again.
    fn arrives(&self, name: &ApplicationName, place: &NodeName) -> bool {
        match locate(name, self.observed) {
            Whereabouts::Owned { node, .. } => node != *place,
            Whereabouts::HandedOff { .. } => true,
            Whereabouts::Nowhere | Whereabouts::Blocked(_) => false,
        }
    }

    /// Tells whether a node has no pool that volumes can be written to.
    fn lacks_pool(&self, node: &NodeName) -> bool {
        self.observed
            .node(node)
            .is_some_and(|state| state.pool.health != PoolHealth::Usable)
    }

    /// Lists the other nodes that have nothing of the application but what it was to be started
    /// from: its environment and files.
    fn remembered_elsewhere(&self, name: &ApplicationName, place: &NodeName) -> Vec<NodeName> {
        self.covered()
            .into_iter()
            .filter(|(node, state)| {
                *node != place
                    && state.remembered.applications.contains_key(name)
                    && !state.containers.contains_key(name)
            })
            .map(|(node, _)| node.clone())
            .collect()
    }

    /// Lists the other nodes that have a container of the application.
    fn elsewhere(&self, name: &ApplicationName, place: &NodeName) -> Vec<NodeName> {
        self.covered()
            .into_iter()
            .filter(|(node, state)| *node != place && state.containers.contains_key(name))
            .map(|(node, _)| node.clone())
            .collect()
    }
}

/// Names what the steps amount to.
fn kind(need: Need, from: Option<NodeName>, anything: bool) -> OutcomeKind {
    match (need, from) {
        (_, Some(from)) => OutcomeKind::Redeployed { from },
        (Need::Create, None) => OutcomeKind::Deployed,
        (Need::Recreate | Need::Relink, None) => OutcomeKind::Changed,
        (Need::Start | Need::Restart, None) => OutcomeKind::Started,
        (Need::Nothing, None) if anything => OutcomeKind::Changed,
        (Need::Nothing, None) => OutcomeKind::Unchanged,
    }
}
