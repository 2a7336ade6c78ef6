//! What is started again after a deploy that failed, and what must be.

use flocker_model::{
    ApplicationName, ContainerStatus, Epoch, NodeName, NodeState, Observed, UnitState, VolumeCopy,
};
use flocker_plan::{Action, plan_return};

use crate::boots::Whole;
use crate::drive::Driven;
use crate::invariants::{Broken, Invariant, require};
use crate::mutation::Made;
use crate::run::Run;
use crate::world::Place;

impl Run<'_> {
    /// After a failure, starts again what can run where it ran.
    pub(crate) fn recover(
        &mut self,
        (made, driven): (&Made, &Driven),
        observed: &Observed,
    ) -> Result<(), Broken> {
        // By what was done, not by what machines remember of it.
        let expected: Vec<Place> = self
            .world
            .boots
            .started()
            .filter(|(place, ..)| driven.unfinished.contains(&place.1))
            .filter(|started| must_return(*started, made, observed))
            .map(|(place, ..)| place.clone())
            .collect();
        self.tell(|| "return".to_owned());
        let back = Made::unchanged(plan_return(&made.plan, &driven.unfinished, observed));
        self.inspect(&back, observed)?;
        self.drive(&back, false)?;
        for (node, name) in &expected {
            let is_back = has_run(self.world.machine(node), name);
            require(is_back, Invariant::Returns, || {
                format!("{name} was stopped on {node}, and is not started again")
            })?;
        }
        for (node, state) in observed.seen() {
            self.look_at_versions((node, state))?;
        }
        Ok(())
    }

    /// Whatever was there is what it was: another version might not read what this one wrote.
    fn look_at_versions(&self, (node, before): (&NodeName, &NodeState)) -> Result<(), Broken> {
        let now = &self.world.machine(node).containers;
        for (name, container) in &before.containers {
            let found = now.get(name).map(|container| &container.configuration);
            let is_same = found == Some(&container.configuration);
            require(is_same, Invariant::Returns, || {
                format!("{name} was returned on {node} as something else")
            })?;
        }
        Ok(())
    }
}

/// Tells whether what was started once has to run after the return, because nothing but a start can
/// be missing and nothing else claims it.
fn must_return(
    ((node, name), configuration, volume): Whole<'_>,
    made: &Made,
    observed: &Observed,
) -> bool {
    let Some(state) = observed.node(node) else {
        return false;
    };
    let container = state.containers.get(name);
    let is_owned = |(owner, epoch): &(ApplicationName, Epoch)| {
        let copy = state.volumes.get(owner);
        copy.and_then(VolumeCopy::owned_epoch) == Some(*epoch)
    };
    let as_it_was = container.is_some_and(|container| container.configuration == *configuration)
        && volume.is_none_or(is_owned);
    let mut others = observed.seen().filter(|(other, _)| *other != node);
    let alone = others.all(|(_, state)| {
        let mounted = |copy: &VolumeCopy| copy.mounted.is_some();
        !state.containers.contains_key(name) && !state.volumes.get(name).is_some_and(mounted)
    });
    // What the deploy itself could not start is not tried again.
    let is_tried = made.steps().iter().any(|step| {
        step.node == *node
            && matches!(&step.action, Action::StartApplication { specification, .. }
                if specification.application == *name && specification.digest() == *configuration)
    });
    as_it_was && alone && !is_tried
}

/// Tells whether an application runs, or has ended by itself as it may.
fn has_run(state: &NodeState, name: &ApplicationName) -> bool {
    state.containers.get(name).is_some_and(|container| {
        container.is_up()
            || (matches!(container.status, ContainerStatus::Stopped { .. })
                && container.unit != UnitState::Missing)
    })
}
