//! Making a replica the volume when its owner is lost: only when the operator says so.

mod changed;
mod refusal;
mod text;

use std::collections::BTreeSet;

use crate::naming::machine;
use crate::steps::Because;
use crate::survey::{describe, name_of, unseen_reason};
use crate::{Action, Outcome, OutcomeKind, Plan, StepId};
use flocker_model::{
    ApplicationName, ByteCount, Epoch, NodeId, NodeName, NodeObservation, NodeState, Observed,
    PoolHealth, SnapshotGuid, VolumeCopy, VolumeRole, render_utc,
};

use changed::{change_of, former_identity, refuse_changed};

pub use refusal::{NotPromoted, WhyNotPromoted};

/// The operator's word that a replica may become the volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promotion {
    /// Whose volume.
    pub application: ApplicationName,
    /// The node that has the replica.
    pub node: NodeName,
    /// What was written from then on may be lost; in seconds since 1970.
    pub accept_loss_since: u64,
}

/// Plans how a node's replica becomes the volume.
///
/// The plan is empty if the node owns the volume already.
///
/// # Errors
///
/// Refuses while anybody who was seen owns the volume or has more of it, when the replica was
/// touched, and when it is older than the loss that was accepted.
pub fn plan_promotion(
    promotion: &Promotion,
    observed: &Observed,
) -> Result<Plan, Box<NotPromoted>> {
    let Promotion {
        application, node, ..
    } = promotion;
    let found = observed
        .node(node)
        .and_then(|state| state.volumes.get(application));
    let ready = ready(promotion, observed).map_err(|why| {
        Box::new(NotPromoted {
            promotion: promotion.clone(),
            why,
            copy: found.map(|copy| describe(observed, (node, application), copy)),
        })
    })?;
    let mut plan = Plan::default();
    let (kind, promoted, epoch) = match ready {
        Ready::OwnedAlready { epoch } => (OutcomeKind::Unchanged, None, epoch),
        Ready::Replica { action, next, why } => {
            let because = Because {
                after: &[],
                why: &why,
            };
            let promoted = plan.add(node, *action, because);
            (OutcomeKind::Promoted { epoch: next }, Some(promoted), next)
        }
    };
    let done_after: BTreeSet<StepId> = promoted.into_iter().collect();
    record_owner(&mut plan, (promotion, epoch), (observed, promoted));
    let outcome = Outcome {
        kind,
        node: node.clone(),
        done_after,
    };
    plan.outcomes.insert(application.clone(), outcome);
    Ok(plan)
}

/// Has everybody who was seen and has a replica remember the new owner, once it is one: when it is
/// away, somebody has to know that the old one is none any more.
fn record_owner(
    plan: &mut Plan,
    (promotion, epoch): (&Promotion, Epoch),
    (observed, promoted): (&Observed, Option<StepId>),
) {
    let Promotion {
        application, node, ..
    } = promotion;
    let Some(owner) = observed.node(node).map(|state| state.id) else {
        return;
    };
    for (other, state) in observed.seen().filter(|(other, _)| *other != node) {
        let copy = state.volumes.get(application);
        let is_behind = |copy: &&VolumeCopy| matches!(copy.role, VolumeRole::Replica { epoch: known, .. } if known < epoch);
        // The part of a first copy has nothing to say it with.
        let behind = copy.filter(is_behind);
        if behind.and_then(VolumeCopy::newest_own).is_none() {
            continue;
        }
        let action = Action::RecordOwner {
            application: application.clone(),
            owner,
            epoch,
        };
        let because = Because {
            after: promoted.as_slice(),
            why: "its replica names an owner that is none any more",
        };
        plan.add(other, action, because);
    }
}

/// What a promotion that may go on finds.
enum Ready {
    /// The node is the owner.
    OwnedAlready {
        /// In this turn.
        epoch: Epoch,
    },
    /// A replica that may become the volume.
    Replica {
        action: Box<Action>,
        next: Epoch,
        why: String,
    },
}

/// Makes sure that everything that was seen allows it.
fn ready(promotion: &Promotion, observed: &Observed) -> Result<Ready, WhyNotPromoted> {
    let Promotion {
        application, node, ..
    } = promotion;
    let state = seen(node, observed)?;
    let copy = state
        .volumes
        .get(application)
        .ok_or(WhyNotPromoted::NoReplica)?;
    if let VolumeRole::Foreign { problem } = &copy.role {
        let problem = problem.clone();
        return Err(WhyNotPromoted::Foreign { problem });
    }
    let Some(latest) = latest(application, observed)? else {
        return Err(WhyNotPromoted::NoReplica);
    };
    if latest.owned_on == Some(node) {
        return Ok(Ready::OwnedAlready {
            epoch: latest.epoch,
        });
    }
    let (owner, epoch) = match copy.role {
        VolumeRole::Replica { owner, epoch, .. } => (owner, epoch),
        VolumeRole::Owned { .. } | VolumeRole::Foreign { .. } => {
            return Err(WhyNotPromoted::StaleOwner {
                later: machine(latest.owner, name_of(latest.owner, observed).as_ref()),
                seen_on: latest.owned_on.cloned(),
                epoch: latest.epoch,
            });
        }
    };
    refuse_living_owner(application, &latest, observed)?;
    let former = former_identity(owner, node, observed);
    let newest = usable_replica((state, former), copy)?;
    refuse_changed(promotion, latest.epoch, observed)?;
    refuse_newer(promotion, copy, observed)?;
    let taken = copy
        .snapshots
        .get(&newest)
        .map_or(0, |snapshot| snapshot.created);
    if promotion.accept_loss_since > taken {
        return Err(WhyNotPromoted::LossNotAccepted { taken });
    }
    let next = latest.epoch.after_loss();
    let why = reason(&latest, (newest, taken), observed);
    let action = Action::PromoteVolume {
        application: application.clone(),
        owner,
        epoch,
        snapshot: newest,
        latest: latest.epoch,
        next,
        deployment: state.applied.as_ref().map(|applied| applied.id.clone()),
    };
    Ok(Ready::Replica {
        action: Box::new(action),
        next,
        why,
    })
}

/// Says why the replica that ends with `newest`, which was taken at that time, has to do.
fn reason(
    latest: &Latest<'_>,
    (newest, taken): (SnapshotGuid, u64),
    observed: &Observed,
) -> String {
    let name = name_of(latest.owner, observed);
    let owner = machine(latest.owner, name.as_ref());
    let is_seen = observed.seen().any(|(_, state)| state.id == latest.owner);
    if is_seen && latest.handoff == Some(newest) {
        return format!("{owner} does not have what was handed over to it, and this copy does");
    }
    format!(
        "its owner {owner} is lost, and what was written since {} with it",
        render_utc(taken)
    )
}

/// Returns the state of a node, or why it was not seen.
fn seen<'a>(node: &NodeName, observed: &'a Observed) -> Result<&'a NodeState, WhyNotPromoted> {
    match observed.nodes.get(node) {
        Some(NodeObservation::Seen(state)) => Ok(state),
        Some(NodeObservation::WithoutPool(node)) => Err(WhyNotPromoted::PoolUnusable {
            pool: node.pool.clone(),
            problem: node.problem.clone(),
        }),
        observation => {
            let reason = observation.and_then(unseen_reason);
            Err(WhyNotPromoted::NodeUnseen {
                reason: reason.unwrap_or_else(|| "it was not asked".to_owned()),
            })
        }
    }
}

/// What the copies that were seen say of the last owner.
struct Latest<'a> {
    epoch: Epoch,
    owner: NodeId,
    /// The node that owns it now, if it was seen.
    owned_on: Option<&'a NodeName>,
    /// What was handed off to the owner, if it was.
    handoff: Option<SnapshotGuid>,
}

/// Finds the last owner; `None` without a copy.
fn latest<'a>(
    application: &ApplicationName,
    observed: &'a Observed,
) -> Result<Option<Latest<'a>>, WhyNotPromoted> {
    let records = || {
        observed.seen().filter_map(|(node, state)| {
            let copy = state.volumes.get(application)?;
            let latest = match copy.role {
                VolumeRole::Owned { epoch } => Latest {
                    epoch,
                    owner: state.id,
                    owned_on: Some(node),
                    handoff: None,
                },
                VolumeRole::Replica {
                    owner,
                    epoch,
                    handoff,
                } => Latest {
                    epoch,
                    owner,
                    owned_on: None,
                    handoff,
                },
                VolumeRole::Foreign { .. } => return None,
            };
            Some((latest, node, copy))
        })
    };
    // At one epoch, the owner knows most, and then who gave it up.
    let rank = |latest: &Latest<'_>| {
        let knows = (latest.owned_on.is_some(), latest.handoff.is_some());
        (latest.epoch, knows)
    };
    let Some((last, ..)) = records().max_by_key(|(latest, ..)| rank(latest)) else {
        return Ok(None);
    };
    let is_late_owner =
        |(other, ..): &(Latest<'_>, _, _)| other.epoch == last.epoch && other.owner != last.owner;
    if records().any(|record| is_late_owner(&record)) {
        let at_last = records().filter(|(other, ..)| other.epoch == last.epoch);
        let copies = at_last
            .map(|(_, node, copy)| describe(observed, (node, application), copy))
            .collect();
        return Err(WhyNotPromoted::OwnersContradict { copies });
    }
    Ok(Some(last))
}

/// The last owner must not be there, or must have lost the volume.
fn refuse_living_owner(
    application: &ApplicationName,
    latest: &Latest<'_>,
    observed: &Observed,
) -> Result<(), WhyNotPromoted> {
    if let Some(owner) = latest.owned_on {
        return Err(WhyNotPromoted::OwnerSeen {
            owner: owner.clone(),
        });
    }
    let Some((owner, state)) = observed.seen().find(|(_, state)| state.id == latest.owner) else {
        return Ok(());
    };
    match state.volumes.get(application) {
        // It owns the volume by its own account, if not in that epoch.
        Some(copy) if copy.owned_epoch().is_some() => Err(WhyNotPromoted::OwnerSeen {
            owner: owner.clone(),
        }),
        Some(copy) if copy.is_nameless_part() => Ok(()),
        // What is there may be all of it, and the application may run on it.
        Some(VolumeCopy {
            role: VolumeRole::Foreign { problem },
            ..
        }) => Err(WhyNotPromoted::OwnerDamaged {
            owner: owner.clone(),
            problem: problem.clone(),
        }),
        // It has what it is to take over.
        Some(copy)
            if latest.handoff.is_some()
                && copy.newest_own() == latest.handoff
                && copy.written == ByteCount::ZERO =>
        {
            Err(WhyNotPromoted::HandedOff { to: owner.clone() })
        }
        _ => Ok(()),
    }
}

/// Makes sure that a replica is whole and as it was received; returns the snapshot it ends with.
fn usable_replica(
    (state, owner): (&NodeState, Option<NodeId>),
    copy: &VolumeCopy,
) -> Result<SnapshotGuid, WhyNotPromoted> {
    if let PoolHealth::Unusable { problem } = &state.pool.health {
        return Err(WhyNotPromoted::PoolUnusable {
            pool: state.pool.pool().to_owned(),
            problem: problem.clone(),
        });
    }
    let Some(newest) = copy.newest_own() else {
        return Err(WhyNotPromoted::Partial);
    };
    match change_of(copy) {
        Some(problem) => Err(WhyNotPromoted::Touched { problem, owner }),
        None => Ok(newest),
    }
}

/// No other replica may have more.
fn refuse_newer(
    promotion: &Promotion,
    copy: &VolumeCopy,
    observed: &Observed,
) -> Result<(), WhyNotPromoted> {
    let application = &promotion.application;
    let others = observed.seen().filter_map(|(node, state)| {
        let other = state.volumes.get(application)?;
        let is_replica = matches!(other.role, VolumeRole::Replica { .. });
        is_replica.then_some((node, other))
    });
    let newest = others.max_by_key(|(_, other)| other.newest_counted());
    match newest {
        Some((node, other)) if other.newest_counted() > copy.newest_counted() => {
            Err(WhyNotPromoted::NewerReplica {
                newer: Box::new(describe(observed, (node, application), other)),
            })
        }
        _ => Ok(()),
    }
}
