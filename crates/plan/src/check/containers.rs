//! What must hold of steps on containers.

use flocker_model::{
    ApplicationName, ContainerSpecification, ContainerState, Epoch, ImageDetails, ImageReference,
    NodeName,
};

use crate::{Action, ImageSource, PushKind, Step, StopKind};

use super::{Checker, Finding, require};

impl Checker<'_> {
    /// Checks a step on a container or an image.
    pub(super) fn containers(&self, step: &Step) -> Finding {
        match &step.action {
            Action::StartApplication {
                specification,
                volume,
                ..
            } => self
                .image(step, specification)
                .or_else(|| self.volume_of_start(step, specification, *volume)),
            Action::StopApplication { application, kind } => self
                .stop(step, application)
                .or_else(|| self.comes_back(step, (application, *kind))),
            Action::RemoveApplication { application } => require(
                self.is_down(&step.node, application) || self.is_stopped_before(step, &step.node),
                "it may still run",
            ),
            Action::PushImage { image, to, copy } => require(
                self.image_on(&step.node, image) == Some(copy)
                    && !self.gets_image(step, &step.node, image),
                "the node does not have that image",
            )
            .or_else(|| self.runs(to, copy)),
            Action::EnsureImage {
                from: ImageSource::Operator(copy),
                ..
            } => self.runs(&step.node, &copy.details),
            _ => None,
        }
    }

    /// What is made anew needs its image.
    fn image(&self, step: &Step, specification: &ContainerSpecification) -> Finding {
        let as_it_is = self.state(&step.node).is_some_and(|state| {
            state
                .containers
                .get(&specification.application)
                .is_some_and(|found| found.configuration == specification.digest())
        });
        let image = &specification.image;
        require(
            as_it_is
                || self.has_image(&step.node, image)
                || self.gets_image(step, &step.node, image),
            "no image that the node runs is there",
        )
    }

    /// No node gets an image that it does not run.
    fn runs(&self, node: &NodeName, copy: &ImageDetails) -> Finding {
        require(
            self.may_run(node, copy),
            "the image is for other machines than the node",
        )
    }

    /// Tells whether a node may run a copy of an image.
    fn may_run(&self, node: &NodeName, copy: &ImageDetails) -> bool {
        let machine = self.state(node).and_then(|state| state.platform.as_ref());
        let image = copy.platform.as_ref();
        machine
            .zip(image)
            .is_none_or(|(machine, image)| machine.runs(image))
    }

    /// An application with a volume starts where that is owned, and nowhere else at the same time.
    fn volume_of_start(
        &self,
        step: &Step,
        specification: &ContainerSpecification,
        volume: Option<Epoch>,
    ) -> Finding {
        let (Some(epoch), Some(owner)) = (volume, specification.volume_owner()) else {
            return require(
                volume.is_none() && specification.volume_owner().is_none(),
                "it would write where its volume should be",
            );
        };
        let created = epoch == Epoch::FIRST
            && self.has_before(
                step,
                &step.node,
                |action| matches!(action, Action::CreateVolume { application, .. } if application == owner),
            );
        let given_up = self.steps_on(&step.node).any(|other| {
            matches!(&other.action, Action::ReleaseVolume { application, epoch: theirs, .. }
                if application == owner && *theirs == epoch)
        });
        let mut elsewhere = self.observed.seen().filter(|(node, _)| **node != step.node);
        let alone = elsewhere.all(|(node, _)| self.is_quiet_before(step, (node, owner)));
        let mut starts = self.plan.steps().iter().filter(|other| {
            matches!(&other.action, Action::StartApplication { specification, volume: Some(_), .. }
                if specification.volume_owner() == Some(owner))
        });
        let name = &specification.application;
        let only_start = starts.all(|other| {
            let is_other = other.action.application() != Some(name);
            other.id == step.id || (is_other && other.node == step.node)
        });
        require(
            (created || self.is_owned(step, owner, epoch)) && !given_up,
            "the node does not own the volume in that epoch",
        )
        .or_else(|| require(alone && only_start, "it may still run on another node"))
    }

    /// Tells whether nothing on a node may write to a volume any more, by the time of a step.
    pub(super) fn is_quiet_before(
        &self,
        step: &Step,
        (node, owner): (&NodeName, &ApplicationName),
    ) -> bool {
        let Some(state) = self.state(node) else {
            return true;
        };
        let stopped = |name: &ApplicationName| {
            self.has_before(step, node, |action| {
                matches!(action, Action::StopApplication { application, .. } if application == name)
            })
        };
        // A container that is made anew without the volume does not see it any more.
        let replaced = |name: &ApplicationName| {
            self.has_before(step, node, |action| {
                matches!(action, Action::StartApplication { specification, .. }
                    if specification.application == *name
                        && specification.volume_owner() != Some(owner))
            })
        };
        let mut users = state.users_of(owner);
        let users_are_gone = users.all(|name| stopped(name) || replaced(name));
        users_are_gone && (!may_write(state, owner) || stopped(owner))
    }

    /// Nothing stops before everything that it needs at its next place is there.
    fn stop(&self, step: &Step, name: &ApplicationName) -> Finding {
        let moved = self
            .plan
            .steps()
            .iter()
            .find_map(|other| match &other.action {
                Action::StartApplication {
                    specification,
                    volume: Some(_),
                    ..
                } if specification.application == *name && other.node != step.node => {
                    Some((&other.node, specification))
                }
                _ => None,
            });
        let (place, specification) = moved?;
        let image = &specification.image;
        let brought = self
            .plan
            .steps()
            .iter()
            .filter(|other| brings_image(other, place, image));
        // What it does not see yet moves without it.
        let state = self.state(&step.node);
        let seen = state.and_then(|state| state.volume_seen_by(name));
        let owner = specification
            .volume_owner()
            .filter(|owner| *owner == seen.unwrap_or(name));
        let pushes = self.steps_on(&step.node).any(|other| {
            matches!(&other.action, Action::PushVolume { application, kind: PushKind::Last, .. }
                if Some(application) == owner)
        });
        let has_image = brought.clone().all(|other| self.precedes(other, step))
            && (!pushes || self.keeps_its_image((&step.node, place), specification));
        let ahead = self.has_before(step, &step.node, |action| {
            matches!(action, Action::PushVolume { application, kind: PushKind::Ahead, .. }
                if Some(application) == owner)
        });
        require(has_image, "its image is not at its next place yet").or_else(|| {
            require(
                !pushes || ahead,
                "its volume was not copied ahead while it runs",
            )
        })
    }

    /// A node that boots starts what was stopped for now, and nothing else: what is removed there
    /// was stopped for good, and what is started there again or handed over was not.
    fn comes_back(&self, step: &Step, (name, kind): (&ApplicationName, StopKind)) -> Finding {
        let goes_on = self.steps_on(&step.node).any(|other| match &other.action {
            Action::StartApplication { specification, .. } => specification.application == *name,
            Action::ReleaseVolume { application, .. } => application == name,
            _ => false,
        });
        // Once the volume is handed over, no boot starts what only sees it.
        let state = self.state(&step.node);
        let seen = state.and_then(|state| state.volume_seen_by(name));
        let is_handed_over = self.steps_on(&step.node).any(|other| {
            matches!(&other.action, Action::ReleaseVolume { application, .. }
                if Some(application) == seen && application != name)
        });
        require(
            is_handed_over || goes_on == (kind == StopKind::ForNow),
            "a boot would not make of it what the plan does",
        )
    }

    /// Tells whether `step`'s application is stopped on `node` before it.
    fn is_stopped_before(&self, step: &Step, node: &NodeName) -> bool {
        let name = step.action.application();
        self.has_before(step, node, |action| {
            matches!(action, Action::StopApplication { application, .. } if Some(application) == name)
        })
    }

    /// Tells whether a container was seen not to run, with nothing that would start it.
    pub(super) fn is_down(&self, node: &NodeName, name: &ApplicationName) -> bool {
        let container = self
            .state(node)
            .and_then(|state| state.containers.get(name));
        container.is_none_or(ContainerState::is_down)
    }

    /// Tells whether an application that moves will be made from what its image's name means where it
    /// ran, as far as that node has it and keeps it.
    fn keeps_its_image(
        &self,
        (from, place): (&NodeName, &NodeName),
        specification: &ContainerSpecification,
    ) -> bool {
        let image = &specification.image;
        let is_made_already = self
            .state(place)
            .is_some_and(|state| state.containers.contains_key(&specification.application));
        let (here, there) = (self.image_on(from, image), self.image_on(place, image));
        let mut steps = self.plan.steps().iter();
        is_made_already
            || here.is_none_or(|copy| !self.may_run(place, copy))
            || (there.is_some() && image.digest().is_some())
            || here.map(|copy| &copy.id) == there.map(|copy| &copy.id)
            || steps.any(|other| {
                brings_image(other, place, image)
                    || brings_image(other, from, image)
                    || is_made_from_it_too(other, place, specification)
            })
    }

    /// Returns which image a node was seen to have by a name.
    fn image_on(&self, node: &NodeName, image: &ImageReference) -> Option<&ImageDetails> {
        self.state(node)?.images.get(&image.identity())
    }

    /// Tells whether a node was seen to have an image, and may run it.
    fn has_image(&self, node: &NodeName, image: &ImageReference) -> bool {
        let copy = self.image_on(node, image);
        copy.is_some_and(|copy| self.may_run(node, copy))
    }

    /// Tells whether an earlier step brings an image to a node.
    fn gets_image(&self, step: &Step, node: &NodeName, image: &ImageReference) -> bool {
        let mut steps = self.plan.steps().iter();
        steps.any(|other| brings_image(other, node, image) && self.precedes(other, step))
    }
}

/// Tells whether an application may have its volume open on a node.
fn may_write(state: &flocker_model::NodeState, name: &ApplicationName) -> bool {
    state
        .volumes
        .get(name)
        .is_some_and(|copy| copy.mounted.is_some())
}

/// Tells whether two names mean one image.
fn is_same(one: &ImageReference, other: &ImageReference) -> bool {
    one.identity() == other.identity()
}

/// Tells whether a step brings an image to a node.
fn brings_image(step: &Step, node: &NodeName, image: &ImageReference) -> bool {
    match &step.action {
        Action::EnsureImage { image: theirs, .. } => is_same(theirs, image) && step.node == *node,
        Action::PushImage {
            image: theirs, to, ..
        } => is_same(theirs, image) && to == node,
        _ => false,
    }
}

/// Tells whether a step starts another application from an image of that name on a node: of two that
/// need different ones, one has to give way.
fn is_made_from_it_too(
    step: &Step,
    node: &NodeName,
    specification: &ContainerSpecification,
) -> bool {
    step.node == *node
        && matches!(&step.action, Action::StartApplication { specification: other, .. }
            if other.application != specification.application && is_same(&other.image, &specification.image))
}
