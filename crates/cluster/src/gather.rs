//! Looking at every node at once.

use std::collections::{BTreeMap, BTreeSet};

use flocker_model::{NodeId, NodeName, NodeObservation, NodeState, Observed};
use flocker_remote::protocol::LockHolder;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::failure::Failure;
use crate::session::{Caller, Channels, Incoming, NotBegun, Session};

/// The nodes that answered, what was seen of them, and why the others did not.
pub(crate) struct Gathered {
    /// The nodes' processes.
    pub(crate) sessions: BTreeMap<NodeName, Session>,
    /// What was seen.
    pub(crate) observed: Observed,
    /// Why the other nodes did not answer.
    pub(crate) failures: BTreeMap<NodeName, Failure>,
    /// Those of them that are there, and did not let themselves be looked at.
    pub(crate) unusable: BTreeSet<NodeName>,
    /// What the nodes say from now on.
    pub(crate) incoming: mpsc::UnboundedReceiver<(NodeName, Incoming)>,
}

/// What one node's beginning came to.
type Begun = (NodeName, Result<(Session, Box<NodeState>), NotBegun>);

/// Begins a session with each of these nodes, then with every other machine that they remember,
/// until no further one is named.
///
/// `busy` is told of nodes that have to be waited for.
pub(crate) async fn gather(
    nodes: BTreeSet<NodeName>,
    caller: &Caller,
    busy: impl Fn(&NodeName, &LockHolder),
) -> Gathered {
    let (incoming_sender, incoming) = mpsc::unbounded_channel();
    let (waiting_sender, mut waiting) = mpsc::unbounded_channel();
    let channels = Channels {
        incoming: incoming_sender,
        waiting: waiting_sender,
    };
    let mut gathered = Gathered {
        sessions: BTreeMap::new(),
        observed: Observed::default(),
        failures: BTreeMap::new(),
        unusable: BTreeSet::new(),
        incoming,
    };
    let mut asked = BTreeSet::new();
    let mut next = nodes;
    while !next.is_empty() {
        let mut beginnings = JoinSet::new();
        for node in &next {
            let (node, caller, channels) = (node.clone(), caller.clone(), channels.clone());
            beginnings.spawn(async move {
                let begun = Session::begin(&node, &caller, channels).await;
                (node, begun)
            });
        }
        asked.append(&mut next);
        loop {
            tokio::select! {
                begun = beginnings.join_next() => match begun {
                    Some(Ok(begun)) => gathered.note(begun),
                    // A beginning neither panics nor is aborted.
                    Some(Err(_)) => {}
                    None => break,
                },
                Some((node, holder)) = waiting.recv() => busy(&node, &holder),
            }
        }
        next = gathered.remembered_elsewhere(&asked);
    }
    gathered
}

impl Gathered {
    /// Notes what one node's beginning came to.
    fn note(&mut self, (node, begun): Begun) {
        let observation = match begun {
            Ok((session, state)) => {
                self.sessions.insert(node.clone(), session);
                NodeObservation::Seen(state)
            }
            Err(NotBegun { failure, answered }) => {
                if answered {
                    self.unusable.insert(node.clone());
                }
                let mut reason = failure.message.clone();
                for cause in &failure.causes {
                    reason = format!("{reason}: {cause}");
                }
                self.failures.insert(node.clone(), failure);
                NodeObservation::Unreachable { reason }
            }
        };
        self.observed.nodes.insert(node, observation);
    }

    /// Lists the machines that the nodes remember and that were not asked under any name.
    fn remembered_elsewhere(&self, asked: &BTreeSet<NodeName>) -> BTreeSet<NodeName> {
        let seen: BTreeSet<NodeId> = self.observed.seen().map(|(_, state)| state.id).collect();
        self.observed
            .seen()
            .flat_map(|(_, state)| &state.members)
            .filter(|(name, member)| !seen.contains(&member.id) && !asked.contains(*name))
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// Ends every session; returns how many requests each node was sent.
    pub(crate) async fn end(self) -> BTreeMap<NodeName, u32> {
        let mut endings = JoinSet::new();
        let mut requests = BTreeMap::new();
        for (node, session) in self.sessions {
            requests.insert(node, session.requests());
            endings.spawn(session.end());
        }
        endings.join_all().await;
        requests
    }
}
