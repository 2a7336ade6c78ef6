//! Asking several nodes at once for a session, and giving way where somebody else has one of them.

use std::collections::BTreeSet;
use std::time::Duration;

use flocker_model::{Look, NodeName};
use flocker_remote::protocol::LockHolder;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::refusal::{NotBegun, Presence};
use crate::session::{Caller, Channels, Incoming, Session};

/// What one node's beginning came to.
pub(crate) type Begun = Beginning<(Session, Look)>;

/// What one node's beginning came to, whatever is had of a node then.
pub(crate) type Beginning<T> = (NodeName, Result<T, NotBegun>);

/// Begins sessions with nodes.
pub(crate) struct Asking<'a, Busy> {
    caller: &'a Caller,
    channels: Channels,
    waiting: mpsc::Receiver<(NodeName, LockHolder)>,
    busy: Busy,
    patience: Option<Duration>,
}

impl<'a, Busy: Fn(&NodeName, &LockHolder)> Asking<'a, Busy> {
    /// Asks as `caller`; `busy` is told of nodes that have to be waited for, and `incoming` what the
    /// nodes say once their sessions have begun.
    pub(crate) fn new(
        caller: &'a Caller,
        incoming: mpsc::Sender<(NodeName, Incoming)>,
        busy: Busy,
    ) -> Self {
        let (waiting_sender, waiting) = mpsc::channel(1);
        Self {
            caller,
            channels: Channels {
                incoming,
                waiting: waiting_sender,
            },
            waiting,
            busy,
            patience: None,
        }
    }

    /// Gives every node up that has not begun after so long, whatever it is that it waits for.
    #[must_use]
    pub(crate) fn within(self, patience: Duration) -> Self {
        Self {
            patience: Some(patience),
            ..self
        }
    }

    /// Begins a session with each of these nodes, all at once; returns those that came to an end,
    /// and to whom, and why, way is given.
    pub(crate) async fn ask(
        &mut self,
        nodes: BTreeSet<NodeName>,
        rule: Rule,
    ) -> (Vec<Begun>, Option<Failure>) {
        let mut beginnings = JoinSet::new();
        for node in nodes {
            let (caller, channels) = (self.caller.clone(), self.channels.clone());
            let patience = self.patience;
            beginnings.spawn(async move {
                let beginning = Session::begin(&node, &caller, channels);
                let begun = match patience {
                    None => beginning.await,
                    Some(patience) => in_time(&node, beginning, patience).await,
                };
                (node, begun)
            });
        }
        collect(beginnings, rule, (&mut self.waiting, &self.busy)).await
    }
}

/// What becomes of the others when somebody else has one of several nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// Way is given: nothing more is waited for.
    GiveWay,
    /// Nothing: that one was asked only to learn what it is.
    GoOn,
}

/// Waits for a beginning, but not for longer than `patience`.
///
/// Dropped in the middle, it takes no lock, or gives it back.
async fn in_time<T>(
    node: &NodeName,
    beginning: impl Future<Output = Result<T, NotBegun>>,
    patience: Duration,
) -> Result<T, NotBegun> {
    timeout(patience, beginning).await.unwrap_or_else(|_| {
        let message = format!("{node}: no session began within {} s", patience.as_secs());
        // What is not there at all is given up sooner, by whoever connects.
        Err(Failure::new(Exit::Unreachable, message).into())
    })
}

/// Waits for all beginnings, or until way has to be given to somebody; returns those that came to an
/// end, and to whom, and why, way is given.
async fn collect<T: Send + 'static>(
    mut beginnings: JoinSet<Beginning<T>>,
    rule: Rule,
    (waiting, busy): (
        &mut mpsc::Receiver<(NodeName, LockHolder)>,
        impl Fn(&NodeName, &LockHolder),
    ),
) -> (Vec<Beginning<T>>, Option<Failure>) {
    let mut all = Vec::new();
    let mut lost = None;
    loop {
        tokio::select! {
            biased;
            ended = beginnings.join_next() => match ended {
                Some(Ok((node, begun))) => {
                    if let Err(not_begun) = &begun
                        && not_begun.presence == Presence::Busy
                        && rule == Rule::GiveWay
                    {
                        // Dropped in the middle, they take no lock, or give it back.
                        beginnings.abort_all();
                        lost.get_or_insert_with(|| not_begun.failure.clone());
                    }
                    all.push((node, begun));
                }
                // It was given up: none panics.
                Some(Err(_)) => {}
                None => return (all, lost),
            },
            Some((node, holder)) = waiting.recv() => busy(&node, &holder),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    /// Longer than anything here takes.
    const DEADLINE: Duration = Duration::from_secs(60);

    fn busy_node(message: &str) -> NotBegun {
        NotBegun {
            failure: Failure::new(Exit::Blocked, message),
            presence: Presence::Busy,
        }
    }

    /// Three nodes: one that is given, one that never answers, and one that somebody else has. The
    /// second has something that is dropped when it is given up.
    fn one_is_lost(held: mpsc::Sender<()>) -> JoinSet<Beginning<&'static str>> {
        let name = |text: &str| NodeName::try_from(text.to_owned()).unwrap();
        let (given, was_given) = tokio::sync::oneshot::channel();
        let mut beginnings = JoinSet::new();
        let node = name("given");
        beginnings.spawn(async move {
            let _ = given.send(());
            (node, Ok("a session"))
        });
        let node = name("mute");
        beginnings.spawn(async move {
            let _held = held;
            (node, pending().await)
        });
        let node = name("lost");
        beginnings.spawn(async move {
            was_given.await.unwrap();
            (node, Err(busy_node("kim@laptop has it")))
        });
        beginnings
    }

    #[tokio::test]
    async fn who_loses_a_node_waits_for_no_other_and_gives_all_of_them_back() {
        let (held, mut dropped) = mpsc::channel(1);
        let (_sender, mut waiting) = mpsc::channel(1);
        let all = collect(one_is_lost(held), Rule::GiveWay, (&mut waiting, |_, _| {}));
        let (all, lost) = tokio::time::timeout(DEADLINE, all).await.unwrap();
        assert_eq!(lost.unwrap().message, "kim@laptop has it");
        // What was given is returned, to be ended; what was not is dropped.
        let names: Vec<&str> = all.iter().map(|(node, _)| node.as_str()).collect();
        assert_eq!(names, ["given", "lost"]);
        assert_eq!(dropped.recv().await, None);
    }

    /// Whoever recovers from a failure has others to start again.
    #[tokio::test(start_paused = true)]
    async fn a_node_that_never_begins_is_given_up_in_time() {
        let name = NodeName::try_from("mute".to_owned()).unwrap();
        let (held, mut dropped) = mpsc::channel::<()>(1);
        let beginning = async move {
            let _held = held;
            pending::<Result<(), NotBegun>>().await
        };
        let begun = in_time(&name, beginning, DEADLINE / 2);
        let begun = tokio::time::timeout(DEADLINE, begun).await.unwrap();
        let given_up = begun.unwrap_err();
        assert_eq!(
            given_up.failure.message,
            "mute: no session began within 30 s"
        );
        assert_eq!(given_up.presence, Presence::Answers);
        assert_eq!(dropped.recv().await, None);
    }

    #[tokio::test]
    async fn a_node_that_is_only_looked_at_stops_nothing() {
        let name = |text: &str| NodeName::try_from(text.to_owned()).unwrap();
        let mut beginnings = JoinSet::new();
        let (lost, given) = (name("lost"), name("given"));
        let (sender, was_lost) = tokio::sync::oneshot::channel();
        beginnings.spawn(async move {
            let _ = sender.send(());
            (lost, Err(busy_node("kim@laptop has it")))
        });
        beginnings.spawn(async move {
            was_lost.await.unwrap();
            (given, Ok("a session"))
        });
        let (_sender, mut waiting) = mpsc::channel(1);
        let all = collect(beginnings, Rule::GoOn, (&mut waiting, |_, _| {}));
        let (all, lost) = tokio::time::timeout(DEADLINE, all).await.unwrap();
        assert_eq!(lost, None);
        assert_eq!(all.len(), 2);
    }
}
