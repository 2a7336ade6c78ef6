//! The frozen question about owners, which every release asks and answers in these bytes.
//!
//! A node that boots asks its peers who owns which volume, and so does a node whose replica is to become
//! the owner. Its peers may have another release: after an upgrade that it missed, or in the middle of
//! one. A question that they cannot understand would be as good as no question. So this exchange
//! does not depend on [`PROTOCOL_VERSION`](super::PROTOCOL_VERSION), is the first message of a session,
//! and is answered before any version is compared.
//!
//! **Nothing in this file may change.** The test below compares the bytes. A later release that has to ask
//! more asks a question of its own first, and this one where the answer is not understood; it answers
//! this one for ever. A reader passes over fields that it does not know, and over names of applications
//! that its own release does not allow.
//!
//! Releases before this exchange spoke protocols 2 to 6. They ask `{"push":"claims"}` after a greeting in
//! their own protocol, in which the answer had the same form throughout. [`FORMER_PROTOCOLS`] names
//! them: a node asks such a peer in the peer's words, and answers it in these.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use flocker_model::{ApplicationName, CopyClaim, Epoch, NodeId};
use serde::{Deserialize, Serialize};

/// The version of this exchange. It is the only one.
const VERSION: u32 = 1;

/// The protocols whose releases do not know this exchange, and ask about owners in their own words.
pub const FORMER_PROTOCOLS: RangeInclusive<u32> = 2..=6;

/// Asks who owns the volumes that a node has copies of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnershipQuestion {
    /// The version of this exchange that the asker speaks.
    pub version: u32,
}

impl OwnershipQuestion {
    /// The question as this release asks it.
    pub const fn ours() -> Self {
        Self { version: VERSION }
    }
}

/// Tells one run of a machine from another: a random text that is made once after each boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BootId(pub String);

/// A node's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnershipAnswer {
    /// The version of this exchange, whatever the question said.
    pub version: u32,
    /// The identity of the node that answers.
    pub node: NodeId,
    /// The boot in which it answers.
    pub boot: BootId,
    /// The version of its program.
    pub release: String,
    /// What it knows of volumes.
    #[serde(flatten)]
    pub known: KnownOwners,
}

/// What a node knows of the volumes that it has copies of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KnownOwners {
    /// Its copies, by application.
    Copies(BTreeMap<String, OwnershipCopy>),
    /// Nothing: its volumes cannot be looked at, and why.
    Unknown(String),
}

/// What a node knows of one of its copies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnershipCopy {
    /// The owner.
    pub owner: NodeId,
    /// The owner's epoch.
    pub epoch: Epoch,
    /// The numbers in the name of the copy's newest snapshot: the epoch in which it was taken, and its
    /// number in that epoch. Empty without a snapshot.
    pub newest: Vec<u64>,
}

impl OwnershipAnswer {
    /// Writes an answer of this program.
    pub fn new((node, boot): (NodeId, BootId), known: KnownOwners) -> Self {
        Self {
            version: VERSION,
            node,
            boot,
            release: env!("CARGO_PKG_VERSION").to_owned(),
            known,
        }
    }
}

impl KnownOwners {
    /// Writes down what is known of these copies.
    pub fn of(claims: BTreeMap<ApplicationName, CopyClaim>) -> Self {
        let copy = |claim: CopyClaim| OwnershipCopy {
            owner: claim.owner,
            epoch: claim.epoch,
            newest: claim.newest,
        };
        let claims = claims.into_iter();
        Self::Copies(
            claims
                .map(|(name, claim)| (name.to_string(), copy(claim)))
                .collect(),
        )
    }

    /// Reads what is known of each volume.
    ///
    /// # Errors
    ///
    /// Fails with the node's own words if it does not know.
    pub fn claims(self) -> Result<BTreeMap<ApplicationName, CopyClaim>, String> {
        let copies = match self {
            Self::Copies(copies) => copies,
            Self::Unknown(problem) => return Err(problem),
        };
        let read = |(name, copy): (String, OwnershipCopy)| {
            let claim = CopyClaim {
                owner: copy.owner,
                epoch: copy.epoch,
                newest: copy.newest,
            };
            Some((name.parse().ok()?, claim))
        };
        Ok(copies.into_iter().filter_map(read).collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{from_str, to_string};

    use super::*;

    const ANSWER: &str = r#"{"version":1,"node":"00000000-0000-0000-0000-000000000001","boot":"b","release":"R","copies":{"db":{"owner":"00000000-0000-0000-0000-000000000002","epoch":18446744073709551615,"newest":[3,17]}}}"#;

    fn node(number: u128) -> NodeId {
        from_str(&format!("\"00000000-0000-0000-0000-{number:012}\"")).unwrap()
    }

    fn answer(known: KnownOwners) -> OwnershipAnswer {
        OwnershipAnswer {
            release: "R".to_owned(),
            ..OwnershipAnswer::new((node(1), BootId("b".to_owned())), known)
        }
    }

    fn claims() -> BTreeMap<ApplicationName, CopyClaim> {
        let claim = CopyClaim {
            owner: node(2),
            epoch: Epoch(u64::MAX),
            newest: vec![3, 17],
        };
        BTreeMap::from([("db".parse().unwrap(), claim)])
    }

    /// Releases that nobody can change any more wait for these bytes.
    #[test]
    fn the_question_about_owners_never_changes() {
        let question = OwnershipQuestion::ours();
        assert_eq!(to_string(&question).unwrap(), r#"{"version":1}"#);
        let known = answer(KnownOwners::of(claims()));
        assert_eq!(to_string(&known).unwrap(), ANSWER);
        let unknown = answer(KnownOwners::Unknown("no pool".to_owned()));
        assert_eq!(
            to_string(&unknown).unwrap(),
            r#"{"version":1,"node":"00000000-0000-0000-0000-000000000001","boot":"b","release":"R","unknown":"no pool"}"#
        );
        assert_eq!(from_str::<OwnershipAnswer>(ANSWER).unwrap(), known);
        assert_eq!(known.known.claims(), Ok(claims()));
        assert_eq!(unknown.known.claims(), Err("no pool".to_owned()));
    }

    #[test]
    fn an_answer_of_a_later_release_is_read() {
        let later = ANSWER
            .replace(r#""release":"R","#, r#""release":"R","mood":{"a":[1]},"#)
            .replace(r#""newest":[3,17]"#, r#""newest":[3,17],"size":7"#)
            .replace(r#""copies":{"#, r#""copies":{"No Name Here!":{"owner":"00000000-0000-0000-0000-000000000002","epoch":1,"newest":[]},"#);
        let answer: OwnershipAnswer = from_str(&later).unwrap();
        assert_eq!(answer.known.claims(), Ok(claims()));
    }
}
