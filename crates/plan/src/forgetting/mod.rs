//! Giving up a machine that is gone for good: only when the operator says so.
//!
//! Every node that is seen forgets the machine and remembers that it did. From then on nothing waits for
//! the machine: volumes may be new, and snapshots are pruned. Its key opens nothing, and should it come
//! back, every node refuses it.
//!
//! What the machine had last is known by what the nodes remember of it, and by the replicas of its
//! volumes. All of it that no other node owns has to be named.

mod text;

use std::collections::{BTreeMap, BTreeSet};

use flocker_model::{
    ApplicationName, ForgottenMachine, Member, NodeId, NodeName, NodeObservation, Observed,
};
use thiserror::Error;

use crate::steps::Because;
use crate::survey::describe;
use crate::{Action, CopyDescription, Plan, Unseen};

/// The operator's word that machines are gone for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forgetting {
    /// The machines, by name or by identity.
    pub machines: BTreeSet<String>,
    /// The applications whose volumes, or last writes, may be lost with them.
    pub give_up: BTreeSet<ApplicationName>,
    /// Now, in seconds since 1970.
    pub at: u64,
}

/// Machines are not forgotten. Nothing was done.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct NotForgotten {
    /// What was asked for.
    pub forgetting: Forgetting,
    /// Why it is refused.
    pub why: WhyNotForgotten,
}

/// Why machines are not forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WhyNotForgotten {
    /// No node that was seen remembers such a machine.
    Unknown {
        /// What it was called.
        machine: String,
    },
    /// Several machines had the name.
    Ambiguous {
        /// The name.
        machine: String,
        /// The machines.
        ids: Vec<NodeId>,
    },
    /// It is there.
    Answers {
        /// What it is called.
        node: NodeName,
    },
    /// Other machines were not seen, and may know what these had, or have the only other copy.
    OthersUnseen {
        /// The machines.
        unseen: Unseen,
    },
    /// No deployment was ever applied in full, so that no node knows what they had.
    NothingRecorded,
    /// They may have the only copy of a volume, or its last writes, and that was not given up.
    Lost {
        /// What would be lost.
        losses: Vec<Loss>,
    },
}

/// A volume that is lost with a machine, in whole or in part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// Whose volume.
    pub application: ApplicationName,
    /// The machine that had it last.
    pub node: NodeName,
    /// The newest replica, if there is one: what was written since is lost.
    pub replica: Option<CopyDescription>,
}

/// What is to be done, and what comes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forgotten {
    /// The steps. There is none if every node has forgotten the machines already.
    pub plan: Plan,
    /// The machines.
    pub machines: Vec<ForgottenMachine>,
    /// What is lost with them.
    pub losses: Vec<Loss>,
}

/// Plans how every node forgets machines.
///
/// # Errors
///
/// Refuses while one of them answers, and while it may have something that is not given up by name.
pub fn plan_forgetting(
    forgetting: &Forgetting,
    observed: &Observed,
) -> Result<Forgotten, Box<NotForgotten>> {
    forgotten(forgetting, observed).map_err(|why| {
        Box::new(NotForgotten {
            forgetting: forgetting.clone(),
            why,
        })
    })
}

fn forgotten(forgetting: &Forgetting, observed: &Observed) -> Result<Forgotten, WhyNotForgotten> {
    let mut members: BTreeMap<NodeId, Member> = BTreeMap::new();
    let mut machines: BTreeMap<NodeId, ForgottenMachine> = BTreeMap::new();
    for word in &forgetting.machines {
        match find(word, observed)? {
            Found::Member(member) => {
                refuse_present(&member, observed)?;
                members.insert(member.id, *member);
            }
            Found::Forgotten(machine) => {
                machines.insert(machine.id, machine);
            }
        }
    }
    let had = had_volumes(&members, observed);
    let mut losses = Vec::new();
    if !members.is_empty() {
        refuse_others_unseen(&members, observed)?;
        losses = all_losses((&members, &had), observed);
        refuse_losses(forgetting, &losses, observed)?;
    }
    for member in members.into_values() {
        let its = had.iter().filter(|(_, id)| *id == member.id);
        let machine = ForgottenMachine {
            id: member.id,
            volumes: its.map(|(application, _)| application.clone()).collect(),
            name: member.name,
            public_key: member.ssh.public_key,
            at: forgetting.at,
        };
        machines.insert(machine.id, machine);
    }
    let machines: Vec<ForgottenMachine> = machines.into_values().collect();
    Ok(Forgotten {
        plan: steps(&machines, observed),
        machines,
        losses,
    })
}

/// Has every node that was seen forget the machines.
fn steps(machines: &[ForgottenMachine], observed: &Observed) -> Plan {
    let mut plan = Plan::default();
    for (node, state) in observed.seen() {
        let mut members = state.members.clone();
        for machine in machines {
            if members.forgotten(machine.id).is_none() {
                members.forget(machine.clone());
            }
        }
        if members == state.members {
            continue;
        }
        let because = Because {
            after: &[],
            why: "the operator says that a machine is gone for good",
        };
        plan.add(node, Action::AdmitMembers { members }, because);
    }
    plan
}

/// A machine that the operator named.
enum Found {
    Member(Box<Member>),
    /// Some node has forgotten it already, and no other remembers it in another way.
    Forgotten(ForgottenMachine),
}

/// Finds a machine by its name or its identity.
fn find(word: &str, observed: &Observed) -> Result<Found, WhyNotForgotten> {
    let is_meant = |id: NodeId, name: &NodeName| id.to_string() == word || name.as_str() == word;
    let forgotten = observed
        .seen()
        .flat_map(|(_, state)| state.members.all_forgotten())
        .find(|machine| is_meant(machine.id, &machine.name));
    let members: BTreeMap<NodeId, &Member> = observed
        .seen()
        .flat_map(|(_, state)| &state.members)
        .filter(|member| is_meant(member.id, &member.name))
        .map(|member| (member.id, member))
        .collect();
    // Where a step of an earlier attempt failed, some nodes have forgotten it and others have not.
    if let Some(machine) = forgotten.filter(|machine| members.keys().all(|id| *id == machine.id)) {
        return Ok(Found::Forgotten(machine.clone()));
    }
    let machine = word.to_owned();
    let mut found = members.values();
    match (found.next(), found.next()) {
        (None, _) => Err(WhyNotForgotten::Unknown { machine }),
        (Some(member), None) => Ok(Found::Member(Box::new((*member).clone()))),
        (Some(_), Some(_)) => Err(WhyNotForgotten::Ambiguous {
            machine,
            ids: members.into_keys().collect(),
        }),
    }
}

/// A machine that answers in any way is not gone.
fn refuse_present(member: &Member, observed: &Observed) -> Result<(), WhyNotForgotten> {
    let itself = observed.identities().find(|(_, id, _)| *id == member.id);
    let node = itself.map(|(name, ..)| name.clone()).or_else(|| {
        let found = observed.nodes.get(&member.name)?;
        let is_there = matches!(found, NodeObservation::Unusable { .. });
        is_there.then(|| member.name.clone())
    });
    node.map_or(Ok(()), |node| Err(WhyNotForgotten::Answers { node }))
}

/// Every other machine must have been seen.
fn refuse_others_unseen(
    members: &BTreeMap<NodeId, Member>,
    observed: &Observed,
) -> Result<(), WhyNotForgotten> {
    let mut unseen = Unseen::of(observed);
    let is_other = |node: &NodeName| members.values().all(|member| member.name != *node);
    unseen.away.retain(is_other);
    if unseen.is_empty() {
        Ok(())
    } else {
        Err(WhyNotForgotten::OthersUnseen { unseen })
    }
}

/// Lists the volumes that each of the machines may have owned.
fn had_volumes(
    members: &BTreeMap<NodeId, Member>,
    observed: &Observed,
) -> BTreeSet<(ApplicationName, NodeId)> {
    let mut had = BTreeSet::new();
    for (_, state) in observed.seen() {
        let remembered = state.members.iter().flat_map(|member| {
            let volumes = member.volumes.iter();
            volumes.map(move |application| (application, member.id))
        });
        let applied = state.applied.iter().flat_map(|applied| &applied.volumes);
        let recorded = applied.flat_map(|(application, place)| {
            let machines = state.members.named(place);
            machines.map(move |member| (application, member.id))
        });
        let copies = state.volumes.iter();
        let owners =
            copies.filter_map(|(application, copy)| Some((application, copy.other_owner()?)));
        for (application, id) in remembered.chain(recorded).chain(owners) {
            if members.contains_key(&id) {
                had.insert((application.clone(), id));
            }
        }
    }
    had
}

/// Lists what is lost with the machines: volumes that they had, and that no node owns that was seen.
fn all_losses(
    (members, had): (
        &BTreeMap<NodeId, Member>,
        &BTreeSet<(ApplicationName, NodeId)>,
    ),
    observed: &Observed,
) -> Vec<Loss> {
    let is_owned = |application: &ApplicationName| {
        let mut copies = observed
            .seen()
            .filter_map(|(_, state)| state.volumes.get(application));
        copies.any(|copy| copy.owned_epoch().is_some())
    };
    let lost = had
        .iter()
        .filter(|(application, _)| !is_owned(application))
        .filter_map(|(application, id)| Some((application, &members.get(id)?.name)));
    // One loss for each volume, although records may name several of the machines.
    let lost: BTreeMap<&ApplicationName, &NodeName> = lost.collect();
    lost.into_iter()
        .map(|(application, node)| Loss {
            application: application.clone(),
            node: node.clone(),
            replica: newest_replica(application, observed),
        })
        .collect()
}

/// Describes the newest replica of a volume.
fn newest_replica(application: &ApplicationName, observed: &Observed) -> Option<CopyDescription> {
    let copies = observed
        .seen()
        .filter_map(|(node, state)| Some((node, state.volumes.get(application)?)));
    let replicas = copies.filter(|(_, copy)| copy.other_owner().is_some());
    let (node, copy) = replicas.max_by_key(|(_, copy)| copy.newest_counted())?;
    Some(describe(observed, (node, application), copy))
}

/// All losses must be named; where no node has a record of what there was, at least one.
fn refuse_losses(
    forgetting: &Forgetting,
    losses: &[Loss],
    observed: &Observed,
) -> Result<(), WhyNotForgotten> {
    let given_up = |loss: &&Loss| forgetting.give_up.contains(&loss.application);
    let losses: Vec<Loss> = losses
        .iter()
        .filter(|loss| !given_up(loss))
        .cloned()
        .collect();
    if !losses.is_empty() {
        return Err(WhyNotForgotten::Lost { losses });
    }
    let mut seen = observed.seen();
    if forgetting.give_up.is_empty() && seen.all(|(_, state)| state.applied.is_none()) {
        return Err(WhyNotForgotten::NothingRecorded);
    }
    Ok(())
}
