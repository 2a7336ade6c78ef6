//! Looking at every node at once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{SystemTime, UNIX_EPOCH};

use flocker_model::{NodeId, NodeName, NodeObservation, NodeState, Observed};
use flocker_remote::protocol::LockHolder;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::failure::Failure;
use crate::session::{Caller, Channels, Incoming, NotBegun, Session, WAITING_MESSAGES};

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
    let (incoming_sender, incoming) = mpsc::channel(WAITING_MESSAGES);
    let (waiting_sender, mut waiting) = mpsc::channel(1);
    let channels = Channels {
        incoming: incoming_sender,
        waiting: waiting_sender,
    };
    let mut gathered = Gathered {
        sessions: BTreeMap::new(),
        observed: Observed::default(),
        failures: BTreeMap::new(),
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
    gathered.observed.at = now();
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
                let mut reason = failure.message.clone();
                for cause in &failure.causes {
                    reason = format!("{reason}: {cause}");
                }
                self.failures.insert(node.clone(), failure);
                if answered {
                    NodeObservation::Unusable { reason }
                } else {
                    NodeObservation::Unreachable { reason }
                }
            }
        };
        self.observed.nodes.insert(node, observation);
    }

    /// Lists the machines that are there, and did not let themselves be looked at.
    pub(crate) fn unusable(&self) -> impl Iterator<Item = &NodeName> {
        let is_unusable =
            |found: &NodeObservation| matches!(found, NodeObservation::Unusable { .. });
        self.observed
            .nodes
            .iter()
            .filter(move |(_, found)| is_unusable(found))
            .map(|(node, _)| node)
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

/// Returns the time by this machine's clock, in seconds since 1970, unless that is set before it.
pub(crate) fn now() -> Option<u64> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.ok().map(|since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;

    #[test]
    fn a_machine_that_is_only_busy_is_there() {
        let (_, incoming) = mpsc::channel(1);
        let mut gathered = Gathered {
            sessions: BTreeMap::new(),
            observed: Observed::default(),
            failures: BTreeMap::new(),
            incoming,
        };
        let name = |text: &str| NodeName::try_from(text.to_owned()).unwrap();
        for (node, answered) in [("node1", true), ("node2", false)] {
            let failure = Failure::new(Exit::Blocked, format!("{node}: somebody changes it"));
            gathered.note((name(node), Err(NotBegun { failure, answered })));
        }
        assert_eq!(gathered.unusable().collect::<Vec<_>>(), [&name("node1")]);
        assert!(matches!(
            &gathered.observed.nodes[&name("node2")],
            NodeObservation::Unreachable { reason } if reason == "node2: somebody changes it"
        ));
    }
}
