//! Data that an application saw so far: a change of its configuration must not hide it.

use std::collections::BTreeSet;

use flocker_model::{ApplicationName, ContainerSpecification, NodeName, RememberedApplication};

use crate::layout::Layout;
use crate::survey::{Whereabouts, locate};
use crate::{BlockedKind, NodeNote, Note};

use super::state::Planner;

/// How an application ran last, on a volume.
struct LastRun<'a> {
    /// The node that has the volume.
    holder: NodeName,
    /// The node that ran the application.
    node: &'a NodeName,
    /// What it ran.
    specification: &'a ContainerSpecification,
}

impl<'a> Planner<'a> {
    /// Reports applications that would no longer see data that they saw so far. A database that finds
    /// nothing makes an empty one, and nobody is told.
    pub(super) fn check_layouts(&mut self) {
        for (name, application, place) in self.goal.deployment.placed() {
            let wanted = ContainerSpecification::new(name, application);
            self.tell_of_scratch(place, &wanted);
            if let Some(last) = self.last_run(name)
                && let Some(kind) = self.hidden_data(&last, (place, &wanted))
            {
                self.block_application(name, kind);
            }
            if let Some(kind) = self.left_behind(place, &wanted) {
                self.block_application(name, kind);
            }
        }
    }

    /// Finds paths of a node that the application saw so far, and in whose place it would begin with an
    /// empty directory. A volume that exists has been filled, as `volume import` does.
    fn left_behind(
        &self,
        place: &NodeName,
        wanted: &ContainerSpecification,
    ) -> Option<BlockedKind> {
        let owner = wanted.volume_owner();
        let is_new =
            owner.is_some_and(|owner| matches!(locate(owner, self.observed), Whereabouts::Nowhere));
        let wanted_layout = self.layout(place, wanted);
        self.covered().into_iter().find_map(|(node, state)| {
            let remembered = state.remembered.applications.get(&wanted.application)?;
            let before = self.layout(node, &remembered.specification);
            let paths = before.emptied_by(&wanted_layout, is_new);
            (!remembered.retired && !paths.is_empty()).then(|| BlockedKind::LeftOnNode {
                node: node.clone(),
                paths,
            })
        })
    }

    /// Compares what an application sees of a volume with what it saw.
    fn hidden_data(
        &self,
        last: &LastRun<'_>,
        (place, wanted): (&NodeName, &ContainerSpecification),
    ) -> Option<BlockedKind> {
        let name = &wanted.application;
        let volume = last.specification.volume_owner()?;
        let is_own = volume == name;
        let node = last.holder.clone();
        match wanted.volume_owner() {
            Some(next) if next != volume => {
                let kind = BlockedKind::OtherData {
                    node,
                    before: volume.clone(),
                    next: next.clone(),
                };
                return (is_own || next == name).then_some(kind);
            }
            // The data stays with the application that the volume is named after.
            None if !is_own => return None,
            _ => {}
        }
        let before = self.layout(last.node, last.specification);
        let hidden = before.hidden_by(&self.layout(place, wanted), !is_own);
        let was_divided = !last.specification.directories.is_empty();
        if !hidden.is_empty() {
            Some(BlockedKind::DataHidden {
                node,
                volume: volume.clone(),
                hidden,
            })
        } else if was_divided && wanted.mountpoint.is_some() {
            Some(BlockedKind::LayoutChanged { node })
        } else {
            None
        }
    }

    /// Finds out how an application ran last, if it saw a volume then and that is somewhere.
    ///
    /// A node that has the volume and has run the application since it has it knows. While a volume moves,
    /// only the former node may know; and a node that was away knows what is long out of date.
    ///
    /// What such a node knows counts where no other does. It may be the owner that was lost, back again,
    /// while a promoted node owns the volume: then nobody remembers whether the application ran there
    /// since. If it did not, the data still has the layout that the lost owner knows, and a rule that left
    /// this out would hide it. If it did, a change may be refused that hides nothing. One deploy without
    /// the application makes every node forget.
    fn last_run(&self, name: &ApplicationName) -> Option<LastRun<'a>> {
        let memories = || {
            let covered = self.covered().into_iter();
            covered.filter_map(|(node, state)| {
                let remembered = state.remembered.applications.get(name)?;
                Some((node, remembered))
            })
        };
        let on_volume = |(_, remembered): &(_, &RememberedApplication)| {
            remembered.specification.volume_owner().is_some()
        };
        let newest = memories()
            .filter(on_volume)
            .max_by_key(|(_, remembered)| remembered.volume)?;
        let (holder, epoch) = match locate(newest.1.specification.volume_owner()?, self.observed) {
            Whereabouts::Owned { node, epoch } => (node, Some(epoch)),
            Whereabouts::HandedOff { to, .. } => (to, None),
            Whereabouts::Blocked(_) => (newest.0.clone(), None),
            Whereabouts::Nowhere => return None,
        };
        let is_current = |remembered: &RememberedApplication| {
            let is_of_turn = remembered.volume.is_none() || remembered.volume == epoch;
            is_of_turn && !remembered.retired
        };
        let (node, remembered) = memories()
            .find(|(node, remembered)| **node == holder && is_current(remembered))
            .unwrap_or(newest);
        Some(LastRun {
            holder,
            node,
            specification: &remembered.specification,
        })
    }

    /// Tells where scratch is that an application no longer sees because its volume is there.
    fn tell_of_scratch(&mut self, place: &NodeName, wanted: &ContainerSpecification) {
        let name = &wanted.application;
        let Some(state) = self.observed.node(place) else {
            return;
        };
        let remembered = state.remembered.applications.get(name);
        let Some(remembered) = remembered.filter(|_| self.goal.covers(place)) else {
            return;
        };
        let before = self.layout(place, &remembered.specification);
        let left = before.scratch_under(&self.layout(place, wanted));
        let notes = left.into_iter().map(|left| NodeNote {
            node: place.clone(),
            note: Note::ScratchHidden {
                application: name.clone(),
                path: left.path,
                directory: format!("/var/lib/flocker/scratch/{name}/{}", left.directory),
            },
        });
        self.plan.notes.extend(notes);
    }

    /// Lays out a container by the image that a node has by its name, if it has one.
    fn layout(&self, node: &NodeName, specification: &ContainerSpecification) -> Layout {
        let state = self.observed.node(node);
        let image = state.and_then(|state| state.images.get(&specification.image.identity()));
        let volumes = image.map_or_else(BTreeSet::new, |image| image.volumes.clone());
        Layout::new(specification, &volumes)
    }
}
