//! Serving one deploy over standard input and output.

use std::time::{SystemTime, UNIX_EPOCH};

use flocker_model::{Contact, Look};
use flocker_plan::{Action, StepId};
use flocker_remote::protocol::{
    Begin, Event, FrameReader, FrameWriter, LockHolder, LockPurpose, PROTOCOL_VERSION,
    RefusedReason, Request, StepFailure,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::execute::run_action;
use crate::failure::{OrFailure as _, failure_of};
use crate::machine::Machine;
use crate::platform::Platform;
use crate::store::Store;

/// Serves until the operator's side ends its output, or says what it may not; steps that run are
/// finished first.
pub(crate) async fn serve(
    machine: &Machine<impl Platform>,
    contact: Option<Contact>,
    (input, output): (
        impl AsyncRead + Unpin,
        impl AsyncWrite + Send + Unpin + 'static,
    ),
) -> Result<(), StepFailure> {
    let mut reader = FrameReader::<_, Request>::new(input);
    let (events, mut outgoing) = mpsc::unbounded_channel::<Event>();
    let writer = tokio::spawn(async move {
        let mut writer = FrameWriter::<_, Event>::new(output);
        while let Some(event) = outgoing.recv().await {
            // When nobody listens any more, steps still run to their end.
            let _ = writer.send(&event).await;
        }
    });
    let served = converse(machine, contact, (&mut reader, &events)).await;
    drop(events);
    writer
        .await
        .or_failed_to("the answers could not be written")?;
    served
}

/// Begins, then takes requests until there are no more.
pub(crate) async fn converse(
    machine: &Machine<impl Platform>,
    contact: Option<Contact>,
    (reader, events): (
        &mut FrameReader<impl AsyncRead + Unpin, Request>,
        &mpsc::UnboundedSender<Event>,
    ),
) -> Result<(), StepFailure> {
    let begin = match reader.next().await.or_failure()? {
        Some(Request::Begin(begin)) => begin,
        Some(_) => return Err(failure_of("the first request must begin the session")),
        None => return Ok(()),
    };
    let session = tokio::select! {
        session = begin_session(machine, &begin, events) => session?,
        // Nothing may be asked before the answer: whoever asked has given up.
        request = reader.next() => return match request.or_failure()? {
            Some(_) => Err(failure_of("the session has not begun yet")),
            None => Ok(()),
        },
    };
    // Held until this function returns, which is when every step has ended.
    let _lock = match session {
        Ok(lock) => lock,
        Err(reason) => {
            send(events, Event::Refused { reason });
            return Ok(());
        }
    };
    match observe(machine, contact).await {
        Ok(observed) => send(events, observed),
        Err(failure) => {
            let reason = RefusedReason::NotObserved { failure };
            send(events, Event::Refused { reason });
            return Ok(());
        }
    }
    take_requests(machine, contact, (reader, events), begin.exclusive).await
}

/// Does what is asked until nothing more is.
async fn take_requests(
    machine: &Machine<impl Platform>,
    contact: Option<Contact>,
    (reader, events): (
        &mut FrameReader<impl AsyncRead + Unpin, Request>,
        &mpsc::UnboundedSender<Event>,
    ),
    exclusive: bool,
) -> Result<(), StepFailure> {
    let mut steps = JoinSet::new();
    let mut lengthy = Vec::new();
    let ended = loop {
        match reader.next().await.or_failure() {
            Ok(None) => break Ok(()),
            Ok(Some(Request::Begin(_))) => break Err(failure_of("the session has begun already")),
            Ok(Some(Request::Observe)) => send(
                events,
                observe(machine, contact)
                    .await
                    .unwrap_or_else(|failure| Event::ObserveFailed { failure }),
            ),
            Ok(Some(Request::Run { step, .. })) if !exclusive => {
                let failure = failure_of("the session was begun to look only: it has no lock");
                send(events, Event::Failed { step, failure });
            }
            Ok(Some(Request::Run { step, action })) => {
                let is_lengthy = action.is_lengthy();
                let handle =
                    steps.spawn(run_step(machine.clone(), (step, *action), events.clone()));
                if is_lengthy {
                    lengthy.push(handle);
                }
            }
            Err(failure) => break Err(failure),
        }
        // Ended ones are let go of.
        while steps.try_join_next().is_some() {}
    };
    // Nobody asks any more. What may take hours is given up, so that the next deploy need not wait
    // for it; what changes this node is finished: cut short, it would go on without the lock.
    for step in lengthy {
        step.abort();
    }
    while steps.join_next().await.is_some() {}
    ended
}

/// A lock, where one is needed.
type Lock = Option<nix::fcntl::Flock<std::fs::File>>;

/// Takes the lock, if anything is to be changed, after what the node does by itself.
async fn begin_session(
    machine: &Machine<impl Platform>,
    begin: &Begin,
    events: &mpsc::UnboundedSender<Event>,
) -> Result<Result<Lock, RefusedReason>, StepFailure> {
    if begin.protocol != PROTOCOL_VERSION {
        return Ok(Err(RefusedReason::ProtocolVersion {
            protocol: PROTOCOL_VERSION,
            release: env!("CARGO_PKG_VERSION").to_owned(),
        }));
    }
    if !begin.exclusive {
        return Ok(Ok(None));
    }
    loop {
        let holder = LockHolder {
            purpose: LockPurpose::Deploy,
            operator: begin.operator.clone(),
            session: begin.session.clone(),
            since: seconds_since_1970(),
            process: std::process::id(),
        };
        match machine.store.lock_node(&holder).or_failure()? {
            Ok(lock) => return Ok(Ok(Some(lock))),
            Err(Some(holder)) if holder.purpose == LockPurpose::Comply => {
                send(events, Event::Waiting { holder });
            }
            Err(holder) => return Ok(Err(RefusedReason::Locked { holder })),
        }
        wait_for_node(machine.store.clone()).await?;
    }
}

/// Waits until nobody has the node's lock.
///
/// The thread is not one of the runtime's, which would wait for it at its end: the process may end
/// while the thread still waits.
pub(crate) async fn wait_for_node(store: Store) -> Result<(), StepFailure> {
    let (free, freed) = oneshot::channel();
    std::thread::spawn(move || {
        // Nobody listens any more when the session has ended.
        let _ = free.send(store.wait_for_node());
    });
    freed
        .await
        .or_failed_to("the node's lock cannot be waited for")?
        .or_failure()
}

/// Looks at the node.
async fn observe(
    machine: &Machine<impl Platform>,
    contact: Option<Contact>,
) -> Result<Event, StepFailure> {
    Ok(match machine.observe(contact).await? {
        Look::Whole(state) => Event::Observed { state },
        Look::WithoutPool(node) => Event::WithoutPool { node },
    })
}

/// Reads the node's clock.
pub(crate) fn seconds_since_1970() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_secs())
}

/// Runs one step and reports it.
async fn run_step(
    machine: Machine<impl Platform>,
    (step, action): (StepId, Action),
    events: mpsc::UnboundedSender<Event>,
) {
    let (progress_sender, mut progress) = mpsc::unbounded_channel();
    let forward = {
        let events = events.clone();
        async move {
            while let Some(progress) = progress.recv().await {
                send(&events, Event::Progress { step, progress });
            }
        }
    };
    let run = async {
        let result = run_action(&machine, action, &progress_sender).await;
        drop(progress_sender);
        result
    };
    let (result, ()) = tokio::join!(run, forward);
    send(
        &events,
        match result {
            Ok(done) => Event::Done { step, done },
            Err(failure) => Event::Failed { step, failure },
        },
    );
}

/// Sends an event; the writer lives as long as there is a sender.
fn send(events: &mpsc::UnboundedSender<Event>, event: Event) {
    let _ = events.send(event);
}
