//! Nodes of which nothing was seen: those that are away, and those that are only busy.

use std::fmt;

use flocker_model::{NodeName, NodeObservation, Observed};
use serde::{Deserialize, Serialize};

use super::list;
use crate::replaced::replaced_names;

/// The nodes of which nothing was seen.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Unseen {
    /// Those that did not answer, or were not asked.
    #[serde(rename = "unseen")]
    pub away: Vec<NodeName>,
    /// Those that are there, and did not let themselves be looked at: somebody else changes them, or
    /// their pool is missing, say.
    #[serde(default)]
    pub unusable: Vec<NodeName>,
}

impl Unseen {
    /// Collects them.
    pub(crate) fn of(observed: &Observed) -> Self {
        let mut unseen = Self::default();
        for (node, observation) in &observed.nodes {
            match observation {
                NodeObservation::Seen(_) => {}
                NodeObservation::WithoutPool(_) | NodeObservation::Unusable { .. } => {
                    unseen.unusable.push(node.clone());
                }
                NodeObservation::Unreachable { .. } | NodeObservation::NotAsked => {
                    unseen.away.push(node.clone());
                }
            }
        }
        for node in replaced_names(observed) {
            if !unseen.away.contains(&node) {
                unseen.away.push(node);
            }
        }
        unseen
    }

    /// Tells whether everything was seen.
    pub const fn is_empty(&self) -> bool {
        self.away.is_empty() && self.unusable.is_empty()
    }

    /// Says what is to be done about them.
    ///
    /// Nobody is told to bring back a machine that is there.
    pub(crate) fn hint(&self) -> String {
        self.hint_with("")
    }

    /// Says how they come into sight, or else how they are given up.
    pub(crate) fn hint_or_forget(&self) -> String {
        let names: Vec<&str> = self.away.iter().map(NodeName::as_str).collect();
        self.hint_with(&format!(
            " (or, if gone for good, `flocker-cluster node forget {} --via NODE`)",
            names.join(" ")
        ))
    }

    /// Says how they come into sight, and what else may be done about those that are away.
    fn hint_with(&self, alternative: &str) -> String {
        let Self { away, unusable } = self;
        let back = format!("bring {} back{alternative}", list(away));
        let again = format!("try again once {} can be looked at", list(unusable));
        match (away.is_empty(), unusable.is_empty()) {
            (_, true) => back,
            (true, false) => again,
            (false, false) => format!("{back}, and {again}"),
        }
    }
}

impl fmt::Display for Unseen {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<NodeName> = self.away.iter().chain(&self.unusable).cloned().collect();
        formatter.write_str(&list(&names))
    }
}
