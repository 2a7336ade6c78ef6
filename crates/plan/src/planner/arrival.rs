//! Getting an application's volume to the node that it is placed on.

use flocker_model::{
    ApplicationName, ByteCount, ContainerUser, Epoch, ImageReference, NodeName, NodeState,
    VolumeCopy, VolumeFill, VolumeRole, VolumeSpecification,
};

use crate::remembered::doubt;
use crate::steps::Because;
use crate::survey::{Whereabouts, foreign_dataset, locate, unusable_pool};
use crate::{Action, BlockedKind, Handoff, NodeNote, Note, PushKind, Scope, StepId, StopKind};

use super::refusing::{refuse_diverged, refuse_held, refuse_locked, refuse_smaller};
use super::state::Planner;

/// How an application's volume comes to be owned where the application is placed.
#[derive(Debug, Clone, Default)]
pub(super) struct Arrival {
    /// The epoch in which the node will own it.
    pub(super) epoch: Option<Epoch>,
    /// The steps after which it is there.
    pub(super) after: Vec<StepId>,
    /// Where it comes from, if it moves.
    pub(super) from: Option<NodeName>,
}

/// An application that is being placed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Placing<'a> {
    pub(super) name: &'a ApplicationName,
    pub(super) place: &'a NodeName,
    pub(super) image: &'a ImageReference,
    /// The user that the container runs as, if it is not the image's own.
    pub(super) user: Option<&'a ContainerUser>,
    /// The steps that make everything else ready that it needs there.
    pub(super) ready: &'a [StepId],
}

/// What stands in the way; boxed because that is rare, and large.
pub(super) type Obstacle = Box<BlockedKind>;

impl Planner<'_> {
    /// Plans how the volume comes to `placing.place`.
    pub(super) fn bring_volume(
        &mut self,
        placing: Placing<'_>,
        wanted: &VolumeSpecification,
    ) -> Result<Arrival, Obstacle> {
        self.refuse_foreign(placing)?;
        match locate(placing.name, self.observed) {
            Whereabouts::Nowhere => self.create(placing, wanted),
            Whereabouts::Owned { node, epoch } if node == *placing.place => {
                self.keep(placing, wanted, epoch)
            }
            Whereabouts::Owned { node, epoch } => {
                let source = Source {
                    node: &node,
                    epoch,
                    after: Vec::new(),
                };
                self.relocate(placing, wanted, &source)
            }
            Whereabouts::HandedOff {
                from,
                to,
                epoch,
                guid,
            } => {
                if let (true, Some(copy)) = (to == *placing.place, self.copy(&to, placing.name)) {
                    refuse_locked(&to, copy)?;
                    refuse_smaller(&to, copy, wanted)?;
                }
                let acquired = self.acquire(placing.name, &to, (epoch, Handoff::Recorded(guid)));
                if to == *placing.place {
                    return Ok(Arrival {
                        epoch: Some(epoch),
                        after: vec![self.limit_after(placing, wanted, acquired)],
                        from: Some(from),
                    });
                }
                let source = Source {
                    node: &to,
                    epoch,
                    after: vec![acquired],
                };
                self.relocate(placing, wanted, &source)
            }
            Whereabouts::Blocked(kind) => Err(match *kind {
                BlockedKind::VolumeUnknown { unseen } if self.goal.scope != Scope::Cluster => {
                    Box::new(BlockedKind::NeedsOtherNode {
                        node: unseen.away.first().unwrap_or(placing.place).clone(),
                        what: "its volume is not here and may be elsewhere".to_owned(),
                    })
                }
                other => Box::new(other),
            }),
        }
    }

    /// A dataset that Flocker did not make stands in the way wherever the volume is; part of a first
    /// copy does not, because a push continues or replaces it.
    fn refuse_foreign(&self, placing: Placing<'_>) -> Result<(), Obstacle> {
        let copy = self
            .copy(placing.place, placing.name)
            .filter(|copy| !copy.is_nameless_part());
        match copy.map(|copy| &copy.role) {
            Some(VolumeRole::Foreign { problem }) => {
                let at = (placing.place, placing.name);
                Err(Box::new(foreign_dataset(
                    self.observed,
                    at,
                    problem.clone(),
                )))
            }
            _ => Ok(()),
        }
    }

    /// Creates a volume that exists nowhere.
    fn create(
        &mut self,
        placing: Placing<'_>,
        wanted: &VolumeSpecification,
    ) -> Result<Arrival, Obstacle> {
        if let (false, Some(doubt)) = (self.goal.new_volumes, doubt(self.observed)) {
            return Err(Box::new(doubt));
        }
        let mut identities = self.observed.identities();
        let is_first = identities.all(|(_, _, members)| members.is_empty());
        self.plan.notes.push(NodeNote {
            node: placing.place.clone(),
            note: Note::NewVolume {
                application: placing.name.clone(),
                is_first,
            },
        });
        let fill = VolumeFill {
            image: placing.image.clone(),
            layout: wanted.layout.clone(),
            user: placing.user.cloned(),
        };
        let action = Action::CreateVolume {
            application: placing.name.clone(),
            maximum_size: wanted.maximum_size,
            deployment: self.deployment.clone(),
            fill,
        };
        let because = Because {
            after: placing.ready,
            why: "every node was seen and none has a copy",
        };
        let created = self.add(placing.place, action, because);
        Ok(Arrival {
            epoch: Some(Epoch::FIRST),
            after: vec![created],
            ..Arrival::default()
        })
    }

    /// Keeps a volume where it is, with the limit that is wanted.
    fn keep(
        &mut self,
        placing: Placing<'_>,
        wanted: &VolumeSpecification,
        epoch: Epoch,
    ) -> Result<Arrival, Obstacle> {
        let mut arrival = Arrival {
            epoch: Some(epoch),
            ..Arrival::default()
        };
        let Some(copy) = self.copy(placing.place, placing.name) else {
            return Ok(arrival);
        };
        refuse_locked(placing.place, copy)?;
        if copy.maximum_size == wanted.maximum_size {
            return Ok(arrival);
        }
        refuse_smaller(placing.place, copy, wanted)?;
        arrival.after.push(self.resize(placing, wanted, &[]));
        Ok(arrival)
    }

    /// Moves a volume from its owner to the place, in the order that never leaves two owners:
    /// push, stop, push the rest, release, acquire.
    fn relocate(
        &mut self,
        placing: Placing<'_>,
        wanted: &VolumeSpecification,
        source: &Source<'_>,
    ) -> Result<Arrival, Obstacle> {
        let Placing { name, place, .. } = placing;
        if self.goal.scope != Scope::Cluster {
            return Err(Box::new(BlockedKind::NeedsOtherNode {
                node: source.node.clone(),
                what: "its volume must be handed over".to_owned(),
            }));
        }
        let Some(target) = self.observed.node(place) else {
            return Err(Box::new(BlockedKind::NodeUnreachable {
                node: place.clone(),
                reason: "it was not seen".to_owned(),
            }));
        };
        self.check_target((placing, target), wanted, source.node)?;
        self.moving.insert(name.clone(), source.node.clone());
        let quiet = self.quiesce(placing, source);
        let last = self.push(placing, source, (PushKind::Last, &quiet));
        let action = Action::ReleaseVolume {
            application: name.clone(),
            epoch: source.epoch,
            to: target.id,
            deployment: self.deployment.clone(),
        };
        let because = Because {
            after: &[last],
            why: "the target has everything; from here on the move only goes forward",
        };
        let released = self.add(source.node, action, because);
        let epoch = source.epoch.next();
        let acquired = self.acquire(name, place, (epoch, Handoff::FromStep(released)));
        Ok(Arrival {
            epoch: Some(epoch),
            after: vec![self.limit_after(placing, wanted, acquired)],
            from: Some(source.node.clone()),
        })
    }

    /// Has the application and all others that see its volume stop where it is, as late as can be: once everything that it needs at
    /// its place is there, and all that can be copied while it runs has been.
    fn quiesce(&mut self, placing: Placing<'_>, source: &Source<'_>) -> Vec<StepId> {
        let Placing {
            name, place, ready, ..
        } = placing;
        let mut ready = ready.to_vec();
        ready.extend(&source.after);
        ready.extend(self.make_users_ready((name, source.node)));
        let mut may_push = self.admissions(&[source.node, place]);
        may_push.extend(&source.after);
        let state = self.observed.node(source.node);
        let is_used = state.is_some_and(|state| state.users_of(name).next().is_some());
        if !is_used && self.is_down(source.node, name) {
            ready.extend(may_push);
            return ready;
        }
        ready.push(self.push(placing, source, (PushKind::Ahead, &may_push)));
        let held = self.hold(name, source.node, &ready);
        ready.extend(held);
        let because = Because {
            after: &ready,
            why: "its volume moves: everything that could be copied ahead has been",
        };
        let stopped = self.stop(source.node, (name, StopKind::ForNow), because);
        let mut quiet = self.stop_users((name, source.node), &ready);
        quiet.push(stopped);
        quiet
    }

    /// Everything that the target needs is known to be there before the source is stopped.
    fn check_target(
        &mut self,
        (placing, target): (Placing<'_>, &NodeState),
        wanted: &VolumeSpecification,
        from: &NodeName,
    ) -> Result<(), Obstacle> {
        let source = self.observed.node(from);
        if let Some(unusable) = source.and_then(|state| unusable_pool(from, state)) {
            return Err(Box::new(unusable));
        }
        let Some(owner) = self.copy(from, placing.name) else {
            return Ok(());
        };
        refuse_locked(from, owner)?;
        refuse_held(from, owner)?;
        refuse_smaller(from, owner, wanted)?;
        let mut there = ByteCount::ZERO;
        if let Some(replica) = target.volumes.get(placing.name) {
            refuse_locked(placing.place, replica)?;
            let between = (from, placing.place);
            refuse_diverged((self.observed, placing.name), between, (owner, replica))?;
            there = replica.referenced;
        }
        let needed = owner.referenced.get().saturating_sub(there.get());
        let claimed = self.claimed.entry(placing.place.clone()).or_default();
        let available = target.pool.available.get().saturating_sub(claimed.get());
        if needed >= available {
            return Err(Box::new(BlockedKind::NotEnoughSpace {
                node: placing.place.clone(),
                pool: target.pool.pool().to_owned(),
                needed: ByteCount::new(needed),
                available: ByteCount::new(available),
            }));
        }
        *claimed = claimed.saturating_add(ByteCount::new(needed));
        Ok(())
    }

    /// Adds a push from the volume's owner.
    fn push(
        &mut self,
        placing: Placing<'_>,
        source: &Source<'_>,
        (kind, after): (PushKind, &[StepId]),
    ) -> StepId {
        let action = Action::PushVolume {
            application: placing.name.clone(),
            epoch: source.epoch,
            to: placing.place.clone(),
            kind,
            bases: self.bases((source.node, placing.place), placing.name),
        };
        let why = match kind {
            PushKind::Ahead => "what is copied while it runs is not waited for while it is stopped",
            PushKind::Last => "it is stopped and unmounted, so this is the last of it",
        };
        self.add(source.node, action, Because { after, why })
    }

    /// Adds an acquisition.
    fn acquire(
        &mut self,
        name: &ApplicationName,
        node: &NodeName,
        (epoch, handoff): (Epoch, Handoff),
    ) -> StepId {
        let after: Vec<StepId> = match handoff {
            Handoff::FromStep(released) => vec![released],
            Handoff::Recorded(_) => Vec::new(),
        };
        let action = Action::AcquireVolume {
            application: name.clone(),
            epoch,
            handoff,
            deployment: self.deployment.clone(),
        };
        let because = Because {
            after: &after,
            why: "the old owner has given it up to this node",
        };
        self.add(node, action, because)
    }

    /// Limits a volume's size once it is owned; returns the last step.
    ///
    /// A limit does not travel with what is sent, and what is received may lift one that the copy
    /// had from an earlier turn.
    fn limit_after(
        &mut self,
        placing: Placing<'_>,
        wanted: &VolumeSpecification,
        acquired: StepId,
    ) -> StepId {
        let limit = self
            .copy(placing.place, placing.name)
            .and_then(|copy| copy.maximum_size);
        if limit.is_none() && wanted.maximum_size.is_none() {
            return acquired;
        }
        self.resize(placing, wanted, &[acquired])
    }

    /// Adds a change of a volume's limit.
    fn resize(
        &mut self,
        placing: Placing<'_>,
        wanted: &VolumeSpecification,
        after: &[StepId],
    ) -> StepId {
        let action = Action::ResizeVolume {
            application: placing.name.clone(),
            maximum_size: wanted.maximum_size,
        };
        let because = Because {
            after,
            why: "its limit is not the configured one",
        };
        self.add(placing.place, action, because)
    }

    /// Returns `node`'s copy of a volume.
    pub(super) fn copy(
        &self,
        node: &NodeName,
        application: &ApplicationName,
    ) -> Option<&VolumeCopy> {
        self.observed.node(node)?.volumes.get(application)
    }
}

/// Where a volume that moves comes from.
struct Source<'a> {
    node: &'a NodeName,
    epoch: Epoch,
    /// The steps after which the node owns it.
    after: Vec<StepId>,
}
