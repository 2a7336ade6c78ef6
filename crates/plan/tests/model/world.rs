//! Machines as they are, whether anybody sees them or not, and what is written on their volumes.

use std::collections::{BTreeMap, BTreeSet};

use flocker_model::{
    ApplicationName, ByteCount, Contact, ContainerStatus, Deployment, ImageId, NodeId, NodeName,
    NodeObservation, NodeState, Observed, PoolHealth, PoolState, SnapshotGuid, SshIdentity,
    UnitState, VolumeCopy, VolumeRole,
};
use flocker_plan::{Action, Refusal, StepId, Yield, simulate};

use crate::case::{Case, name, node_name, port};
use crate::random::Random;

/// What was written to one copy of a volume, in order.
pub(crate) type Records = Vec<u64>;

/// All machines, and what only an onlooker knows of them.
#[derive(Debug, Clone)]
pub(crate) struct World {
    /// Every machine as it is.
    pub(crate) truth: Observed,
    /// What each copy of a volume holds.
    pub(crate) contents: BTreeMap<(NodeName, ApplicationName), Records>,
    /// What each snapshot holds, on whatever machine.
    snapshots: BTreeMap<SnapshotGuid, Records>,
    /// What clients were told is safe.
    pub(crate) acknowledged: BTreeMap<ApplicationName, Records>,
    next_record: u64,
}

impl World {
    /// Machines on which nothing of ours ever was.
    pub(crate) fn new(case: &Case, random: &mut Random) -> Self {
        let mut truth = Observed::default();
        for index in 0..case.nodes {
            let mut state = fresh_machine(index);
            for image in 0..4 {
                if random.once_in(4) {
                    let image = format!("image-{image}:1");
                    state.images.insert(name(&image), ImageId(image));
                }
            }
            truth
                .nodes
                .insert(node_name(index), NodeObservation::Seen(Box::new(state)));
        }
        let image = "image-0:1".to_owned();
        truth.operator_images.insert(name(&image), ImageId(image));
        Self {
            truth,
            contents: BTreeMap::new(),
            snapshots: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
            next_record: 1,
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
                .filter(|(name, member)| {
                    !ids.contains(&member.id) && !observed.nodes.contains_key(*name)
                })
                .map(|(name, _)| name.clone())
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
        let created = matches!(action, Action::CreateVolume { .. });
        let existed = action
            .application()
            .is_some_and(|name| self.machine(node).volumes.contains_key(name));
        let yielded = simulate(&mut self.truth, (node, action), yields)?;
        match action {
            Action::CreateVolume { application, .. } if created && !existed => {
                self.contents
                    .insert((node.clone(), application.clone()), Records::new());
            }
            Action::PushVolume {
                application, to, ..
            } => {
                self.note_snapshots(node, application);
                self.copy_contents(application, to);
            }
            _ => {}
        }
        Ok(yielded)
    }

    /// Does a step that is interrupted half-way.
    pub(crate) fn act_partly(&mut self, node: &NodeName, action: &Action, random: &mut Random) {
        let mut whole = self.clone();
        if whole.act(node, action, &BTreeMap::new()).is_err() {
            return;
        }
        match action {
            Action::PushVolume {
                application, to, ..
            } => self.push_partly(&whole, (node, to), (application, random)),
            Action::StartApplication { specification, .. } => {
                let application = &specification.application;
                *self = whole;
                let state = self.machine_mut(node);
                if let Some(container) = state.containers.get_mut(application) {
                    container.status = ContainerStatus::Stopped { exit_code: 0 };
                    container.unit = match specification.restart {
                        flocker_model::RestartPolicy::Always => UnitState::Inactive,
                        // Its unit would say that it ended by itself; the window is small.
                        _ => UnitState::Missing,
                    };
                }
            }
            Action::StopApplication { application } => {
                // Stopped, and its volume mounted still.
                let mounted = self
                    .machine(node)
                    .volumes
                    .get(application)
                    .and_then(|copy| copy.mounted.clone());
                *self = whole;
                let state = self.machine_mut(node);
                if let Some(copy) = state.volumes.get_mut(application) {
                    copy.mounted = mounted;
                }
            }
            _ => {}
        }
    }

    /// Leaves a push after its snapshot, in the middle of a stream, or between two of them.
    fn push_partly(
        &mut self,
        whole: &Self,
        (from, to): (&NodeName, &NodeName),
        (application, random): (&ApplicationName, &mut Random),
    ) {
        let before = self.machine(to).volumes.get(application).cloned();
        let after = whole.machine(to).volumes.get(application).cloned();
        *self = whole.clone();
        let (Some(after), place) = (after, (to.clone(), application.clone())) else {
            return;
        };
        let known = |guid: &&SnapshotGuid| {
            let before = before.as_ref();
            before.is_some_and(|before| before.snapshots.contains_key(guid))
        };
        let arriving: Vec<SnapshotGuid> = after
            .snapshots
            .keys()
            .filter(|guid| !known(guid))
            .copied()
            .collect();
        let received = random.below(arriving.len());
        let mut copy = before.clone().unwrap_or_else(|| VolumeCopy {
            snapshots: BTreeMap::new(),
            newest_snapshot: None,
            ..after.clone()
        });
        for guid in &arriving[..received] {
            if let Some(snapshot) = after.snapshots.get(guid) {
                copy.snapshots.insert(*guid, snapshot.clone());
                copy.newest_snapshot = Some(*guid);
                copy.role = after.role.clone();
                copy.maximum_size = None;
            }
        }
        copy.resumable = !arriving.is_empty();
        let nothing_arrived = received == 0 && random.once_in(2);
        let state = self.machine_mut(to);
        match before {
            None if nothing_arrived => {
                state.volumes.remove(application);
                self.contents.remove(&place);
            }
            Some(before) if nothing_arrived => {
                state.volumes.insert(application.clone(), before);
                self.copy_contents(application, to);
            }
            _ => {
                state.volumes.insert(application.clone(), copy);
                self.copy_contents(application, to);
            }
        }
        self.note_snapshots(from, application);
    }

    /// Remembers what a snapshot that was just taken holds.
    fn note_snapshots(&mut self, node: &NodeName, application: &ApplicationName) {
        let newest = self
            .machine(node)
            .volumes
            .get(application)
            .and_then(|copy| copy.newest_snapshot);
        let content = self
            .contents
            .get(&(node.clone(), application.clone()))
            .cloned()
            .unwrap_or_default();
        if let Some(newest) = newest {
            self.snapshots.entry(newest).or_insert(content);
        }
    }

    /// What a copy holds that was received is what its newest snapshot holds.
    fn copy_contents(&mut self, application: &ApplicationName, to: &NodeName) {
        let newest = self
            .machine(to)
            .volumes
            .get(application)
            .and_then(|copy| copy.newest_snapshot);
        let content = newest.and_then(|newest| self.snapshots.get(&newest).cloned());
        self.contents.insert(
            (to.clone(), application.clone()),
            content.unwrap_or_default(),
        );
    }

    /// Some of the running applications write a record, and tell their clients that it is safe.
    pub(crate) fn write(&mut self, random: &mut Random) {
        let mut writers = Vec::new();
        for (node, state) in self.truth.seen() {
            for (application, copy) in &state.volumes {
                if copy.mounted.is_some() && runs(state, application) {
                    writers.push((node.clone(), application.clone()));
                }
            }
        }
        for (node, application) in writers {
            if !random.once_in(3) {
                continue;
            }
            let record = self.next_record;
            self.next_record += 1;
            let state = self.machine_mut(&node);
            if let Some(copy) = state.volumes.get_mut(&application) {
                copy.written = copy.written.saturating_add(ByteCount::new(1));
                copy.referenced = copy.referenced.saturating_add(ByteCount::new(1));
            }
            let place = (node, application.clone());
            self.contents.entry(place).or_default().push(record);
            self.acknowledged
                .entry(application)
                .or_default()
                .push(record);
        }
    }

    /// Cuts a machine's power; it boots again, with nothing running.
    pub(crate) fn reboot(&mut self, node: &NodeName) {
        let state = self.machine_mut(node);
        state.network = None;
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
    NodeState {
        id,
        version: "0.1.0".to_owned(),
        contact,
        ssh,
        pool: PoolState {
            dataset: "tank/flocker".to_owned(),
            health: PoolHealth::Usable,
            available: ByteCount::mebibytes(1 << 20),
        },
        volumes: BTreeMap::new(),
        containers: BTreeMap::new(),
        network: None,
        listening: BTreeSet::from([port(22)]),
        images: BTreeMap::new(),
        members: BTreeMap::new(),
        applied: None,
    }
}

/// Makes the identity of the machine at `index`.
fn uuid_of(index: usize) -> uuid::Uuid {
    uuid::Uuid::from_u128(u128::try_from(index).unwrap_or(0) + 1)
}
