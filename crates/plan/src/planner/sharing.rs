//! Applications that see another application's volume: they are placed, stopped, moved and started with
//! it, or not at all.

use std::collections::BTreeSet;

use flocker_model::{Application, ApplicationName, ContainerSpecification, NodeName};

use crate::steps::Because;
use crate::{Action, Blocked, BlockedKind, StepId, StopKind};

use super::arrival::Arrival;
use super::need::need;
use super::state::Planner;

impl<'a> Planner<'a> {
    /// Reports applications that are not placed with the application whose volume they see.
    pub(super) fn check_sharing(&mut self) {
        let deployment = self.goal.deployment;
        for (name, application, place) in deployment.placed() {
            let Some(shared) = &application.shared else {
                continue;
            };
            let owner = &shared.application;
            let found = deployment.applications.get(owner);
            let has_volume =
                found.is_some_and(|owner| owner.volume.is_some() && owner.shared.is_none());
            let is_with = deployment.place_of(owner) == Some(place);
            if has_volume && is_with && application.volume.is_none() {
                continue;
            }
            let kind = BlockedKind::NotWithItsVolume {
                node: place.clone(),
                owner: owner.clone(),
            };
            self.block_application(name, kind);
        }
    }

    /// Returns how the volume of another application comes to be where it is placed; `None` if nothing
    /// is planned of that application.
    pub(super) fn arrival_of(&self, owner: &ApplicationName) -> Option<Arrival> {
        self.arrivals.get(owner).cloned()
    }

    /// Brings to their next places the images of all applications that see a volume which moves from
    /// this node, or are to see it. What stands in their way is reported where they are planned
    /// themselves.
    pub(super) fn make_users_ready(
        &mut self,
        (owner, node): (&ApplicationName, &NodeName),
    ) -> Vec<StepId> {
        let deployment = self.goal.deployment;
        let state = self.observed.node(node);
        let mut users: BTreeSet<&ApplicationName> = state
            .into_iter()
            .flat_map(|state| state.users_of(owner))
            .filter(|name| *name != owner)
            .collect();
        users.extend(self.sharers(owner).into_iter().map(|(name, _)| name));
        let mut ready = Vec::new();
        for name in users {
            let (Some(application), Some(place)) =
                (deployment.applications.get(name), deployment.place_of(name))
            else {
                continue;
            };
            let Some(state) = self.observed.node(place) else {
                continue;
            };
            let wanted = ContainerSpecification::new(name, application);
            let links = self.link_ports.of_source(application);
            let need = need(Some(state), &wanted, &links);
            if self.is_to_be_checked(&wanted, place, need)
                && let Ok(steps) = self.make_image_ready(&wanted, place)
            {
                ready.extend(steps);
            }
        }
        ready
    }

    /// Has everything else stop that sees a volume on the node that owns it, or waits until the plan has
    /// done so for another reason.
    pub(super) fn stop_users(
        &mut self,
        (owner, node): (&ApplicationName, &NodeName),
        after: &[StepId],
    ) -> Vec<StepId> {
        let Some(state) = self.observed.node(node) else {
            return Vec::new();
        };
        let sharers: BTreeSet<&ApplicationName> = self
            .sharers(owner)
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        let mut stopped = Vec::new();
        for name in state.users_of(owner).filter(|name| *name != owner) {
            if let Some(step) = self.ends_on(node, name) {
                stopped.push(step);
                continue;
            }
            let mut after = after.to_vec();
            if sharers.contains(name) {
                after.extend(self.hold(name, node, &after));
            }
            let kind = match self.goal.deployment.place_of(name) {
                Some(_) => StopKind::ForNow,
                None => StopKind::ForGood,
            };
            let because = Because {
                after: &after,
                why: "it sees a volume that moves",
            };
            stopped.push(self.stop(node, (name, kind), because));
        }
        stopped
    }

    /// Lists the placed applications that are to see the volume of `owner`.
    fn sharers(&self, owner: &ApplicationName) -> Vec<(&'a ApplicationName, &'a Application)> {
        let placed = self.goal.deployment.placed();
        let sees = |application: &Application| {
            let shared = application.shared.as_ref();
            shared.is_some_and(|shared| shared.application == *owner)
        };
        placed
            .filter(|(_, application, _)| sees(application))
            .map(|(name, application, _)| (name, application))
            .collect()
    }

    /// Finds the step after which what an application is now on a node does not run any more: it is
    /// stopped, or made anew.
    fn ends_on(&self, node: &NodeName, name: &ApplicationName) -> Option<StepId> {
        let mut steps = self.plan.steps().iter().filter(|step| step.node == *node);
        let ends = |action: &Action| match action {
            Action::StopApplication { application, .. } => application == name,
            Action::StartApplication { specification, .. } => specification.application == *name,
            _ => false,
        };
        steps.find(|step| ends(&step.action)).map(|step| step.id)
    }

    /// Lists the applications of which nothing may be planned because something stands in the way of
    /// another that sees the same volume, now or afterwards.
    pub(super) fn connected_to_skipped(&self) -> BTreeSet<ApplicationName> {
        let mut connected = self.skipped.clone();
        loop {
            let groups = self.volume_groups();
            let touched = groups.iter().filter(|group| !group.is_disjoint(&connected));
            let more: BTreeSet<ApplicationName> = touched.flatten().cloned().collect();
            if more.is_subset(&connected) {
                break;
            }
            connected.extend(more);
        }
        connected.retain(|name| !self.skipped.contains(name) || self.held_back.contains(name));
        connected
    }

    /// Lists, for each volume, the applications that see it where it is, or are to see it.
    fn volume_groups(&self) -> Vec<BTreeSet<ApplicationName>> {
        let deployment = self.goal.deployment;
        let wanted = deployment.placed().filter_map(|(name, application, _)| {
            let owner = &application.shared.as_ref()?.application;
            Some(BTreeSet::from([name.clone(), owner.clone()]))
        });
        let seen = self.covered().into_iter().flat_map(|(_, state)| {
            state.containers.keys().filter_map(|name| {
                let owner = state.volume_seen_by(name)?;
                (owner != name).then(|| BTreeSet::from([name.clone(), owner.clone()]))
            })
        });
        wanted.chain(seen).collect()
    }
}

/// Takes over what an earlier attempt at the same plan reported of applications.
pub(super) fn of_applications(blocked: &[Blocked]) -> Vec<Blocked> {
    let of_one = blocked
        .iter()
        .filter(|blocked| blocked.application.is_some());
    of_one.cloned().collect()
}

/// Puts each application behind the one whose volume it sees.
pub(super) fn owners_first<'n>(
    order: &[&'n ApplicationName],
    owner_of: impl Fn(&ApplicationName) -> Option<&'n ApplicationName>,
) -> Vec<&'n ApplicationName> {
    let mut sorted: Vec<&ApplicationName> = Vec::with_capacity(order.len());
    let mut waiting: Vec<&ApplicationName> = Vec::new();
    for name in order {
        let owner = owner_of(name).filter(|owner| order.contains(owner));
        if owner.is_some_and(|owner| !sorted.contains(&owner)) {
            waiting.push(name);
            continue;
        }
        sorted.push(name);
        let is_next = |waits: &&ApplicationName| owner_of(waits) == Some(*name);
        sorted.extend(waiting.extract_if(.., |waits| is_next(waits)));
    }
    sorted.extend(waiting);
    sorted
}
