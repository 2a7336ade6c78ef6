//! Two nodes in memory, each behind an OpenSSH server of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flocker_model::{
    ApplicationName, ByteCount, Contact, ContainerState, ImageId, ImageReference, NodeId, NodeName,
    NodeObservation, NodeState, Observed, PoolHealth, PoolState, Port, RegistryAnswer, SshIdentity,
};
use flocker_plan::{Action, StepId, simulate};
use flocker_remote::protocol::{
    Change, Event, FrameReader, FrameWriter, LockHolder, LockPurpose, RefusedReason, Request,
    StepDone, StepFailure,
};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

use crate::fixture::{Server, ServerSettings};

/// What is deployed.
const APPLICATION: &str = "db: {image: busybox, volume: /data, routes: [5432]}\n";

/// What becomes of a node whose process has been killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Afterwards {
    /// The next one answers.
    Answers,
    /// Each ends without a word.
    IsMute,
    /// Somebody else was faster and has its lock.
    IsTaken,
}

/// A process that is killed when it is asked for something, before it has done that.
#[derive(Debug)]
struct Death {
    node: NodeName,
    asked_for: &'static str,
    afterwards: Afterwards,
}

/// The nodes, and what befalls them.
#[derive(Debug, Default)]
struct World {
    observed: Observed,
    /// The answer of registries about every image.
    registries: Option<RegistryAnswer>,
    death: Option<Death>,
    /// A kind of step that fails on a node, and why.
    failing: Option<(NodeName, &'static str, &'static str)>,
    befallen: BTreeMap<NodeName, Afterwards>,
}

/// What a node makes of a request.
enum Answer {
    Event(Box<Event>),
    Nothing,
    Death,
}

/// How the program ended.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    /// What it wrote on standard output.
    pub(crate) result: String,
    /// What it wrote on standard error.
    pub(crate) said: String,
}

/// Both nodes.
pub(crate) struct Nodes {
    servers: [Server; 2],
    directory: TempDir,
    world: Arc<Mutex<World>>,
    _runtime: Runtime,
}

impl Nodes {
    /// Starts them, with nothing on them.
    pub(crate) fn new() -> Self {
        let runtime = Runtime::new().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let world = Arc::new(Mutex::new(World::default()));
        let servers = [1, 2].map(|number| {
            let node = node_name(&format!("node{number}"));
            let seen = NodeObservation::Seen(Box::new(empty(number)));
            lock(&world).observed.nodes.insert(node.clone(), seen);
            let port = listen(&runtime, node, &world);
            let script = directory.path().join(format!("relay{number}"));
            fs::write(&script, relay(port)).unwrap();
            Server::start_with(&ServerSettings {
                extra: &format!("ForceCommand bash {}", script.display()),
                ..ServerSettings::default()
            })
        });
        introduce(&servers);
        Self {
            servers,
            directory,
            world,
            _runtime: runtime,
        }
    }

    /// Removes all images from the nodes; registries say this of every image.
    pub(crate) fn empty_of_images(&self, registries: RegistryAnswer) {
        let mut world = lock(&self.world);
        world.registries = Some(registries);
        for observation in world.observed.nodes.values_mut() {
            if let NodeObservation::Seen(state) = observation {
                state.images.clear();
            }
        }
    }

    /// Has a node's process end when it is next asked for something.
    pub(crate) fn kill(&self, (node, asked_for): (&str, &'static str), afterwards: Afterwards) {
        lock(&self.world).death = Some(Death {
            node: node_name(node),
            asked_for,
            afterwards,
        });
    }

    /// Has a kind of step fail on a node from now on.
    pub(crate) fn fail(&self, (node, kind): (&str, &'static str), why: &'static str) {
        lock(&self.world).failing = Some((node_name(node), kind, why));
    }

    /// Has a node end each session without a word from now on.
    pub(crate) fn silence(&self, node: &str) {
        let befallen = &mut lock(&self.world).befallen;
        befallen.insert(node_name(node), Afterwards::IsMute);
    }

    /// Lets nothing listen where the second node's SSH server was.
    pub(crate) fn switch_second_off(&self) {
        let [own, second] = &self.servers;
        let config = fs::read_to_string(own.path("config")).unwrap();
        let port = format!("Port {}\n", second.port);
        let config = config.replace(&port, "Port 1\n");
        fs::write(own.path("config"), config).unwrap();
    }

    /// Has the container of `db` on a node be one that has just started.
    pub(crate) fn restart(&self, node: &str) {
        let name: ApplicationName = "db".parse().unwrap();
        let mut world = lock(&self.world);
        let Some(NodeObservation::Seen(state)) = world.observed.nodes.get_mut(&node_name(node))
        else {
            panic!("{node} is not there");
        };
        state.containers.get_mut(&name).unwrap().just_started = true;
    }

    /// Makes the nodes as good as new. Whatever was to befall them has.
    pub(crate) fn mend(&self) {
        let mut world = lock(&self.world);
        assert!(world.death.is_none(), "{:?} did not happen", world.death);
        world.befallen.clear();
        world.failing = None;
    }

    /// Tells whether `db` runs on a node that owns its volume.
    pub(crate) fn runs_on(&self, node: &str) -> bool {
        let name: ApplicationName = "db".parse().unwrap();
        let world = lock(&self.world);
        let state = world.observed.node(&node_name(node)).unwrap();
        let container = state.containers.get(&name);
        let copy = state.volumes.get(&name);
        container.is_some_and(ContainerState::is_up)
            && copy.is_some_and(|copy| copy.owned_epoch().is_some() && copy.mounted.is_some())
    }

    /// Deploys `db` to a node.
    pub(crate) fn deploy(&self, node: &str) -> Ended {
        self.deploy_as(node, APPLICATION)
    }

    /// Deploys `db` to a node, and all other applications of the file to the first.
    pub(crate) fn deploy_as(&self, node: &str, applications: &str) -> Ended {
        let names = applications.lines().filter_map(|line| line.split_once(':'));
        let others: Vec<&str> = names
            .map(|(name, _)| name)
            .filter(|name| *name != "db")
            .collect();
        let placed = |name: &str| {
            let here = if name == "node1" {
                others.as_slice()
            } else {
                &[]
            };
            let db = (name == node).then_some("db");
            let all: Vec<&str> = here.iter().copied().chain(db).collect();
            format!("[{}]", all.join(", "))
        };
        let (first, second) = (placed("node1"), placed("node2"));
        let deployment = format!("nodes: {{node1: {first}, node2: {second}}}\n");
        self.deploy_files(applications, &deployment)
    }

    /// Deploys what these files say.
    pub(crate) fn deploy_files(&self, applications: &str, deployment: &str) -> Ended {
        let applications = self.file("application.yml", applications);
        let deployment = self.file("deployment.yml", deployment);
        self.run([
            OsStr::new("deploy"),
            applications.as_ref(),
            deployment.as_ref(),
        ])
    }

    /// Runs the program.
    pub(crate) fn run<'a>(&self, arguments: impl IntoIterator<Item = &'a OsStr>) -> Ended {
        let own = &self.servers[0];
        let ended = Command::new(env!("CARGO_BIN_EXE_flocker-cluster"))
            .args(arguments)
            .arg("--ssh-config")
            .arg(own.path("config"))
            .arg("--known-hosts")
            .arg(own.path("known_hosts"))
            .arg("--identity")
            .arg(own.path("id"))
            .env("HOME", own.directory.path())
            .env_remove("SSH_AUTH_SOCK")
            // These tests leave this machine's own Docker out.
            .env("DOCKER_HOST", "unix:///nonexistent")
            .output()
            .unwrap();
        Ended {
            code: ended.status.code(),
            result: String::from_utf8(ended.stdout).unwrap(),
            said: String::from_utf8(ended.stderr).unwrap(),
        }
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

/// Has both servers let the key of the first in, and writes down where they are.
fn introduce(servers: &[Server; 2]) {
    let [first, second] = servers;
    fs::copy(first.path("id.pub"), second.path("authorized_keys")).unwrap();
    let known = servers.each_ref().map(|server| {
        let key = server.host_key_text("ed25519");
        format!("{} {key}\n", server.known_name())
    });
    first.write_known_hosts(&known.concat());
    let host = |number: u8, server: &Server| {
        let port = server.port;
        format!("Host node{number}\n  HostName 127.0.0.1\n  Port {port}\n")
    };
    let config = host(1, first) + &host(2, second);
    fs::write(first.path("config"), config).unwrap();
}

/// A command that is whatever listens at a port of this machine, until either side ends.
fn relay(port: u16) -> String {
    format!(
        "exec 3<>/dev/tcp/127.0.0.1/{port} 4<&0\ncat <&4 >&3 &\ncat <&3 &\nwait -n\n\
         kill $(jobs -p) 2>/dev/null\n"
    )
}

fn lock(world: &Mutex<World>) -> MutexGuard<'_, World> {
    // A test that has failed says more than the next one that finds the lock poisoned.
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

fn node_name(name: &str) -> NodeName {
    name.parse().unwrap()
}

/// A node on which there is nothing but an image.
fn empty(number: u8) -> NodeState {
    let address = [10, 0, 0, number].into();
    let ssh_port = Port::new(22).unwrap();
    let image = ImageId("busybox".to_owned());
    let id = NodeId(uuid::Uuid::from_u128(u128::from(number)));
    let pool = PoolState {
        dataset: "tank/flocker".to_owned(),
        health: PoolHealth::Usable,
        available: ByteCount::mebibytes(1024),
        sync_disabled: None,
    };
    NodeState {
        contact: Some(Contact { address, ssh_port }),
        ssh: SshIdentity {
            public_key: format!("ssh-ed25519 node{number}"),
            host_keys: Vec::new(),
        },
        listening: BTreeSet::from([ssh_port.into()]),
        images: BTreeMap::from([("busybox:latest".parse().unwrap(), image.into())]),
        ..NodeState::fresh(id, "1", pool)
    }
}

/// Serves a node's sessions at a port of this machine.
fn listen(runtime: &Runtime, node: NodeName, world: &Arc<Mutex<World>>) -> u16 {
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let port = listener.local_addr().unwrap().port();
    let world = Arc::clone(world);
    runtime.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, node.clone(), Arc::clone(&world)));
        }
    });
    port
}

/// Serves one session.
async fn serve(stream: TcpStream, node: NodeName, world: Arc<Mutex<World>>) {
    let (input, output) = stream.into_split();
    let mut reader = FrameReader::<_, Request>::new(input);
    let mut writer = FrameWriter::<_, Event>::new(output);
    let mut has_gone_on = false;
    while let Ok(Some(request)) = reader.next().await {
        has_gone_on |= request == Request::GoOn;
        let answer = lock(&world).answer((&node, has_gone_on), &request);
        match answer {
            Answer::Event(event) => {
                if writer.send(&event).await.is_err() {
                    return;
                }
            }
            Answer::Nothing => {}
            Answer::Death => return,
        }
    }
}

impl World {
    fn answer(&mut self, (node, has_gone_on): (&NodeName, bool), request: &Request) -> Answer {
        let asked_for = match request {
            Request::Begin(_) => "begin",
            Request::GoOn => "go-on",
            Request::Observe => "observe",
            Request::UseLogins { .. } => "use-logins",
            Request::AskRegistries { .. } => "ask-registries",
            Request::Run { action, .. } => action.kind(),
        };
        let dies = |death: &mut Death| death.node == *node && death.asked_for == asked_for;
        if let Some(death) = self.death.take_if(dies) {
            self.befallen.insert(death.node, death.afterwards);
            return Answer::Death;
        }
        let event = match request {
            Request::Begin(_) => match self.befallen.get(node) {
                Some(Afterwards::IsMute) => return Answer::Death,
                Some(Afterwards::IsTaken) => taken(),
                Some(Afterwards::Answers) | None => self.look(node),
            },
            Request::GoOn | Request::UseLogins { .. } => return Answer::Nothing,
            Request::Observe => self.look(node),
            Request::AskRegistries { images } => self.ask(images),
            Request::Run { step, action } if has_gone_on => {
                self.run(node, (*step, action.as_ref()))
            }
            Request::Run { step, .. } => failed(*step, "the session has not gone on"),
        };
        Answer::Event(Box::new(event))
    }

    fn look(&self, node: &NodeName) -> Event {
        let state = self.observed.node(node).unwrap().clone();
        Event::Observed {
            state: Box::new(state),
        }
    }

    fn ask(&self, images: &BTreeSet<ImageReference>) -> Event {
        let answers = images.iter().filter_map(|image| {
            let answer = self.registries.clone()?;
            Some((image.identity(), answer))
        });
        let answers = answers.collect();
        Event::RegistriesAnswered { answers }
    }

    fn run(&mut self, node: &NodeName, (step, action): (StepId, &Action)) -> Event {
        if let Some((place, kind, message)) = &self.failing
            && (place, *kind) == (node, action.kind())
        {
            return failed(step, message);
        }
        match simulate(&mut self.observed, (node, action), &BTreeMap::new()) {
            Ok(yielded) => Event::Done {
                step,
                done: StepDone {
                    yielded,
                    ..StepDone::plain(Change::Changed)
                },
            },
            Err(refusal) => failed(step, &refusal.to_string()),
        }
    }
}

fn failed(step: StepId, message: &str) -> Event {
    let failure = StepFailure {
        message: message.to_owned(),
        causes: Vec::new(),
        hint: None,
        stale: false,
    };
    Event::Failed { step, failure }
}

fn taken() -> Event {
    let holder = LockHolder {
        purpose: LockPurpose::Deploy,
        operator: "kim@laptop".to_owned(),
        session: "another".to_owned(),
        started: 1_795_402_590_000,
        since: 1_795_402_590,
        process: 4711,
    };
    let holder = Some(holder);
    let reason = RefusedReason::Locked { holder };
    Event::Refused { reason }
}
