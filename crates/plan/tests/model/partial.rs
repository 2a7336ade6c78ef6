//! What is left of a step that ends half-way, because the program that does it dies.

use std::collections::BTreeMap;

use flocker_model::{
    ApplicationName, ContainerSpecification, ContainerStatus, NodeName, RestartPolicy,
    SnapshotGuid, UnitState, VolumeCopy, VolumeRole,
};
use flocker_plan::Action;

use crate::random::Random;
use crate::world::World;

impl World {
    /// Does a step that is interrupted half-way.
    ///
    /// Steps that are left out here are one transaction each: they are done or not.
    pub(crate) fn act_partly(&mut self, node: &NodeName, action: &Action, random: &mut Random) {
        let before = self.clone();
        if self.act(node, action, &BTreeMap::new()).is_err() {
            return;
        }
        match action {
            Action::PushVolume {
                application, to, ..
            } => self.push_partly(&before, (node, to), (application, random)),
            Action::StartApplication { specification, .. } => {
                self.boots = before.boots.clone();
                self.boots.note(node, action, false);
                self.start_partly(&before, (node, specification), random);
            }
            Action::StopApplication { .. } => {
                // Stopped, and its volume mounted still.
                for (name, copy) in &mut self.machine_mut(node).volumes {
                    copy.mounted = before.copy(node, name).and_then(|copy| copy.mounted);
                }
            }
            Action::RemoveApplication { application } => {
                // It is forgotten, and its container is still there.
                if let Some(container) = before.machine(node).containers.get(application) {
                    let containers = &mut self.machine_mut(node).containers;
                    containers.insert(application.clone(), container.clone());
                }
            }
            Action::RecordDeployment { .. } => {
                // The machines are remembered before the deployment is.
                let applied = before.machine(node).applied.clone();
                self.machine_mut(node).applied = applied;
            }
            _ => *self = before,
        }
    }

    /// Leaves a start after the volume is mounted, after the container is made, or before systemd
    /// has started it.
    fn start_partly(
        &mut self,
        before: &Self,
        (node, specification): (&NodeName, &ContainerSpecification),
        random: &mut Random,
    ) {
        let application = &specification.application;
        let old = before.machine(node).containers.get(application).cloned();
        let has_changed =
            |configuration| old.as_ref().map(|old| &old.configuration) != Some(configuration);
        let is_made = !random.once_in(3);
        let Some(container) = self.machine_mut(node).containers.get_mut(application) else {
            return;
        };
        if !is_made && has_changed(&container.configuration) {
            // The old one is stopped; its volume is mounted for the new one.
            if let Some(old) = old {
                container.configuration = old.configuration;
                container.links = old.links;
                container.volume = old.volume;
            } else {
                self.machine_mut(node).containers.remove(application);
                return;
            }
        }
        container.status = ContainerStatus::Stopped { exit_code: 0 };
        container.unit = match specification.restart {
            RestartPolicy::Always if is_made && random.once_in(2) => UnitState::Inactive,
            // Its unit would say that it ended by itself; the window is small.
            _ => UnitState::Missing,
        };
    }

    /// Leaves a push after its snapshot, in the middle of a stream, or between two of them.
    fn push_partly(
        &mut self,
        before: &Self,
        (from, to): (&NodeName, &NodeName),
        (application, random): (&ApplicationName, &mut Random),
    ) {
        let place = (to.clone(), application.clone());
        let Some(after) = self.copy(to, application) else {
            return;
        };
        let before = before.copy(to, application);
        let known = |guid: &&SnapshotGuid| {
            let before = before.as_ref();
            before.is_some_and(|before| before.snapshots.contains_key(guid))
        };
        let arriving = after.snapshots.keys().filter(|guid| !known(guid)).copied();
        let arriving: Vec<SnapshotGuid> = arriving.collect();
        let received = random.below(arriving.len());
        let nothing_arrived = received == 0 && random.once_in(2);
        let copy = if nothing_arrived || arriving.is_empty() {
            before.or_else(|| random.once_in(3).then(|| beginning_of(&after)))
        } else {
            Some(received_partly(before, &after, &arriving[..received]))
        };
        let volumes = &mut self.machine_mut(to).volumes;
        if let Some(copy) = copy {
            volumes.insert(application.clone(), copy);
            self.copy_contents(application, to);
        } else {
            volumes.remove(application);
            self.contents.remove(&place);
        }
        self.note_snapshot(from, application);
    }

    /// Returns a copy of a volume as it is.
    pub(crate) fn copy(&self, node: &NodeName, name: &ApplicationName) -> Option<VolumeCopy> {
        self.machine(node).volumes.get(name).cloned()
    }
}

/// Describes a copy that received some snapshots whole, and a part of the next.
fn received_partly(
    before: Option<VolumeCopy>,
    after: &VolumeCopy,
    received: &[SnapshotGuid],
) -> VolumeCopy {
    let mut copy = before.unwrap_or_else(|| VolumeCopy {
        snapshots: BTreeMap::new(),
        newest_snapshot: None,
        is_first_copy: received.is_empty(),
        ..after.clone()
    });
    for guid in received {
        if let Some(snapshot) = after.snapshots.get(guid) {
            copy.snapshots.insert(*guid, snapshot.clone());
            copy.newest_snapshot = Some(*guid);
            copy.role = after.role.clone();
            copy.maximum_size = None;
        }
    }
    copy.resumable = true;
    copy
}

/// Describes a first copy of which nothing but the dataset was made.
fn beginning_of(after: &VolumeCopy) -> VolumeCopy {
    VolumeCopy {
        role: VolumeRole::Foreign {
            problem: "is the beginning of a copy".to_owned(),
        },
        snapshots: BTreeMap::new(),
        newest_snapshot: None,
        resumable: true,
        is_first_copy: true,
        ..after.clone()
    }
}
