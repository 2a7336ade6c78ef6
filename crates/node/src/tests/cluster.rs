//! Machines in memory that can push to each other, and what is deployed on them.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

use flocker_docker::Writer;
use flocker_model::{
    ApplicationName, Contact, DependencyCondition, Deployment, HostPath, ImageId, ImageName,
    NodeId, NodeName, Observed, OperatorImage, OperatorStore, RegistryLogins, UnitState,
    VolumeHolder, VolumeRole,
};
use flocker_plan::{Action, Goal, Handoff, ImageSource, Plan, Scope, StepId, Yield, plan};
use flocker_remote::clock::Clock;
use flocker_remote::protocol::StepFailure;
use flocker_remote::ssh::generate_node_key;
use flocker_zfs::NodeMark;
use futures_util::FutureExt as _;
use tempfile::TempDir;

use super::fake::{
    Dataset, Disk, Fake, FakeContainers, FakeDirectories, FakePeers, FakeRoutes, FakeUnits,
    FakeVolumes, Faults, Guids, Host, Neighbours, Pool, Trouble, archive,
};
use super::wish::{APPLICATIONS, application_name, name, node_name, port};
use crate::execute::run_action;
use crate::identity::settle;
use crate::local::{Complied, comply, prepare, restore};
use crate::machine::Machine;
use crate::platform::{Containers as _, Units as _};
use crate::settings::Settings;
use crate::store::Store;

/// How many machines there are at most.
pub(super) const MOST_MACHINES: usize = 3;

/// Machines in memory.
pub(super) struct Cluster {
    pub(super) faults: Faults,
    pub(super) neighbours: Neighbours,
    guids: Guids,
    nodes: BTreeMap<NodeName, Node>,
    /// What applications wrote and were told is safe.
    acknowledged: BTreeMap<ApplicationName, Vec<u8>>,
    records: u64,
    /// Where somebody took the place of the owner, whose copy is owned there all the same until it
    /// is set aside.
    pub(super) replaced: BTreeSet<NodeName>,
    /// One action of each kind that was run.
    pub(super) ran: RefCell<BTreeMap<&'static str, Action>>,
}

/// One machine.
struct Node {
    host: Host,
    machine: Machine<Fake>,
    directory: TempDir,
}

impl Cluster {
    /// Machines on which nothing of ours ever was.
    pub(super) fn new(count: usize) -> Self {
        let mut cluster = Self {
            faults: Faults::default(),
            neighbours: Neighbours::default(),
            guids: Guids::default(),
            nodes: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
            records: 0,
            replaced: BTreeSet::new(),
            ran: RefCell::default(),
        };
        for index in 0..count {
            // In memory: what is written here is synchronized again and again.
            let directory = tempfile::tempdir_in("/dev/shm").unwrap();
            copy_keys(index, directory.path());
            let host = Host::new(cluster.faults.clone());
            let name = node_name(index);
            let machine = cluster.boot((&name, &host), directory.path());
            let node = Node {
                host,
                machine,
                directory,
            };
            cluster.nodes.insert(name, node);
        }
        cluster
    }

    /// Machines like these that go their own way from now on.
    pub(super) fn fork(&self) -> Self {
        let mut cluster = Self {
            faults: Faults::default(),
            neighbours: Neighbours::default(),
            guids: self.guids.clone(),
            nodes: BTreeMap::new(),
            acknowledged: self.acknowledged.clone(),
            records: self.records,
            replaced: self.replaced.clone(),
            ran: RefCell::default(),
        };
        for (name, node) in &self.nodes {
            let directory = tempfile::tempdir_in("/dev/shm").unwrap();
            copy_directory(node.directory.path(), directory.path());
            let host = node.host.fork(cluster.faults.clone());
            let machine = cluster.boot((name, &host), directory.path());
            let node = Node {
                host,
                machine,
                directory,
            };
            cluster.nodes.insert(name.clone(), node);
        }
        cluster
    }

    /// Starts `flocker-node` on a machine, whose name is the address at which others reach it.
    fn boot(&self, (name, host): (&NodeName, &Host), directory: &Path) -> Machine<Fake> {
        let below = |name: &str| -> PathBuf { directory.join(name) };
        let settings = Settings {
            state_directory: below("state"),
            runtime_directory: below("runtime"),
            host_keys: below("ssh"),
            ..Settings::default()
        };
        let store = Store::open(&settings).unwrap();
        let mark = std::future::ready(host.node_mark());
        let settled = settle(&store, ("tank/flocker", mark)).now_or_never();
        let id = settled.unwrap().unwrap();
        let machine = Machine {
            id,
            settings,
            store,
            clock: Clock::default(),
            volumes: FakeVolumes {
                host: host.clone(),
                node: id,
                guids: self.guids.clone(),
            },
            containers: FakeContainers { host: host.clone() },
            directories: FakeDirectories { host: host.clone() },
            units: FakeUnits { host: host.clone() },
            routes: FakeRoutes { host: host.clone() },
            peers: FakePeers {
                neighbours: self.neighbours.clone(),
                faults: self.faults.clone(),
            },
        };
        let address = name.as_address().unwrap();
        self.neighbours.add(address, machine.clone());
        machine
    }

    /// Cuts a machine's power; it boots again with nothing running.
    pub(super) fn cut_power(&mut self, name: &NodeName) {
        let node = &self.nodes[name];
        node.host.cut_power();
        std::fs::remove_dir_all(&node.machine.settings.runtime_directory).unwrap();
        let machine = self.boot((name, &node.host), node.directory.path());
        self.nodes.get_mut(name).unwrap().machine = machine;
    }

    /// Copies everything on a machine's disks to a new machine at this address, and boots that.
    pub(super) fn clone_machine(&mut self, original: &NodeName, copy: &NodeName) {
        let original = &self.nodes[original];
        let directory = tempfile::tempdir_in("/dev/shm").unwrap();
        copy_directory(original.directory.path(), directory.path());
        let host = original.host.fork(self.faults.clone());
        let machine = original.machine.clone();
        let node = Node {
            host,
            machine,
            directory,
        };
        self.nodes.insert(copy.clone(), node);
        self.replaced.insert(copy.clone());
        // It has the original's directory, but runs in its own.
        let node = &self.nodes[copy];
        node.host.cut_power();
        std::fs::remove_dir_all(node.directory.path().join("runtime")).unwrap();
        let machine = self.boot((copy, &node.host), node.directory.path());
        self.nodes.get_mut(copy).unwrap().machine = machine;
    }

    /// Restores everything on a machine's disks as it was in these machines, and boots it.
    pub(super) fn restore_backup(&mut self, name: &NodeName, backup: &Self) {
        let (from, to) = (&backup.nodes[name], &self.nodes[name]);
        let disk = from.host.state().disk.clone();
        to.host.state().disk = disk;
        std::fs::remove_dir_all(&to.machine.settings.state_directory).unwrap();
        let state = from.directory.path().join("state");
        std::fs::create_dir(&to.machine.settings.state_directory).unwrap();
        copy_directory(&state, &to.machine.settings.state_directory);
        self.cut_power(name);
    }

    /// Takes a machine's directory away, as a new system on it does, and boots it with the same pool.
    pub(super) fn lose_directory(&mut self, name: &NodeName) {
        let node = &self.nodes[name];
        std::fs::remove_dir_all(&node.machine.settings.state_directory).unwrap();
        let index = self.nodes.keys().position(|other| other == name).unwrap();
        copy_keys(index, node.directory.path());
        self.cut_power(name);
    }

    /// Puts the pool of a machine that is broken into a new one at another address, and boots that.
    pub(super) fn move_pool(&mut self, from: &NodeName, to: &NodeName) {
        self.part(from);
        let broken = self.nodes.remove(from).unwrap();
        let directory = tempfile::tempdir_in("/dev/shm").unwrap();
        copy_keys(MOST_MACHINES - 1, directory.path());
        broken.host.cut_power();
        let mut state = broken.host.state();
        let pool = state.disk.pool.clone();
        state.disk = Disk {
            pool,
            ..Disk::default()
        };
        drop(state);
        let machine = self.boot((to, &broken.host), directory.path());
        let node = Node {
            machine,
            directory,
            ..broken
        };
        self.nodes.insert(to.clone(), node);
    }

    /// Writes on a machine's pool which machine it belongs to.
    pub(super) fn mark_pool(&self, name: &NodeName, node: Option<NodeId>) {
        self.nodes[name].host.state().disk.pool.node = node;
    }

    /// Reads which machine a machine's pool says that it belongs to.
    pub(super) fn node_mark(&self, name: &NodeName) -> NodeMark {
        self.nodes[name].host.node_mark()
    }

    /// Has a machine write to the disk what it was told to keep.
    pub(super) fn sync(&self, name: &NodeName) {
        let mut state = self.nodes[name].host.state();
        let volumes = state.disk.pool.volumes.values_mut();
        volumes.for_each(Dataset::sync);
    }

    /// Removes the links inside a machine's containers, as somebody might by hand.
    pub(super) fn lose_links(&self, name: &NodeName) {
        let mut state = self.nodes[name].host.state();
        state.running.network.links.clear();
    }

    /// Does to a machine's pool what its disks or an administrator may do.
    pub(super) fn befall_pool(&self, name: &NodeName, trouble: Option<Trouble>) {
        self.nodes[name].host.state().disk.pool.trouble = trouble;
    }

    /// Does anything to a machine's pool, or looks at it.
    pub(super) fn with_pool<T>(&self, name: &NodeName, work: impl FnOnce(&mut Pool) -> T) -> T {
        work(&mut self.nodes[name].host.state().disk.pool)
    }

    /// Has others keep a volume mounted, or nobody any more.
    pub(super) fn keep_mounted(
        &self,
        name: &NodeName,
        application: &ApplicationName,
        holders: Vec<VolumeHolder>,
    ) {
        let mut state = self.nodes[name].host.state();
        let held = &mut state.disk.pool.held;
        held.remove(application);
        if !holders.is_empty() {
            held.insert(application.clone(), holders);
        }
    }

    /// Gives a machine a path that is not Flocker's.
    pub(super) fn give_host_path(&self, name: &NodeName, path: &HostPath) {
        let mut state = self.nodes[name].host.state();
        state.disk.scratch.host_paths.insert(path.clone());
    }

    /// Lets an application end as one does that has done what it is for.
    pub(super) fn end_by_itself(&self, name: &NodeName, application: &ApplicationName) {
        let mut state = self.nodes[name].host.state();
        assert!(state.end_container(application));
        state.running.units.set(application, UnitState::Inactive);
    }

    /// Stops an application's unit, as `systemctl` does, or systemd when Docker is stopped.
    pub(super) async fn stop_unit(&self, name: &NodeName, application: &ApplicationName) {
        let units = &self.machine(name).units;
        units.stop(application, Duration::ZERO).await.unwrap();
    }

    /// Destroys a volume, as an administrator may.
    pub(super) fn destroy_volume(&self, name: &NodeName, application: &ApplicationName) {
        let mut state = self.nodes[name].host.state();
        state.disk.pool.volumes.remove(application);
    }

    /// Another program takes a snapshot of every volume and replica.
    pub(super) fn take_others_snapshots(&self) {
        for node in self.nodes.values() {
            let mut state = node.host.state();
            for dataset in state.disk.pool.volumes.values_mut() {
                dataset.take_others_snapshot(self.guids.next_of_others());
            }
        }
    }

    /// Cuts a machine off from the others.
    pub(super) fn part(&self, name: &NodeName) {
        self.neighbours.remove(name.as_address().unwrap());
    }

    /// Has a machine say this to the others whatever they ask; or, with nothing, what it is for.
    pub(super) fn script(&self, name: &NodeName, says: Option<Vec<u8>>) {
        self.neighbours.script(name.as_address().unwrap(), says);
    }

    /// Has a machine accept connections and say nothing, or answer again.
    pub(super) fn set_busy(&self, name: &NodeName, busy: bool) {
        self.neighbours.set_busy(name.as_address().unwrap(), busy);
    }

    /// Connects it again.
    pub(super) fn rejoin(&self, name: &NodeName) {
        let machine = self.nodes[name].machine.clone();
        self.neighbours.add(name.as_address().unwrap(), machine);
    }

    /// Runs `flocker-node restore` on a machine.
    pub(super) async fn restore(&self, name: &NodeName) -> Complied {
        self.try_to_restore(name).await.unwrap()
    }

    /// The same where something may go wrong.
    pub(super) async fn try_to_restore(&self, name: &NodeName) -> Result<Complied, StepFailure> {
        restore(self.machine(name)).await
    }

    /// Runs `flocker-node apply` on a machine that is called so in the deployment.
    pub(super) async fn comply(&self, name: &NodeName, deployment: &Deployment) -> Complied {
        comply(self.machine(name), deployment, name).await.unwrap()
    }

    /// Runs `flocker-node prepare` on a machine, as an application's unit does.
    pub(super) async fn prepare(
        &self,
        name: &NodeName,
        application: &ApplicationName,
    ) -> Result<(), StepFailure> {
        prepare(self.machine(name), application).await
    }

    /// Tells whether an application runs on a machine.
    pub(super) fn runs(&self, name: &NodeName, application: &ApplicationName) -> bool {
        self.nodes[name]
            .host
            .state()
            .running
            .processes
            .runs(application)
    }

    /// Counts what was set aside on a machine.
    pub(super) fn kept_aside(&self, name: &NodeName) -> usize {
        self.nodes[name].host.state().disk.pool.set_aside.len()
    }

    /// Takes it that what an application wrote may be lost: its owner was.
    pub(super) fn forget_acknowledged(&mut self, application: &ApplicationName) {
        let owned = self.nodes.values().find_map(|node| {
            let state = node.host.state();
            let volume = state.disk.pool.volumes.get(application)?;
            let is_owned = matches!(volume.role(node.machine.id), VolumeRole::Owned { .. });
            is_owned.then(|| volume.contents.clone())
        });
        let owned = owned.unwrap_or_default();
        self.acknowledged.insert(application.clone(), owned);
    }

    /// Takes it that a volume has to have this in it.
    pub(super) fn acknowledge(&mut self, application: &ApplicationName, contents: &[u8]) {
        self.acknowledged
            .insert(application.clone(), contents.to_vec());
    }

    /// Has a container of somebody else write to a machine's directories, or none any more.
    pub(super) fn add_writer(&self, name: &NodeName, writer: Option<Writer>) {
        let mut state = self.nodes[name].host.state();
        state.running.processes.writers = writer.into_iter().collect();
    }

    pub(super) fn machine(&self, name: &NodeName) -> &Machine<Fake> {
        &self.nodes[name].machine
    }

    /// Looks at every machine.
    pub(super) async fn observe(&self) -> Observed {
        let image: ImageName = name("image:2");
        let copy = OperatorImage {
            store: OperatorStore::Archive,
            details: ImageId(image.to_string()).into(),
        };
        let mut observed = Observed {
            operator_images: BTreeMap::from([(image, vec![copy])]),
            ..Observed::default()
        };
        for (name, node) in &self.nodes {
            let contact = Contact {
                address: name.as_address().unwrap(),
                ssh_port: port(22),
            };
            let look = node.machine.observe(Some(contact)).await.unwrap();
            observed.nodes.insert(name.clone(), look.into());
        }
        observed
    }

    /// Runs one step as `flocker-cluster` has it run.
    pub(super) async fn run(
        &self,
        (node, action): (&NodeName, &Action),
        yields: &BTreeMap<StepId, Yield>,
    ) -> Result<Yield, StepFailure> {
        let machine = self.machine(node);
        self.ran.borrow_mut().insert(action.kind(), action.clone());
        let mut action = action.clone();
        match &mut action {
            Action::EnsureImage {
                image,
                from: ImageSource::Operator(copy),
            } => {
                let archive = std::io::Cursor::new(archive(image, &copy.details.id));
                let loaded = machine.containers.import_image(image, archive).await;
                return loaded.map(|()| Yield::Nothing);
            }
            Action::AcquireVolume { handoff, .. } => {
                if let Handoff::FromStep(step) = handoff
                    && let Some(Yield::HandedOff(guid)) = yields.get(step)
                {
                    *handoff = Handoff::Recorded(*guid);
                }
            }
            _ => {}
        }
        let (progress, _unread) = tokio::sync::mpsc::unbounded_channel();
        let done = run_action(machine, action, &progress).await;
        // The other side may have answered before it was done.
        self.neighbours.settle().await;
        done.map(|done| done.yielded)
    }

    /// Runs a plan until a step fails.
    pub(super) async fn drive(&self, plan: &Plan) -> Result<(), String> {
        let mut yields = BTreeMap::new();
        for step in plan.steps() {
            let done = self.run((&step.node, &step.action), &yields).await;
            let failed = |failure: StepFailure| format!("{} {}: {failure:?}", step.id, step.action);
            yields.insert(step.id, done.map_err(failed)?);
        }
        Ok(())
    }

    /// Runs a plan with nothing going wrong while applications write.
    pub(super) async fn drive_beside_writers(&mut self, plan: &Plan) {
        let mut yields = BTreeMap::new();
        for step in plan.steps() {
            let done = self.run((&step.node, &step.action), &yields).await;
            yields.insert(step.id, done.unwrap());
            self.write();
        }
    }

    /// Deploys with nothing going wrong: once must do, and the second time finds nothing to do.
    pub(super) async fn converge(&mut self, deployment: &Deployment) {
        self.faults.disarm();
        let made = plan(&cluster(deployment), &self.observe().await);
        assert!(made.blocked.is_empty(), "{made}");
        if let Err(failure) = self.drive(&made).await {
            panic!("{failure}\nin\n{made}");
        }
        let settling = made.settling(&cluster(deployment), &self.observe().await);
        self.drive(&settling).await.unwrap();
        let left = plan(&cluster(deployment), &self.observe().await);
        assert!(left.is_empty(), "left to do:\n{left}\nafter\n{made}");
        self.check(deployment);
        self.write();
    }

    /// All that must hold when a deployment is as wanted.
    pub(super) fn check(&self, deployment: &Deployment) {
        self.check_owners();
        for (name, application, node) in deployment.placed() {
            let state = self.nodes[node].host.state();
            let is_awaited = deployment
                .applications
                .values()
                .any(|other| other.depends_on.get(name) == Some(&DependencyCondition::Completed));
            let runs = state.running.processes.runs(name);
            assert!(runs || is_awaited, "{name} runs on {node}");
            if application.volume.is_some() {
                let volume = &state.disk.pool.volumes[name];
                let acknowledged = self.acknowledged.get(name).cloned().unwrap_or_default();
                assert_eq!(volume.contents, acknowledged, "{name} has every record");
            }
        }
    }

    /// Returns the logins that a machine's last pull was given.
    pub(super) fn used_logins(&self, name: &NodeName) -> RegistryLogins {
        self.nodes[name]
            .host
            .state()
            .disk
            .docker
            .used_logins
            .clone()
    }

    /// Lists how many sets of files a machine has for each application.
    pub(super) fn kept_files(&self, name: &NodeName) -> BTreeMap<ApplicationName, usize> {
        let state = self.nodes[name].host.state();
        let files = state.disk.scratch.files.iter();
        files
            .map(|(application, digests)| (application.clone(), digests.len()))
            .collect()
    }

    /// Never two owners, but for one whose place was taken on purpose; never two writers, never one
    /// on a replica or beside its volume.
    pub(super) fn check_owners(&self) {
        for index in 0..APPLICATIONS {
            let name = application_name(index);
            let (mut owners, mut writers) = (0, 0);
            for (place, node) in &self.nodes {
                let state = node.host.state();
                let runs = state.running.processes.runs(&name);
                assert!(
                    !runs || state.has_its_volume(&name),
                    "{name} runs on {place} without its volume"
                );
                let Some(volume) = state.disk.pool.volumes.get(&name) else {
                    continue;
                };
                let is_owned = matches!(volume.role(node.machine.id), VolumeRole::Owned { .. });
                assert!(
                    is_owned || !volume.is_mounted,
                    "a replica of {name} is mounted"
                );
                owners += usize::from(is_owned && !self.replaced.contains(place));
                writers += usize::from(volume.is_mounted && state.is_used(&name));
            }
            assert!(owners <= 1, "{name} has {owners} owners");
            assert!(writers <= 1, "{name} has {writers} writers");
        }
    }

    /// Every application that runs and sees a volume writes a record and is told that it is safe.
    pub(super) fn write(&mut self) {
        for node in self.nodes.values() {
            let state = &mut *node.host.state();
            let names = (0..APPLICATIONS).map(application_name);
            let running = names.filter(|name| state.running.processes.runs(name));
            let owners: Vec<_> = running.filter_map(|name| state.volume_of(&name)).collect();
            for name in &owners {
                let volume = state.disk.pool.volumes.get_mut(name);
                if let Some(volume) = volume.filter(|volume| volume.is_mounted) {
                    self.records += 1;
                    let record = format!("{};", self.records);
                    volume.write(record.as_bytes());
                    let acknowledged = self.acknowledged.entry(name.clone()).or_default();
                    acknowledged.extend(record.as_bytes());
                }
            }
        }
    }
}

/// Copies a directory with everything below it.
fn copy_directory(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let copy = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir(&copy).unwrap();
            copy_directory(&entry.path(), &copy);
        } else {
            std::fs::copy(entry.path(), copy).unwrap();
        }
    }
}

/// Gives a machine its keys, which are made once for all tests: making them takes long.
pub(super) fn copy_keys(index: usize, directory: &Path) {
    static KEYS: LazyLock<TempDir> = LazyLock::new(|| {
        let keys = tempfile::tempdir_in("/dev/shm").unwrap();
        for index in 0..MOST_MACHINES {
            for kind in ["host", "own"] {
                generate_node_key(&keys.path().join(format!("{kind}-{index}"))).unwrap();
            }
        }
        keys
    });
    let host = directory.join("ssh");
    let own = directory.join("state/ssh");
    std::fs::create_dir_all(&host).unwrap();
    std::fs::create_dir_all(&own).unwrap();
    for (kind, place) in [
        ("host", host.join("ssh_host_ed25519_key")),
        ("own", own.join("id_ed25519")),
    ] {
        for suffix in ["", ".pub"] {
            let key = KEYS.path().join(format!("{kind}-{index}{suffix}"));
            std::fs::copy(key, format!("{}{suffix}", place.display())).unwrap();
        }
    }
}

/// Wants a deployment of every node.
pub(super) fn cluster(deployment: &Deployment) -> Goal<'_> {
    Goal::new(deployment, Scope::Cluster)
}
