//! Taking a copy of a volume out of use, under another name: only when the operator says so.

mod others;
mod text;

use std::collections::BTreeSet;

use flocker_model::{
    ApplicationName, ByteCount, ContainerStatus, Epoch, NodeId, NodeName, NodeObservation,
    NodeState, Observed, PoolHealth, PoolProblem, SetAsideName, VolumeCopy, VolumeRole,
};
use thiserror::Error;

use crate::importing::is_unused_import;
use crate::naming::machine;
use crate::steps::Because;
use crate::survey::{answers, describe, is_down, name_of, unseen_reason};
use crate::{Action, CopyDescription, Outcome, OutcomeKind, Plan, StepId, StopKind, Unseen};
use others::Others;

/// The operator's word that a copy is not to be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingAside {
    /// Whose volume.
    pub application: ApplicationName,
    /// The node that has the copy.
    pub node: NodeName,
    /// Whether it goes even if no node has as much. The application then has no volume, and no container
    /// on this node.
    pub only_copy: bool,
    /// Now, in seconds since 1970: a part of the name that it gets.
    pub at: u64,
}

/// A copy is not set aside. Nothing was done.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct NotSetAside {
    /// What was asked for.
    pub setting_aside: SettingAside,
    /// Why it is refused.
    pub why: WhyNotSetAside,
    /// The copy, if it was seen.
    pub copy: Option<CopyDescription>,
}

/// Why a copy is not set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WhyNotSetAside {
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
    /// Nobody else who was seen owns the volume.
    OnlyOwner {
        /// The nodes that were not seen.
        unseen: Unseen,
    },
    /// It is the latest owner's, and the application runs on it.
    InUse,
    /// It is the only owner's, and these applications of the node run on it.
    OnlyInUse {
        /// The application itself, or others that see its volume.
        by: BTreeSet<ApplicationName>,
    },
    /// The application runs on a dataset that is not known to be Flocker's.
    ForeignInUse,
    /// It is mounted, and not by Flocker.
    ForeignMounted {
        /// Where.
        path: String,
    },
    /// It knows of a later owner than those that were seen.
    KnowsLaterOwner {
        /// The later owner.
        owner: String,
        /// Whether that is there all the same, and only did not let itself be looked at.
        answers: bool,
        /// Its turn.
        epoch: Epoch,
    },
    /// Nobody who was seen owns the volume, and no other copy has as much.
    NewestCopy {
        /// The nodes that were not seen.
        unseen: Unseen,
    },
}

/// Plans how a copy is taken out of use; it is renamed, and nothing in it is changed.
///
/// The plan is empty if there is no copy.
///
/// # Errors
///
/// Refuses while the copy may be the one that has everything. With `only_copy`, it refuses while an
/// application runs on that copy, or while a node was not seen.
pub fn plan_setting_aside(
    setting_aside: &SettingAside,
    observed: &Observed,
) -> Result<Plan, Box<NotSetAside>> {
    let SettingAside {
        application, node, ..
    } = setting_aside;
    let refuse = |why, copy| {
        Box::new(NotSetAside {
            setting_aside: setting_aside.clone(),
            why,
            copy,
        })
    };
    let state = seen(node, observed).map_err(|why| refuse(why, None))?;
    let mut plan = Plan::default();
    let mut outcome = Outcome {
        kind: OutcomeKind::NothingSetAside,
        node: node.clone(),
        done_after: BTreeSet::new(),
    };
    if let Some(copy) = state.volumes.get(application) {
        let others = Others::of(setting_aside, observed);
        check(setting_aside, (state, copy), &others).map_err(|why| {
            let copy = describe(observed, (node, application), copy);
            refuse(why, Some(copy))
        })?;
        outcome.kind = if others.allow_only_copy(setting_aside) {
            add_steps_of_only_copy(&mut plan, setting_aside, (state, copy))
        } else {
            let stopped = add_stops(&mut plan, setting_aside, state);
            add_renaming(&mut plan, setting_aside, (state, copy), &stopped)
        };
        outcome.done_after = plan.steps().iter().map(|step| step.id).collect();
    }
    plan.outcomes.insert(application.clone(), outcome);
    Ok(plan)
}

/// Returns the state of a node, or why it was not seen.
fn seen<'a>(node: &NodeName, observed: &'a Observed) -> Result<&'a NodeState, WhyNotSetAside> {
    match observed.nodes.get(node) {
        Some(NodeObservation::Seen(state)) => Ok(state),
        Some(NodeObservation::WithoutPool(node)) => Err(WhyNotSetAside::PoolUnusable {
            pool: node.pool.clone(),
            problem: node.problem.clone(),
        }),
        observation => {
            let reason = observation.and_then(unseen_reason);
            let reason = reason.unwrap_or_else(|| "it was not asked".to_owned());
            Err(WhyNotSetAside::NodeUnseen { reason })
        }
    }
}

/// Adds the steps for a copy that no other node has as much as. The container goes too, because an import
/// is refused while it exists.
fn add_steps_of_only_copy(
    plan: &mut Plan,
    setting_aside: &SettingAside,
    (state, copy): (&NodeState, &VolumeCopy),
) -> OutcomeKind {
    let SettingAside {
        application, node, ..
    } = setting_aside;
    let mut after = add_stops(plan, setting_aside, state);
    if state.containers.contains_key(application) {
        let remove = Action::RemoveApplication {
            application: application.clone(),
        };
        let because = Because {
            after: &after,
            why: "it has no volume any more, and another one may be imported",
        };
        after.push(plan.add(node, remove, because));
    }
    add_renaming(plan, setting_aside, (state, copy), &after)
}

/// Adds the steps that stop every application that uses the copy.
fn add_stops(plan: &mut Plan, setting_aside: &SettingAside, state: &NodeState) -> Vec<StepId> {
    let SettingAside {
        application, node, ..
    } = setting_aside;
    let mut stops = Vec::new();
    let mut users: BTreeSet<&ApplicationName> = state.users_of(application).collect();
    if !is_down(state, application) {
        users.insert(application);
    }
    for user in users {
        let stop = Action::StopApplication {
            application: user.clone(),
            kind: StopKind::ForGood,
        };
        let because = Because {
            after: &[],
            why: "it must not write to a copy that is out of use",
        };
        stops.push(plan.add(node, stop, because));
    }
    stops
}

/// Adds the step that renames the copy.
fn add_renaming(
    plan: &mut Plan,
    setting_aside: &SettingAside,
    (state, copy): (&NodeState, &VolumeCopy),
    after: &[StepId],
) -> OutcomeKind {
    let SettingAside {
        application,
        node,
        at,
        ..
    } = setting_aside;
    let epoch = match copy.role {
        VolumeRole::Owned { epoch } | VolumeRole::Replica { epoch, .. } => epoch,
        VolumeRole::Foreign { .. } => Epoch(0),
    };
    let name = SetAsideName {
        application: application.clone(),
        epoch,
        at: *at,
    };
    let dataset = format!("{}/{name}", state.pool.dataset);
    let action = Action::SetVolumeAside {
        name,
        role: copy.role.clone(),
        newest: copy.newest_snapshot,
    };
    let because = Because {
        after,
        why: "the operator says that it is not the one to be used",
    };
    plan.add(node, action, because);
    OutcomeKind::SetAside { dataset }
}

/// Makes sure that what has everything stays in use.
fn check(
    setting_aside: &SettingAside,
    (state, copy): (&NodeState, &VolumeCopy),
    others: &Others<'_>,
) -> Result<(), WhyNotSetAside> {
    if let PoolHealth::Unusable { problem } = &state.pool.health {
        return Err(WhyNotSetAside::PoolUnusable {
            pool: state.pool.pool().to_owned(),
            problem: problem.clone(),
        });
    }
    let application = &setting_aside.application;
    match copy.role {
        VolumeRole::Owned { epoch } => {
            // The operator brought it in, the application is on no node, and the data comes again.
            if others.copies.is_empty() && is_unused_import(state, application) {
                return Ok(());
            }
            if others.allow_only_copy(setting_aside) {
                return check_idle(state, application);
            }
            let in_use = is_in_use(state, application, copy);
            check_owned((state.id, copy, epoch), in_use, others)
        }
        VolumeRole::Replica { .. } if others.allow_only_copy(setting_aside) => Ok(()),
        VolumeRole::Replica { owner, epoch, .. } => check_replica(copy, (owner, epoch), others),
        VolumeRole::Foreign { .. } => {
            if is_in_use(state, application, copy) {
                return Err(WhyNotSetAside::ForeignInUse);
            }
            match &copy.mounted {
                // Flocker's own import was interrupted.
                Some(_) if copy.unfinished_import().is_some() => Ok(()),
                Some(path) => Err(WhyNotSetAside::ForeignMounted { path: path.clone() }),
                None => Ok(()),
            }
        }
    }
}

/// The volume itself goes only while nothing runs on it: the operator stops that.
fn check_idle(state: &NodeState, application: &ApplicationName) -> Result<(), WhyNotSetAside> {
    let by = running_on(state, application);
    if by.is_empty() {
        return Ok(());
    }
    let by = by.into_iter().cloned().collect();
    Err(WhyNotSetAside::OnlyInUse { by })
}

/// An owner's copy is needed unless there is another owner, or a replica that has more.
fn check_owned(
    (id, copy, epoch): (NodeId, &VolumeCopy, Epoch),
    in_use: bool,
    others: &Others<'_>,
) -> Result<(), WhyNotSetAside> {
    let Some(other) = others.owned else {
        if others.have_more(id, (copy, epoch)) {
            return if in_use {
                Err(WhyNotSetAside::InUse)
            } else {
                Ok(())
            };
        }
        let unseen = others.unseen.clone();
        return Err(WhyNotSetAside::OnlyOwner { unseen });
    };
    if in_use && epoch > other {
        return Err(WhyNotSetAside::InUse);
    }
    Ok(())
}

/// A replica is needed when it may be what the volume has to be promoted from.
fn check_replica(
    copy: &VolumeCopy,
    (owner, epoch): (NodeId, Epoch),
    others: &Others<'_>,
) -> Result<(), WhyNotSetAside> {
    match others.owned {
        // Without it nobody would know that the owner which was seen is a stale one.
        Some(latest) if epoch > latest && !others.is_seen(owner) => {
            let name = name_of(owner, others.observed);
            Err(WhyNotSetAside::KnowsLaterOwner {
                owner: machine(owner, name.as_ref()),
                answers: answers(owner, others.observed),
                epoch,
            })
        }
        Some(_) => Ok(()),
        None => {
            let has_as_much = others
                .copies
                .iter()
                .any(|other| other.newest_counted() >= copy.newest_counted());
            let touched = copy.written > ByteCount::ZERO;
            let is_spare = has_as_much || (touched && !others.copies.is_empty());
            if is_spare || copy.snapshots.is_empty() {
                return Ok(());
            }
            let unseen = others.unseen.clone();
            Err(WhyNotSetAside::NewestCopy { unseen })
        }
    }
}

/// Lists the application, and others that see its volume, as far as they run on a node.
pub(crate) fn running_on<'a>(
    state: &'a NodeState,
    application: &'a ApplicationName,
) -> BTreeSet<&'a ApplicationName> {
    let runs = |name: &&ApplicationName| {
        let container = state.containers.get(*name);
        container.is_some_and(|it| matches!(it.status, ContainerStatus::Running { .. }))
    };
    let users = state.users_of(application);
    users.chain([application]).filter(runs).collect()
}

/// Tells whether the application, or another that sees its volume, runs on a copy: it may also run
/// without any, as configuration that is no longer wanted had it.
fn is_in_use(state: &NodeState, application: &ApplicationName, copy: &VolumeCopy) -> bool {
    copy.mounted.is_some() && !running_on(state, application).is_empty()
}
