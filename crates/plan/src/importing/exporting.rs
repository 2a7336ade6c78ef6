//! Taking a volume out as a stream.

use std::collections::BTreeSet;
use std::fmt;

use flocker_model::{
    ApplicationName, Epoch, NodeName, NodeObservation, Observed, SnapshotGuid, VolumeRole,
};
use thiserror::Error;

use crate::naming::{look_at_pool, machine};
use crate::steps::Because;
use crate::survey::{name_of, unseen_reason};
use crate::{Action, Outcome, OutcomeKind, Plan, Unseen};

/// The operator's word that a volume is written to a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exporting {
    /// Whose volume.
    pub application: ApplicationName,
    /// The node that owns it.
    pub node: NodeName,
}

/// A volume is not exported. Nothing was done.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct NotExported {
    /// What was asked for.
    pub exporting: Exporting,
    /// Why it is refused.
    pub why: WhyNotExported,
}

/// Why a volume is not exported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WhyNotExported {
    /// The node did not answer.
    NodeUnseen {
        /// Why.
        reason: String,
    },
    /// The pool or the volume cannot be read.
    Unusable {
        /// What is wrong, as a clause.
        problem: String,
        /// What can be done about it.
        hint: String,
    },
    /// The node has no copy of the volume.
    NoCopy {
        /// The node that owns it, if that was seen.
        owner: Option<NodeName>,
    },
    /// The node has a replica only.
    Replica {
        /// The owner, as its replica names it.
        owner: String,
        /// The node that owns it, if that was seen.
        seen_on: Option<NodeName>,
    },
    /// The dataset is not Flocker's, or not whole.
    Foreign {
        /// What is wrong with it, as the end of a sentence.
        problem: String,
    },
    /// Another node that was seen owns the volume in a later epoch.
    LaterOwner {
        /// The node.
        owner: NodeName,
        /// Its epoch.
        epoch: Epoch,
    },
}

/// Plans the snapshot that is exported, and destroys those of earlier exports: at most one is left.
///
/// # Errors
///
/// Refuses where the node does not own the volume, or another node owns it later.
pub fn plan_exporting(
    exporting: &Exporting,
    observed: &Observed,
) -> Result<Plan, Box<NotExported>> {
    let Exporting { application, node } = exporting;
    let epoch = owned_epoch(exporting, observed).map_err(|why| {
        Box::new(NotExported {
            exporting: exporting.clone(),
            why,
        })
    })?;
    let mut plan = Plan::default();
    let action = Action::SnapshotVolume {
        application: application.clone(),
        epoch,
    };
    let because = Because {
        after: &[],
        why: "the export is of this moment",
    };
    let taken = plan.add(node, action, because);
    if let Some(keep) = superfluous_but(exporting, observed) {
        let action = Action::PruneSnapshots {
            application: application.clone(),
            keep,
        };
        let because = Because {
            after: &[taken],
            why: "no push can start from the others",
        };
        plan.add(node, action, because);
    }
    let done_after = BTreeSet::from([taken]);
    let outcome = Outcome {
        kind: OutcomeKind::Exported,
        node: node.clone(),
        done_after,
    };
    plan.outcomes.insert(application.clone(), outcome);
    Ok(plan)
}

/// Returns what to keep of the snapshots that the owner has already, if others are superfluous.
///
/// Only with every machine in sight is it known what each replica ends with.
fn superfluous_but(exporting: &Exporting, observed: &Observed) -> Option<BTreeSet<SnapshotGuid>> {
    let Exporting { application, node } = exporting;
    if !Unseen::of(observed).is_empty() {
        return None;
    }
    let copy = observed.node(node)?.volumes.get(application)?;
    let ends: BTreeSet<SnapshotGuid> = observed
        .seen()
        .filter(|(other, _)| *other != node)
        .filter_map(|(_, state)| state.volumes.get(application)?.newest_own())
        .filter(|guid| copy.snapshots.contains_key(guid))
        .collect();
    let is_superfluous = |guid: &SnapshotGuid| !ends.contains(guid);
    copy.snapshots.keys().any(is_superfluous).then_some(ends)
}

/// Returns the epoch in which the node owns the volume.
fn owned_epoch(exporting: &Exporting, observed: &Observed) -> Result<Epoch, WhyNotExported> {
    let Exporting { application, node } = exporting;
    let state = match observed.nodes.get(node) {
        Some(NodeObservation::Seen(state)) => state,
        Some(NodeObservation::WithoutPool(poolless)) => {
            let (pool, problem) = (&poolless.pool, &poolless.problem);
            return Err(WhyNotExported::Unusable {
                problem: format!("pool {pool} of {node} {problem}"),
                hint: look_at_pool(node, pool, problem),
            });
        }
        observation => {
            let reason = observation.and_then(unseen_reason);
            let reason = reason.unwrap_or_else(|| "it was not asked".to_owned());
            return Err(WhyNotExported::NodeUnseen { reason });
        }
    };
    let owners = || {
        observed.seen().filter_map(|(other, theirs)| {
            let epoch = theirs.volumes.get(application)?.owned_epoch()?;
            Some((other, epoch))
        })
    };
    let latest = || owners().max_by_key(|(_, epoch)| *epoch);
    let owner = latest().map(|(owner, _)| owner.clone());
    let copy = state.volumes.get(application);
    let Some(copy) = copy else {
        return Err(WhyNotExported::NoCopy { owner });
    };
    let epoch = match &copy.role {
        VolumeRole::Owned { epoch } => *epoch,
        VolumeRole::Foreign { problem } => {
            let problem = problem.clone();
            return Err(WhyNotExported::Foreign { problem });
        }
        VolumeRole::Replica { owner: id, .. } => {
            return Err(WhyNotExported::Replica {
                owner: machine(*id, name_of(*id, observed).as_ref()),
                seen_on: owner,
            });
        }
    };
    if let Some(root) = &copy.key_needed {
        return Err(WhyNotExported::Unusable {
            problem: format!("it is encrypted, and the key of {root} is not loaded"),
            hint: format!("`zfs load-key {root}` on {node}"),
        });
    }
    match latest() {
        Some((owner, later)) if later > epoch => Err(WhyNotExported::LaterOwner {
            owner: owner.clone(),
            epoch: later,
        }),
        _ => Ok(epoch),
    }
}

impl NotExported {
    /// Tells whether the cause is that the node did not answer.
    pub const fn is_unreachable(&self) -> bool {
        matches!(self.why, WhyNotExported::NodeUnseen { .. })
    }

    /// Says what the operator can do next.
    pub fn hint(&self) -> String {
        let Exporting { application, node } = &self.exporting;
        let from = |owner: &NodeName| format!("export it from there, with `--from {owner}`");
        match &self.why {
            WhyNotExported::NodeUnseen { .. } => format!("make `ssh {node}` work"),
            WhyNotExported::Unusable { hint, .. } => hint.clone(),
            WhyNotExported::NoCopy { owner: Some(owner) }
            | WhyNotExported::Replica {
                seen_on: Some(owner),
                ..
            }
            | WhyNotExported::LaterOwner { owner, .. } => from(owner),
            WhyNotExported::NoCopy { owner: None } => {
                format!(
                    "`flocker-node observe` on a node lists its volumes; look for `{application}`"
                )
            }
            WhyNotExported::Replica { seen_on: None, .. } => format!(
                "bring the owner back; if it is lost for good, `volume promote {application}` makes a \
                 replica the volume first"
            ),
            WhyNotExported::Foreign { .. } => {
                format!("look at it with `flocker-node observe` on {node}")
            }
        }
    }
}

impl fmt::Display for NotExported {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Exporting { application, node } = &self.exporting;
        write!(
            formatter,
            "the volume of `{application}` is not exported from {node}: "
        )?;
        match &self.why {
            WhyNotExported::NodeUnseen { reason } => {
                write!(formatter, "{node} cannot be reached: {reason}")
            }
            WhyNotExported::Unusable { problem, .. } => formatter.write_str(problem),
            WhyNotExported::NoCopy { owner: Some(owner) } => {
                write!(formatter, "{node} has no copy of it, and {owner} owns it")
            }
            WhyNotExported::NoCopy { owner: None } => {
                write!(formatter, "{node} has no copy of it")
            }
            WhyNotExported::Replica { owner, .. } => write!(
                formatter,
                "{node} has a replica of it, which may be old; {owner} owns it"
            ),
            WhyNotExported::Foreign { problem } => {
                write!(formatter, "the dataset on {node} {problem}")
            }
            WhyNotExported::LaterOwner { owner, epoch } => {
                write!(formatter, "{owner} owns it in the later epoch {epoch}")
            }
        }
    }
}
