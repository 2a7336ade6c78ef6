//! What a machine brings back by itself when it boots, and what it must.

use std::collections::{BTreeMap, BTreeSet};

use flocker_model::{
    ApplicationName, ContainerSpecification, Digest, Epoch, NodeName, NodeNetwork, NodeObservation,
    Observed,
};
use flocker_plan::{Action, StopKind, plan_restore};

use crate::case::node_name;
use crate::drive::Driven;
use crate::invariants::{Broken, Invariant, require};
use crate::mutation::{Made, Mutation};
use crate::run::Run;
use crate::world::{Place, World, runs};

/// An application that was started and not taken away since.
#[derive(Debug, Clone)]
struct Started {
    /// From what, unless a later start was begun and may have come that far.
    configuration: Option<Digest>,
    /// The volume that it sees, and its turn.
    volume: Option<(ApplicationName, Epoch)>,
}

/// What was started whole: where, from what, and on which volume in which turn.
pub(crate) type Whole<'a> = (&'a Place, &'a Digest, Option<&'a (ApplicationName, Epoch)>);

/// What an onlooker expects of boots. By what was done, not by what machines remember of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Boots {
    /// What must run again.
    started: BTreeMap<Place, Started>,
    /// What may run, because somebody began to start it, and the volume that it sees.
    begun: BTreeMap<Place, Option<ApplicationName>>,
    /// The ports of each machine before it lost its power.
    tables: BTreeMap<NodeName, NodeNetwork>,
}

impl Boots {
    /// Notes a step that was done, or, unless `whole`, begun.
    pub(crate) fn note(&mut self, node: &NodeName, action: &Action, whole: bool) {
        match action {
            Action::StartApplication {
                specification,
                volume,
                ..
            } => self.note_start(node, (specification, *volume), whole),
            Action::StopApplication {
                application,
                kind: StopKind::ForGood,
            }
            | Action::RemoveApplication { application } => self.forget(node, application),
            Action::ReleaseVolume { application, .. } => self.forget_users(node, application),
            Action::SetVolumeAside { name, .. } => self.forget_users(node, &name.application),
            _ => {}
        }
    }

    fn note_start(
        &mut self,
        node: &NodeName,
        (specification, volume): (&ContainerSpecification, Option<Epoch>),
        whole: bool,
    ) {
        let place = (node.clone(), specification.application.clone());
        self.begun
            .insert(place.clone(), specification.volume_owner().cloned());
        if whole {
            let owner = specification.volume_owner().cloned();
            let started = Started {
                configuration: Some(specification.digest()),
                volume: owner.zip(volume),
            };
            self.started.insert(place, started);
        } else if let Some(started) = self.started.get_mut(&place) {
            started.configuration = None;
        }
    }

    fn forget(&mut self, node: &NodeName, application: &ApplicationName) {
        let place = (node.clone(), application.clone());
        self.started.remove(&place);
        self.begun.remove(&place);
    }

    /// A volume is taken away, and with it all that sees it.
    fn forget_users(&mut self, node: &NodeName, owner: &ApplicationName) {
        self.forget(node, owner);
        let is_of =
            |(on, _): &Place, sees: Option<&ApplicationName>| on == node && sees == Some(owner);
        self.started.retain(|place, started| {
            let sees = started.volume.as_ref().map(|(owner, _)| owner);
            !is_of(place, sees)
        });
        self.begun
            .retain(|place, sees| !is_of(place, sees.as_ref()));
    }

    /// Lists what was started whole and not taken away since: where, from what, and in which turn of
    /// its volume.
    pub(crate) fn started(&self) -> impl Iterator<Item = Whole<'_>> {
        self.started.iter().filter_map(|(place, started)| {
            Some((
                place,
                started.configuration.as_ref()?,
                started.volume.as_ref(),
            ))
        })
    }

    /// Notes where the ports of a machine led that loses its power.
    pub(crate) fn note_table(&mut self, node: &NodeName, table: Option<NodeNetwork>) {
        if let Some(table) = table {
            self.tables.insert(node.clone(), table);
        }
    }
}

impl World {
    /// Finds how what a machine runs differs from what it must and may run after a boot, by what was
    /// known before that.
    fn wrongly_restored(&self, node: &NodeName, boots: &Boots) -> Option<String> {
        let state = self.machine(node);
        for name in state.containers.keys() {
            let place = (node.clone(), name.clone());
            if runs(state, name) && !boots.begun.contains_key(&place) {
                return Some(format!("{name} was taken away from {node}, and runs there"));
            }
        }
        for ((_, name), started) in boots.started.iter().filter(|((on, _), _)| on == node) {
            if let Some((owner, epoch)) = &started.volume {
                let copy = state.volumes.get(owner);
                let owned = copy.and_then(flocker_model::VolumeCopy::owned_epoch);
                if owned != Some(*epoch) {
                    continue;
                }
            }
            let container = state.containers.get(name);
            let Some(container) = container.filter(|container| container.is_up()) else {
                return Some(format!("{name} ran on {node}, and does not"));
            };
            let as_it_was = started.configuration.as_ref();
            if as_it_was.is_some_and(|wanted| *wanted != container.configuration) {
                return Some(format!("{name} runs on {node} in another configuration"));
            }
        }
        let nothing = NodeNetwork::default();
        let table = state.network.as_ref().unwrap_or(&nothing);
        let before = boots.tables.get(node).unwrap_or(&nothing);
        // More may be remembered than was in a table that was not whole.
        let same = table.ports.includes(&before.ports);
        (!same || !table.held.is_empty()).then(|| {
            format!("the ports of {node} lead elsewhere than before: {table:?}, not {before:?}")
        })
    }
}

impl Run<'_> {
    /// Does what `flocker-node restore` does after a boot.
    pub(crate) fn restore(&mut self, node: &NodeName) -> Result<(), Broken> {
        let known = self.world.boots.clone();
        if self.mutation == Some(Mutation::RestoreWhatWasApplied) {
            let applied = self.world.machine(node).applied.as_ref();
            let wanted = applied.and_then(|applied| self.wanted.get(&applied.id));
            if let Some(deployment) = wanted.cloned() {
                self.comply(&deployment, node)?;
            }
            return self.look_at_boot(node, &known);
        }
        let mut memory = self.world.machine(node).remembered.clone();
        if self.mutation == Some(Mutation::RestoreWhatWasTakenAway) {
            for remembered in memory.applications.values_mut() {
                remembered.retired = false;
            }
        }
        let observed = self.look_alone(node, []);
        let planned = plan_restore(node, &memory, &observed);
        let made = Made::unchanged(planned);
        self.inspect(&made, &observed)?;
        let Driven { failed, .. } = self.drive(&made, false)?;
        require(!failed, Invariant::Restores, || {
            format!("{node} cannot restore itself:\n{}", made.plan)
        })?;
        self.look_at_boot(node, &known)
    }

    /// What must hold once a machine has restored itself.
    fn look_at_boot(&self, node: &NodeName, known: &Boots) -> Result<(), Broken> {
        match self.world.wrongly_restored(node, known) {
            None => Ok(()),
            Some(how) => Err(Broken::new(Invariant::Restores, how)),
        }
    }

    /// Looks at what would come of it if all machines booted now; then it is as if they had not.
    pub(crate) fn try_boots(&mut self) -> Result<(), Broken> {
        let before = self.world.clone();
        self.tell(|| "if every machine lost its power now:".to_owned());
        for index in 0..self.case.nodes {
            self.world.reboot(&node_name(index));
        }
        for index in 0..self.case.nodes {
            self.restore(&node_name(index))?;
        }
        self.look_at_world()?;
        self.tell(|| "but they did not".to_owned());
        self.world = before;
        Ok(())
    }

    /// Looks at one machine as it does itself; others that it has heard of are not asked.
    pub(crate) fn look_alone(
        &self,
        node: &NodeName,
        others: impl IntoIterator<Item = NodeName>,
    ) -> Observed {
        let members = self.world.machine(node).members.iter();
        let members = members.map(|member| member.name.clone());
        let names = others.into_iter().chain(members);
        let mut observed = Observed {
            nodes: names
                .map(|other| (other, NodeObservation::NotAsked))
                .collect(),
            ..Observed::default()
        };
        let seen = self.world.look(node, &BTreeSet::new());
        observed.nodes.insert(node.clone(), seen);
        observed
    }
}
