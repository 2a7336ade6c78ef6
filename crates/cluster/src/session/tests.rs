//! What a node may say that no honest one says.

use std::time::Duration;

use flocker_model::{
    ByteCount, NodeId, NodeState, PoolHealth, PoolProblem, PoolState, PoollessNode,
};
use flocker_plan::StepId;
use flocker_remote::protocol::{FrameWriter, LockPurpose, Progress, RefusedReason, StepFailure};
use tokio::io::AsyncWriteExt as _;

use super::*;
use crate::refusal::busy;

/// Longer than anything here takes.
const DEADLINE: Duration = Duration::from_secs(60);

fn node() -> NodeName {
    "node1".parse().unwrap()
}

fn caller() -> Caller {
    Caller {
        reach: Reach::default(),
        clock: Clock::default(),
        operator: "me@here".to_owned(),
        session: "this one".to_owned(),
        started: 2,
        exclusive: true,
    }
}

fn state() -> Box<NodeState> {
    let pool = PoolState {
        dataset: "tank/flocker".to_owned(),
        health: PoolHealth::Usable,
        available: ByteCount::ZERO,
        sync_disabled: None,
    };
    Box::new(NodeState::fresh(NodeId(uuid::Uuid::nil()), "1", pool))
}

/// A process that does not end, and whose standard error says something.
fn endless() -> Ending {
    Ending::new(node(), &b"\x1b[31mhelp\n"[..], std::future::pending())
}

/// Puts messages into the bytes that a node would send.
async fn said(events: &[Event]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = FrameWriter::new(&mut bytes);
    for event in events {
        writer.send(event).await.unwrap();
    }
    bytes
}

async fn within_deadline<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.expect("hangs")
}

/// What the operator is told of a node that begins like this.
async fn told_of(beginning: &[u8]) -> String {
    let mut reader = FrameReader::new(beginning);
    let (waiting, _nobody) = mpsc::channel(1);
    let caller = caller();
    let answer = first_answer(&mut reader, endless(), (&caller, &waiting));
    let answer = within_deadline(answer).await;
    match answer {
        Ok(_) => panic!("it was believed"),
        Err(failure) => failure.failure.to_string(),
    }
}

#[tokio::test]
async fn a_node_that_talks_nonsense_is_told_at_once_and_not_waited_for() {
    insta::assert_snapshot!(told_of(b"Welcome to \x1b[2Jdb1!\nYou have mail.\n").await, @r#"
    error: node1: flocker-node did not begin
      caused by: it wrote: \u{1b}[31mhelp
      caused by: the other side began with the text "Welcome to \u{1b}[2Jdb1!" instead of a message; a file that its shell reads at login (.bashrc, .profile) may print something, which it must not do here
    "#);
    insta::assert_snapshot!(told_of(&[0xff; 8]).await, @r"
    error: node1: flocker-node did not begin
      caused by: it wrote: \u{1b}[31mhelp
      caused by: the other side announced a message of 4294967295 bytes, of which 16777216 are the most; it may not be Flocker that answers
    ");
    insta::assert_snapshot!(told_of(b"\0\0\0\x02{}").await, @r"
    error: node1: flocker-node did not begin
      caused by: it wrote: \u{1b}[31mhelp
      caused by: the other side sent something that is not a message of this protocol
      caused by: expected value at line 1 column 2
    ");
}

/// It answers, so nobody has to look for it; what has to be mended is on it.
#[tokio::test]
async fn a_node_that_cannot_look_at_itself_is_not_unreachable() {
    let failure = StepFailure {
        message: "Docker does not answer".to_owned(),
        causes: Vec::new(),
        hint: Some("look at `systemctl status docker`".to_owned()),
        stale: false,
    };
    let reason = RefusedReason::NotObserved { failure };
    let bytes = said(&[Event::Refused { reason }]).await;
    let (waiting, _nobody) = mpsc::channel(1);
    let caller = caller();
    let mut reader = FrameReader::new(bytes.as_slice());
    let answer = first_answer(&mut reader, endless(), (&caller, &waiting)).await;
    let refused = answer.err().unwrap();
    assert_eq!(refused.presence, Presence::Answers);
    assert_eq!(refused.failure.exit, Exit::Blocked);
    insta::assert_snapshot!(refused.failure, @r"
    error: node1: its state cannot be observed
      caused by: Docker does not answer
      hint: look at `systemctl status docker`
    ");
}

#[tokio::test]
async fn a_node_that_lacks_its_pool_begins_all_the_same() {
    let node = PoollessNode {
        id: NodeId(uuid::Uuid::nil()),
        version: "1".to_owned(),
        pool: "tank".to_owned(),
        problem: PoolProblem::NotImported,
        members: flocker_model::Members::new(),
    };
    let event = Event::WithoutPool {
        node: Box::new(node.clone()),
    };
    let bytes = said(&[event]).await;
    let (waiting, _nobody) = mpsc::channel(1);
    let caller = caller();
    let mut reader = FrameReader::new(bytes.as_slice());
    let answer = first_answer(&mut reader, endless(), (&caller, &waiting)).await;
    let (look, _) = answer.ok().unwrap();
    assert_eq!(look, Look::WithoutPool(Box::new(node)));
}

#[tokio::test]
async fn a_node_that_answers_in_the_wrong_order_is_not_believed() {
    let failure = StepFailure {
        message: "no".to_owned(),
        causes: Vec::new(),
        hint: None,
        stale: false,
    };
    for event in [
        Event::ObserveFailed {
            failure: failure.clone(),
        },
        Event::Failed {
            step: StepId::new(0),
            failure,
        },
    ] {
        let told = told_of(&said(&[event, Event::Observed { state: state() }]).await).await;
        assert_eq!(
            told,
            "error: node1: flocker-node gave an answer to another question"
        );
    }
}

#[tokio::test]
async fn what_a_node_calls_itself_is_shown_and_not_obeyed() {
    let reason = RefusedReason::ProtocolVersion(Speaks {
        protocol: u32::MAX,
        release: "\u{1b}]0;owned\u{7}9".to_owned(),
    });
    let told = told_of(&said(&[Event::Refused { reason }]).await).await;
    assert!(told.contains(r"flocker-node \u{1b}]0;owned\u{7}9, which speaks protocol 4294967295"));
    let reason = RefusedReason::Locked {
        holder: Some(LockHolder {
            purpose: LockPurpose::Deploy,
            operator: "root\u{1b}[1A\u{1b}[2K".to_owned(),
            session: "another".to_owned(),
            started: 1,
            since: u64::MAX,
            process: 0,
        }),
    };
    let told = told_of(&said(&[Event::Refused { reason }]).await).await;
    assert!(
        told.contains(r"root\u{1b}[1A\u{1b}[2K has been changing it"),
        "{told}"
    );
}

/// Who has a node's lock.
fn other(purpose: LockPurpose, operator: &str) -> LockHolder {
    LockHolder {
        purpose,
        operator: operator.to_owned(),
        session: "another".to_owned(),
        started: 1,
        since: 1_795_402_590,
        process: 4711,
    }
}

#[tokio::test]
async fn who_loses_a_node_is_told_to_whom_and_since_when() {
    let refused = async |holder| {
        let reason = RefusedReason::Locked { holder };
        told_of(&said(&[Event::Refused { reason }]).await).await
    };
    let deploying = refused(Some(other(LockPurpose::Deploy, "kim@laptop"))).await;
    insta::assert_snapshot!(deploying, @r"
    error: node1: kim@laptop has been changing it since 2026-11-23 02:56:30 UTC (process 4711 on node1)
      hint: run the same command again when that has ended; the lock is gone with its process, so there is nothing to clean up
    ");
    let beginning = refused(Some(other(LockPurpose::Begin, "kim@laptop"))).await;
    insta::assert_snapshot!(beginning, @r"
    error: node1: kim@laptop began at the same time, at 2026-11-23 02:56:30 UTC, and goes first (process 4711 on node1)
      hint: run the same command again when that has ended; the lock is gone with its process, so there is nothing to clean up
    ");
    insta::assert_snapshot!(refused(None).await, @r"
    error: node1: another deploy is under way
      hint: run the same command again when it has ended
    ");
}

/// A machine that has two names was asked by none of them before, and one that was cut off was.
#[tokio::test]
async fn who_has_a_nodes_lock_already_is_told_why() {
    let refused = async |purpose| {
        let holder = LockHolder {
            session: caller().session,
            ..other(purpose, "me@here")
        };
        let holder = Some(holder);
        let reason = RefusedReason::Locked { holder };
        told_of(&said(&[Event::Refused { reason }]).await).await
    };
    insta::assert_snapshot!(refused(LockPurpose::Begin).await, @r"
    error: node1 is a second name of a machine that is named already
      hint: name each machine once in the deployment
    ");
    insta::assert_snapshot!(refused(LockPurpose::Deploy).await, @r"
    error: node1: what this command began there before it was cut off has not ended (process 4711 on node1)
      hint: run the same command again when that has ended
    ");
}

#[tokio::test]
async fn who_waits_for_a_node_is_told_for_what() {
    let node = node();
    let waiting = |purpose, operator| busy(&node, &other(purpose, operator));
    let complying = waiting(LockPurpose::Comply, "flocker-node");
    insta::assert_snapshot!(complying, @"node1: waiting until it has made itself comply with its last configuration, as after a boot (since 2026-11-23 02:56:30 UTC, process 4711 on node1)");
    let beginning = waiting(LockPurpose::Begin, "kim@laptop");
    insta::assert_snapshot!(beginning, @"node1: waiting for kim@laptop, who began at the same time, to give way or to go on (since 2026-11-23 02:56:30 UTC, process 4711 on node1)");
    let ours = waiting(LockPurpose::Deploy, "me@here");
    insta::assert_snapshot!(ours, @"node1: waiting until what this command began there before it was cut off has ended (since 2026-11-23 02:56:30 UTC, process 4711 on node1)");
}

#[tokio::test]
async fn a_node_that_speaks_another_protocol_is_told_with_both_versions() {
    let reason = RefusedReason::ProtocolVersion(Speaks {
        protocol: 1,
        release: "0.0.9".to_owned(),
    });
    let told = told_of(&said(&[Event::Refused { reason }]).await).await;
    let told = told.replace(env!("CARGO_PKG_VERSION"), "OURS");
    insta::assert_snapshot!(told, @r"
    error: node1: it has flocker-node 0.0.9, which speaks protocol 1, and this is flocker-cluster OURS, which speaks protocol 7
      hint: install the same release of Flocker on node1 and on this machine
    ");
}

/// A node that never stops talking waits for the operator's side to listen; what it has said
/// meanwhile does not pile up.
#[tokio::test]
async fn a_flood_of_messages_waits_for_its_reader() {
    let progress = Event::Progress {
        step: StepId::new(0),
        progress: Progress {
            what: "x".repeat(1000),
            done: 0,
            total: None,
        },
    };
    let message = said(&[progress]).await;
    let (mut node_side, here) = tokio::io::duplex(64 << 10);
    let (sender, mut incoming) = mpsc::channel(WAITING_MESSAGES);
    let reading = tokio::spawn(forward(FrameReader::new(here), endless(), sender));
    let flood = async {
        let mut sent = 0_usize;
        loop {
            if node_side.write_all(&message).await.is_err() {
                return sent;
            }
            sent += 1;
        }
    };
    let mut flood = std::pin::pin!(flood);
    // Nobody listens: before long the node can say no more. Everything runs on this one thread, so
    // that all of it has had its turn after so many.
    let mut turns = 0;
    while turns < 10_000 {
        tokio::select! {
            biased;
            _ = &mut flood => panic!("the node's stream ended"),
            () = tokio::task::yield_now() => turns += 1,
        }
    }
    assert_eq!(incoming.len(), WAITING_MESSAGES);
    // One message leaves, one comes in: nothing was lost.
    for _ in 0..3 * WAITING_MESSAGES {
        tokio::select! {
            biased;
            _ = &mut flood => panic!("the node's stream ended"),
            message = incoming.recv() => assert!(message.is_some()),
        }
    }
    // Nobody listens for good: the reader ends, and with it the node's stream.
    drop(incoming);
    let sent = within_deadline(flood).await;
    assert!(sent > 3 * WAITING_MESSAGES, "{sent}");
    within_deadline(reading).await.unwrap();
}
