//! Bringing images to the nodes that lack them.

use flocker_model::{ImageId, ImageReference, NodeName, NodeState};

use crate::steps::Because;
use crate::{Action, ImageSource, StepId};

use super::state::Planner;

/// Why an image is streamed to a node that has none of that name.
const LACKS: &str = "the other node lacks the image";

impl Planner<'_> {
    /// Makes `image` present on `node`; returns the step that does so, if one is needed.
    ///
    /// A copy that the cluster or the operator has is preferred to the registry's: it is the very
    /// image that ran so far, and it needs no registry. For the same reason an application that moves
    /// gets the image that its origin has by that name, even where the node has another one of that
    /// name: a database must not meet its data with another version because somebody once pulled
    /// `latest` there. Of several applications that meet on a node with different images of one name,
    /// the first decides.
    pub(super) fn bring_image(
        &mut self,
        node: &NodeName,
        image: &ImageReference,
        origin: Option<&NodeName>,
    ) -> Option<StepId> {
        let key = (node.clone(), image.clone());
        if let Some(decided) = self.images.get(&key) {
            return *decided;
        }
        let is_there = self.image_on(node, image).is_some();
        let origin = origin.filter(|origin| self.has_another(origin, node, image));
        let step = match (origin, self.peer_with(node, image)) {
            (None, _) if is_there => None,
            (Some(origin), _) if is_there => {
                let why = "the application ran with another image of that name so far";
                Some(self.push_image((origin, node), image, why))
            }
            (Some(peer), _) => Some(self.push_image((peer, node), image, LACKS)),
            (None, Some(peer)) => Some(self.push_image((&peer, node), image, LACKS)),
            (None, None) => Some(self.ensure_image(node, image)),
        };
        self.images.insert(key, step);
        step
    }

    /// Finds another node that can stream the image.
    fn peer_with(&self, node: &NodeName, image: &ImageReference) -> Option<NodeName> {
        let mut others = self.covered().into_iter().map(|(peer, _)| peer);
        let peer = others.find(|peer| {
            *peer != node
                && self.image_on(peer, image).is_some()
                && self.know_each_other(peer, node)
        });
        peer.cloned()
    }

    /// Tells whether `origin` has another image by that name than `node`, and can stream it.
    ///
    /// Not if this plan replaces it there as well: of two that trade places, one decides for both.
    /// The same image has another identity where Docker keeps its images in containerd's store; it is
    /// streamed once a move then, and nothing else comes of it.
    fn has_another(&self, origin: &NodeName, node: &NodeName, image: &ImageReference) -> bool {
        let there = self.image_on(origin, image);
        there.is_some()
            && there != self.image_on(node, image)
            && !self.replaces_image(origin, image)
            && self.know_each_other(origin, node)
    }

    /// Tells whether the plan so far brings a node an image of that name.
    fn replaces_image(&self, node: &NodeName, image: &ImageReference) -> bool {
        let decided = self.images.get(&(node.clone(), image.clone()));
        decided.is_some_and(Option::is_some)
    }

    /// Returns which image a node has by a name.
    fn image_on(&self, node: &NodeName, image: &ImageReference) -> Option<&ImageId> {
        let images = &self.observed.node(node)?.images;
        Some(&images.get(&tagged(image)?)?.id)
    }

    /// Has a node that has the image stream it to one that has not.
    fn push_image(
        &mut self,
        (from, to): (&NodeName, &NodeName),
        image: &ImageReference,
        why: &'static str,
    ) -> StepId {
        let after = self.admissions(&[from, to]);
        let action = Action::PushImage {
            image: image.clone(),
            to: to.clone(),
        };
        let because = Because { after: &after, why };
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
