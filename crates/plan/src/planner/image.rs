//! Bringing images to the nodes that lack them.
//!
//! Several machines may have a copy of the image that an application names, and the copies may
//! differ: a tag was built again, or a machine has another processor. A node only gets a copy that
//! its Docker runs. A copy or a Docker that does not say what it is for fits everywhere. Of the
//! copies that fit, the first of these is used:
//!
//! 0. the one that an application which moves ran with on its former node: a database must not meet
//!    its data with another version because a person once pulled `latest` on the new node;
//! 1. the node's own copy of that name;
//! 2. a copy in an archive that the operator named with `--image-archive`;
//! 3. another node's copy;
//! 4. the registry's;
//! 5. the copy in the Docker of the operator's machine, but only if the registry does not give the
//!    image or cannot be reached: the operator did not name that copy, and it may be old.
//!
//! A name with a digest means the same image on every node, so that rule 0 does not replace a
//! copy of it. Of several applications that meet on a node with different images of one name, the
//! first decides.

use flocker_model::{
    ImageDetails, ImageName, ImageReference, NodeName, NodeState, OperatorImage, OperatorStore,
    RegistryAnswer,
};

use crate::blocked::UnfitCopy;
use crate::steps::Because;
use crate::{Action, BlockedKind, ImageSource, RegistryImage, StepId};

use super::arrival::Obstacle;
use super::state::Planner;

/// Why a node gets a copy: it has none, or its own is for other machines. A step of another node, which
/// streams the copy, says so of that other.
#[derive(Debug, Clone, Copy)]
enum Lack {
    Missing,
    Unfit,
}

impl Lack {
    /// Says it of the step's own node.
    const fn of_node(self) -> &'static str {
        match self {
            Self::Missing => "the node lacks the image",
            Self::Unfit => "the node's own copy is for another platform",
        }
    }

    /// Says it of the node that the step streams to.
    const fn of_target(self) -> &'static str {
        match self {
            Self::Missing => "the other node lacks the image",
            Self::Unfit => "the other node's own copy is for another platform",
        }
    }
}

/// What was decided about one image on one node.
#[derive(Debug, Clone, Copy)]
pub(super) struct Brought<'a> {
    /// The step that brings it, or none where the node has the right one.
    pub(super) step: Option<StepId>,
    /// The image that is there then, if that is known.
    details: Option<&'a ImageDetails>,
}

/// The copy that a node uses.
enum Choice<'a> {
    /// Its own.
    Own(&'a ImageDetails),
    /// That of another node, which streams it.
    Peer {
        from: &'a NodeName,
        copy: &'a ImageDetails,
        why: &'static str,
    },
    /// The operator's, which the operator's machine streams.
    Operator {
        copy: &'a OperatorImage,
        why: &'static str,
    },
    /// The registry's, with what the registry said of it, if it was asked.
    Registry(Option<RegistryImage>),
}

impl<'a> Planner<'a> {
    /// Makes `image` present on `node`; returns the step that does so, if one is needed.
    ///
    /// # Errors
    ///
    /// When no copy runs on the node.
    pub(super) fn bring_image(
        &mut self,
        node: &NodeName,
        image: &ImageReference,
        origin: Option<&NodeName>,
    ) -> Result<Option<StepId>, Obstacle> {
        let name = image.identity();
        let key = (node.clone(), name.clone());
        if let Some(decided) = self.images.get(&key) {
            return Ok(decided.step);
        }
        let brought = match self.choose((node, image, &name), origin)? {
            Choice::Own(copy) => Brought {
                step: None,
                details: Some(copy),
            },
            Choice::Peer { from, copy, why } => Brought {
                step: Some(self.push_image((from, node), (image, copy), why)),
                details: Some(copy),
            },
            Choice::Operator { copy, why } => {
                let from = ImageSource::Operator(copy.clone());
                Brought {
                    step: Some(self.ensure_image((node, image), from, why)),
                    // An archive without a configuration does not say what the image declares.
                    details: Some(&copy.details).filter(|details| details.platform.is_some()),
                }
            }
            Choice::Registry(found) => {
                if found.is_none() {
                    let questions = self.questions.entry(node.clone()).or_default();
                    questions.insert(image.clone());
                }
                let why = self.lack(node, &name).of_node();
                let from = ImageSource::Registry(found);
                Brought {
                    step: Some(self.ensure_image((node, image), from, why)),
                    details: None,
                }
            }
        };
        self.images.insert(key, brought);
        Ok(brought.step)
    }

    /// Returns the image that a name means on a node once the steps so far are done, if that is
    /// known: not before a registry's image has been pulled.
    pub(super) fn image_to_run(
        &self,
        node: &NodeName,
        name: &ImageName,
    ) -> Option<&'a ImageDetails> {
        match self.images.get(&(node.clone(), name.clone())) {
            Some(brought) => brought.details,
            None => self.copy_on(node, name),
        }
    }

    /// Chooses a copy by the order above.
    fn choose(
        &self,
        (node, image, name): (&NodeName, &ImageReference, &ImageName),
        origin: Option<&NodeName>,
    ) -> Result<Choice<'a>, Obstacle> {
        let own = self.copy_on(node, name);
        let own = own.filter(|copy| self.runs(node, copy));
        if let Some(former) = origin.and_then(|origin| self.former((origin, node), name, own)) {
            return Ok(former);
        }
        if let Some(copy) = own {
            return Ok(Choice::Own(copy));
        }
        if let Some(copy) = self.operators_copy((node, name), OperatorStore::Archive) {
            let why = self.lack(node, name).of_node();
            return Ok(Choice::Operator { copy, why });
        }
        if let Some((from, copy)) = self.peers_copy(node, name) {
            let why = self.lack(node, name).of_target();
            return Ok(Choice::Peer { from, copy, why });
        }
        let asked = self.observed.registries.get(node);
        match asked.and_then(|answers| answers.get(name)) {
            None => Ok(Choice::Registry(None)),
            Some(answer) => self.after_asking((node, image, name), answer),
        }
    }

    /// Finds the copy that an application ran with where it moves from, if its new node has another
    /// one.
    ///
    /// Not if this plan replaces it there as well: of two that trade places, one decides for both.
    /// The same image has another identity where Docker keeps its images in containerd's store; it is
    /// streamed once a move then, and nothing else comes of it.
    fn former(
        &self,
        (origin, node): (&NodeName, &NodeName),
        name: &ImageName,
        own: Option<&ImageDetails>,
    ) -> Option<Choice<'a>> {
        let (from, copy) = self.streamable((origin, node), name)?;
        let why = match own {
            Some(own) if own.id == copy.id || name.digest().is_some() => return None,
            Some(_) => "the application ran with another image of that name so far",
            None => self.lack(node, name).of_target(),
        };
        Some(Choice::Peer { from, copy, why })
    }

    /// Finds another node's copy.
    fn peers_copy(
        &self,
        node: &NodeName,
        name: &ImageName,
    ) -> Option<(&'a NodeName, &'a ImageDetails)> {
        let mut peers = self.covered().into_iter().map(|(peer, _)| peer);
        peers.find_map(|peer| self.streamable((peer, node), name))
    }

    /// Returns the copy that one node can stream to another that runs it.
    fn streamable(
        &self,
        (from, to): (&NodeName, &NodeName),
        name: &ImageName,
    ) -> Option<(&'a NodeName, &'a ImageDetails)> {
        let (from, _) = self.observed.nodes.get_key_value(from)?;
        let copy = self.copy_on(from, name)?;
        let stays = self.image_to_run(from, name) == Some(copy);
        let fits = from != to && stays && self.runs(to, copy) && self.know_each_other(from, to);
        fits.then_some((from, copy))
    }

    /// Finds a copy of the operator's.
    fn operators_copy(
        &self,
        (node, name): (&NodeName, &ImageName),
        store: OperatorStore,
    ) -> Option<&'a OperatorImage> {
        let mut copies = self.observed.operator_images.get(name)?.iter();
        copies.find(|copy| copy.store == store && self.runs(node, &copy.details))
    }

    /// Chooses between the registry's copy and the one in the operator's Docker.
    fn after_asking(
        &self,
        (node, image, name): (&NodeName, &ImageReference, &ImageName),
        answer: &RegistryAnswer,
    ) -> Result<Choice<'a>, Obstacle> {
        let why = match answer {
            RegistryAnswer::Has { digest, platforms } => {
                let platform = platforms.iter().find(|platform| {
                    let machine = self.state(node).and_then(|state| state.platform.as_ref());
                    machine.is_none_or(|machine| machine.runs(platform))
                });
                if platform.is_some() || platforms.is_empty() {
                    return Ok(Choice::Registry(Some(RegistryImage {
                        digest: digest.clone(),
                        platform: platform.cloned(),
                    })));
                }
                "its registry has the image for other platforms only"
            }
            RegistryAnswer::Refuses { .. } => "its registry does not give the image to the node",
            RegistryAnswer::Unreachable { .. } => "the node cannot reach the image's registry",
            RegistryAnswer::Silent => "the image's registry has not answered the node in time",
        };
        match self.operators_copy((node, name), OperatorStore::Docker) {
            Some(copy) => Ok(Choice::Operator { copy, why }),
            // A pull may still succeed: by a mirror, or where the answer only takes long. Nothing is
            // stopped before it.
            None if matches!(answer, RegistryAnswer::Silent) => Ok(Choice::Registry(None)),
            None => Err(Box::new(BlockedKind::NoImage {
                node: node.clone(),
                platform: self.state(node).and_then(|state| state.platform.clone()),
                image: image.clone(),
                copies: self.unfit_copies(name),
                answer: answer.clone(),
            })),
        }
    }

    /// Lists the copies of an image, where no node and no machine has one that fits.
    fn unfit_copies(&self, name: &ImageName) -> Vec<UnfitCopy> {
        let nodes = self.covered().into_iter().filter_map(|(node, state)| {
            let copy = state.images.get(name)?;
            Some((node.to_string(), copy))
        });
        let operators = self.observed.operator_images.get(name);
        let operators = operators
            .into_iter()
            .flatten()
            .map(|copy| (copy.store.to_string(), &copy.details));
        nodes
            .chain(operators)
            .filter_map(|(holder, copy)| {
                Some(UnfitCopy {
                    holder,
                    platform: copy.platform.clone()?,
                })
            })
            .collect()
    }

    /// Tells whether a node's Docker runs a copy.
    fn runs(&self, node: &NodeName, copy: &ImageDetails) -> bool {
        self.state(node).is_none_or(|state| runs(state, copy))
    }

    /// Tells why a node needs a copy from elsewhere.
    fn lack(&self, node: &NodeName, name: &ImageName) -> Lack {
        match self.copy_on(node, name) {
            Some(copy) if !self.runs(node, copy) => Lack::Unfit,
            _ => Lack::Missing,
        }
    }

    /// Returns which image a node was seen to have by a name.
    fn copy_on(&self, node: &NodeName, name: &ImageName) -> Option<&'a ImageDetails> {
        self.state(node)?.images.get(name)
    }

    fn state(&self, node: &NodeName) -> Option<&'a NodeState> {
        self.observed.node(node)
    }

    /// Has a node that has the image stream it to one that has not.
    fn push_image(
        &mut self,
        (from, to): (&NodeName, &NodeName),
        (image, copy): (&ImageReference, &ImageDetails),
        why: &'static str,
    ) -> StepId {
        let mut after = self.admissions(&[from, to]);
        after.extend(self.streams_of(to, image));
        let action = Action::PushImage {
            image: image.clone(),
            to: to.clone(),
            copy: copy.clone(),
        };
        self.add(from, action, Because { after: &after, why })
    }

    /// Gets an image that no node streams.
    fn ensure_image(
        &mut self,
        (node, image): (&NodeName, &ImageReference),
        from: ImageSource,
        why: &'static str,
    ) -> StepId {
        let after = self.streams_of(node, image);
        let image = image.clone();
        let because = Because { after: &after, why };
        self.add(node, Action::EnsureImage { image, from }, because)
    }

    /// Lists the steps by which a node streams its copy to others: only after them it gets another.
    fn streams_of(&self, node: &NodeName, image: &ImageReference) -> Vec<StepId> {
        let name = image.identity();
        let is_such = |action: &Action| matches!(action, Action::PushImage { image, .. } if image.identity() == name);
        let steps = self.plan.steps().iter();
        steps
            .filter(|step| step.node == *node && is_such(&step.action))
            .map(|step| step.id)
            .collect()
    }

    /// Lists the steps that let these nodes push to each other.
    pub(super) fn admissions(&self, nodes: &[&NodeName]) -> Vec<StepId> {
        nodes
            .iter()
            .filter_map(|node| self.admitted.get(*node).copied())
            .collect()
    }
}

/// Tells whether a node has a copy of `image` that it runs.
pub(super) fn has_image(state: &NodeState, image: &ImageReference) -> bool {
    let copy = state.images.get(&image.identity());
    copy.is_some_and(|copy| runs(state, copy))
}

/// Tells whether a node's Docker runs a copy, as far as both say what they are for.
fn runs(state: &NodeState, copy: &ImageDetails) -> bool {
    match (&state.platform, &copy.platform) {
        (Some(machine), Some(image)) => machine.runs(image),
        _ => true,
    }
}
