//! Who owns which volume by the account of other nodes, for when nobody is there to be asked but
//! them: at boot, and before a replica takes the place of a lost owner.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use flocker_model::{ApplicationName, Member, NodeId, NodeName, OwnerClaim, VolumeRole};
use flocker_remote::protocol::StepFailure;
use tokio::task::JoinSet;

use crate::failure::{OrFailure as _, failure_of};
use crate::machine::Machine;
use crate::peer::{self, NotTold};
use crate::platform::{Platform, Volumes};

/// How long a peer may take to answer. A node that boots beside others that do not answer must not
/// wait for long: after a power cut they may be waiting for it in turn.
const PATIENCE: Duration = Duration::from_secs(5);

/// What peers said.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// The owners by the peer that names them.
    pub(crate) claims: BTreeMap<NodeName, BTreeMap<ApplicationName, OwnerClaim>>,
    /// Who those peers are.
    pub(crate) ids: BTreeMap<NodeName, NodeId>,
    /// The peers that did not tell, and why.
    pub(crate) silent: BTreeMap<NodeName, StepFailure>,
    /// Those of them that are there, and answered what this node does not understand.
    pub(crate) not_understood: BTreeSet<NodeName>,
}

/// Asks every machine that this one remembers, all at once and not for long.
pub(crate) async fn ask_peers(machine: &Machine<impl Platform>) -> Result<Told, StepFailure> {
    let mut asking = JoinSet::new();
    for member in machine.store.members().or_failure()? {
        if member.id == machine.id {
            continue;
        }
        let machine = machine.clone();
        asking.spawn(async move {
            let answer = tokio::time::timeout(PATIENCE, ask(&machine, &member)).await;
            let silence = || failure_of(format!("no answer within {} s", PATIENCE.as_secs()));
            (
                member.name,
                member.id,
                answer.unwrap_or_else(|_| Err(NotTold::Silent(silence()))),
            )
        });
    }
    let mut told = Told::default();
    while let Some(asked) = asking.join_next().await {
        let (name, id, answer) = asked.or_failed_to("a peer could not be asked")?;
        match answer {
            Ok(claims) => {
                told.ids.insert(name.clone(), id);
                told.claims.insert(name, claims);
            }
            Err(NotTold::Silent(failure)) => {
                told.silent.insert(name, failure);
            }
            Err(NotTold::NotUnderstood(failure)) => {
                told.not_understood.insert(name.clone());
                told.silent.insert(name, failure);
            }
        }
    }
    Ok(told)
}

/// Asks one machine.
async fn ask(
    machine: &Machine<impl Platform>,
    member: &Member,
) -> Result<BTreeMap<ApplicationName, OwnerClaim>, NotTold> {
    // Whoever does not let this node in may be another machine.
    let peer = peer::connect_to(machine, member).await;
    peer.map_err(NotTold::Silent)?.claims().await
}

/// What this node says of the volumes that it has copies of.
pub(crate) async fn own_claims(
    node: NodeId,
    volumes: &impl Volumes,
) -> Result<BTreeMap<ApplicationName, OwnerClaim>, StepFailure> {
    let copies = volumes.observe_volumes().await?;
    let claim = |role| match role {
        VolumeRole::Owned { epoch } => Some(OwnerClaim { owner: node, epoch }),
        VolumeRole::Replica { owner, epoch, .. } => Some(OwnerClaim { owner, epoch }),
        VolumeRole::Foreign { .. } => None,
    };
    Ok(copies
        .into_iter()
        .filter_map(|(name, copy)| Some((name, claim(copy.role)?)))
        .collect())
}
