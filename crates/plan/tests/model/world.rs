//! Machines as they are, whether anybody sees them or not, and what is written on their volumes.

use std::collections::{BTreeMap, BTreeSet};

use flocker_model::{
    ApplicationName, ByteCount, Contact, ContainerStatus, Deployment, ImageDetails, ImageId,
    ImagePlatform, NodeId, NodeName, NodeObservation, NodeState, Observed, OperatorImage,
    OperatorStore, PoolHealth, PoolState, SnapshotGuid, SshIdentity, UnitState, VolumeCopy,
    VolumeRole,
};
use flocker_plan::{Action, Refusal, StepId, Yield, simulate};

use crate::boots::Boots;
use crate::case::{Case, name, node_name, port};
use crate::random::Random;
use crate::records::Records;

/// One copy of a volume, or one container.
pub(crate) type Place = (NodeName, ApplicationName);

/// A release that nobody has acquired yet.
#[derive(Debug, Clone)]
pub(crate) struct Released {
    /// The machine that gave the volume up.
    pub(crate) from: NodeName,
    /// The machine that may take it.
    pub(crate) to: NodeId,
}

/// All machines, and what only an onlooker knows of them.
#[derive(Debug, Clone)]
pub(crate) struct World {
    /// Every machine as it is.
    pub(crate) truth: Observed,
    /// What each copy of a volume holds.
    pub(crate) contents: BTreeMap<Place, Records>,
    /// What each snapshot holds, on whatever machine.
    pub(crate) snapshots: BTreeMap<SnapshotGuid, Records>,
    /// What clients were told is safe.
    pub(crate) acknowledged: BTreeMap<ApplicationName, Records>,
    /// The volumes that nobody owns because they are being handed over.
    pub(crate) released: BTreeMap<ApplicationName, Released>,
    /// Containers that write where a volume should be, and whose volume that is.
    writers: BTreeMap<Place, ApplicationName>,
    /// Copies that something other than Flocker changed, until they are whole again.
    pub(crate) damaged: BTreeSet<Place>,
    /// Volumes of which any copy was ever changed so: people may have to mend them.
    pub(crate) mendable: BTreeSet<ApplicationName>,
    /// Machines on which another program takes snapshots of everything, again and again.
    snapshotted: BTreeSet<NodeName>,
    counted: u64,
    /// What is expected of machines when they boot.
    pub(crate) boots: Boots,
}

impl World {
    /// Machines on which nothing of ours ever was.
    pub(crate) fn new(case: &Case, random: &mut Random) -> Self {
        let mut truth = Observed::default();
        for index in 0..case.nodes {
            let mut state = fresh_machine(index);
            // By the seed itself: what else is left to chance does not depend on it.
            let is_other = |bit: usize| (case.seed >> (bit % 64)) & 1 == 1;
            state.platform = Some(platform(is_other(8 + index)));
            for image in 0..4 {
                if random.once_in(4) {
                    // Some were made for the other kind of machine.
                    let made_for = platform(is_other(16 + 4 * index + image));
                    let image = format!("image-{image}:1");
                    // Some machines have something else by that name.
                    let tagged_when = if random.once_in(3) { " once" } else { "" };
                    let copy = ImageDetails {
                        platform: Some(made_for),
                        ..ImageId(format!("{image}{tagged_when}")).into()
                    };
                    state.images.insert(name(&image), copy);
                }
            }
            truth
                .nodes
                .insert(node_name(index), NodeObservation::Seen(Box::new(state)));
        }
        let image = "image-0:1".to_owned();
        let copy = OperatorImage {
            store: OperatorStore::Archive,
            details: ImageDetails {
                platform: Some(platform(false)),
                ..ImageId(image.clone()).into()
            },
        };
        truth.operator_images.insert(name(&image), vec![copy]);
        Self {
            truth,
            contents: BTreeMap::new(),
            snapshots: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
            released: BTreeMap::new(),
            writers: BTreeMap::new(),
            damaged: BTreeSet::new(),
            mendable: BTreeSet::new(),
            // By the seed itself: what else is left to chance does not depend on it.
            snapshotted: (0..case.nodes)
                .filter(|index| (case.seed >> index) & 1 == 1)
                .map(node_name)
                .collect(),
            counted: 0,
            boots: Boots::default(),
        }
    }

    /// Returns a machine.
    pub(crate) fn machine(&self, node: &NodeName) -> &NodeState {
        self.truth
            .node(node)
            .unwrap_or_else(|| panic!("there is no machine {node}"))
    }

    /// Returns a machine for changing.
    pub(crate) fn machine_mut(&mut self, node: &NodeName) -> &mut NodeState {
        match self.truth.nodes.get_mut(node) {
            Some(NodeObservation::Seen(state)) => state,
            _ => panic!("there is no machine {node}"),
        }
    }

    /// Looks at the machines as `flocker-cluster` does: those of the deployment, and those that
    /// they remember.
    pub(crate) fn gather(
        &self,
        deployment: &Deployment,
        unreachable: &BTreeSet<NodeName>,
    ) -> Observed {
        let mut observed = Observed {
            operator_images: self.truth.operator_images.clone(),
            ..Observed::default()
        };
        let mut next: BTreeSet<NodeName> = deployment.nodes.keys().cloned().collect();
        while !next.is_empty() {
            for node in next {
                let observation = self.look(&node, unreachable);
                observed.nodes.insert(node, observation);
            }
            let ids: BTreeSet<NodeId> = observed.seen().map(|(_, state)| state.id).collect();
            next = observed
                .seen()
                .flat_map(|(_, state)| &state.members)
                .filter(|member| {
                    !ids.contains(&member.id) && !observed.nodes.contains_key(&member.name)
                })
                .map(|member| member.name.clone())
                .collect();
        }
        observed
    }

    /// Looks at one machine.
    pub(crate) fn look(
        &self,
        node: &NodeName,
        unreachable: &BTreeSet<NodeName>,
    ) -> NodeObservation {
        if unreachable.contains(node) {
            let reason = "no route to host".to_owned();
            NodeObservation::Unreachable { reason }
        } else {
            NodeObservation::Seen(Box::new(self.machine(node).clone()))
        }
    }

    /// Does a step whole.
    pub(crate) fn act(
        &mut self,
        node: &NodeName,
        action: &Action,
        yields: &BTreeMap<StepId, Yield>,
    ) -> Result<Yield, Refusal> {
        let existed = action
            .application()
            .is_some_and(|name| self.machine(node).volumes.contains_key(name));
        let yielded = simulate(&mut self.truth, (node, action), yields);
        match &yielded {
            Ok(_) => {
                self.boots.note(node, action, true);
                self.note(node, action, existed);
            }
            // What a start refuses it has remembered by then.
            Err(_) if matches!(action, Action::StartApplication { .. }) => {
                self.boots.note(node, action, false);
            }
            Err(_) => {}
        }
        yielded
    }

    /// Notes what becomes of records by a step that was done.
    fn note(&mut self, node: &NodeName, action: &Action, existed: bool) {
        match action {
            Action::CreateVolume { application, .. } if !existed => {
                let place = (node.clone(), application.clone());
                self.contents.insert(place, Records::default());
            }
            Action::PushVolume {
                application, to, ..
            } => {
                self.note_snapshot(node, application);
                self.copy_contents(application, to);
                // Whatever was done to it, it is whole now.
                self.damaged.remove(&(to.clone(), application.clone()));
            }
            Action::ReleaseVolume {
                application, to, ..
            } => {
                let released = Released {
                    from: node.clone(),
                    to: *to,
                };
                self.released.insert(application.clone(), released);
            }
            Action::AcquireVolume { application, .. }
            | Action::PromoteVolume { application, .. } => {
                self.released.remove(application);
            }
            Action::SetVolumeAside { name, .. } => {
                let place = (node.clone(), name.application.clone());
                self.contents.remove(&place);
            }
            Action::StartApplication { specification, .. } => {
                let place = (node.clone(), specification.application.clone());
                match specification.volume_owner() {
                    Some(owner) => self.writers.insert(place, owner.clone()),
                    None => self.writers.remove(&place),
                };
            }
            _ => {}
        }
    }

    /// Remembers what a snapshot that was just taken holds.
    pub(crate) fn note_snapshot(&mut self, node: &NodeName, application: &ApplicationName) {
        let newest = self
            .machine(node)
            .volumes
            .get(application)
            .and_then(VolumeCopy::newest_own);
        let content = self
            .contents
            .get(&(node.clone(), application.clone()))
            .copied()
            .unwrap_or_default();
        if let Some(newest) = newest {
            self.snapshots.entry(newest).or_insert(content);
        }
    }

    /// What a copy holds that was received is what its newest snapshot holds.
    pub(crate) fn copy_contents(&mut self, application: &ApplicationName, to: &NodeName) {
        let newest = self
            .machine(to)
            .volumes
            .get(application)
            .and_then(VolumeCopy::newest_own);
        let content = newest.and_then(|newest| self.snapshots.get(&newest).copied());
        self.contents.insert(
            (to.clone(), application.clone()),
            content.unwrap_or_default(),
        );
    }

    /// Some of the running applications write a record, and tell their clients that it is safe.
    pub(crate) fn write(&mut self, random: &mut Random) {
        let running: Vec<Place> = self
            .writers
            .iter()
            .filter(|((node, application), _)| runs(self.machine(node), application))
            .map(|((node, _), owner)| (node.clone(), owner.clone()))
            .collect();
        for volume in running {
            if random.once_in(3) {
                self.write_one(volume);
            }
        }
    }

    /// Returns a number that was not returned before.
    pub(crate) fn count(&mut self) -> u64 {
        self.counted += 1;
        self.counted
    }

    /// A record is written to one copy of a volume. Without the volume mounted, that goes into a directory
    /// that nobody will look into again.
    pub(crate) fn write_one(&mut self, place: Place) {
        let record = self.count();
        let (node, application) = &place;
        let acknowledged = self.acknowledged.entry(application.clone());
        acknowledged.or_default().add(record);
        let volume = self.machine_mut(node).volumes.get_mut(application);
        if let Some(copy) = volume.filter(|copy| copy.mounted.is_some()) {
            copy.written = copy.written.saturating_add(ByteCount::new(1));
            copy.referenced = copy.referenced.saturating_add(ByteCount::new(1));
            self.contents.entry(place).or_default().add(record);
        }
    }

    /// Another program takes a snapshot of every copy on the machines that have such a program.
    pub(crate) fn take_others_snapshots(&mut self) {
        for node in self.snapshotted.clone() {
            let guid = self.others_guid();
            for copy in self.machine_mut(&node).volumes.values_mut() {
                take_others_snapshot(copy, guid);
            }
        }
    }

    /// Makes the identity of a snapshot that is not Flocker's.
    pub(crate) fn others_guid(&mut self) -> SnapshotGuid {
        SnapshotGuid(u64::MAX - self.count())
    }

    /// Cuts a machine's power; it boots again, with nothing running.
    pub(crate) fn reboot(&mut self, node: &NodeName) {
        let state = self.machine_mut(node);
        let table = state.network.take();
        for container in state.containers.values_mut() {
            if matches!(container.status, ContainerStatus::Running { .. }) {
                container.status = ContainerStatus::Stopped { exit_code: 137 };
            }
            container.unit = UnitState::Missing;
            container.links = None;
        }
        for copy in state.volumes.values_mut() {
            copy.mounted = None;
        }
        self.boots.note_table(node, table);
    }

    /// Lets an application end by itself that may.
    pub(crate) fn end_application(&mut self, deployment: &Deployment, random: &mut Random) {
        let placed: Vec<_> = deployment.placed().collect();
        let Some((application, definition, node)) = random.of(&placed).copied() else {
            return;
        };
        if definition.restart == flocker_model::RestartPolicy::Always {
            return;
        }
        if let Some(container) = self.machine_mut(node).containers.get_mut(application)
            && container.is_up()
        {
            container.status = ContainerStatus::Stopped { exit_code: 0 };
            container.unit = UnitState::Inactive;
        }
    }
}

/// Tells whether an application's container runs on a machine.
pub(crate) fn runs(state: &NodeState, application: &ApplicationName) -> bool {
    state
        .containers
        .get(application)
        .is_some_and(|container| matches!(container.status, ContainerStatus::Running { .. }))
}

/// Takes a snapshot of a copy as other programs do; tells whether ZFS lets them, which it does not
/// of a part of a first copy. What was written before it stays written.
pub(crate) fn take_others_snapshot(copy: &mut VolumeCopy, guid: SnapshotGuid) -> bool {
    let is_partial = copy.resumable && copy.snapshots.is_empty();
    if !is_partial {
        copy.newest_snapshot = Some(guid);
    }
    !is_partial
}

/// Tells whether a copy is the owner's.
pub(crate) fn is_owned(copy: &VolumeCopy) -> bool {
    matches!(copy.role, VolumeRole::Owned { .. })
}

/// Describes a machine on which nothing of ours ever was, as its first look has it.
fn fresh_machine(index: usize) -> NodeState {
    let id = NodeId(uuid_of(index));
    let node = node_name(index);
    let contact = node.as_address().map(|address| Contact {
        address,
        ssh_port: port(22),
    });
    let ssh = SshIdentity {
        public_key: format!("ssh-ed25519 {node}"),
        host_keys: vec![format!("ssh-ed25519 host-{node}")],
    };
    let pool = PoolState {
        dataset: "tank/flocker".to_owned(),
        health: PoolHealth::Usable,
        available: ByteCount::mebibytes(1 << 20),
        sync_disabled: None,
    };
    NodeState {
        contact,
        ssh,
        listening: BTreeSet::from([port(22).into()]),
        ..NodeState::fresh(id, "0.1.0", pool)
    }
}

/// One of the two kinds of machines that there are.
fn platform(is_other: bool) -> ImagePlatform {
    let architecture = if is_other { "arm64" } else { "amd64" };
    ImagePlatform {
        os: "linux".to_owned(),
        architecture: architecture.to_owned(),
    }
}

/// Makes the identity of the machine at `index`.
fn uuid_of(index: usize) -> uuid::Uuid {
    uuid::Uuid::from_u128(u128::try_from(index).unwrap_or(0) + 1)
}
