//! Bringing data in from outside as the volume of an application, and taking a volume out: only when
//! the operator says so.
//!
//! **Import.** The node makes a dataset that is no volume yet (`_importing:NAME`), fills it, compares
//! it with its source, takes its first snapshot, and writes owner and epoch with one `zfs set`. Only
//! then the dataset gets the volume's name. The node owns the volume as if a deploy had made it
//! there; the next deploy moves it to wherever the application is placed.
//!
//! The epoch is the first one, unless the operator says that machines are lost which may have had the
//! volume: then it is one that outranks them should they come back.
//!
//! An import that has made the volume is not repeated: the source may have other data by now, or be
//! another stream. The operator sets that volume aside first, as well as one that a deploy has made.
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

use std::collections::{BTreeMap, BTreeSet};

use flocker_model::{
    ApplicationName, Epoch, ImportContent, NodeName, NodeObservation, NodeState, Observed,
    Obstruction, PoolHealth, PoolProblem, VolumeCopy, VolumeRole,
};
use thiserror::Error;

use crate::setting_aside::running_on;
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
    /// The machines that are lost for good, as the operator says.
    pub lost: BTreeSet<NodeName>,
    /// Now, in seconds since 1970.
    pub at: u64,
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
    /// A machine that the operator says is lost is there.
    NotLost {
        /// The machine.
        node: NodeName,
    },
    /// An import has made the volume, and the application is not on any node since.
    ImportedBefore {
        /// The node that has it.
        node: NodeName,
        /// Where its content comes from.
        from: String,
        /// When its first snapshot was taken, in seconds since 1970.
        taken: Option<u64>,
    },
    /// There is a copy of the volume.
    VolumeExists {
        /// The copy.
        copy: Box<CopyDescription>,
        /// The way to take every copy out of use.
        clearing: Clearing,
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

/// The way to a cluster without a volume of the application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clearing {
    /// The applications that run on it, by their node.
    pub running: BTreeMap<NodeName, BTreeSet<ApplicationName>>,
    /// The nodes with a copy; that of the last one has everything.
    pub copies: Vec<NodeName>,
}

impl Clearing {
    /// Orders the copies so that each but the last is set aside while another has as much.
    fn of(application: &ApplicationName, observed: &Observed) -> Self {
        let copies = observed.seen().filter_map(|(node, state)| {
            let copy = state.volumes.get(application)?;
            Some((copy.owned_epoch(), copy.newest_counted(), node))
        });
        let mut copies: Vec<_> = copies.collect();
        copies.sort();
        let running = observed.seen().filter_map(|(node, state)| {
            let running = running_on(state, application);
            let has_copy = state.volumes.contains_key(application);
            let running: BTreeSet<_> = running.into_iter().cloned().collect();
            (has_copy && !running.is_empty()).then(|| (node.clone(), running))
        });
        Self {
            running: running.collect(),
            copies: copies
                .into_iter()
                .map(|(_, _, node)| node.clone())
                .collect(),
        }
    }
}

/// Plans how data becomes an application's volume.
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
        ..
    } = importing;
    let (state, goes_on) = ready(importing, observed).map_err(|why| {
        Box::new(NotImported {
            importing: importing.clone(),
            why,
        })
    })?;
    let action = Action::ImportVolume {
        application: application.clone(),
        epoch: importing.epoch(),
        content: content.clone(),
        deployment: state.applied.as_ref().map(|applied| applied.id.clone()),
    };
    let why = if goes_on {
        "an earlier import of it was interrupted"
    } else {
        "the operator brings it in, and no node has a copy of it"
    };
    let mut plan = Plan::default();
    let because = Because { after: &[], why };
    let done_after = BTreeSet::from([plan.add(node, action, because)]);
    let from = content.to_string();
    let outcome = Outcome {
        kind: OutcomeKind::Imported { from },
        node: node.clone(),
        done_after,
    };
    plan.outcomes.insert(application.clone(), outcome);
    Ok(plan)
}

/// Tells whether this import has made the volume, which the application did not run on since.
pub fn is_imported(importing: &Importing, observed: &Observed) -> bool {
    let Importing {
        application,
        node,
        content,
        ..
    } = importing;
    observed.node(node).is_some_and(|state| {
        let copy = state.volumes.get(application);
        is_unused_import(state, application)
            && copy.and_then(|copy| copy.import.as_ref()) == Some(&content.to_string())
    })
}

/// Tells whether a node has the volume as an import has made it, and nothing that may use it.
///
/// A volume that has moved is in a later epoch.
pub(crate) fn is_unused_import(state: &NodeState, application: &ApplicationName) -> bool {
    let is_import = |copy: &VolumeCopy| {
        copy.import.is_some()
            && copy.owned_epoch().is_some_and(Epoch::is_beginning)
            && copy.mounted.is_none()
    };
    state.volumes.get(application).is_some_and(is_import)
        && !state.containers.contains_key(application)
        && state.users_of(application).next().is_none()
}

impl Importing {
    /// Returns the epoch that the volume begins with.
    fn epoch(&self) -> Epoch {
        if self.lost.is_empty() {
            Epoch::FIRST
        } else {
            Epoch::begun_again(self.at)
        }
    }

    /// Tells whether a copy is what this very import has left.
    fn has_left(&self, node: &NodeName, copy: &VolumeCopy) -> bool {
        *node == self.node && copy.unfinished_import() == Some(self.content.to_string().as_str())
    }
}

/// Makes sure that everything that was seen allows it; returns the node's state, and whether an
/// earlier attempt left something there.
fn ready<'a>(
    importing: &Importing,
    observed: &'a Observed,
) -> Result<(&'a NodeState, bool), WhyNotImported> {
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
    for (other, theirs) in observed.seen() {
        match theirs.volumes.get(application) {
            Some(copy) if !importing.has_left(other, copy) => {
                return Err(in_the_way((other, theirs, copy), application, observed));
            }
            Some(_) | None => {}
        }
    }
    refuse_unseen(importing, observed)?;
    if state.containers.contains_key(application) {
        return Err(WhyNotImported::ContainerExists);
    }
    if let Some(obstruction) = state.obstructed.get(application) {
        let obstruction = obstruction.clone();
        return Err(WhyNotImported::Obstructed { obstruction });
    }
    Ok((state, state.volumes.contains_key(application)))
}

/// Every machine must have been seen, but for those that are lost: they must not answer at all.
fn refuse_unseen(importing: &Importing, observed: &Observed) -> Result<(), WhyNotImported> {
    let mut unseen = Unseen::of(observed);
    for node in &importing.lost {
        match observed.nodes.get(node) {
            Some(NodeObservation::Unreachable { .. }) => unseen.away.retain(|away| away != node),
            Some(NodeObservation::NotAsked) | None => {}
            Some(
                NodeObservation::Seen(_)
                | NodeObservation::WithoutPool(_)
                | NodeObservation::Unusable { .. },
            ) => return Err(WhyNotImported::NotLost { node: node.clone() }),
        }
    }
    if unseen.is_empty() {
        Ok(())
    } else {
        Err(WhyNotImported::VolumeUnknown { unseen })
    }
}

/// Says what a copy is that keeps the import from being done.
fn in_the_way(
    (node, state, copy): (&NodeName, &NodeState, &VolumeCopy),
    application: &ApplicationName,
    observed: &Observed,
) -> WhyNotImported {
    if let (true, Some(from)) = (is_unused_import(state, application), &copy.import) {
        let first = copy.snapshots.values().min_by_key(|it| it.counted());
        return WhyNotImported::ImportedBefore {
            node: node.clone(),
            from: from.clone(),
            taken: first.map(|snapshot| snapshot.created),
        };
    }
    let described = describe(observed, (node, application), copy);
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
            WhyNotImported::VolumeExists {
                copy: Box::new(described),
                clearing: Clearing::of(application, observed),
            }
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
