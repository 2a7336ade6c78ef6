//! Asking another node who owns what, whatever release it has.

use std::collections::BTreeMap;

use flocker_model::{ApplicationName, CopyClaim, OwnerClaim};
use flocker_remote::protocol::{FORMER_PROTOCOLS, OwnershipQuestion, Speaks};

use super::{NotTold, Peer};
use crate::failure::failure_of;
use crate::platform::PeerConnection;
use crate::push_messages::{PushAnswer, PushRequest};

impl<C: PeerConnection> Peer<C> {
    /// Asks who owns the volumes that the peer has copies of.
    pub(crate) async fn ownership(&self) -> Result<BTreeMap<ApplicationName, CopyClaim>, NotTold> {
        let mut exchange = self.open().await?;
        let question = PushRequest::Ownership(OwnershipQuestion::ours());
        // As in the beginning: whoever answers without having been asked may have ended already.
        let _ = exchange.send(&question).await;
        match exchange.answer().await? {
            // A peer that cannot find out may lack its pool still.
            PushAnswer::Ownership(answer) => answer.known.claims().map_err(|problem| {
                let failure = failure_of(format!("{}: {problem}", self.name));
                NotTold::Silent(failure)
            }),
            // A release from before that question calls it nonsense.
            _ => self.former_claims().await,
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
