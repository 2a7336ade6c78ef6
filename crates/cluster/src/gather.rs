//! Looking at every node at once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use flocker_model::{Look, NodeId, NodeName, NodeObservation, Observed, PoollessNode};
use flocker_plan::{Blocked, BlockedKind};
use flocker_remote::protocol::{LockHolder, SILENCE};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::asking::{Asking, Begun, Rule};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::refusal::{NotBegun, Presence};
use crate::session::{Caller, Incoming, Session, WAITING_MESSAGES};

/// How long a node that was lost may take to begin another session: for connecting, for what is left
/// of the former one to end, which has a limit of its own at the node, and for a look.
///
/// One that does not answer at all costs no more than the time to connect.
const ASKED_AGAIN: Duration = SILENCE;

/// The nodes that answered, what was seen of them, and why the others did not.
pub(crate) struct Gathered {
    /// The nodes' processes.
    pub(crate) sessions: BTreeMap<NodeName, Session>,
    /// What was seen.
    pub(crate) observed: Observed,
    /// Why the other nodes did not answer.
    pub(crate) failures: BTreeMap<NodeName, Failure>,
    /// What the nodes say from now on.
    pub(crate) incoming: mpsc::Receiver<(NodeName, Incoming)>,
    /// Where their sessions tell it.
    said: mpsc::Sender<(NodeName, Incoming)>,
    /// Who asks them.
    pub(crate) caller: Caller,
}

/// Begins a session with each of these nodes, then with every other machine that they remember,
/// until no further one is named.
///
/// `busy` is told of nodes that have to be waited for.
///
/// # Errors
///
/// Fails when somebody else is changing one of them. All others are free again then, and were not
/// waited for: see [`flocker_remote::protocol::turn`].
pub(crate) async fn gather(
    nodes: BTreeSet<NodeName>,
    caller: &Caller,
    busy: impl Fn(&NodeName, &LockHolder),
) -> Result<Gathered, Failure> {
    let mut gathered = Gathered::empty(caller.clone());
    let mut asking = Asking::new(caller, gathered.said.clone(), busy);
    let mut asked = BTreeSet::new();
    let mut next = nodes;
    while !next.is_empty() {
        asked.extend(next.iter().cloned());
        let is_first = asked.len() == next.len();
        let (begun, lost) = asking.ask(next, Rule::GiveWay).await;
        for begun in begun {
            if is_first {
                gathered.note(begun);
            } else {
                gathered.note_remembered(begun);
            }
        }
        if let Some(lost) = lost {
            gathered.end().await;
            return Err(lost);
        }
        next = gathered.remembered_elsewhere(&asked);
    }
    // Only a lock tells one machine that has two names from two that have one identity.
    if caller.exclusive {
        let (begun, _) = asking.ask(gathered.other_names(&asked), Rule::GoOn).await;
        for begun in begun {
            gathered.note_other_name(begun);
        }
    }
    let now = caller.clock.seconds();
    gathered.observed.at = (now > 0).then_some(now);
    Ok(gathered)
}

impl Gathered {
    /// Begins without the answer of any node.
    pub(crate) fn empty(caller: Caller) -> Self {
        let (said, incoming) = mpsc::channel(WAITING_MESSAGES);
        Self {
            sessions: BTreeMap::new(),
            observed: Observed::default(),
            failures: BTreeMap::new(),
            incoming,
            said,
            caller,
        }
    }

    /// Notes what one node's beginning came to.
    fn note(&mut self, (node, begun): Begun) {
        let observation = match begun {
            Ok((session, look)) => {
                self.sessions.insert(node.clone(), session);
                return self.note_look(node, look);
            }
            Err(NotBegun { failure, presence }) => {
                let mut reason = failure.message.clone();
                for cause in &failure.causes {
                    reason = format!("{reason}: {cause}");
                }
                self.failures.insert(node.clone(), failure);
                if presence == Presence::Absent {
                    NodeObservation::Unreachable { reason }
                } else {
                    NodeObservation::Unusable { reason }
                }
            }
        };
        self.observed.nodes.insert(node, observation);
    }

    /// Notes what became of a name by which only nodes remember a machine.
    ///
    /// The name may lead to another machine by now. One that no machine of this cluster remembers is left
    /// alone, with all that it has; the one that is remembered was not reached then.
    fn note_remembered(&mut self, (node, begun): Begun) {
        let who = match &begun {
            Ok((_, look)) => (!self.is_expected(look.id())).then(|| format!("node {}", look.id())),
            Err(not_begun) => (not_begun.presence == Presence::Ourselves)
                .then(|| "a node that is named already".to_owned()),
        };
        let Some(who) = who else {
            return self.note((node, begun));
        };
        let reason = format!("{node}: another machine answers there now: {who}");
        let failure = Failure::new(Exit::Unreachable, reason.clone());
        self.failures.insert(node.clone(), failure);
        let unreachable = NodeObservation::Unreachable { reason };
        self.observed.nodes.insert(node, unreachable);
    }

    /// Tells whether a machine that answers under a remembered name is one of the cluster's.
    ///
    /// One that was seen under another name may have both. Only a lock tells that from a clone.
    fn is_expected(&self, id: NodeId) -> bool {
        if self.ids().contains(&id) {
            return self.caller.exclusive;
        }
        let mut identities = self.observed.identities();
        identities.any(|(.., members)| members.contains(id))
    }

    /// Notes what a node says of itself.
    pub(crate) fn note_look(&mut self, node: NodeName, look: Look) {
        match &look {
            Look::Whole(_) => self.failures.remove(&node),
            Look::WithoutPool(poolless) => {
                let failure = without_pool(&node, poolless);
                self.failures.insert(node.clone(), failure)
            }
        };
        self.observed.nodes.insert(node, look.into());
    }

    /// Notes what became of another name of a machine that was seen.
    ///
    /// Under a name that it once had, another machine may answer by now, or none: that says nothing.
    /// One that has the same identity, and is not the one that this run has locked, is a clone.
    fn note_other_name(&mut self, (node, begun): Begun) {
        let is_clone = match &begun {
            Ok((_, look)) => self.ids().contains(&look.id()),
            Err(not_begun) => not_begun.presence == Presence::Busy,
        };
        if is_clone {
            self.note((node, begun));
        }
    }

    /// Lists the machines that are there, and did not let themselves be looked at.
    pub(crate) fn unusable(&self) -> impl Iterator<Item = &NodeName> {
        let is_unusable = |found: &NodeObservation| match found {
            NodeObservation::Unusable { .. } | NodeObservation::WithoutPool(_) => true,
            NodeObservation::Seen(_)
            | NodeObservation::Unreachable { .. }
            | NodeObservation::NotAsked => false,
        };
        self.observed
            .nodes
            .iter()
            .filter(move |(_, found)| is_unusable(found))
            .map(|(node, _)| node)
    }

    /// Lists the machines that the nodes remember and that were not asked under any name.
    fn remembered_elsewhere(&self, asked: &BTreeSet<NodeName>) -> BTreeSet<NodeName> {
        self.remembered(asked, |is_seen| !is_seen)
    }

    /// Lists the names under which machines that were seen are remembered, and were not asked.
    fn other_names(&self, asked: &BTreeSet<NodeName>) -> BTreeSet<NodeName> {
        self.remembered(asked, |is_seen| is_seen)
    }

    fn remembered(
        &self,
        asked: &BTreeSet<NodeName>,
        wanted: impl Fn(bool) -> bool,
    ) -> BTreeSet<NodeName> {
        let seen = self.ids();
        // One node may not have heard yet that another was given up.
        let is_forgotten = |id| {
            let mut identities = self.observed.identities();
            identities.any(|(.., members)| members.forgotten(id).is_some())
        };
        self.observed
            .identities()
            .flat_map(|(_, _, members)| members)
            .filter(|member| !is_forgotten(member.id))
            .filter(|member| wanted(seen.contains(&member.id)) && !asked.contains(&member.name))
            .map(|member| member.name.clone())
            .collect()
    }

    /// Lists the machines that said who they are.
    fn ids(&self) -> BTreeSet<NodeId> {
        self.observed.identities().map(|(_, id, _)| id).collect()
    }

    /// Goes on from looking: nobody has to wait for this run to give way any more, and steps may be
    /// asked for.
    pub(crate) async fn go_on(&mut self) {
        for session in self.sessions.values_mut() {
            session.go_on().await;
        }
    }

    /// Asks nodes once more whose sessions have ended after this run had gone on, and goes on with
    /// those that answer; returns why the others do not.
    ///
    /// Nobody gives way any more. Whoever was faster and has a node's lock by now keeps it, and what
    /// is left of our own session there is waited for, but not for long: see
    /// [`flocker_remote::protocol::turn`].
    pub(crate) async fn ask_again(
        &mut self,
        lost: BTreeSet<NodeName>,
        busy: impl Fn(&NodeName, &LockHolder),
    ) -> Vec<Failure> {
        let caller = self.caller.clone();
        let mut asking = Asking::new(&caller, self.said.clone(), busy).within(ASKED_AGAIN);
        let (begun, _) = asking.ask(lost, Rule::GoOn).await;
        let mut failures = Vec::new();
        for (node, begun) in begun {
            if let Err(not_begun) = &begun {
                failures.push(not_begun.failure.clone());
            }
            self.note((node.clone(), begun));
            if let Some(session) = self.sessions.get_mut(&node) {
                session.go_on().await;
            }
        }
        failures
    }

    /// Ends every session; returns how many requests each node was sent.
    pub(crate) async fn end(self) -> BTreeMap<NodeName, u32> {
        let Self {
            sessions, incoming, ..
        } = self;
        // What is still said must hold up nobody.
        drop(incoming);
        let mut endings = JoinSet::new();
        let mut requests = BTreeMap::new();
        for (node, session) in sessions {
            requests.insert(node, session.requests());
            endings.spawn(session.end());
        }
        endings.join_all().await;
        requests
    }
}

/// Says that a node answers, and that what volumes it has is unknown.
fn without_pool(node: &NodeName, poolless: &PoollessNode) -> Failure {
    let blocked = Blocked {
        application: None,
        kind: BlockedKind::of_poolless(node, poolless),
    };
    Failure::new(Exit::Blocked, blocked.to_string()).hint(blocked.hint())
}

#[cfg(test)]
mod tests;
