//! Nine ways to break the protocol, to show that the model would notice.
//!
//! Nothing in Flocker can be told to do any of this. Each mutation changes what the planner is
//! shown, what it planned, or how a simulated machine does a step, so that together they do what a
//! planner and a node with that mistake in them would.

use std::collections::BTreeMap;

use flocker_model::{
    ContainerSpecification, Epoch, NodeName, NodeObservation, Observed, SnapshotGuid, VolumeCopy,
    VolumeFill, VolumeLayout, VolumeRole,
};
use flocker_plan::{
    Action, Blocked, BlockedKind, Goal, Handoff, Plan, Refusal, Step, StepId, Yield, plan,
};

use crate::run::Run;
use crate::world::World;

/// A way to break the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mutation {
    /// The new owner takes the volume, then the old one gives it up.
    AcquireBeforeRelease,
    /// Whatever the new owner's copy ends with passes for what was handed off.
    SkipTheGuidCheck,
    /// A volume of which no copy was seen is created, though not every machine was seen.
    CreateWhenUnknown,
    /// The container starts, then its volume is mounted.
    StartBeforeMount,
    /// Nobody counts a volume's owners: every turn is the first, and none is later than another.
    ForgetTheEpoch,
    /// A machine that does not answer is taken for one that is gone, and its volumes for what the
    /// best replica has.
    IgnoreAnUnreachableNode,
    /// A machine that boots makes itself comply with the last deployment that was applied in full.
    RestoreWhatWasApplied,
    /// A machine that boots starts what was being taken away from it.
    RestoreWhatWasTakenAway,
    /// Before a volume is released, only its own application is stopped, and not what else sees it.
    ForgetASharer,
}

/// A plan, perhaps with mistakes in it.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) plan: Plan,
    /// The steps instead of the plan's own.
    steps: Option<Vec<Step>>,
}

impl Made {
    /// Takes a plan as it is.
    pub(crate) fn unchanged(plan: Plan) -> Self {
        Self { plan, steps: None }
    }

    /// Makes a plan, with the mistakes of a mutation.
    pub(crate) fn new(mutation: Option<Mutation>, goal: &Goal<'_>, observed: &Observed) -> Self {
        match mutation {
            None
            | Some(
                Mutation::StartBeforeMount
                | Mutation::RestoreWhatWasApplied
                | Mutation::RestoreWhatWasTakenAway,
            ) => Self::unchanged(plan(goal, observed)),
            Some(Mutation::AcquireBeforeRelease) => {
                let plan = plan(goal, observed);
                let steps = Some(acquire_first(plan.steps().to_vec()));
                Self { plan, steps }
            }
            Some(Mutation::ForgetASharer) => {
                let plan = plan(goal, observed);
                let steps = Some(stop_no_sharers(plan.steps().to_vec(), observed));
                Self { plan, steps }
            }
            Some(Mutation::CreateWhenUnknown) => create_unknown(goal, plan(goal, observed)),
            Some(Mutation::SkipTheGuidCheck) => {
                let mut shown = observed.clone();
                take_any_end(&mut shown);
                Self::unchanged(plan(goal, &shown))
            }
            Some(Mutation::ForgetTheEpoch) => {
                let mut shown = observed.clone();
                show_no_epochs(&mut shown);
                Self::unchanged(plan(goal, &shown))
            }
            Some(Mutation::IgnoreAnUnreachableNode) => {
                let mut shown = observed.clone();
                forget_unreachable(&mut shown);
                let mut plan = plan(goal, &shown);
                let is_other = |blocked: &Blocked| {
                    !matches!(blocked.kind, BlockedKind::NodeUnreachable { .. })
                };
                plan.blocked.retain(is_other);
                Self::unchanged(plan)
            }
        }
    }

    /// Lists the steps.
    pub(crate) fn steps(&self) -> &[Step] {
        self.steps.as_deref().unwrap_or_else(|| self.plan.steps())
    }
}

/// Makes every acquisition wait for what its release waits for, and the release for it.
fn acquire_first(mut steps: Vec<Step>) -> Vec<Step> {
    for index in 0..steps.len() {
        if let Action::AcquireVolume {
            handoff: Handoff::FromStep(release),
            ..
        } = steps[index].action
        {
            let acquire = steps[index].id;
            let before = std::mem::take(&mut steps[release.index()].after);
            steps[index].after = before;
            steps[release.index()].after.insert(acquire);
        }
    }
    steps
}

/// Does nothing in the place of each stop of what sees another application's volume.
fn stop_no_sharers(mut steps: Vec<Step>, observed: &Observed) -> Vec<Step> {
    for step in &mut steps {
        if let Action::StopApplication { application, .. } = &step.action
            && let Some(state) = observed.node(&step.node)
            && state
                .volume_seen_by(application)
                .is_some_and(|owner| owner != application)
        {
            let ports = std::collections::BTreeSet::new();
            step.action = Action::HoldPorts { ports };
        }
    }
    steps
}

/// Plans empty volumes where the planner says that one may exist elsewhere.
fn create_unknown(goal: &Goal<'_>, mut plan: Plan) -> Made {
    let mut steps = plan.steps().to_vec();
    let blocked = std::mem::take(&mut plan.blocked);
    let (unknown, others): (Vec<_>, Vec<_>) = blocked
        .into_iter()
        .partition(|blocked| matches!(blocked.kind, BlockedKind::VolumeUnknown { .. }));
    plan.blocked = others;
    for name in unknown
        .into_iter()
        .filter_map(|blocked| blocked.application)
    {
        let definition = goal.deployment.applications.get(&name);
        let (Some(definition), Some(place)) = (definition, goal.deployment.place_of(&name)) else {
            continue;
        };
        let next = u32::try_from(steps.len()).unwrap_or(u32::MAX);
        let (created, started) = (StepId::new(next), StepId::new(next.saturating_add(1)));
        let step = |id, action, after: &[StepId]| Step {
            id,
            node: place.clone(),
            action,
            after: after.iter().copied().collect(),
            why: "nobody was seen to have it".to_owned(),
        };
        let create = Action::CreateVolume {
            application: name.clone(),
            maximum_size: None,
            deployment: goal.deployment.id(),
            fill: VolumeFill {
                image: definition.image.clone(),
                layout: VolumeLayout::Whole {
                    mountpoint: crate::case::name("/data"),
                },
                user: None,
            },
        };
        let start = Action::StartApplication {
            specification: Box::new(ContainerSpecification::new(&name, definition)),
            links: BTreeMap::new(),
            volume: Some(Epoch::FIRST),
            dependencies: std::collections::BTreeSet::new(),
            completes: false,
        };
        steps.push(step(created, create, &[]));
        steps.push(step(started, start, &[created]));
    }
    Made {
        plan,
        steps: Some(steps),
    }
}

/// Shows every hand-off as one of what the next owner happens to have.
fn take_any_end(observed: &mut Observed) {
    let ends: BTreeMap<_, Option<SnapshotGuid>> = observed
        .seen()
        .flat_map(|(_, state)| {
            let copies = state.volumes.iter();
            copies.map(|(name, copy)| ((state.id, name.clone()), copy.newest_own()))
        })
        .collect();
    for (name, copy) in copies_mut(observed) {
        if let VolumeRole::Replica {
            owner,
            handoff: Some(handoff),
            ..
        } = &mut copy.role
            && let Some(Some(end)) = ends.get(&(*owner, name))
        {
            *handoff = *end;
        }
    }
}

/// Shows replicas so that none contradicts an owner by its epoch.
fn show_no_epochs(observed: &mut Observed) {
    let owned: Vec<_> = observed
        .seen()
        .flat_map(|(_, state)| &state.volumes)
        .filter(|(_, copy)| copy.owned_epoch().is_some())
        .map(|(name, _)| name.clone())
        .collect();
    for (name, copy) in copies_mut(observed) {
        if let VolumeRole::Replica { epoch, .. } = &mut copy.role {
            *epoch = if owned.contains(&name) {
                Epoch(0)
            } else {
                Epoch::FIRST
            };
        }
    }
}

/// Leaves out the machines that did not answer. Where the owner is one of them, the best replica
/// is shown as handed off to the machine that it is on.
fn forget_unreachable(observed: &mut Observed) {
    let is_unreachable =
        |found: &NodeObservation| matches!(found, NodeObservation::Unreachable { .. });
    if !observed.nodes.values().any(is_unreachable) {
        return;
    }
    observed.nodes.retain(|_, found| !is_unreachable(found));
    let ids: Vec<_> = observed.seen().map(|(_, state)| state.id).collect();
    let mut best: BTreeMap<_, (Option<SnapshotGuid>, NodeName)> = BTreeMap::new();
    for (node, state) in observed.seen() {
        for (name, copy) in &state.volumes {
            let candidate = (copy.newest_own(), node.clone());
            let best = best
                .entry(name.clone())
                .or_insert_with(|| candidate.clone());
            if candidate.0 > best.0 {
                *best = candidate;
            }
        }
    }
    for (node, observation) in &mut observed.nodes {
        let NodeObservation::Seen(state) = observation else {
            continue;
        };
        let id = state.id;
        for (name, copy) in &mut state.volumes {
            if let VolumeRole::Replica { owner, epoch, .. } = copy.role
                && !ids.contains(&owner)
                && best.get(name).is_some_and(|(_, best)| best == node)
            {
                copy.role = VolumeRole::Replica {
                    owner: id,
                    epoch: epoch.next(),
                    handoff: copy.newest_own(),
                };
            }
        }
    }
}

/// Lists all copies that were seen, for changing.
fn copies_mut(
    observed: &mut Observed,
) -> impl Iterator<Item = (flocker_model::ApplicationName, &mut VolumeCopy)> {
    observed.nodes.values_mut().flat_map(|observation| {
        let state = match observation {
            NodeObservation::Seen(state) => Some(state),
            _ => None,
        };
        let volumes = state.into_iter().flat_map(|state| &mut state.volumes);
        volumes.map(|(name, copy)| (name.clone(), copy))
    })
}

impl Run<'_> {
    /// Does a step, with the mistakes of a mutation.
    pub(crate) fn act(
        &mut self,
        node: &NodeName,
        action: &Action,
        yields: &BTreeMap<StepId, Yield>,
    ) -> Result<Yield, Refusal> {
        let world = &mut self.world;
        match self.mutation {
            Some(Mutation::AcquireBeforeRelease | Mutation::SkipTheGuidCheck) => {
                let action = acquire_what_is_there(world, node, action);
                world.act(node, &action, yields)
            }
            Some(Mutation::StartBeforeMount) => start_then_mount(world, (node, action), yields),
            Some(Mutation::ForgetTheEpoch) => act_without_epochs(world, (node, action), yields),
            Some(Mutation::ForgetASharer) => {
                let yielded = world.act(node, action, yields);
                if let Action::StopApplication { application, .. } = action {
                    // The mistake: no look at others that see it.
                    set_mounted(world, (node, application), None);
                }
                yielded
            }
            Some(
                Mutation::CreateWhenUnknown
                | Mutation::IgnoreAnUnreachableNode
                | Mutation::RestoreWhatWasApplied
                | Mutation::RestoreWhatWasTakenAway,
            )
            | None => world.act(node, action, yields),
        }
    }
}

/// Lets an acquisition expect what the copy ends with.
fn acquire_what_is_there(world: &World, node: &NodeName, action: &Action) -> Action {
    let mut action = action.clone();
    if let Action::AcquireVolume {
        application,
        handoff,
        ..
    } = &mut action
        && let Some(copy) = world.copy(node, application)
        && let Some(end) = copy.newest_own()
    {
        *handoff = Handoff::Recorded(end);
    }
    action
}

/// Starts an application, which writes at once, and then mounts its volume.
fn start_then_mount(
    world: &mut World,
    (node, action): (&NodeName, &Action),
    yields: &BTreeMap<StepId, Yield>,
) -> Result<Yield, Refusal> {
    let yielded = world.act(node, action, yields)?;
    if let Action::StartApplication {
        specification,
        volume: Some(_),
        ..
    } = action
    {
        let Some(name) = specification.volume_owner() else {
            return Ok(yielded);
        };
        let mounted = world.copy(node, name).and_then(|copy| copy.mounted);
        set_mounted(world, (node, name), None);
        world.write_one((node.clone(), name.clone()));
        set_mounted(world, (node, name), mounted);
    }
    Ok(yielded)
}

/// Says where a volume is mounted.
fn set_mounted(
    world: &mut World,
    (node, name): (&NodeName, &flocker_model::ApplicationName),
    mounted: Option<String>,
) {
    if let Some(copy) = world.machine_mut(node).volumes.get_mut(name) {
        copy.mounted = mounted;
    }
}

/// Does a step with every expectation of an epoch fulfilled, and leaves none but the first behind.
fn act_without_epochs(
    world: &mut World,
    (node, action): (&NodeName, &Action),
    yields: &BTreeMap<StepId, Yield>,
) -> Result<Yield, Refusal> {
    let mut action = action.clone();
    if let Action::PushVolume { epoch, .. }
    | Action::ReleaseVolume { epoch, .. }
    | Action::AcquireVolume { epoch, .. }
    | Action::StartApplication {
        volume: Some(epoch),
        ..
    } = &mut action
    {
        *epoch = Epoch::FIRST;
    }
    set_replica_epochs(world, Epoch(0));
    let result = world.act(node, &action, yields);
    set_replica_epochs(world, Epoch::FIRST);
    result
}

/// Sets the epoch that every replica knows.
fn set_replica_epochs(world: &mut World, wanted: Epoch) {
    for (_, copy) in copies_mut(&mut world.truth) {
        if let VolumeRole::Replica { epoch, .. } = &mut copy.role {
            *epoch = wanted;
        }
    }
}
