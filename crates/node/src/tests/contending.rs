//! Two operators begin at once on two machines in memory, with the locks that real nodes have. Every
//! order is tried in which the machines can come to hear of them; `turns` in `flocker-remote` has a
//! model of more operators and machines, and of what is under way between them.

use std::collections::BTreeMap;
use std::time::Duration;

use flocker_remote::protocol::{
    Begin, Event, FrameReader, FrameWriter, LockHolder, LockPurpose, RefusedReason, Request, Speaks,
};
use tokio::io::DuplexStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::cluster::Cluster;
use super::wish::node_name;
use crate::serve::converse;

/// Longer than anything here takes.
const DEADLINE: Duration = Duration::from_secs(60);
const NODES: usize = 2;
/// Who begins, earlier ones first.
const OPERATORS: [&str; 2] = ["ann@desk", "kim@laptop"];

async fn within_deadline<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.expect("hangs")
}

/// One operator's session with one machine.
struct Session {
    writer: FrameWriter<DuplexStream, Request>,
    events: mpsc::UnboundedReceiver<Event>,
    served: JoinHandle<()>,
    /// What was last heard.
    last: Event,
}

impl Session {
    /// Begins, and hears what the machine has to say to that at first.
    async fn begin(cluster: &Cluster, node: usize, (started, operator): (u64, &str)) -> Self {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let (sender, mut events) = mpsc::unbounded_channel();
        let machine = cluster.machine(&node_name(node)).clone();
        let served = tokio::spawn(async move {
            let mut reader = FrameReader::new(theirs);
            let _ = converse(&machine, None, (&mut reader, &sender)).await;
        });
        let mut writer = FrameWriter::new(ours);
        let begin = Begin {
            speaks: Speaks::ours(),
            operator: operator.to_owned(),
            session: operator.to_owned(),
            started,
            exclusive: true,
        };
        writer.send(&Request::Begin(begin)).await.unwrap();
        let last = within_deadline(events.recv()).await.unwrap();
        Self {
            writer,
            events,
            served,
            last,
        }
    }

    fn is_refused(&self) -> bool {
        matches!(self.last, Event::Refused { .. })
    }

    /// Hears what came of waiting.
    async fn decided(&mut self) {
        while matches!(self.last, Event::Waiting { .. }) {
            self.last = within_deadline(self.events.recv()).await.unwrap();
        }
    }

    fn is_given(&self) -> bool {
        matches!(self.last, Event::Observed { .. })
    }

    /// Who has the machine that was refused.
    fn refused_by(&self) -> &LockHolder {
        match &self.last {
            Event::Refused {
                reason:
                    RefusedReason::Locked {
                        holder: Some(holder),
                    },
            } => holder,
            other => panic!("{other:?}"),
        }
    }

    /// Goes on, and waits until the machine has heard it.
    async fn go_on(&mut self) {
        self.writer.send(&Request::GoOn).await.unwrap();
        // What is answered was asked after that.
        self.writer.send(&Request::Observe).await.unwrap();
        self.last = within_deadline(self.events.recv()).await.unwrap();
        assert!(self.is_given(), "{:?}", self.last);
    }

    /// Leaves, and waits until the machine has seen that.
    async fn end(self) {
        drop(self.writer);
        within_deadline(self.served).await.unwrap();
    }
}

type Sessions = BTreeMap<usize, Session>;

async fn end_all(sessions: &mut Sessions) {
    for (_, session) in std::mem::take(sessions) {
        session.end().await;
    }
}

/// Lists all orders of these.
fn orders(things: &[(usize, usize)]) -> Vec<Vec<(usize, usize)>> {
    if things.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for (place, first) in things.iter().enumerate() {
        let mut others = things.to_vec();
        others.remove(place);
        for mut order in orders(&others) {
            order.insert(0, *first);
            all.push(order);
        }
    }
    all
}

/// One who begins.
struct Operator {
    number: usize,
    sessions: Sessions,
    has_lost: bool,
    has_gone_on: bool,
}

impl Operator {
    fn new(number: usize) -> Self {
        Self {
            number,
            sessions: Sessions::new(),
            has_lost: false,
            has_gone_on: false,
        }
    }

    /// Goes on if every machine was given.
    async fn go_on_with_all(&mut self) {
        let all = self.sessions.len() == NODES && self.sessions.values().all(Session::is_given);
        if all && !self.has_gone_on && !self.has_lost {
            self.has_gone_on = true;
            for session in self.sessions.values_mut() {
                session.go_on().await;
            }
        }
    }

    /// Waits for all answers that are left, and goes on or leaves.
    async fn decide(&mut self) {
        for session in self.sessions.values_mut().filter(|_| !self.has_lost) {
            session.decided().await;
        }
        self.has_lost |= self.sessions.values().any(Session::is_refused);
        self.go_on_with_all().await;
        if self.has_lost {
            end_all(&mut self.sessions).await;
        }
    }
}

/// Has both operators begin in this order; who loses leaves at once or after all else. Returns who
/// goes on, with the sessions of that one.
async fn contend(
    cluster: &Cluster,
    order: &[(usize, usize)],
    leaves_late: bool,
) -> (usize, Sessions) {
    let mut both = [Operator::new(0), Operator::new(1)];
    for (number, node) in order {
        // An operator asks all at once: what it had asked before it lost is still under way.
        let began = u64::try_from(*number).unwrap();
        let session = Session::begin(cluster, *node, (began, OPERATORS[*number])).await;
        let operator = &mut both[*number];
        operator.has_lost |= session.is_refused();
        operator.sessions.insert(*node, session);
        operator.go_on_with_all().await;
        if operator.has_lost && !leaves_late {
            end_all(&mut operator.sessions).await;
        }
    }
    // Who has lost leaves before the other can get what it waits for.
    both.sort_by_key(|operator| !operator.has_lost);
    for operator in &mut both {
        operator.decide().await;
    }
    let winners = both.iter_mut().filter(|operator| operator.has_gone_on);
    let mut winners: Vec<&mut Operator> = winners.collect();
    assert_eq!(winners.len(), 1, "{order:?}, {leaves_late}");
    let sessions = std::mem::take(&mut winners[0].sessions);
    (winners[0].number, sessions)
}

#[tokio::test]
async fn of_two_operators_at_once_one_goes_on_and_frees_all_when_it_is_gone() {
    let cluster = Cluster::new(NODES);
    let asked = [(0, 0), (0, 1), (1, 0), (1, 1)];
    let mut winners = [0; 2];
    for order in orders(&asked) {
        for leaves_late in [false, true] {
            let (winner, mut sessions) = contend(&cluster, &order, leaves_late).await;
            winners[winner] += 1;
            // Nobody is waited for who has gone on, not even by one who began earlier.
            for node in 0..NODES {
                let told = Session::begin(&cluster, node, (0, "an early one")).await;
                let holder = told.refused_by();
                assert_eq!(holder.operator, OPERATORS[winner]);
                assert_eq!(holder.purpose, LockPurpose::Deploy);
                told.end().await;
            }
            end_all(&mut sessions).await;
        }
    }
    assert_eq!(winners.iter().sum::<i32>(), 48);
    assert!(winners.iter().all(|times| *times > 0), "{winners:?}");
}

/// A row of operators on one machine, each earlier than the one before: all wait, and are told once.
#[tokio::test]
async fn who_waits_is_told_once_for_whom_and_then_gets_the_lock() {
    let cluster = Cluster::new(1);
    let mut first = Session::begin(&cluster, 0, (5, "kim@laptop")).await;
    assert!(matches!(first.last, Event::Observed { .. }));
    let mut second = Session::begin(&cluster, 0, (4, "ann@desk")).await;
    let Event::Waiting { holder } = &second.last else {
        panic!("{:?}", second.last);
    };
    assert_eq!(holder.operator, "kim@laptop");
    let later = Session::begin(&cluster, 0, (6, "bob@tablet")).await;
    assert!(later.is_refused());
    later.end().await;
    assert!(first.events.try_recv().is_err(), "nothing was asked of it");
    first.end().await;
    second.decided().await;
    assert!(matches!(second.last, Event::Observed { .. }));
    second.end().await;
}
