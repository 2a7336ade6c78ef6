//! Who owns which volume by the account of other nodes, for when nobody is there to be asked but
//! them: at boot, and before a replica takes the place of a lost owner.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use flocker_model::{
    ApplicationName, CopyClaim, Member, NodeId, NodeName, OwnerClaim, VolumeCopy, VolumeRole,
};
use flocker_remote::protocol::{BootId, StepFailure};
use tokio::task::JoinSet;

use crate::failure::{OrFailure as _, failure_of};
use crate::machine::Machine;
use crate::peer::{self, NotTold, Ownership};
use crate::platform::{Peers as _, Platform, Volumes};

/// How long a peer may take to accept a connection. A node that boots beside others that are away must not
/// wait for long: after a power cut they may be waiting for it in turn.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a peer that accepts connections may take to answer. It is there and may be the owner, however
/// busy it is; nothing but its answer allows a start beside it.
const ANSWER_PATIENCE: Duration = Duration::from_secs(120);

/// How long a peer is left alone that has dropped a connection: its SSH server has many to answer.
const PAUSE: Duration = Duration::from_secs(1);

/// What peers said.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// The owners by the peer that names them.
    pub(crate) claims: BTreeMap<NodeName, BTreeMap<ApplicationName, CopyClaim>>,
    /// Who those peers are.
    pub(crate) ids: BTreeMap<NodeName, NodeId>,
    /// The peers that did not tell, and why.
    pub(crate) silent: BTreeMap<NodeName, StepFailure>,
    /// The peers that are there, and answered what this node does not understand.
    pub(crate) not_understood: BTreeMap<NodeName, StepFailure>,
    /// The addresses at which another machine has the identity of this one.
    pub(crate) twins: BTreeSet<Ipv4Addr>,
}

/// Asks every machine that this one remembers, all at once and not for long. It asks at its own address
/// as well: a clone of it, or the machine that it is a clone of, may answer there.
pub(crate) async fn ask_peers(machine: &Machine<impl Platform>) -> Result<Told, StepFailure> {
    let own = (machine.id, machine.store.boot_id().or_failure()?);
    let mut asking = JoinSet::new();
    for member in machine.store.members().or_failure()? {
        let machine = machine.clone();
        asking.spawn(async move {
            let answer = ask(&machine, &member).await;
            (member, answer)
        });
    }
    let mut told = Told::default();
    while let Some(asked) = asking.join_next().await {
        let asked = asked.or_failed_to("a peer could not be asked")?;
        told.hear(&own, asked);
    }
    Ok(told)
}

impl Told {
    /// Takes down what was answered at the address of a member.
    fn hear(
        &mut self,
        (own, boot): &(NodeId, BootId),
        (member, answer): (Member, Result<Ownership, NotTold>),
    ) {
        let answer = match answer {
            Ok(Ownership {
                who: Some((node, its_boot)),
                ..
            }) if node == *own => {
                if its_boot != *boot {
                    self.twins.insert(member.contact.address);
                }
                return;
            }
            // A node that does not answer itself, or not in Flocker's words, is no reason to wait.
            _ if member.id == *own => return,
            answer => answer,
        };
        let name = member.name;
        match answer {
            Ok(Ownership {
                who,
                claims: Ok(claims),
            }) => {
                let id = who.map_or(member.id, |(node, _)| node);
                self.ids.insert(name.clone(), id);
                self.claims.insert(name, claims);
            }
            Ok(Ownership {
                claims: Err(failure),
                ..
            })
            | Err(NotTold::Silent(failure)) => {
                self.silent.insert(name, failure);
            }
            Err(NotTold::NotUnderstood(failure)) => {
                self.not_understood.insert(name, failure);
            }
        }
    }
}

/// Asks one machine, and waits longer for it if it is there.
async fn ask(machine: &Machine<impl Platform>, member: &Member) -> Result<Ownership, NotTold> {
    let reached = tokio::time::timeout(PATIENCE, machine.peers.reach(member)).await;
    let reached = reached.unwrap_or_else(|_| Err(no_answer(PATIENCE)));
    reached.map_err(NotTold::Silent)?;
    let answer = tokio::time::timeout(ANSWER_PATIENCE, ask_until_answered(machine, member)).await;
    answer.unwrap_or_else(|_| Err(NotTold::NotUnderstood(no_answer(ANSWER_PATIENCE))))
}

fn no_answer(within: Duration) -> StepFailure {
    failure_of(format!("no answer within {} s", within.as_secs()))
}

/// Asks a machine that is there, again and again while it drops the connection or is late.
async fn ask_until_answered(
    machine: &Machine<impl Platform>,
    member: &Member,
) -> Result<Ownership, NotTold> {
    loop {
        match peer::connect_to(machine, member).await {
            Ok(peer) => return peer.ownership().await,
            // One that does not let this node in may be another machine.
            Err(NotTold::Silent(failure)) => return Err(NotTold::Silent(failure)),
            Err(NotTold::NotUnderstood(_)) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// What this node says of the volumes that it has copies of.
pub(crate) async fn own_claims(
    node: NodeId,
    volumes: &impl Volumes,
) -> Result<BTreeMap<ApplicationName, CopyClaim>, StepFailure> {
    let copies = volumes.observe_volumes().await?;
    let claim = |copy: VolumeCopy| {
        let (owner, epoch) = match copy.role {
            VolumeRole::Owned { epoch } => (node, epoch),
            VolumeRole::Replica { owner, epoch, .. } => (owner, epoch),
            VolumeRole::Foreign { .. } => return None,
        };
        let newest = copy.newest_counted();
        Some(CopyClaim {
            owner,
            epoch,
            newest,
        })
    };
    Ok(copies
        .into_iter()
        .filter_map(|(name, copy)| Some((name, claim(copy)?)))
        .collect())
}

/// Leaves out what former releases do not tell.
pub(crate) fn without_snapshots(
    claims: BTreeMap<ApplicationName, CopyClaim>,
) -> BTreeMap<ApplicationName, OwnerClaim> {
    let owner = |CopyClaim { owner, epoch, .. }| OwnerClaim { owner, epoch };
    let claims = claims.into_iter();
    claims.map(|(name, claim)| (name, owner(claim))).collect()
}
