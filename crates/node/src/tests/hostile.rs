//! What nobody honest says, to a machine in memory: the operator's side, and a peer.

use std::collections::BTreeMap;
use std::time::Duration;

use flocker_model::{Epoch, NodeId, SnapshotGuid, VolumeRole};
use flocker_plan::{Action, Handoff, StepId, StopKind};
use flocker_remote::protocol::{
    Begin, BootId, Event, FORMER_PROTOCOLS, FrameReader, FrameWriter, Listener, OwnershipQuestion,
    PROTOCOL_VERSION, RefusedReason, Request, SILENCE, Speaks, StepFailure,
};
use flocker_zfs::{ReceiveRequest, Transfer};
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use uuid::Uuid;

use super::cluster::Cluster;
use super::fake::{Fake, Header};
use super::wish::{Wish, application_name, deployment, name, node_name};
use crate::machine::Machine;
use crate::platform::{Platform, Volumes as _};
use crate::push_messages::{PushAnswer, PushRequest};
use crate::receive::{Receiver, receive};
use crate::serve::serve;

/// Longer than anything here takes.
const DEADLINE: Duration = Duration::from_secs(60);

async fn within_deadline<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.expect("hangs")
}

fn begin(exclusive: bool) -> Request {
    Request::Begin(Begin {
        speaks: Speaks::ours(),
        operator: "me@here".to_owned(),
        session: "this one".to_owned(),
        started: 1,
        exclusive,
    })
}

fn run(step: u32, action: Action) -> Request {
    let action = Box::new(action);
    let step = StepId::new(step);
    Request::Run { step, action }
}

async fn framed<T: serde::Serialize>(messages: &[T]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = FrameWriter::new(&mut bytes);
    for message in messages {
        writer.send(message).await.unwrap();
    }
    bytes
}

/// Serves a session in which the operator's side says `first`, waits for an answer, and says the
/// rest; nothing may be said before the answer to the beginning.
async fn session(
    machine: &Machine<impl Platform>,
    (first, rest): (Vec<u8>, Vec<u8>),
) -> (Vec<Event>, Result<(), StepFailure>) {
    let (theirs, here) = tokio::io::duplex(1 << 20);
    let (input, mut saying) = tokio::io::duplex(1 << 20);
    let converse = async {
        let mut reader = FrameReader::new(here);
        let mut events = Vec::new();
        saying.write_all(&first).await.unwrap();
        events.extend(reader.next().await.unwrap());
        // Whoever was refused has ended.
        let _ = saying.write_all(&rest).await;
        drop(saying);
        while let Some(event) = reader.next().await.unwrap() {
            events.push(event);
        }
        events
    };
    let serving = Box::pin(serve(machine, None, (input, theirs)));
    let (served, events) = within_deadline(async { tokio::join!(serving, converse) }).await;
    (events, served)
}

/// Two machines, of which the first runs an application with a volume.
async fn two_machines() -> Cluster {
    let mut cluster = Cluster::new(2);
    cluster.converge(&deployment(2, &[Wish::at(0)])).await;
    cluster
}

fn stop() -> Action {
    Action::StopApplication {
        application: application_name(0),
        kind: StopKind::ForNow,
    }
}

#[tokio::test]
async fn a_session_that_was_begun_to_look_changes_nothing() {
    let cluster = two_machines().await;
    let machine = cluster.machine(&node_name(0));
    let before = cluster.observe().await;
    // Nor does one that has the lock and may still give way.
    for exclusive in [false, true] {
        let said = (
            framed(&[begin(exclusive)]).await,
            framed(&[run(4, stop())]).await,
        );
        let (events, served) = session(machine, said).await;
        assert_eq!(served, Ok(()));
        assert!(matches!(events[0], Event::Observed { .. }), "{events:?}");
        let Event::Failed { step, failure } = &events[1] else {
            panic!("{events:?}");
        };
        assert_eq!(*step, StepId::new(4));
        assert!(failure.message.contains("no lock"), "{failure:?}");
        assert_eq!(cluster.observe().await, before);
    }
}

#[tokio::test]
async fn what_is_said_in_the_wrong_order_changes_nothing() {
    let cluster = two_machines().await;
    let machine = cluster.machine(&node_name(0));
    let before = cluster.observe().await;
    let begun = framed(&[begin(true)]).await;
    let step = framed(&[run(0, stop())]).await;
    let nonsense = b"\0\0\0\x02{}".to_vec();
    let nothing = Vec::new;
    for (first, rest, expected) in [
        (step.clone(), nothing(), "must begin the session"),
        (
            framed(&[Request::Observe]).await,
            nothing(),
            "must begin the session",
        ),
        (begun.clone(), begun.clone(), "has begun already"),
        (
            framed(&[begin(false)]).await,
            framed(&[Request::GoOn]).await,
            "begun to look only",
        ),
        (
            nonsense.clone(),
            nothing(),
            "not a message of this protocol",
        ),
        (begun.clone(), nonsense, "not a message of this protocol"),
        (
            begun.clone(),
            step[..step.len() - 1].to_vec(),
            "middle of a message",
        ),
    ] {
        // One that ends after a bad beginning never answers.
        let (_, served) = session(machine, (first, rest)).await;
        let failure = served.unwrap_err();
        assert!(
            failure.message.contains(expected),
            "{expected}: {failure:?}"
        );
        assert_eq!(cluster.observe().await, before, "{expected}");
        // Nothing of it holds the lock.
        let (events, served) = session(machine, (begun.clone(), nothing())).await;
        assert_eq!(served, Ok(()));
        assert!(matches!(events[..], [Event::Observed { .. }]), "{events:?}");
    }
}

#[tokio::test]
async fn another_protocol_is_refused_with_both_versions() {
    let cluster = Cluster::new(1);
    for protocol in [0, PROTOCOL_VERSION + 1, u32::MAX] {
        let mut request = begin(true);
        if let Request::Begin(begin) = &mut request {
            begin.speaks.protocol = protocol;
        }
        let said = (framed(&[request]).await, Vec::new());
        let (events, served) = session(cluster.machine(&node_name(0)), said).await;
        assert_eq!(served, Ok(()));
        let [Event::Refused { reason }] = &events[..] else {
            panic!("{events:?}");
        };
        assert_eq!(*reason, RefusedReason::ProtocolVersion(Speaks::ours()));
    }
}

/// A step that runs is finished before the lock is given back, also when nonsense comes after it.
#[tokio::test]
async fn nonsense_after_a_step_does_not_cut_it_short() {
    let cluster = two_machines().await;
    let machine = cluster.machine(&node_name(0));
    let mut rest = framed(&[Request::GoOn, run(7, stop())]).await;
    rest.extend([0xff; 4]);
    let (events, served) = session(machine, (framed(&[begin(true)]).await, rest)).await;
    assert!(served.unwrap_err().message.contains("4294967295 bytes"));
    let done = events
        .iter()
        .any(|event| matches!(event, Event::Done { step, .. } if *step == StepId::new(7)));
    assert!(done, "{events:?}");
}

/// A step that the planner made for another machine finds nothing here that it fits.
#[tokio::test]
async fn a_step_for_another_node_changes_nothing() {
    let cluster = two_machines().await;
    let (owner, other) = (node_name(0), node_name(1));
    let before = cluster.observe().await;
    let application = application_name(0);
    let deployment_id = deployment(2, &[Wish::at(0)]).id();
    let acquire = Action::AcquireVolume {
        application: application.clone(),
        epoch: Epoch(2),
        handoff: Handoff::Recorded(SnapshotGuid(1)),
        deployment: deployment_id.clone(),
    };
    let release = Action::ReleaseVolume {
        application: application.clone(),
        epoch: Epoch(1),
        to: cluster.machine(&owner).id,
        deployment: deployment_id.clone(),
    };
    let unresolved = Action::AcquireVolume {
        application: application.clone(),
        epoch: Epoch(2),
        handoff: Handoff::FromStep(StepId::new(0)),
        deployment: deployment_id,
    };
    for (node, action) in [
        (&other, acquire.clone()),
        (&other, release),
        (&owner, acquire),
        (&owner, unresolved),
    ] {
        let what = format!("{action} on {node}");
        let done = cluster.run((node, &action), &BTreeMap::new()).await;
        assert!(done.is_err(), "{what}");
        assert_eq!(cluster.observe().await, before, "{what}");
    }
}

/// Has a peer push to a machine; returns what it is answered after the greeting.
async fn push(
    machine: &Machine<Fake>,
    from: NodeId,
    (requests, stream): (&[PushRequest], &[u8]),
) -> Vec<PushAnswer> {
    let length = u32::try_from(stream.len()).unwrap().to_be_bytes();
    let messages = framed(requests).await;
    greet_and_say(machine, from, &[&messages, &length[..], stream].concat()).await
}

/// The same with any bytes.
async fn greet_and_say(machine: &Machine<Fake>, from: NodeId, said: &[u8]) -> Vec<PushAnswer> {
    let hello = framed(&[PushRequest::Hello(Speaks::ours())]).await;
    let mut answers = push_bytes(machine, from, [&hello, said].concat()).await;
    assert_eq!(answers.remove(0), PushAnswer::Hello(Speaks::ours()));
    answers
}

/// Has a peer say something to a machine; returns what it is answered.
async fn push_bytes(machine: &Machine<Fake>, from: NodeId, said: Vec<u8>) -> Vec<PushAnswer> {
    let (theirs, here) = tokio::io::duplex(1 << 20);
    let streams = (std::io::Cursor::new(said), theirs);
    let receiver = Receiver {
        node: machine.id,
        boot: machine.store.boot_id().unwrap(),
        volumes: &machine.volumes,
        images: &machine.containers,
        forgotten: None,
    };
    within_deadline(receive(&receiver, from, streams))
        .await
        .unwrap();
    let mut reader = FrameReader::new(here);
    let mut answers = Vec::new();
    while let Some(answer) = within_deadline(reader.next()).await.unwrap() {
        answers.push(answer);
    }
    answers
}

/// A stream as the machines in memory take it, whole but for what a test changes.
fn header() -> Header {
    Header {
        from: None,
        to: SnapshotGuid(u64::MAX),
        name: "flocker-9-000001".to_owned(),
        length: 4,
        offset: 0,
    }
}

/// Who nobody knows.
const STRANGER: NodeId = NodeId(Uuid::from_u128(0x5ec0));

/// What a peer says of a stream.
fn announced(owner: NodeId, epoch: u64, transfer: Transfer) -> ReceiveRequest {
    ReceiveRequest {
        application: application_name(0),
        owner,
        epoch: Epoch(epoch),
        transfer,
    }
}

/// Has `from` push to a machine, which must refuse and be left as it was.
async fn assert_refused(
    cluster: &Cluster,
    (what, from): (&str, NodeId),
    (request, stream): (ReceiveRequest, &[u8]),
) {
    let before = cluster.observe().await;
    let machine = cluster.machine(&node_name(0));
    let answers = push(machine, from, (&[PushRequest::Volume(request)], stream)).await;
    assert!(
        matches!(answers[..], [PushAnswer::Failed(_)]),
        "{what}: {answers:?}"
    );
    assert_eq!(cluster.observe().await, before, "{what}");
}

#[tokio::test]
async fn a_hostile_peer_changes_no_volume_that_is_not_its_own() {
    let cluster = two_machines().await;
    let owner = cluster.machine(&node_name(0)).id;
    let whole = header().stream(b"evil");
    for (what, from, name, epoch) in [
        ("an owned volume", STRANGER, STRANGER, 1),
        ("in a later turn", STRANGER, STRANGER, u64::MAX),
        ("in the owner's name", STRANGER, owner, 9),
        ("in another's name", STRANGER, NodeId(Uuid::nil()), 9),
        ("as the owner itself", owner, owner, 9),
    ] {
        let request = announced(name, epoch, Transfer::Full);
        assert_refused(&cluster, (what, from), (request, &whole)).await;
    }
    let from = SnapshotGuid(3);
    let increment = Header {
        from: Some(from),
        ..header()
    };
    let token = "1-2".to_owned();
    for (what, transfer) in [
        ("an increment", Transfer::Incremental { from }),
        ("a token", Transfer::Resume { token }),
    ] {
        let pushed = (announced(STRANGER, 9, transfer), increment.stream(b"evil"));
        assert_refused(&cluster, (what, STRANGER), (pushed.0, &pushed.1)).await;
    }
}

#[tokio::test]
async fn a_stream_that_is_none_changes_nothing() {
    let cluster = two_machines().await;
    let whole = header().stream(b"evil");
    for (what, stream) in [
        ("nothing", &[][..]),
        ("half a stream", &whole[..whole.len() - 2]),
        ("no stream", b"evil\n"),
        ("no end of a line", &[b'x'; 10_000]),
    ] {
        let request = announced(STRANGER, 9, Transfer::Full);
        assert_refused(&cluster, (what, STRANGER), (request, stream)).await;
    }
}

/// What a peer may do: bring a copy of its own, which owns nothing.
#[tokio::test]
async fn what_a_peer_pushes_in_its_own_name_is_a_replica() {
    let cluster = two_machines().await;
    let machine = cluster.machine(&node_name(1));
    let peer = STRANGER;
    let application = name("brought");
    let request = ReceiveRequest {
        application,
        owner: peer,
        epoch: Epoch(1),
        transfer: Transfer::Full,
    };
    let application = request.application.clone();
    let prepare = PushRequest::Prepare {
        application: application.clone(),
    };
    let requests = [prepare, PushRequest::Volume(request)];
    let stream = header().stream(b"data");
    // The same from anybody else, in this peer's name.
    let before = cluster.observe().await;
    let answers = push(machine, NodeId(Uuid::nil()), (&requests, &stream)).await;
    assert!(
        matches!(
            answers[..],
            [PushAnswer::Prepared(_), PushAnswer::Failed(_)]
        ),
        "{answers:?}"
    );
    assert_eq!(cluster.observe().await, before);
    let answers = push(machine, peer, (&requests, &stream)).await;
    assert!(
        matches!(
            answers[..],
            [PushAnswer::Prepared(_), PushAnswer::Received { .. }]
        ),
        "{answers:?}"
    );
    let copy = machine.volumes.observe_volume(&application).await.unwrap();
    let role = copy.unwrap().role;
    assert!(
        matches!(role, VolumeRole::Replica { owner, .. } if owner == peer),
        "{role:?}"
    );
}

/// A machine that loses its power ends no connection: the volume must not be kept busy until TCP
/// finds out.
#[tokio::test(start_paused = true)]
async fn a_peer_that_is_gone_in_the_middle_of_a_stream_keeps_no_volume_busy() {
    let cluster = two_machines().await;
    let machine = cluster.machine(&node_name(1));
    let before = cluster.observe().await;
    let hello = PushRequest::Hello(Speaks::ours());
    let volume = PushRequest::Volume(announced(STRANGER, 9, Transfer::Full));
    let (mut theirs, input) = tokio::io::duplex(1 << 20);
    theirs
        .write_all(&framed(&[hello, volume]).await)
        .await
        .unwrap();
    theirs
        .write_all(b"\0\0\x01\0half of a frame")
        .await
        .unwrap();
    let (output, mut answers) = tokio::io::duplex(1 << 20);
    let receiver = Receiver {
        node: machine.id,
        boot: machine.store.boot_id().unwrap(),
        volumes: &machine.volumes,
        images: &machine.containers,
        forgotten: None,
    };
    let silent = tokio::time::Instant::now();
    let streams = (Listener::new(input), output);
    receive(&receiver, STRANGER, streams).await.unwrap();
    assert!(silent.elapsed() >= SILENCE);
    let mut reader = FrameReader::<_, PushAnswer>::new(&mut answers);
    let greeting = reader.next().await.unwrap();
    assert_eq!(greeting, Some(PushAnswer::Hello(Speaks::ours())));
    let Some(PushAnswer::Failed(failure)) = reader.next().await.unwrap() else {
        panic!("half a stream was a copy");
    };
    assert_eq!(failure.message, "the stream broke off");
    assert_eq!(cluster.observe().await, before);
    drop(theirs);
}

/// Another release is told what this one speaks, and nothing of what it asks is done.
#[tokio::test]
async fn a_peer_that_speaks_another_protocol_is_told_and_changes_nothing() {
    let cluster = two_machines().await;
    let machine = cluster.machine(&node_name(0));
    for protocol in [0, 1, PROTOCOL_VERSION + 1, u32::MAX] {
        let release = "another".to_owned();
        let hello = PushRequest::Hello(Speaks { protocol, release });
        let said = framed(&[hello, PushRequest::Claims]).await;
        let answers = push_bytes(machine, STRANGER, said).await;
        assert_eq!(answers, [PushAnswer::Hello(Speaks::ours())]);
    }
    // One that says nothing of what it speaks, as the first release did.
    let answers = push_bytes(machine, STRANGER, framed(&[PushRequest::Claims]).await).await;
    let [PushAnswer::Failed(failure)] = &answers[..] else {
        panic!("{answers:?}");
    };
    assert!(
        failure.message.contains("does not say which protocol"),
        "{failure:?}"
    );
    let hello = || PushRequest::Hello(Speaks::ours());
    let answers = push_bytes(machine, STRANGER, framed(&[hello(), hello()]).await).await;
    assert!(
        matches!(answers[..], [PushAnswer::Hello(_), PushAnswer::Failed(_)]),
        "{answers:?}"
    );
}

/// A former release learns who owns what, in its own words, and can do nothing else.
#[tokio::test]
async fn a_former_release_may_ask_for_owners_and_nothing_else() {
    let cluster = two_machines().await;
    let machine = cluster.machine(&node_name(0));
    let before = cluster.observe().await;
    let application = application_name(0);
    let owner = json!({"owner": machine.id, "epoch": 1});
    let claimed = json!({"answer": "claimed", "claims": {application.as_str(): owner}});
    let volume = announced(STRANGER, 9, Transfer::Full);
    for protocol in FORMER_PROTOCOLS {
        let hello = json!({"push": "hello", "protocol": protocol, "release": "0.0.9"});
        let question = framed(&[hello.clone(), json!({"push": "claims"})]).await;
        let answers = push_bytes(machine, STRANGER, question).await;
        let answers: Vec<_> = answers.iter().map(|answer| json!(answer)).collect();
        assert_eq!(answers[0]["protocol"], protocol);
        assert_eq!(answers[1..], *std::slice::from_ref(&claimed));
        for request in [
            PushRequest::Volume(volume.clone()),
            PushRequest::Prepare {
                application: application.clone(),
            },
            PushRequest::Image {
                image: name("image:2"),
            },
            PushRequest::Hello(Speaks::ours()),
        ] {
            let said = [
                framed(std::slice::from_ref(&hello)).await,
                framed(&[request]).await,
                header().stream(b"evil"),
            ];
            let answers = push_bytes(machine, STRANGER, said.concat()).await;
            let [PushAnswer::Hello(_), PushAnswer::Failed(failure)] = &answers[..] else {
                panic!("{answers:?}");
            };
            assert!(failure.message.contains("another protocol"), "{failure:?}");
        }
        assert_eq!(cluster.observe().await, before);
    }
}

/// Releases that nobody can change any more send and expect these bytes.
#[tokio::test]
async fn the_frozen_question_is_answered_byte_for_byte() {
    let cluster = two_machines().await;
    let machine = cluster.machine(&node_name(0));
    let question = framed(&[PushRequest::Ownership(OwnershipQuestion::ours())]).await;
    assert_eq!(question[..4], [0, 0, 0, 32]);
    assert_eq!(&question[4..], br#"{"push":"ownership","version":1}"#);
    let (input, mut said) = (std::io::Cursor::new(question), Vec::new());
    let receiver = Receiver {
        node: machine.id,
        boot: machine.store.boot_id().unwrap(),
        volumes: &machine.volumes,
        images: &machine.containers,
        forgotten: None,
    };
    receive(&receiver, STRANGER, (input, &mut said))
        .await
        .unwrap();
    let (id, BootId(boot), release) = (machine.id, receiver.boot, env!("CARGO_PKG_VERSION"));
    let expected = format!(
        r#"{{"answer":"ownership","version":1,"node":"{id}","boot":"{boot}","release":"{release}","copies":{{"app-0":{{"owner":"{id}","epoch":1,"newest":[]}}}}}}"#
    );
    let (length, answer) = said.split_at(4);
    assert_eq!(std::str::from_utf8(answer).unwrap(), expected);
    assert_eq!(length, u32::try_from(answer.len()).unwrap().to_be_bytes());
}

#[tokio::test]
async fn nonsense_from_a_peer_is_answered_and_nothing_else() {
    let cluster = two_machines().await;
    let machine = cluster.machine(&node_name(0));
    let before = cluster.observe().await;
    let peer = STRANGER;
    for (what, said, expected) in [
        ("text", &b"zfs destroy tank\n"[..], "began with the text"),
        ("a length", &[0xff; 9][..], "4294967295 bytes"),
        ("a cut", &[0, 0, 0, 9, b'{'][..], "middle of a message"),
        ("no JSON", &b"\0\0\0\x04evil"[..], "not a message"),
        (
            "another message",
            &b"\0\0\0\x09\"observe\""[..],
            "not a message",
        ),
    ] {
        let answers = greet_and_say(machine, peer, said).await;
        let [PushAnswer::Failed(failure)] = &answers[..] else {
            panic!("{what}: {answers:?}");
        };
        assert!(failure.message.contains(expected), "{what}: {failure:?}");
        assert_eq!(cluster.observe().await, before, "{what}");
    }
}
