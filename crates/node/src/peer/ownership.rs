//! Asking another node who owns what, whatever release it has.

use std::collections::BTreeMap;

use flocker_model::{ApplicationName, CopyClaim, NodeId, OwnerClaim};
use flocker_remote::protocol::{BootId, FORMER_PROTOCOLS, OwnershipQuestion, Speaks, StepFailure};

use super::{NotTold, Peer};
use crate::failure::failure_of;
use crate::platform::PeerConnection;
use crate::push_messages::{PushAnswer, PushRequest};

/// What a node answers when it is asked who owns what.
pub(crate) struct Ownership {
    /// Who answers, and in which boot. Former releases do not tell.
    pub(crate) who: Option<(NodeId, BootId)>,
    /// The owners, or why they are not known there: its pool may not be there yet.
    pub(crate) claims: Result<BTreeMap<ApplicationName, CopyClaim>, StepFailure>,
}

impl<C: PeerConnection> Peer<C> {
    /// Asks who owns the volumes that the peer has copies of.
    pub(crate) async fn ownership(&self) -> Result<Ownership, NotTold> {
        let mut exchange = self.open().await?;
        let question = PushRequest::Ownership(OwnershipQuestion::ours());
        // If the peer has answered and ended already, its answer tells more than this error.
        let _ = exchange.send(&question).await;
        match exchange.answer().await? {
            PushAnswer::Ownership(answer) => {
                let failed = |problem: String| failure_of(format!("{}: {problem}", self.name));
                Ok(Ownership {
                    who: Some((answer.node, answer.boot)),
                    claims: answer.known.claims().map_err(failed),
                })
            }
            // A release from before that question calls it nonsense.
            _ => Ok(Ownership {
                who: None,
                claims: Ok(self.former_claims().await?),
            }),
        }
    }

    /// Asks a former release the same in its own protocol.
    async fn former_claims(&self) -> Result<BTreeMap<ApplicationName, CopyClaim>, NotTold> {
        let newest = *FORMER_PROTOCOLS.end();
        let (mut exchange, theirs) = self.greet(&speaks(newest)).await?;
        if theirs.protocol != newest && FORMER_PROTOCOLS.contains(&theirs.protocol) {
            // It has ended, and says the same in a new session.
            exchange = self.greet(&theirs).await?.0;
        } else if theirs.protocol != newest {
            return Err(self.other_protocol(&theirs));
        }
        let _ = exchange.send(&PushRequest::Claims).await;
        match exchange.answer().await? {
            PushAnswer::Claimed { claims } => Ok(with_no_snapshots(claims)),
            // It understands the question, and cannot find out.
            PushAnswer::Failed(failure) => Err(NotTold::Silent(self.said(failure))),
            answer => Err(NotTold::NotUnderstood(exchange.unexpected(answer))),
        }
    }
}

/// What this program says in a session in a former protocol.
fn speaks(protocol: u32) -> Speaks {
    Speaks {
        protocol,
        ..Speaks::ours()
    }
}

/// Reads what a former release tells.
fn with_no_snapshots(
    claims: BTreeMap<ApplicationName, OwnerClaim>,
) -> BTreeMap<ApplicationName, CopyClaim> {
    let copy = |OwnerClaim { owner, epoch }| CopyClaim {
        owner,
        epoch,
        newest: Vec::new(),
    };
    let claims = claims.into_iter();
    claims.map(|(name, claim)| (name, copy(claim))).collect()
}
