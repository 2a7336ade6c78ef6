//! Getting an application's volume to the node that it is placed on.

use flocker_model::{
    ApplicationName, ByteCount, Epoch, NodeName, VolumeCopy, VolumeRole, VolumeSpecification,
};

use crate::steps::Because;
use crate::survey::{Whereabouts, describe, locate};
use crate::{Action, BlockedKind, Handoff, PushKind, Scope, StepId};

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
    /// Whether a limit on its size changes.
    pub(super) resized: bool,
}

/// An application that is being placed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Placing<'a> {
    pub(super) name: &'a ApplicationName,
    pub(super) place: &'a NodeName,
    /// The step that brings its image, if one is needed.
    pub(super) image: Option<StepId>,
}

impl Planner<'_> {
    /// Plans how the volume comes to `placing.place`.
    pub(super) fn bring_volume(
        &mut self,
        placing: Placing<'_>,
        wanted: &VolumeSpecification,
    ) -> Result<Arrival, BlockedKind> {
        self.refuse_foreign(placing)?;
        match locate(placing.name, self.observed) {
            Whereabouts::Nowhere => Ok(self.create(placing, wanted)),
            Whereabouts::Owned { node, epoch } if node == *placing.place => {
                self.keep(placing, wanted, epoch)
            }
            Whereabouts::Owned { node, epoch } => {
                let source = Source {
                    node: &node,
                    epoch,
                    after: Vec::new(),
                };
                self.relocate(placing, wanted, source)
            }
            Whereabouts::HandedOff {
                from,
                to,
                epoch,
                guid,
            } => {
                let acquired = self.acquire(placing.name, &to, (epoch, Handoff::Recorded(guid)));
                if to == *placing.place {
                    let (after, resized) = self.limit_after(placing, wanted, acquired);
                    return Ok(Arrival {
                        epoch: Some(epoch),
                        after,
                        from: Some(from),
                        resized,
                    });
                }
                let source = Source {
                    node: &to,
                    epoch,
                    after: vec![acquired],
                };
                self.relocate(placing, wanted, source)
            }
            Whereabouts::Blocked(BlockedKind::VolumeUnknown { unseen })
                if self.goal.scope != Scope::Cluster =>
            {
                Err(BlockedKind::NeedsOtherNode {
                    node: unseen.first().unwrap_or(placing.place).clone(),
                    what: "its volume is not here and may be elsewhere".to_owned(),
                })
            }
            Whereabouts::Blocked(kind) => Err(kind),
        }
    }

    /// A dataset that Flocker did not make stands in the way wherever the volume is.
    fn refuse_foreign(&self, placing: Placing<'_>) -> Result<(), BlockedKind> {
        match self
            .copy(placing.place, placing.name)
            .map(|copy| &copy.role)
        {
            Some(VolumeRole::Foreign { problem }) => Err(BlockedKind::ForeignDataset {
                node: placing.place.clone(),
                problem: problem.clone(),
            }),
            _ => Ok(()),
        }
    }

    /// Creates a volume that exists nowhere.
    fn create(&mut self, placing: Placing<'_>, wanted: &VolumeSpecification) -> Arrival {
        let action = Action::CreateVolume {
            application: placing.name.clone(),
            maximum_size: wanted.maximum_size,
            deployment: self.goal.deployment.id(),
        };
        let because = Because {
            after: &[],
            why: "every node was seen and none has a copy",
        };
        let created = self.add(placing.place, action, because);
        Arrival {
            epoch: Some(Epoch::FIRST),
            after: vec![created],
            ..Arrival::default()
        }
    }

    /// Keeps a volume where it is, with the limit that is wanted.
    fn keep(
        &mut self,
        placing: Placing<'_>,
        wanted: &VolumeSpecification,
        epoch: Epoch,
    ) -> Result<Arrival, BlockedKind> {
        let mut arrival = Arrival {
            epoch: Some(epoch),
            ..Arrival::default()
        };
        let Some(copy) = self.copy(placing.place, placing.name) else {
            return Ok(arrival);
        };
        if copy.maximum_size == wanted.maximum_size {
            return Ok(arrival);
        }
        refuse_smaller(placing.place, copy, wanted)?;
        arrival.after.push(self.resize(placing, wanted, &[]));
        arrival.resized = true;
        Ok(arrival)
    }

    /// Moves a volume from its owner to the place, in the order that never leaves two owners:
    /// push, stop, push the rest, release, acquire.
    fn relocate(
        &mut self,
        placing: Placing<'_>,
        wanted: &VolumeSpecification,
        source: Source<'_>,
    ) -> Result<Arrival, BlockedKind> {
        let Placing { name, place, image } = placing;
        if self.goal.scope != Scope::Cluster {
            return Err(BlockedKind::NeedsOtherNode {
                node: source.node.clone(),
                what: "its volume must be handed over".to_owned(),
            });
        }
        self.check_target(placing, wanted, source.node)?;
        self.moving.insert(name.clone());

        let mut after = self.admissions(&[source.node, place]);
        after.extend(&source.after);
        let ahead = self.push(placing, &source, (PushKind::Ahead, &after));

        let mut ready = vec![ahead];
        ready.extend(image);
        let held = self.hold(name, source.node, &ready);
        ready.extend(held);
        let stopped = self.stop(
            source.node,
            name,
            Because {
                after: &ready,
                why: "its volume moves: everything that could be copied ahead has been",
            },
        );
        let last = self.push(placing, &source, (PushKind::Last, &[stopped]));

        let target = self.observed.node(place).map(|state| state.id);
        let Some(to) = target else {
            return Err(BlockedKind::NodeUnreachable {
                node: place.clone(),
                reason: "it was not seen".to_owned(),
            });
        };
        let action = Action::ReleaseVolume {
            application: name.clone(),
            epoch: source.epoch,
            to,
            deployment: self.goal.deployment.id(),
        };
        let because = Because {
            after: &[last],
            why: "the target has everything; from here on the move only goes forward",
        };
        let released = self.add(source.node, action, because);
        let epoch = source.epoch.next();
        let acquired = self.acquire(name, place, (epoch, Handoff::FromStep(released)));
        let (after, resized) = self.limit_after(placing, wanted, acquired);
        Ok(Arrival {
            epoch: Some(epoch),
            after,
            from: Some(source.node.clone()),
            resized,
        })
    }

    /// Everything that the target needs is known to be there before the source is stopped.
    fn check_target(
        &self,
        placing: Placing<'_>,
        wanted: &VolumeSpecification,
        from: &NodeName,
    ) -> Result<(), BlockedKind> {
        let (Some(owner), Some(target)) = (
            self.copy(from, placing.name),
            self.observed.node(placing.place),
        ) else {
            return Ok(());
        };
        refuse_smaller(from, owner, wanted)?;
        let mut there = ByteCount::ZERO;
        if let Some(replica) = target.volumes.get(placing.name) {
            refuse_diverged((from, owner), (placing.place, replica))?;
            there = replica.referenced;
        }
        let needed = owner.referenced.get().saturating_sub(there.get());
        if needed >= target.pool.available.get() {
            return Err(BlockedKind::NotEnoughSpace {
                node: placing.place.clone(),
                needed: ByteCount::new(needed),
                available: target.pool.available,
            });
        }
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
            deployment: self.goal.deployment.id(),
        };
        let because = Because {
            after: &after,
            why: "the old owner has given it up to this node",
        };
        self.add(node, action, because)
    }

    /// Limits a volume's size once it is owned, because limits do not travel with what is sent.
    fn limit_after(
        &mut self,
        placing: Placing<'_>,
        wanted: &VolumeSpecification,
        acquired: StepId,
    ) -> (Vec<StepId>, bool) {
        let limit = self
            .copy(placing.place, placing.name)
            .and_then(|copy| copy.maximum_size);
        if limit == wanted.maximum_size {
            return (vec![acquired], false);
        }
        (vec![self.resize(placing, wanted, &[acquired])], false)
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

/// Refuses a limit that the volume already exceeds.
fn refuse_smaller(
    node: &NodeName,
    copy: &VolumeCopy,
    wanted: &VolumeSpecification,
) -> Result<(), BlockedKind> {
    match wanted.maximum_size {
        Some(maximum) if copy.referenced > maximum => Err(BlockedKind::LargerThanMaximum {
            node: node.clone(),
            referenced: copy.referenced,
            maximum,
        }),
        _ => Ok(()),
    }
}

/// Refuses a replica into which the owner's changes cannot be received without destroying some of
/// it.
fn refuse_diverged(
    (from, owner): (&NodeName, &VolumeCopy),
    (place, replica): (&NodeName, &VolumeCopy),
) -> Result<(), BlockedKind> {
    if replica.written > ByteCount::ZERO && replica.newest_snapshot.is_some() {
        return Err(BlockedKind::ReplicaWritten {
            replica: describe(place, replica),
        });
    }
    match replica.newest_snapshot {
        Some(newest) if owner.snapshots.contains_key(&newest) => Ok(()),
        None if replica.resumable => Ok(()),
        _ => Err(BlockedKind::NothingInCommon {
            owner: describe(from, owner),
            replica: describe(place, replica),
        }),
    }
}
