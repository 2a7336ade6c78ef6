//! The beginning of a session, where somebody may have the node's lock already.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::time::Duration;

use flocker_model::{
    ContainerSpecification, ImageId, ImageReference, PoolProblem, RegistryAnswer,
    RememberedApplication,
};
use flocker_plan::{Action, ImageSource, StepId};
use flocker_remote::protocol::{
    Begin, Event, FrameWriter, GIVING_WAY, Listener, LockHolder, LockPurpose, RefusedReason,
    Request, SILENCE, Speaks,
};
use futures_util::poll;
use tokio::io::{AsyncRead, DuplexStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use super::cluster::Cluster;
use super::fake::{ENDLESS_IMAGE, Fake, Trouble};
use super::wish::{APPLICATIONS, Wish, application_name, deployment, node_name};
use crate::local::restore;
use crate::machine::Machine;
use crate::serve::converse;

/// Enough for a beginning.
const PIPE: usize = 4096;
/// Who asks.
const OPERATOR: &str = "kim@laptop";
const SESSION: &str = "a";
/// How long a session may take to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// The lock's holder in these tests.
fn holder(purpose: LockPurpose) -> LockHolder {
    LockHolder {
        purpose,
        operator: "flocker-node".to_owned(),
        session: String::new(),
        started: 1_000_000,
        since: 1_000,
        process: 7,
    }
}

/// What a session of the run in these tests leaves that had gone on and was cut off.
fn left_of_itself() -> LockHolder {
    LockHolder {
        operator: OPERATOR.to_owned(),
        session: SESSION.to_owned(),
        ..holder(LockPurpose::Deploy)
    }
}

/// Asks for a session that may change the node.
async fn begin() -> (FrameWriter<DuplexStream, Request>, DuplexStream) {
    begin_at(2_000_000).await
}

/// Asks for a session of an operator who began then.
async fn begin_at(started: u64) -> (FrameWriter<DuplexStream, Request>, DuplexStream) {
    let (ours, theirs) = tokio::io::duplex(PIPE);
    let mut writer = FrameWriter::new(ours);
    let begin = Begin {
        speaks: Speaks::ours(),
        operator: OPERATOR.to_owned(),
        session: SESSION.to_owned(),
        started,
        exclusive: true,
    };
    writer.send(&Request::Begin(begin)).await.unwrap();
    (writer, theirs)
}

/// Serves on a task of its own.
fn serve(
    machine: &Machine<Fake>,
    input: impl AsyncRead + Send + Unpin + 'static,
) -> (
    mpsc::UnboundedReceiver<Event>,
    tokio::task::JoinHandle<Result<(), flocker_remote::protocol::StepFailure>>,
) {
    let (sender, events) = mpsc::unbounded_channel();
    let machine = machine.clone();
    let served = tokio::spawn(async move {
        let mut reader = flocker_remote::protocol::FrameReader::new(input);
        converse(&machine, None, (&mut reader, &sender)).await
    });
    (events, served)
}

#[tokio::test]
async fn a_node_that_restores_itself_is_waited_for() {
    let cluster = Cluster::new(1);
    let machine = cluster.machine(&node_name(0));
    let restoring = holder(LockPurpose::Comply);
    let lock = machine.store.lock_node(&restoring).unwrap().unwrap();
    let (writer, input) = begin().await;
    let (mut events, served) = serve(machine, input);
    assert_eq!(
        events.recv().await,
        Some(Event::Waiting { holder: restoring })
    );
    drop(lock);
    assert!(matches!(events.recv().await, Some(Event::Observed { .. })));
    drop(writer);
    assert_eq!(served.await.unwrap(), Ok(()));
}

/// A boot while an operator deploys: nobody would restore the node afterwards.
#[tokio::test]
async fn a_restore_waits_for_a_deploy_and_follows_it() {
    let cluster = Cluster::new(1);
    let node = node_name(0);
    let machine = cluster.machine(&node);
    let deploying = holder(LockPurpose::Deploy);
    let lock = machine.store.lock_node(&deploying).unwrap().unwrap();
    let mut restoring = pin!(restore(machine));
    assert!(poll!(&mut restoring).is_pending());
    let deployment = deployment(1, &[Wish::at(0); APPLICATIONS]);
    let name = application_name(APPLICATIONS - 1);
    let started = RememberedApplication {
        specification: ContainerSpecification::new(&name, &deployment.applications[&name]),
        links: BTreeMap::new(),
        volume: None,
        retired: false,
        dependencies: BTreeSet::new(),
    };
    machine.store.set_application(&started).unwrap();
    drop(lock);
    let complied = timeout(PATIENCE, restoring).await.unwrap().unwrap();
    // By what it remembered before it waited there would have been nothing to start.
    assert_eq!(complied.lines, [format!("Started `{name}` on localhost.")]);
    assert!(cluster.runs(&node, &name));
}

#[tokio::test]
async fn another_operator_is_not_waited_for() {
    let cluster = Cluster::new(1);
    let machine = cluster.machine(&node_name(0));
    let other = holder(LockPurpose::Deploy);
    let _lock = machine.store.lock_node(&other).unwrap().unwrap();
    let (_writer, input) = begin().await;
    let (mut events, served) = serve(machine, input);
    let reason = RefusedReason::Locked {
        holder: Some(other),
    };
    assert_eq!(events.recv().await, Some(Event::Refused { reason }));
    assert_eq!(served.await.unwrap(), Ok(()));
}

/// Whoever has the lock, and neither gives it back nor goes on, may be asked for a pass phrase.
#[tokio::test(start_paused = true)]
async fn who_began_earlier_waits_for_a_later_one_and_not_for_ever() {
    let cluster = Cluster::new(1);
    let machine = cluster.machine(&node_name(0));
    let looking = holder(LockPurpose::Begin);
    let _lock = machine.store.lock_node(&looking).unwrap().unwrap();
    let (_writer, input) = begin_at(looking.started - 1).await;
    let begun = Instant::now();
    let (mut events, served) = serve(machine, input);
    let holder = looking.clone();
    assert_eq!(events.recv().await, Some(Event::Waiting { holder }));
    let reason = RefusedReason::Locked {
        holder: Some(looking),
    };
    assert_eq!(events.recv().await, Some(Event::Refused { reason }));
    assert_eq!(served.await.unwrap(), Ok(()));
    assert!(begun.elapsed() >= GIVING_WAY);
}

/// A connection that broke in the middle of a step: the step is finished, and whoever asks again is
/// not told that somebody else is at it.
#[tokio::test]
async fn who_asks_again_waits_for_what_is_left_of_itself() {
    let cluster = Cluster::new(1);
    let machine = cluster.machine(&node_name(0));
    let left = left_of_itself();
    let lock = machine.store.lock_node(&left).unwrap().unwrap();
    let (writer, input) = begin().await;
    let (mut events, served) = serve(machine, input);
    assert_eq!(events.recv().await, Some(Event::Waiting { holder: left }));
    drop(lock);
    let said = timeout(PATIENCE, events.recv()).await.unwrap();
    assert!(matches!(said, Some(Event::Observed { .. })), "{said:?}");
    drop(writer);
    assert_eq!(served.await.unwrap(), Ok(()));
}

/// A command of one that was killed may hang.
#[tokio::test(start_paused = true)]
async fn what_is_left_of_itself_is_not_waited_for_for_ever() {
    let cluster = Cluster::new(1);
    let machine = cluster.machine(&node_name(0));
    let left = left_of_itself();
    let _lock = machine.store.lock_node(&left).unwrap().unwrap();
    let (_writer, input) = begin().await;
    let begun = Instant::now();
    let (mut events, served) = serve(machine, input);
    let holder = left.clone();
    assert_eq!(events.recv().await, Some(Event::Waiting { holder }));
    let reason = RefusedReason::Locked { holder: Some(left) };
    assert_eq!(events.recv().await, Some(Event::Refused { reason }));
    assert_eq!(served.await.unwrap(), Ok(()));
    assert!(begun.elapsed() >= GIVING_WAY);
}

/// Who waits is woken when that is decided, and told with whom it was.
#[tokio::test]
async fn who_began_earlier_is_refused_as_soon_as_a_later_one_has_gone_on() {
    let cluster = Cluster::new(1);
    let machine = cluster.machine(&node_name(0));
    let looking = holder(LockPurpose::Begin);
    let mut lock = machine.store.lock_node(&looking).unwrap().unwrap();
    let (_writer, input) = begin_at(looking.started - 1).await;
    let (mut events, served) = serve(machine, input);
    let holder = looking.clone();
    assert_eq!(events.recv().await, Some(Event::Waiting { holder }));
    lock.go_on().unwrap();
    let reason = RefusedReason::Locked {
        holder: Some(LockHolder {
            purpose: LockPurpose::Deploy,
            ..looking
        }),
    };
    let said = timeout(PATIENCE, events.recv()).await.unwrap();
    assert_eq!(said, Some(Event::Refused { reason }));
    assert_eq!(served.await.unwrap(), Ok(()));
}

/// Who gives up waiting leaves nothing behind that would keep others out.
#[tokio::test]
async fn an_operator_who_gives_up_waiting_takes_no_lock() {
    let cluster = Cluster::new(1);
    let machine = cluster.machine(&node_name(0));
    let restoring = holder(LockPurpose::Comply);
    let lock = machine.store.lock_node(&restoring).unwrap().unwrap();
    let (writer, input) = begin().await;
    let (mut events, served) = serve(machine, input);
    assert!(matches!(events.recv().await, Some(Event::Waiting { .. })));
    drop(writer);
    assert_eq!(served.await.unwrap(), Ok(()));
    drop(lock);
    let (_writer, input) = begin().await;
    let (mut events, _served) = serve(machine, input);
    loop {
        match events.recv().await {
            // The one who gave up may look at the lock a last time.
            Some(Event::Waiting { .. }) => {}
            Some(Event::Observed { .. }) => break,
            other => panic!("{other:?}"),
        }
    }
}

/// Neither a pool that is missing nor one that lets everybody wait keeps the node from answering, or
/// its lock from being let go of.
#[tokio::test]
async fn a_node_without_its_pool_says_so_and_is_free_afterwards() {
    for (trouble, expected) in [
        (Trouble::Missing, PoolProblem::NotImported),
        (Trouble::Suspended, PoolProblem::Suspended),
    ] {
        let cluster = Cluster::new(1);
        let machine = cluster.machine(&node_name(0));
        cluster.befall_pool(&node_name(0), Some(trouble));
        let (mut writer, input) = begin().await;
        let (mut events, served) = serve(machine, input);
        for _ in 0..2 {
            let said = tokio::time::timeout(PATIENCE, events.recv()).await.unwrap();
            let Some(Event::WithoutPool { node }) = said else {
                panic!("{said:?}");
            };
            assert_eq!(node.id, machine.id);
            assert_eq!((node.pool.as_str(), &node.problem), ("tank", &expected));
            writer.send(&Request::Observe).await.unwrap();
        }
        drop(writer);
        let served = tokio::time::timeout(PATIENCE, served).await;
        assert_eq!(served.unwrap().unwrap(), Ok(()));
        cluster.befall_pool(&node_name(0), None);
        let (_writer, input) = begin().await;
        let (mut events, _served) = serve(machine, input);
        assert!(matches!(events.recv().await, Some(Event::Observed { .. })));
    }
}

/// A push of days must not keep the next deploy out for days.
#[tokio::test]
async fn what_takes_long_is_given_up_when_nobody_asks_any_more() {
    let cluster = Cluster::new(1);
    let machine = cluster.machine(&node_name(0));
    let (mut writer, input) = begin().await;
    let (mut events, served) = serve(machine, input);
    assert!(matches!(events.recv().await, Some(Event::Observed { .. })));
    let action = Box::new(Action::EnsureImage {
        image: ENDLESS_IMAGE.parse().unwrap(),
        from: ImageSource::Registry(None),
    });
    let step = StepId::new(0);
    writer.send(&Request::GoOn).await.unwrap();
    writer.send(&Request::Run { step, action }).await.unwrap();
    assert!(matches!(events.recv().await, Some(Event::Progress { .. })));
    drop(writer);
    let served = tokio::time::timeout(PATIENCE, served).await;
    assert_eq!(served.unwrap().unwrap(), Ok(()));
    let (_writer, input) = begin().await;
    let (mut events, _served) = serve(machine, input);
    assert!(matches!(events.recv().await, Some(Event::Observed { .. })));
}

/// A machine that loses its power ends no connection: neither its lock nor what it asked for may be
/// kept until TCP finds out.
#[tokio::test(start_paused = true)]
async fn an_operator_who_is_gone_without_a_word_keeps_nothing() {
    let cluster = Cluster::new(1);
    let machine = cluster.machine(&node_name(0));
    let (mut writer, input) = begin().await;
    let (mut events, served) = serve(machine, Listener::new(input));
    assert!(matches!(events.recv().await, Some(Event::Observed { .. })));
    writer.send(&Request::GoOn).await.unwrap();
    let action = Box::new(Action::EnsureImage {
        image: ENDLESS_IMAGE.parse().unwrap(),
        from: ImageSource::Registry(None),
    });
    let step = StepId::new(0);
    writer.send(&Request::Run { step, action }).await.unwrap();
    assert!(matches!(events.recv().await, Some(Event::Progress { .. })));
    let silent = Instant::now();
    let failure = served.await.unwrap().unwrap_err();
    assert!(silent.elapsed() >= SILENCE);
    assert!(
        failure.causes[0].contains("nothing has come for 60 s"),
        "{failure:?}"
    );
    let (_next, input) = begin().await;
    let (mut events, _served) = serve(machine, input);
    assert!(matches!(events.recv().await, Some(Event::Observed { .. })));
    drop(writer);
}

/// The same while it waits for the lock that somebody else has.
#[tokio::test(start_paused = true)]
async fn an_operator_who_is_gone_while_it_waits_is_not_waited_for() {
    let cluster = Cluster::new(1);
    let machine = cluster.machine(&node_name(0));
    let restoring = holder(LockPurpose::Comply);
    let _lock = machine.store.lock_node(&restoring).unwrap().unwrap();
    let (writer, input) = begin().await;
    let (mut events, served) = serve(machine, Listener::new(input));
    assert!(matches!(events.recv().await, Some(Event::Waiting { .. })));
    let failure = served.await.unwrap().unwrap_err();
    assert!(
        failure.causes[0].contains("nothing has come for 60 s"),
        "{failure:?}"
    );
    drop(writer);
}

/// Before the run has gone on: what registries say belongs to looking.
#[tokio::test]
async fn a_session_that_only_looks_may_ask_registries() {
    let cluster = Cluster::new(1);
    let machine = cluster.machine(&node_name(0));
    let (mut writer, input) = begin().await;
    let (mut events, _served) = serve(machine, input);
    assert!(matches!(events.recv().await, Some(Event::Observed { .. })));
    let image: ImageReference = "docker.io/library/redis:7".parse().unwrap();
    let images = BTreeSet::from([image.clone()]);
    writer
        .send(&Request::AskRegistries { images })
        .await
        .unwrap();
    let Some(Event::RegistriesAnswered { answers }) = events.recv().await else {
        panic!("another answer");
    };
    assert!(matches!(
        answers[&image.identity()],
        RegistryAnswer::Has { .. }
    ));
}

/// Somebody built the image again under its name since the plan was made.
#[tokio::test]
async fn an_image_that_was_replaced_is_not_streamed() {
    let cluster = Cluster::new(2);
    let machine = cluster.machine(&node_name(0));
    let image: ImageReference = "redis:7".parse().unwrap();
    machine.containers.host.add_image(
        image.identity(),
        ImageId("sha256:2e2e2e2e2e2e2e".to_owned()),
    );
    let action = Action::PushImage {
        image,
        to: node_name(1),
        copy: ImageId("sha256:1f1f1f1f1f1f1f".to_owned()).into(),
    };
    let failure = cluster
        .run((&node_name(0), &action), &BTreeMap::new())
        .await;
    let failure = failure.unwrap_err();
    assert!(failure.stale);
    insta::assert_snapshot!(failure.message, @"redis:7 is another image by now: sha256:2e2e2e2e2e2e, and not sha256:1f1f1f1f1f1f");
}
