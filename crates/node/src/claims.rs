//! Who owns which volume by the account of other nodes, for when nobody is there to be asked but
//! them: at boot, and before a replica takes the place of a lost owner.

use std::collections::BTreeMap;
use std::time::Duration;

use flocker_model::{
    ApplicationName, CopyClaim, NodeId, NodeName, OwnerClaim, VolumeCopy, VolumeRole,
};
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
    pub(crate) claims: BTreeMap<NodeName, BTreeMap<ApplicationName, CopyClaim>>,
    /// Who those peers are.
    pub(crate) ids: BTreeMap<NodeName, NodeId>,
    /// The peers that did not tell, and why.
    pub(crate) silent: BTreeMap<NodeName, StepFailure>,
    /// The peers that are there, and answered what this node does not understand.
    pub(crate) not_understood: BTreeMap<NodeName, StepFailure>,
}

/// Asks every machine that this one remembers, all at once and not for long.
pub(crate) async fn ask_peers(machine: &Machine<impl Platform>) -> Result<Told, StepFailure> {
    let mut asking = JoinSet::new();
    for (name, member) in machine.store.members().or_failure()? {
        if member.id == machine.id {
            continue;
        }
        let machine = machine.clone();
        asking.spawn(async move {
            let answer = tokio::time::timeout(PATIENCE, ask(&machine, &name)).await;
            let silence = || failure_of(format!("no answer within {} s", PATIENCE.as_secs()));
            (
                name,
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
                told.not_understood.insert(name, failure);
            }
        }
    }
    Ok(told)
}

/// Asks one machine.
async fn ask(
    machine: &Machine<impl Platform>,
    name: &NodeName,
) -> Result<BTreeMap<ApplicationName, CopyClaim>, NotTold> {
    // Whoever does not let this node in may be another machine.
    let peer = peer::connect(machine, name).await;
    peer.map_err(NotTold::Silent)?.ownership().await
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
