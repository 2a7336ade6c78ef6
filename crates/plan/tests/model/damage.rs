//! What people and other programs do to volumes behind Flocker's back.

use flocker_model::{ApplicationName, ByteCount, SnapshotGuid, VolumeCopy, VolumeRole};

use crate::random::Random;
use crate::world::{Place, World, is_owned, take_others_snapshot};

/// What can happen to a replica. What is handed off must not pass for whole after any of these but
/// the last, which must hinder nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Damage {
    /// `zfs destroy` of its newest snapshot.
    SnapshotDestroyed,
    /// `zfs rollback` to an older snapshot.
    RolledBack,
    /// Somebody mounted it and wrote to it.
    Written,
    /// `zfs destroy -r`.
    Destroyed,
    /// It was destroyed, and received again from another replica.
    Replaced,
    /// A backup was received over it, without the properties that Flocker sets.
    Foreign,
    /// Another program took a snapshot.
    SnapshotTaken,
}

const OF_REPLICAS: [Damage; 7] = [
    Damage::SnapshotDestroyed,
    Damage::RolledBack,
    Damage::Written,
    Damage::Destroyed,
    Damage::Replaced,
    Damage::Foreign,
    Damage::SnapshotTaken,
];

/// What can happen to the only good copy without harm to what is in it. Its newest snapshot is
/// spared: a push would take another.
const OF_ORIGINALS: [Damage; 2] = [Damage::SnapshotDestroyed, Damage::SnapshotTaken];

impl World {
    /// Does something to one copy of a volume; tells what, for people.
    ///
    /// `about` names the application whose replicas are preferred.
    pub(crate) fn damage(
        &mut self,
        about: Option<&ApplicationName>,
        random: &mut Random,
    ) -> Option<String> {
        let places: Vec<Place> = self
            .truth
            .seen()
            .flat_map(|(node, state)| {
                state
                    .volumes
                    .keys()
                    .map(|name| (node.clone(), name.clone()))
            })
            .collect();
        let preferred = |place: &&Place| Some(&place.1) == about && !self.is_original(place);
        let preferred: Vec<Place> = places.iter().filter(preferred).cloned().collect();
        let place = random
            .of(&preferred)
            .or_else(|| random.of(&places))?
            .clone();
        let is_original = self.is_original(&place);
        let kinds: &[Damage] = if is_original {
            &OF_ORIGINALS
        } else {
            &OF_REPLICAS
        };
        let damage = *random.of(kinds)?;
        if !self.inflict(&place, (damage, is_original), random) {
            return None;
        }
        let (node, name) = &place;
        let text = format!("damage to {name} on {node}: {damage:?}");
        // Another's snapshot is no damage, and nothing that people are to mend.
        if damage != Damage::SnapshotTaken {
            self.mendable.insert(name.clone());
            self.damaged.insert(place);
        }
        Some(text)
    }

    /// Tells whether a copy is the owner's, or was the last owner's while nobody owns the volume.
    fn is_original(&self, (node, name): &Place) -> bool {
        let copy = self.machine(node).volumes.get(name);
        let released = self.released.get(name);
        copy.is_some_and(is_owned) || released.is_some_and(|released| released.from == *node)
    }

    /// Does it; tells whether it could be done.
    fn inflict(
        &mut self,
        place: &Place,
        (damage, is_original): (Damage, bool),
        random: &mut Random,
    ) -> bool {
        let (node, name) = place;
        let Some(mut copy) = self.copy(node, name) else {
            return false;
        };
        let older = older_snapshots(&copy);
        match damage {
            Damage::SnapshotDestroyed if is_original => match random.of(&older) {
                Some(guid) => drop(copy.snapshots.remove(guid)),
                None => return false,
            },
            // ZFS does not let go of what an unfinished transfer continues, nor mount a first one.
            Damage::SnapshotDestroyed | Damage::Written
                if copy.resumable || copy.snapshots.is_empty() =>
            {
                return false;
            }
            Damage::SnapshotDestroyed => {
                let destroyed = copy.newest_own();
                copy.snapshots.retain(|guid, _| Some(*guid) != destroyed);
                // Another's after it stays.
                if copy.newest_snapshot == destroyed {
                    copy.newest_snapshot = copy.snapshots.keys().next_back().copied();
                }
                copy.written = ByteCount::new(1);
            }
            Damage::RolledBack => match random.of(&older) {
                Some(guid) => self.roll_back(place, (&mut copy, *guid)),
                None => return false,
            },
            Damage::Written => {
                copy.written = copy.written.saturating_add(ByteCount::new(1));
                let record = self.count();
                self.contents.entry(place.clone()).or_default().add(record);
            }
            Damage::Destroyed => {
                self.machine_mut(node).volumes.remove(name);
                self.contents.remove(place);
                return true;
            }
            Damage::Replaced => match self.another_replica(place) {
                Some((other, stale)) => {
                    let content = self.contents.get(&other).copied().unwrap_or_default();
                    self.contents.insert(place.clone(), content);
                    let role = copy.role;
                    copy = VolumeCopy { role, ..stale };
                }
                None => return false,
            },
            Damage::Foreign => {
                let problem = "was not made by Flocker".to_owned();
                copy.role = VolumeRole::Foreign { problem };
                copy.is_first_copy = false;
            }
            Damage::SnapshotTaken => {
                if !take_others_snapshot(&mut copy, self.others_guid()) {
                    return false;
                }
            }
        }
        self.machine_mut(node).volumes.insert(name.clone(), copy);
        true
    }

    /// Takes a copy back to one of its snapshots.
    fn roll_back(&mut self, place: &Place, (copy, guid): (&mut VolumeCopy, SnapshotGuid)) {
        copy.snapshots.retain(|known, _| *known <= guid);
        copy.newest_snapshot = Some(guid);
        copy.written = ByteCount::ZERO;
        copy.resumable = false;
        let content = self.snapshots.get(&guid).copied().unwrap_or_default();
        self.contents.insert(place.clone(), content);
    }

    /// Finds another replica of the same volume.
    fn another_replica(&self, (node, name): &Place) -> Option<(Place, VolumeCopy)> {
        let mut others = self.truth.seen().filter(|(other, _)| *other != node);
        others.find_map(|(other, state)| {
            let copy = state.volumes.get(name)?;
            let is_replica = matches!(copy.role, VolumeRole::Replica { .. });
            is_replica.then(|| ((other.clone(), name.clone()), copy.clone()))
        })
    }
}

/// Lists Flocker's snapshots of a copy but for the newest.
fn older_snapshots(copy: &VolumeCopy) -> Vec<SnapshotGuid> {
    let mut guids: Vec<SnapshotGuid> = copy.snapshots.keys().copied().collect();
    guids.pop();
    guids
}
