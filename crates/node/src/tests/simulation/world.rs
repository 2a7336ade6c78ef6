//! The machines of a simulated world, and the programs that run on them.

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use flocker_model::{
    ApplicationName, Contact, Deployment, ImageId, LoginRefusal, Member, NodeId, NodeName,
    UnitState, VolumeRole,
};
use flocker_remote::clock::Clock;
use flocker_remote::protocol::{Listener, StepFailure};
use flocker_remote::ssh::{Destination, Dialer, ExitStatus, Way, read_public_key};
use futures_util::FutureExt as _;
use tempfile::TempDir;
use tokio::io::DuplexStream;
use tokio::sync::{Notify, oneshot};
use tokio::task::AbortHandle;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::chance::{Dice, Event, Trace};
use super::network::{Network, Phone, Site};
use crate::failure::OrFailure as _;
use crate::identity::settle;
use crate::linux::Ssh;
use crate::local;
use crate::machine::Machine;
use crate::peer::NotTold;
use crate::platform::{Peers, Platform};
use crate::receive::{Receiver, receive};
use crate::serve::serve;
use crate::settings::Settings;
use crate::store::Store;
use crate::tests::cluster::copy_keys;
use crate::tests::fake::{
    FakeContainers, FakeDirectories, FakeRoutes, FakeUnits, FakeVolumes, Faults, Guids, Host,
    Mutation, Pace, admitted,
};
use crate::tests::wish::{APPLICATIONS, application_name, name, node_name, port};

/// The date when a world begins, in milliseconds since 1970.
const BEGINNING: u64 = 1_700_000_000_000;
/// The most snapshots that a volume has once nothing is left to do.
const MOST_SNAPSHOTS: usize = 4;
/// What a pipe between programs holds.
const PIPE: usize = 64 << 10;

/// A machine in memory on a simulated network.
#[derive(Debug, Clone)]
pub(super) struct Simulated;

impl Platform for Simulated {
    type Volumes = FakeVolumes;
    type Containers = FakeContainers;
    type Directories = FakeDirectories;
    type Units = FakeUnits;
    type Routes = FakeRoutes;
    type Peers = SimulatedPeers;
}

/// The code that reaches peers by SSH, on a simulated network.
#[derive(Debug, Clone)]
pub(super) struct SimulatedPeers {
    ssh: Ssh,
    phone: Arc<Phone>,
}

impl Peers for SimulatedPeers {
    type Connection = <Ssh as Peers>::Connection;

    async fn reach(&self, member: &Member) -> Result<(), StepFailure> {
        self.phone.reach(&member.contact.address.to_string()).await;
        Ok(())
    }

    async fn connect(
        &self,
        name: &NodeName,
        member: &Member,
        key: &Path,
    ) -> Result<Self::Connection, NotTold> {
        self.ssh.connect(name, member, key).await
    }

    async fn observe_refusal(&self, _address: Ipv4Addr, _keys: &Path) -> Option<LoginRefusal> {
        // This machine's own SSH server is not a simulated node's.
        None
    }
}

/// In whose name a connection was let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Login {
    Operator,
    Peer(NodeId),
}

/// A program that was started over a connection.
pub(super) struct Process {
    pub(super) stdin: DuplexStream,
    pub(super) stdout: DuplexStream,
    pub(super) ended: Ended,
}

/// How a program ends.
pub(super) struct Ended {
    /// Cancelled when it is killed.
    pub(super) killed: CancellationToken,
    told: oneshot::Receiver<(ExitStatus, String)>,
}

impl Ended {
    /// Waits for its end; returns its status and what it wrote to standard error.
    pub(super) async fn wait(self) -> (ExitStatus, String) {
        let killed = || (ExitStatus::Signal("KILL".to_owned()), String::new());
        self.told.await.unwrap_or_else(|_| killed())
    }
}

/// A program that runs.
struct Running {
    node: usize,
    what: String,
    task: Option<AbortHandle>,
    killed: CancellationToken,
}

/// One machine.
struct Node {
    name: NodeName,
    id: NodeId,
    host: Host,
    machine: Mutex<Machine<Simulated>>,
    directory: TempDir,
    /// How far its clock is off, in milliseconds.
    clock: Arc<AtomicI64>,
    /// When its power was last cut.
    cut_at: Mutex<Option<Duration>>,
    is_off: Mutex<bool>,
}

/// All machines.
pub(super) struct World {
    pub(super) network: Network,
    pub(super) dice: Dice,
    pub(super) trace: Trace,
    applications: Vec<ApplicationName>,
    nodes: Vec<Node>,
    guids: Guids,
    processes: Mutex<BTreeMap<u64, Running>>,
    next_process: AtomicU64,
    /// Told whenever a node asks another one for something.
    asked: Notify,
    /// Whether applications write nothing.
    is_quiet: AtomicBool,
    /// What applications wrote and were told is safe.
    acknowledged: Mutex<BTreeMap<ApplicationName, Vec<u8>>>,
    records: AtomicU64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Node {
    /// A machine on which nothing of ours ever was.
    fn new(
        index: usize,
        faults: &Faults,
        (dice, trace): (&Dice, &Trace),
        (network, guids): (&Network, &Guids),
    ) -> Self {
        let directory = tempfile::tempdir_in("/dev/shm").unwrap();
        copy_keys(index, directory.path());
        let id = Uuid::from_u128(u128::try_from(index).unwrap() + 1);
        fs::write(directory.path().join("state/node-id"), format!("{id}\n")).unwrap();
        let host = Host::new(faults.clone());
        for image in ["image:1", "image:2"] {
            // A registry has both.
            if dice.once_in(500) {
                continue;
            }
            host.add_image(name(image), ImageId(image.to_owned()));
        }
        let clock = Arc::new(AtomicI64::new(0));
        let parts = (&host, directory.path(), (network, guids));
        let machine = assemble(index, parts, clock_of(trace, &clock));
        Self {
            name: node_name(index),
            id: machine.id,
            host,
            machine: Mutex::new(machine),
            directory,
            clock,
            cut_at: Mutex::default(),
            is_off: Mutex::default(),
        }
    }
}

impl World {
    /// Machines on which nothing of ours ever was.
    pub(super) fn new(count: usize, dice: &Dice, mutation: Option<Mutation>) -> Arc<Self> {
        let trace = Trace::begin();
        let network = Network::new(dice, &trace);
        let pace = Arc::new(Pace {
            next: {
                let dice = dice.clone();
                Box::new(move || dice.call())
            },
            look: OnceLock::new(),
            mutation,
        });
        let faults = Faults::paced(Arc::clone(&pace));
        let guids = Guids::default();
        let make = |index| Node::new(index, &faults, (dice, &trace), (&network, &guids));
        let nodes = (0..count).map(make).collect();
        let world = Arc::new(Self {
            network: network.clone(),
            dice: dice.clone(),
            trace,
            applications: (0..APPLICATIONS).map(application_name).collect(),
            nodes,
            guids,
            processes: Mutex::default(),
            next_process: AtomicU64::new(1),
            asked: Notify::new(),
            is_quiet: AtomicBool::new(false),
            acknowledged: Mutex::default(),
            records: AtomicU64::default(),
        });
        network.lead_to(&world);
        let looked_at = Arc::downgrade(&world);
        let look = move || {
            if let Some(world) = looked_at.upgrade() {
                world.look();
            }
        };
        let _ = pace.look.set(Box::new(look));
        world
    }

    pub(super) fn count(&self) -> usize {
        self.nodes.len()
    }

    /// Returns the clock of an operator's machine.
    pub(super) fn operators_clock(&self, jump: &Arc<AtomicI64>) -> Clock {
        clock_of(&self.trace, jump)
    }

    /// Finds the machine at an address.
    pub(super) fn site_of(&self, host: &str) -> Option<Site> {
        let found = self
            .nodes
            .iter()
            .position(|node| node.name.as_str() == host);
        found.map(Site::Node)
    }

    /// Lets somebody in, as a node's SSH server does.
    pub(super) fn log_in(&self, to: Site, destination: &Destination) -> Result<Login, String> {
        let Site::Node(index) = to else {
            return Err("there is no server".to_owned());
        };
        if destination.user == "root" {
            return Ok(Login::Operator);
        }
        let key = destination.identities.first().ok_or("no key is offered")?;
        let public = read_public_key(&key.path).map_err(|error| error.to_string())?;
        let public = public.to_openssh().map_err(|error| error.to_string())?;
        let store = lock(&self.nodes[index].machine).store.clone();
        let lines = fs::read_to_string(store.authorized_keys()).unwrap_or_default();
        let from = lines.lines().find_map(|line| admitted(line, &public));
        from.map(Login::Peer).ok_or_else(|| "publickey".to_owned())
    }

    /// Starts what a login is for.
    pub(super) fn start(
        self: &Arc<Self>,
        (from, to): (Site, Site),
        login: Login,
    ) -> Option<Process> {
        let Site::Node(index) = to else {
            return None;
        };
        if *lock(&self.nodes[index].is_off) {
            return None;
        }
        let (stdin, input) = tokio::io::duplex(PIPE);
        let (output, stdout) = tokio::io::duplex(PIPE);
        let machine = lock(&self.nodes[index].machine).clone();
        let (tell, told) = oneshot::channel();
        let contact = Contact {
            address: self.nodes[index].name.as_address()?,
            ssh_port: port(22),
        };
        let (what, work): (_, Work) = match login {
            Login::Operator => {
                let work = async move {
                    serve(&machine, Some(contact), (Listener::new(input), output)).await
                };
                (format!("serve {from}"), Box::pin(work))
            }
            Login::Peer(peer) => {
                self.asked.notify_waiters();
                let work = async move {
                    let receiver = Receiver {
                        node: machine.id,
                        boot: machine.store.boot_id().or_failure()?,
                        volumes: &machine.volumes,
                        images: &machine.containers,
                        forgotten: machine.store.forgotten(peer).or_failure()?,
                    };
                    receive(&receiver, peer, (Listener::new(input), output)).await
                };
                (format!("receive from {from}"), Box::pin(work))
            }
        };
        let killed = self.run_program(index, what, async move {
            let (status, said) = match work.await {
                Ok(()) => (0, String::new()),
                Err(failure) => (1, words(&failure)),
            };
            let _ = tell.send((ExitStatus::Code(status), said.clone()));
            said
        });
        let ended = Ended { killed, told };
        Some(Process {
            stdin,
            stdout,
            ended,
        })
    }

    /// Runs a program on a machine, where it can be killed.
    fn run_program(
        self: &Arc<Self>,
        node: usize,
        what: String,
        work: impl Future<Output = String> + 'static,
    ) -> CancellationToken {
        let number = self.next_process.fetch_add(1, Ordering::Relaxed);
        let killed = CancellationToken::new();
        let site = Site::Node(node);
        self.trace
            .note(&format!("{site}: process {number} begins: {what}"));
        let running = Running {
            node,
            what: what.clone(),
            task: None,
            killed: killed.clone(),
        };
        lock(&self.processes).insert(number, running);
        let world = Arc::downgrade(self);
        let task = tokio::task::spawn_local(async move {
            let said = work.await;
            if let Some(world) = Weak::upgrade(&world) {
                let said = said.trim_end();
                world
                    .trace
                    .note(&format!("{site}: process {number} ends ({what}): {said}"));
                lock(&world.processes).remove(&number);
            }
        });
        if let Some(running) = lock(&self.processes).get_mut(&number) {
            running.task = Some(task.abort_handle());
        }
        killed
    }

    /// Waits until a node pushes something to another one, or asks it about owners.
    pub(super) async fn push_begins(&self) {
        self.asked.notified().await;
    }

    /// Lists the programs that run.
    pub(super) fn programs(&self) -> Vec<(u64, String)> {
        let processes = lock(&self.processes);
        let programs = processes.iter();
        programs
            .map(|(number, running)| (*number, format!("{} on {}", running.what, running.node + 1)))
            .collect()
    }

    /// Kills a program.
    pub(super) async fn kill(&self, number: u64) {
        let Some(running) = lock(&self.processes).remove(&number) else {
            return;
        };
        let site = Site::Node(running.node);
        self.trace.note(&format!(
            "{site}: process {number} is killed: {}",
            running.what
        ));
        running.killed.cancel();
        if let Some(task) = running.task {
            task.abort();
            while !task.is_finished() {
                tokio::task::yield_now().await;
            }
        }
        // What it was at ends with it, before time goes on.
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
    }

    /// Cuts a machine's power; it boots some time later.
    pub(super) async fn cut_power(self: &Arc<Self>, index: usize) {
        let node = &self.nodes[index];
        if std::mem::replace(&mut *lock(&node.is_off), true) {
            return;
        }
        let site = Site::Node(index);
        self.trace.count(Event::PowerCut);
        self.trace.note(&format!("{site}: the power is cut"));
        self.network.switch_off(site);
        let there: Vec<u64> = lock(&self.processes)
            .iter()
            .filter(|(_, running)| running.node == index)
            .map(|(number, _)| *number)
            .collect();
        for number in there {
            self.kill(number).await;
        }
        node.host.cut_power();
        fs::remove_dir_all(node.directory.path().join("runtime")).unwrap();
        *lock(&node.cut_at) = Some(self.trace.elapsed());
        let world = Arc::clone(self);
        let pause = self.dice.time(3000..40_000);
        tokio::spawn(async move {
            sleep(pause).await;
            world.boot(index);
        });
    }

    /// Boots a machine, which restores itself.
    fn boot(self: &Arc<Self>, index: usize) {
        let node = &self.nodes[index];
        let site = Site::Node(index);
        self.trace.note(&format!("{site}: boots"));
        let parts = (
            &node.host,
            node.directory.path(),
            (&self.network, &self.guids),
        );
        let machine = assemble(index, parts, clock_of(&self.trace, &node.clock));
        *lock(&node.machine) = machine.clone();
        *lock(&node.is_off) = false;
        self.network.switch_on(site);
        self.run_program(index, "restore".to_owned(), async move {
            match local::restore(&machine).await {
                Ok(complied) => {
                    let lines = complied.lines.join(" ");
                    let blocked = complied.blocked.iter().map(ToString::to_string);
                    let failed = complied.failures.iter().map(words);
                    let all: Vec<String> = blocked.chain(failed).collect();
                    let silent: Vec<&str> = complied.silent.keys().map(NodeName::as_str).collect();
                    format!("{lines} {} silent: {}", all.join(" "), silent.join(" "))
                }
                Err(failure) => words(&failure),
            }
        });
    }

    /// Waits until all machines are on and have restored themselves.
    pub(super) async fn wait_until_up(&self) {
        while !self.is_up() {
            sleep(Duration::from_secs(1)).await;
        }
    }

    fn is_up(&self) -> bool {
        let restores = |running: &Running| running.what == "restore";
        !self.nodes.iter().any(|node| *lock(&node.is_off))
            && !lock(&self.processes).values().any(restores)
    }

    /// Puts a machine's clock forward or back.
    pub(super) fn set_clock(&self, index: usize, by: i64) {
        self.nodes[index].clock.fetch_add(by, Ordering::Relaxed);
    }

    /// Tells when a machine's power was last cut.
    pub(super) fn cut_at(&self, index: usize) -> Option<Duration> {
        *lock(&self.nodes[index].cut_at)
    }

    /// Has applications write nothing, or write again.
    pub(super) fn set_quiet(&self, is_quiet: bool) {
        self.is_quiet.store(is_quiet, Ordering::Relaxed);
    }

    /// Every application that runs and sees a volume writes a record and is told that it is safe.
    /// Sometimes the disks catch up with what they were told to keep.
    pub(super) fn write(&self) {
        if self.is_quiet.load(Ordering::Relaxed) {
            return;
        }
        for node in &self.nodes {
            let state = &mut *node.host.state();
            let names = self.applications.iter();
            let running = names.filter(|name| state.running.processes.runs(name));
            let owners: Vec<_> = running.filter_map(|name| state.volume_of(name)).collect();
            for name in &owners {
                let volume = state.disk.pool.volumes.get_mut(name);
                if let Some(volume) =
                    volume.filter(|volume| volume.is_mounted && !volume.is_readonly)
                {
                    let record = self.records.fetch_add(1, Ordering::Relaxed);
                    let record = format!("{record};");
                    volume.write(record.as_bytes());
                    let mut acknowledged = lock(&self.acknowledged);
                    let kept = acknowledged.entry(name.clone()).or_default();
                    kept.extend(record.as_bytes());
                    if self.dice.once_in(100) {
                        volume.sync();
                    }
                }
            }
        }
    }

    /// Never two owners, never two writers, never one on a replica or beside its volume; and one copy
    /// has all that was ever acknowledged.
    fn look(&self) {
        for name in &self.applications {
            self.look_for_records(name);
            let (mut owners, mut writers) = (Vec::new(), Vec::new());
            for node in &self.nodes {
                let (place, id) = (&node.name, node.id);
                let state = node.host.state();
                if state.running.processes.runs(name) && !state.has_its_volume(name) {
                    let text = format!("{name} runs on {place} without its volume");
                    self.trace.broken(&text);
                }
                let Some(volume) = state.disk.pool.volumes.get(name) else {
                    continue;
                };
                let is_owned = matches!(volume.role(id), VolumeRole::Owned { .. });
                if !is_owned && volume.is_mounted {
                    let text = format!("a replica of {name} is mounted on {place}");
                    self.trace.broken(&text);
                }
                if is_owned {
                    owners.push(place.as_str());
                }
                if volume.is_mounted && state.is_used(name) {
                    writers.push(place.as_str());
                }
            }
            for (what, places) in [("owned", owners), ("written", writers)] {
                if places.len() > 1 {
                    let places = places.join(" and ");
                    self.trace.broken(&format!("{name} is {what} on {places}"));
                }
            }
        }
    }

    fn look_for_records(&self, name: &ApplicationName) {
        let acknowledged = lock(&self.acknowledged);
        let Some(records) = acknowledged.get(name) else {
            return;
        };
        let is_complete = |node: &Node| {
            let state = node.host.state();
            let volume = state.disk.pool.volumes.get(name);
            volume.is_some_and(|volume| volume.keeps(records))
        };
        if !self.nodes.iter().any(is_complete) {
            let text = format!("no copy of {name} has every acknowledged record");
            self.trace.broken(&text);
        }
    }

    /// Lists what is left on machines of applications that are not wanted there.
    pub(super) fn leftovers(&self, wanted: &Deployment) -> Vec<String> {
        let mut left = Vec::new();
        for node in &self.nodes {
            let (place, state) = (&node.name, node.host.state());
            let wanted_here = |name: &ApplicationName| wanted.nodes[place].contains(name);
            for name in &self.applications {
                let volume = state.disk.pool.volumes.get(name);
                if volume.is_some_and(|volume| volume.snapshot_count() > MOST_SNAPSHOTS) {
                    left.push(format!("too many snapshots of {name} on {place}"));
                }
                if wanted_here(name) {
                    continue;
                }
                if state.running.processes.runs(name) {
                    left.push(format!("a container of {name} on {place}"));
                }
                if state.running.units.state(name) != UnitState::Missing {
                    left.push(format!("a unit of {name} on {place}"));
                }
                if volume.is_some_and(|volume| volume.is_mounted && !state.is_used(name)) {
                    left.push(format!("a mounted volume of {name} on {place}"));
                }
            }
        }
        left
    }

    /// Returns the machine's state for a look, and its identity.
    pub(super) fn inspect<T>(
        &self,
        index: usize,
        look: impl FnOnce(&crate::tests::fake::State, NodeId) -> T,
    ) -> T {
        let node = &self.nodes[index];
        look(&node.host.state(), node.id)
    }

    /// Returns what an application was told is safe.
    pub(super) fn acknowledged(&self, name: &ApplicationName) -> Vec<u8> {
        lock(&self.acknowledged)
            .get(name)
            .cloned()
            .unwrap_or_default()
    }
}

type Work = std::pin::Pin<Box<dyn Future<Output = Result<(), StepFailure>>>>;

/// Puts a failure as `flocker-node` writes it to standard error.
fn words(failure: &StepFailure) -> String {
    let message = std::iter::once(format!("error: {}\n", failure.message));
    let causes = failure.causes.iter();
    let causes = causes.map(|cause| format!("  caused by: {cause}\n"));
    let hint = failure.hint.iter();
    let hint = hint.map(|hint| format!("  hint: {hint}\n"));
    message.chain(causes).chain(hint).collect()
}

/// Makes the clock of a machine.
fn clock_of(trace: &Trace, jump: &Arc<AtomicI64>) -> Clock {
    let (trace, jump) = (trace.clone(), Arc::clone(jump));
    Clock::reading(move || {
        let passed = u64::try_from(trace.elapsed().as_millis()).unwrap_or_default();
        (BEGINNING + passed).saturating_add_signed(jump.load(Ordering::Relaxed))
    })
}

/// Starts `flocker-node` on a machine.
fn assemble(
    index: usize,
    (host, directory, (network, guids)): (&Host, &Path, (&Network, &Guids)),
    clock: Clock,
) -> Machine<Simulated> {
    let below = |name: &str| -> PathBuf { directory.join(name) };
    let settings = Settings {
        state_directory: below("state"),
        runtime_directory: below("runtime"),
        host_keys: below("ssh"),
        ..Settings::default()
    };
    let store = Store::open(&settings).unwrap().asking_for_locks();
    let mark = std::future::ready(host.node_mark());
    let settled = settle(&store, ("tank/flocker", mark)).now_or_never();
    let id = settled.unwrap().unwrap();
    let host = || host.clone();
    let phone = network.phone(Site::Node(index));
    Machine {
        id,
        settings,
        store,
        clock,
        volumes: FakeVolumes {
            host: host(),
            node: id,
            guids: guids.clone(),
        },
        containers: FakeContainers { host: host() },
        directories: FakeDirectories { host: host() },
        units: FakeUnits { host: host() },
        routes: FakeRoutes { host: host() },
        peers: SimulatedPeers {
            ssh: Ssh {
                way: Way::Dialed(Arc::clone(&phone) as Arc<dyn Dialer>),
            },
            phone,
        },
    }
}
