//! Machines that are connected in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use flocker_model::{LoginRefusal, Member, NodeId, NodeName};
use flocker_remote::protocol::StepFailure;
use flocker_remote::ssh::{PublicKey, observe_host_keys, read_public_key};
use tokio::io::AsyncWriteExt as _;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{Fake, Faults};
use crate::failure::{OrFailure as _, failure_of};
use crate::machine::Machine;
use crate::peer::NotTold;
use crate::platform::{PeerConnection, PeerSession, Peers};
use crate::receive::{Receiver, receive};

/// How many bytes are under way at once.
const UNDER_WAY: usize = 64;

/// Every machine that can be connected to, and what runs there for others.
#[derive(Clone, Default)]
pub(crate) struct Neighbours(Arc<Mutex<Inside>>);

#[derive(Default)]
struct Inside {
    /// By the address at which they are reached, which says nothing of who they are.
    machines: BTreeMap<Ipv4Addr, Machine<Fake>>,
    /// What machines say whatever they are asked, and nothing more.
    scripts: BTreeMap<Ipv4Addr, Vec<u8>>,
    /// Where connections are accepted, and nothing is said.
    busy: BTreeSet<Ipv4Addr>,
    receiving: JoinSet<()>,
}

impl Neighbours {
    pub(crate) fn add(&self, address: Ipv4Addr, machine: Machine<Fake>) {
        self.with(|inside| inside.machines.insert(address, machine));
    }

    pub(crate) fn remove(&self, address: Ipv4Addr) {
        self.with(|inside| inside.machines.remove(&address));
    }

    /// Has a machine say this whatever it is asked; or, with nothing, what it is for.
    pub(crate) fn script(&self, address: Ipv4Addr, says: Option<Vec<u8>>) {
        self.with(|inside| match says {
            Some(bytes) => inside.scripts.insert(address, bytes),
            None => inside.scripts.remove(&address),
        });
    }

    /// Has a machine accept connections and say nothing; or, unless `busy`, what it has to say.
    pub(crate) fn set_busy(&self, address: Ipv4Addr, busy: bool) {
        self.with(|inside| {
            if busy {
                inside.busy.insert(address)
            } else {
                inside.busy.remove(&address)
            }
        });
    }

    /// Waits until nothing is received any more.
    pub(crate) async fn settle(&self) {
        let mut receiving = self.with(|inside| std::mem::take(&mut inside.receiving));
        while receiving.join_next().await.is_some() {}
    }

    /// Kills everything that receives.
    pub(crate) async fn kill(&self) {
        let mut receiving = self.with(|inside| std::mem::take(&mut inside.receiving));
        receiving.shutdown().await;
    }

    fn with<T>(&self, work: impl FnOnce(&mut Inside) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The peers of a machine in memory.
#[derive(Clone)]
pub(crate) struct FakePeers {
    pub(crate) neighbours: Neighbours,
    pub(crate) faults: Faults,
}

impl fmt::Debug for FakePeers {
    /// Leaves the machines out, which have peers in turn.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("FakePeers").finish_non_exhaustive()
    }
}

/// A connection to another machine in memory.
pub(crate) struct FakeConnection {
    peers: FakePeers,
    address: Ipv4Addr,
    target: Machine<Fake>,
    /// In whose name the target lets it push.
    from: NodeId,
}

impl Peers for FakePeers {
    type Connection = FakeConnection;

    async fn reach(&self, member: &Member) -> Result<(), StepFailure> {
        let address = member.contact.address;
        let machines = |inside: &mut Inside| inside.machines.contains_key(&address);
        if self.neighbours.with(machines) {
            return Ok(());
        }
        Err(failure_of(format!("{} does not answer", member.name)))
    }

    async fn connect(
        &self,
        name: &NodeName,
        member: &Member,
        key: &Path,
    ) -> Result<FakeConnection, NotTold> {
        let address = member.contact.address;
        if self
            .neighbours
            .with(|inside| inside.busy.contains(&address))
        {
            return std::future::pending().await;
        }
        let connected = self.connect_in_memory(name, member, key).await;
        connected.map_err(NotTold::Silent)
    }

    async fn observe_refusal(&self, _address: Ipv4Addr, _keys: &Path) -> Option<LoginRefusal> {
        None
    }
}

impl FakePeers {
    async fn connect_in_memory(
        &self,
        name: &NodeName,
        member: &Member,
        key: &Path,
    ) -> Result<FakeConnection, StepFailure> {
        self.faults.point().await?;
        let found = self
            .neighbours
            .with(|inside| inside.machines.get(&member.contact.address).cloned());
        let target = found.ok_or_else(|| failure_of(format!("{name} does not answer")))?;
        if !host_keys(&target)?
            .iter()
            .any(|key| member.ssh.host_keys.contains(key))
        {
            return Err(failure_of(format!("{name} has another host key")));
        }
        let public = read_public_key(key).or_failure()?;
        let public = public.to_openssh().or_failure()?;
        let lines = target.settings.state_directory.join("ssh/authorized_keys");
        let lines = std::fs::read_to_string(lines).unwrap_or_default();
        let from = lines.lines().find_map(|line| admitted(line, &public));
        Ok(FakeConnection {
            peers: self.clone(),
            address: member.contact.address,
            target,
            from: from.ok_or_else(|| failure_of(format!("{name} refuses the key")))?,
        })
    }
}

/// Reads the public halves of a machine's host keys.
fn host_keys(machine: &Machine<Fake>) -> Result<Vec<String>, StepFailure> {
    let keys = observe_host_keys(&machine.settings.host_keys).or_failure()?;
    let keys = keys.iter().map(PublicKey::to_openssh);
    keys.collect::<Result<_, _>>().or_failure()
}

/// Reads in whose name a line of the file lets a key push, if it is that key's.
pub(in crate::tests) fn admitted(line: &str, public: &str) -> Option<NodeId> {
    let key = public.split_whitespace().nth(1)?;
    let (_, command) = line
        .split_once(" receive ")
        .filter(|_| line.contains(key))?;
    let id = command.split(['"', ' ']).next()?;
    Uuid::parse_str(id).ok().map(NodeId)
}

impl PeerConnection for FakeConnection {
    async fn begin(&self) -> Result<PeerSession, StepFailure> {
        self.peers.faults.point().await?;
        let (input, their_input) = tokio::io::duplex(UNDER_WAY);
        let (their_output, output) = tokio::io::duplex(UNDER_WAY);
        let (target, from) = (self.target.clone(), self.from);
        let script = self
            .peers
            .neighbours
            .with(|inside| inside.scripts.get(&self.address).cloned());
        self.peers.neighbours.with(|inside| {
            inside.receiving.spawn(async move {
                if let Some(says) = script {
                    let (mut input, mut output) = (their_input, their_output);
                    let mut unheeded = tokio::io::sink();
                    // A program that read nothing would block the one that asks.
                    tokio::select! {
                        _ = output.write_all(&says) => {}
                        _ = tokio::io::copy(&mut input, &mut unheeded) => {}
                    }
                    return;
                }
                // The other side learns of a failure by the stream's end.
                let receiver = Receiver {
                    node: target.id,
                    boot: target.store.boot_id().unwrap(),
                    volumes: &target.volumes,
                    images: &target.containers,
                    forgotten: target.store.forgotten(from).unwrap(),
                };
                let _ = receive(&receiver, from, (their_input, their_output)).await;
            });
        });
        Ok(PeerSession {
            input: Box::new(input),
            output: Box::new(output),
            errors: Box::new(tokio::io::empty()),
            open: Box::new(()),
        })
    }
}
