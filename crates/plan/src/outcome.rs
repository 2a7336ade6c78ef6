//! What a plan amounts to for each application, in the seed's own words.

use std::collections::BTreeSet;
use std::fmt;

use flocker_model::{ApplicationName, Epoch, NodeName};
use serde::{Deserialize, Serialize};

use crate::StepId;

/// What happens to an application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
pub enum OutcomeKind {
    /// It starts where it never ran.
    Deployed,
    /// It moves, with its volume if it has one.
    Redeployed {
        /// Where it was.
        from: NodeName,
    },
    /// Its configuration changed; it is re-created, re-routed or resized in place.
    Changed,
    /// It was down and is started as it was.
    Started,
    /// It is no longer wanted here; its volume stays.
    Stopped {
        /// Whether a volume of it stays on the node.
        volume_kept: bool,
    },
    /// A replica of its volume became the volume.
    Promoted {
        /// The new owner's turn.
        epoch: Epoch,
    },
    /// A copy of its volume was set aside.
    SetAside {
        /// The dataset that it is now.
        dataset: String,
    },
    /// The node has no copy of its volume that could be set aside.
    NothingSetAside,
    /// Data from outside became its volume.
    Imported {
        /// Where the data comes from.
        from: String,
    },
    /// Its volume was written out as a stream.
    Exported,
    /// It already is as wanted.
    Unchanged,
}

/// What happens to one application, where, and when that is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// What happens.
    #[serde(flatten)]
    pub kind: OutcomeKind,
    /// The node that it ends up on, or is stopped on.
    pub node: NodeName,
    /// It is done when all of these are.
    pub done_after: BTreeSet<StepId>,
}

impl Outcome {
    /// Renders the line that is printed when it is done.
    ///
    /// The first quotes the name and the second does not, because the seed's transcripts have it
    /// so, word for word.
    pub fn line(&self, application: &ApplicationName) -> String {
        OutcomeLine {
            application,
            outcome: self,
        }
        .to_string()
    }
}

/// Writes the line of one outcome.
struct OutcomeLine<'a> {
    application: &'a ApplicationName,
    outcome: &'a Outcome,
}

impl fmt::Display for OutcomeLine<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            application,
            outcome,
        } = self;
        let node = &outcome.node;
        match &outcome.kind {
            OutcomeKind::Deployed => write!(formatter, "Deployed `{application}` to {node}."),
            OutcomeKind::Redeployed { from } => {
                write!(
                    formatter,
                    "Re-deployed {application} from {from} to {node}."
                )
            }
            OutcomeKind::Changed => write!(formatter, "Changed `{application}` on {node}."),
            OutcomeKind::Started => write!(formatter, "Started `{application}` on {node}."),
            OutcomeKind::Stopped { volume_kept: true } => {
                write!(
                    formatter,
                    "Stopped `{application}` on {node}; its volume stays there."
                )
            }
            OutcomeKind::Stopped { volume_kept: false } => {
                write!(formatter, "Stopped `{application}` on {node}.")
            }
            OutcomeKind::Promoted { epoch } => write!(
                formatter,
                "Promoted `{application}` on {node}, which owns its volume in epoch {epoch}."
            ),
            OutcomeKind::SetAside { dataset } => write!(
                formatter,
                "Set the copy of `{application}` on {node} aside as {dataset}."
            ),
            OutcomeKind::NothingSetAside => write!(
                formatter,
                "Nothing was set aside: {node} has no copy of `{application}`."
            ),
            OutcomeKind::Imported { from } => write!(
                formatter,
                "Imported {from} as the volume of `{application}` on {node}."
            ),
            OutcomeKind::Exported => {
                write!(
                    formatter,
                    "Exported the volume of `{application}` from {node}."
                )
            }
            OutcomeKind::Unchanged => write!(formatter, "Unchanged `{application}` on {node}."),
        }
    }
}
