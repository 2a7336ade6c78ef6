//! Making one application run where it is placed.

use std::collections::BTreeSet;

use flocker_model::{
    Application, ApplicationName, ContainerSpecification, ContainerState, ContainerStatus,
    NodeName, RestartPolicy, UnitState,
};

use crate::steps::Because;
use crate::{Action, BlockedKind, Outcome, OutcomeKind, StepId};

use super::arrival::{Arrival, Placing};
use super::state::Planner;

/// What has to be done to a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    /// There is none: it is made and started.
    Create,
    /// It was made from something else: it is made again and started.
    Recreate,
    /// It is down: it is started.
    Start,
    /// Its links lead elsewhere.
    Relink,
    /// Nothing.
    Nothing,
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
        if !self.goal.covers(place) || self.observed.node(place).is_none() {
            return;
        }
        let length = self.plan.steps().len();
        let networks = (self.networks.clone(), self.network_steps.clone());
        let images = self.images.clone();
        if let Err(kind) = self.place(name, application, place) {
            self.plan.truncate(length);
            (self.networks, self.network_steps) = networks;
            self.images = images;
            self.moving.remove(name);
            self.block_application(name, kind);
        }
    }

    /// Plans one application.
    fn place(
        &mut self,
        name: &ApplicationName,
        application: &Application,
        place: &NodeName,
    ) -> Result<(), BlockedKind> {
        let before = self.plan.steps().len();
        let need = self.need(name, application, place);
        let image = match need {
            Need::Create | Need::Recreate => self.bring_image(place, &application.image),
            Need::Start | Need::Relink | Need::Nothing => None,
        };
        let arrival = match &application.volume {
            Some(volume) => self.bring_volume(Placing { name, place, image }, volume)?,
            None => Arrival::default(),
        };
        // A volume that arrives makes any container that is there stale.
        let need = match (need, &arrival.from) {
            (Need::Nothing | Need::Relink, Some(_)) => Need::Start,
            (need, _) => need,
        };
        let elsewhere = self.elsewhere(name, place);
        let from = arrival.from.clone().or_else(|| elsewhere.first().cloned());
        let resized = arrival.resized;
        let started = self.make_run(name, application, (place, need, image, arrival));
        let routed = self.switch_routes(name, place, started);
        self.leave_elsewhere(name, &elsewhere, &routed);

        let steps = self.plan.steps()[before..].iter().map(|step| step.id);
        let outcome = Outcome {
            kind: kind(need, from, resized || before < self.plan.steps().len()),
            node: place.clone(),
            done_after: steps.collect(),
        };
        self.plan.outcomes.insert(name.clone(), outcome);
        Ok(())
    }

    /// Adds the steps that make the container run; returns the last of them.
    fn make_run(
        &mut self,
        name: &ApplicationName,
        application: &Application,
        (place, need, image, arrival): (&NodeName, Need, Option<StepId>, Arrival),
    ) -> Option<StepId> {
        let links = self.link_ports.of_source(application);
        match need {
            Need::Nothing => arrival.after.last().copied(),
            Need::Relink => {
                let action = Action::SetLinks {
                    application: name.clone(),
                    links,
                };
                let because = Because {
                    after: &arrival.after,
                    why: "its links do not lead where they should",
                };
                Some(self.add(place, action, because))
            }
            Need::Create | Need::Recreate | Need::Start => {
                let mut after = arrival.after.clone();
                after.extend(image);
                after.extend(self.prepared.get(place));
                after.extend(self.started_targets(application));
                if need == Need::Recreate {
                    let held = self.hold(name, place, &after);
                    after.extend(held);
                }
                let action = Action::StartApplication {
                    specification: ContainerSpecification::new(name, application),
                    links,
                    volume: arrival.epoch,
                };
                let why = match need {
                    Need::Recreate => "it runs with another configuration",
                    Need::Start => "it does not run",
                    Need::Create | Need::Relink | Need::Nothing => "it is placed here",
                };
                let because = Because { after: &after, why };
                let started = self.add(place, action, because);
                self.starts.insert(name.clone(), started);
                Some(started)
            }
        }
    }

    /// Works out what has to be done to the container, its volume aside.
    fn need(&self, name: &ApplicationName, application: &Application, place: &NodeName) -> Need {
        let Some(state) = self.observed.node(place) else {
            return Need::Create;
        };
        let Some(container) = state.containers.get(name) else {
            return Need::Create;
        };
        let specification = ContainerSpecification::new(name, application);
        if container.configuration != specification.digest() {
            return Need::Recreate;
        }
        if finished(application, container) {
            return Need::Nothing;
        }
        if !container.is_up() {
            return Need::Start;
        }
        let unmounted = application.volume.is_some()
            && state
                .volumes
                .get(name)
                .is_none_or(|copy| copy.mounted.is_none());
        if unmounted {
            return Need::Start;
        }
        if container.links.as_ref() != Some(&self.link_ports.of_source(application)) {
            return Need::Relink;
        }
        Need::Nothing
    }

    /// Lists the steps that start the applications that this one's links lead to.
    fn started_targets(&self, application: &Application) -> Vec<StepId> {
        let targets: BTreeSet<&ApplicationName> =
            application.links.iter().map(|link| &link.target).collect();
        targets
            .into_iter()
            .filter_map(|target| self.starts.get(target).copied())
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

/// Tells whether the application is one that is not started again and has ended.
///
/// After a reboot its unit is missing, and it runs once more.
fn finished(application: &Application, container: &ContainerState) -> bool {
    let ended = match container.status {
        ContainerStatus::Running { .. } => false,
        ContainerStatus::Stopped { exit_code } => match application.restart {
            RestartPolicy::Always => false,
            RestartPolicy::OnFailure => exit_code == 0,
            RestartPolicy::Never => true,
        },
    };
    ended && matches!(container.unit, UnitState::Inactive | UnitState::Failed)
}

/// Names what the steps amount to.
fn kind(need: Need, from: Option<NodeName>, anything: bool) -> OutcomeKind {
    match (need, from) {
        (_, Some(from)) => OutcomeKind::Redeployed { from },
        (Need::Create, None) => OutcomeKind::Deployed,
        (Need::Recreate | Need::Relink, None) => OutcomeKind::Changed,
        (Need::Start, None) => OutcomeKind::Started,
        (Need::Nothing, None) if anything => OutcomeKind::Changed,
        (Need::Nothing, None) => OutcomeKind::Unchanged,
    }
}
