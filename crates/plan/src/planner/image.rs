//! Bringing images to the nodes that lack them.

use flocker_model::{ImageReference, NodeName, NodeState};

use crate::steps::Because;
use crate::{Action, ImageSource, StepId};

use super::state::Planner;

impl Planner<'_> {
    /// Makes `image` present on `node`; returns the step that does so, if one is needed.
    ///
    /// A copy that the cluster or the operator has is preferred to the registry's: it is the very
    /// image that ran so far, and it needs no registry.
    pub(super) fn bring_image(
        &mut self,
        node: &NodeName,
        image: &ImageReference,
    ) -> Option<StepId> {
        let has = |state: &NodeState| has_image(state, image);
        if self.observed.node(node).is_some_and(has) {
            return None;
        }
        let key = (node.clone(), image.clone());
        if let Some(step) = self.images.get(&key) {
            return Some(*step);
        }
        let peer = self
            .covered()
            .into_iter()
            .find(|(peer, state)| *peer != node && has(state) && self.know_each_other(peer, node))
            .map(|(peer, _)| peer.clone());
        let step = match peer {
            Some(peer) => self.push_image((&peer, node), image),
            None => self.ensure_image(node, image),
        };
        self.images.insert(key, step);
        Some(step)
    }

    /// Has a node that has the image stream it to one that lacks it.
    fn push_image(&mut self, (from, to): (&NodeName, &NodeName), image: &ImageReference) -> StepId {
        let after = self.admissions(&[from, to]);
        let action = Action::PushImage {
            image: image.clone(),
            to: to.clone(),
        };
        let because = Because {
            after: &after,
            why: "the other node lacks the image",
        };
        self.add(from, action, because)
    }

    /// Gets an image that no node has.
    fn ensure_image(&mut self, node: &NodeName, image: &ImageReference) -> StepId {
        let from = if self.operator_has(image) {
            ImageSource::Operator
        } else {
            ImageSource::Registry
        };
        let action = Action::EnsureImage {
            image: image.clone(),
            from,
        };
        let because = Because {
            after: &[],
            why: "no node has the image",
        };
        self.add(node, action, because)
    }

    /// Lists the steps that let these nodes push to each other.
    pub(super) fn admissions(&self, nodes: &[&NodeName]) -> Vec<StepId> {
        nodes
            .iter()
            .filter_map(|node| self.admitted.get(*node).copied())
            .collect()
    }

    /// Tells whether the operator's machine can stream `image`.
    fn operator_has(&self, image: &ImageReference) -> bool {
        tagged(image).is_some_and(|image| self.observed.operator_images.contains_key(&image))
    }
}

/// Tells whether a node has `image`.
pub(super) fn has_image(state: &NodeState, image: &ImageReference) -> bool {
    tagged(image).is_some_and(|image| state.images.contains_key(&image))
}

/// Writes the tag out, as images are observed.
fn tagged(image: &ImageReference) -> Option<ImageReference> {
    image.with_tag().parse().ok()
}
