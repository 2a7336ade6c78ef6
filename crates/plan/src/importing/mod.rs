//! Bringing data in from outside as the volume of an application, and taking a volume out: only when
//! the operator says so.
//!
//! **Import.** The node makes a dataset that is no volume yet (`_importing:NAME`), fills it, compares
//! it with its source, takes its first snapshot, and writes owner and epoch with one `zfs set`. Only
//! then the dataset gets the volume's name. The node owns the volume in the first epoch, as if a
//! deploy had made it there; the next deploy moves it to wherever the application is placed.
//!
//! An import that is interrupted keeps what it has. The dataset says where its content comes from:
//! the same command goes on with it, and another source is refused. Until it is finished, every
//! deploy of the application is refused, so that no new volume takes its place, and `volume resolve`
//! keeps it under another name if the operator gives it up.
//!
//! A tree is copied by `rsync`, file by file, so that a second attempt copies only what the first did
//! not. A stream cannot be continued from a file: it is received again from its beginning.
//!
//! **Export.** The owner takes a snapshot, which is consistent as a disk after a power cut is, and
//! writes it as a full `zfs send` stream. The application goes on running.

mod exporting;
mod text;

use std::collections::BTreeSet;

use flocker_model::{
    ApplicationName, Epoch, ImportContent, NodeName, NodeObservation, NodeState, Observed,
    Obstruction, PoolHealth, PoolProblem, VolumeCopy, VolumeRole,
};
use thiserror::Error;

use crate::steps::Because;
use crate::survey::{describe, unseen_reason};
use crate::{Action, CopyDescription, Outcome, OutcomeKind, Plan, Unseen};

pub use exporting::{Exporting, NotExported, WhyNotExported, plan_exporting};

/// The operator's word that data becomes an application's volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Importing {
    /// Whose volume it becomes.
    pub application: ApplicationName,
    /// The node that owns it then.
    pub node: NodeName,
    /// Where its content comes from.
    pub content: ImportContent,
}

/// Data is not imported. Nothing was done.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct NotImported {
    /// What was asked for.
    pub importing: Importing,
    /// Why it is refused.
    pub why: WhyNotImported,
}

/// Why data is not imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WhyNotImported {
    /// The node did not answer.
    NodeUnseen {
        /// Why.
        reason: String,
    },
    /// The pool cannot be written to.
    PoolUnusable {
        /// Its name.
        pool: String,
        /// What is wrong with it.
        problem: PoolProblem,
    },
    /// A machine that may have the volume was not seen.
    VolumeUnknown {
        /// The nodes that were not seen.
        unseen: Unseen,
    },
    /// There is a copy of the volume.
    VolumeExists {
        /// The copy.
        copy: Box<CopyDescription>,
    },
    /// A dataset at the volume's place is not Flocker's.
    Foreign {
        /// The node.
        node: NodeName,
        /// Its name.
        dataset: String,
        /// What is wrong with it.
        problem: String,
    },
    /// An import with another source, or on another node, is not finished.
    OtherImport {
        /// The node that has it.
        node: NodeName,
        /// Where its content comes from.
        from: String,
    },
    /// The node has a container of the application.
    ContainerExists,
    /// Something else is at the volume's place.
    Obstructed {
        /// What and where.
        obstruction: Obstruction,
    },
}

/// Plans how data becomes an application's volume.
///
/// The plan is empty if the same import has already made the volume, and nothing used that since.
///
/// # Errors
///
/// Refuses where any copy of the volume exists, or may exist on a machine that was not seen.
pub fn plan_importing(
    importing: &Importing,
    observed: &Observed,
) -> Result<Plan, Box<NotImported>> {
    let Importing {
        application,
        node,
        content,
    } = importing;
    let ready = ready(importing, observed).map_err(|why| {
        Box::new(NotImported {
            importing: importing.clone(),
            why,
        })
    })?;
    let mut plan = Plan::default();
    let from = content.to_string();
    let (again, done_after) = match ready {
        Ready::Imported => (true, BTreeSet::new()),
        Ready::Begin(state) | Ready::GoOn(state) => {
            let action = Action::ImportVolume {
                application: application.clone(),
                content: content.clone(),
                deployment: state.applied.as_ref().map(|applied| applied.id.clone()),
            };
            let why = match ready {
                Ready::GoOn(_) => "an earlier import of it was interrupted",
                _ => "the operator brings it in, and no node has a copy of it",
            };
            let because = Because { after: &[], why };
            (false, BTreeSet::from([plan.add(node, action, because)]))
        }
    };
    let outcome = Outcome {
        kind: OutcomeKind::Imported { from, again },
        node: node.clone(),
        done_after,
    };
    plan.outcomes.insert(application.clone(), outcome);
    Ok(plan)
}

/// What an import that may go on finds.
#[derive(Clone, Copy)]
enum Ready<'a> {
    /// Nothing.
    Begin(&'a NodeState),
    /// What an earlier attempt left.
    GoOn(&'a NodeState),
    /// The volume, as this import has made it.
    Imported,
}

/// Makes sure that everything that was seen allows it.
fn ready<'a>(importing: &Importing, observed: &'a Observed) -> Result<Ready<'a>, WhyNotImported> {
    let Importing {
        application, node, ..
    } = importing;
    let state = seen(node, observed)?;
    if let PoolHealth::Unusable { problem } = &state.pool.health {
        return Err(WhyNotImported::PoolUnusable {
            pool: state.pool.pool().to_owned(),
            problem: problem.clone(),
        });
    }
    let here = state.volumes.get(application);
    for (other, theirs) in observed.seen() {
        let Some(copy) = theirs.volumes.get(application) else {
            continue;
        };
        if other != node || !is_its_own(importing, state, copy) {
            return Err(in_the_way((other, copy), importing, observed));
        }
    }
    let unseen = Unseen::of(observed);
    if !unseen.is_empty() {
        return Err(WhyNotImported::VolumeUnknown { unseen });
    }
    if here.is_some_and(|copy| copy.owned_epoch().is_some()) {
        return Ok(Ready::Imported);
    }
    if state.containers.contains_key(application) {
        return Err(WhyNotImported::ContainerExists);
    }
    if let Some(obstruction) = state.obstructed.get(application) {
        let obstruction = obstruction.clone();
        return Err(WhyNotImported::Obstructed { obstruction });
    }
    Ok(match here {
        Some(_) => Ready::GoOn(state),
        None => Ready::Begin(state),
    })
}

/// Tells whether a copy on the node is what this very import has left or made, and nobody used it
/// since.
fn is_its_own(importing: &Importing, state: &NodeState, copy: &VolumeCopy) -> bool {
    let is_same = copy.import.as_deref() == Some(importing.content.to_string().as_str());
    let is_unused = match copy.role {
        VolumeRole::Foreign { .. } => true,
        VolumeRole::Owned { epoch } => {
            epoch == Epoch::FIRST
                && copy.mounted.is_none()
                && copy.snapshots.len() <= 1
                && !state.containers.contains_key(&importing.application)
        }
        VolumeRole::Replica { .. } => false,
    };
    is_same && is_unused
}

/// Says what a copy is that keeps the import from being done.
fn in_the_way(
    (node, copy): (&NodeName, &VolumeCopy),
    importing: &Importing,
    observed: &Observed,
) -> WhyNotImported {
    let described = describe(observed, (node, &importing.application), copy);
    match (&copy.role, copy.unfinished_import()) {
        (_, Some(from)) => WhyNotImported::OtherImport {
            node: node.clone(),
            from: from.to_owned(),
        },
        (VolumeRole::Foreign { problem }, None) => WhyNotImported::Foreign {
            node: node.clone(),
            dataset: described.dataset,
            problem: problem.clone(),
        },
        (VolumeRole::Owned { .. } | VolumeRole::Replica { .. }, None) => {
            let copy = Box::new(described);
            WhyNotImported::VolumeExists { copy }
        }
    }
}

/// Returns the state of a node, or why it was not seen.
fn seen<'a>(node: &NodeName, observed: &'a Observed) -> Result<&'a NodeState, WhyNotImported> {
    match observed.nodes.get(node) {
        Some(NodeObservation::Seen(state)) => Ok(state),
        Some(NodeObservation::WithoutPool(node)) => Err(WhyNotImported::PoolUnusable {
            pool: node.pool.clone(),
            problem: node.problem.clone(),
        }),
        observation => {
            let reason = observation.and_then(unseen_reason);
            let reason = reason.unwrap_or_else(|| "it was not asked".to_owned());
            Err(WhyNotImported::NodeUnseen { reason })
        }
    }
}
