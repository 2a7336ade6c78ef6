//! Serving one deploy over standard input and output.

use std::collections::BTreeSet;

use flocker_model::{Contact, ImageReference, Look, RegistryLogins};
use flocker_plan::{Action, StepId};
use flocker_remote::protocol::{
    Begin, Event, FrameReader, FrameWriter, GIVING_WAY, LockHolder, LockPurpose, RefusedReason,
    Request, SILENCE, Speaks, StepFailure, Turn, turn,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

use crate::execute::membership::refresh_keys;
use crate::execute::run_action_with;
use crate::failure::{OrFailure as _, failure_of};
use crate::lock::NodeLock;
use crate::machine::Machine;
use crate::platform::{Containers as _, Platform};

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
    // Whoever is gone takes nothing any more, and a pipe that is full would keep this process.
    if let Ok(written) = timeout(SILENCE, writer).await {
        written.or_failed_to("the answers could not be written")?;
    }
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
        biased;
        session = begin_session(machine, &begin, events) => session?,
        // Nothing may be asked before the answer: whoever asked has given up.
        request = reader.next() => return match request.or_failure()? {
            Some(_) => Err(failure_of("the session has not begun yet")),
            None => Ok(()),
        },
    };
    // Held until this function returns, which is when every step has ended.
    let mut lock = match session {
        Ok(lock) => lock,
        Err(reason) => {
            send(events, Event::Refused { reason });
            return Ok(());
        }
    };
    if lock.is_some() {
        refresh_keys(machine);
    }
    match observe(machine, contact).await {
        Ok(observed) => send(events, observed),
        Err(failure) => {
            let reason = RefusedReason::NotObserved { failure };
            send(events, Event::Refused { reason });
            return Ok(());
        }
    }
    take_requests(machine, contact, (reader, events), &mut lock).await
}

/// Does what is asked until nothing more is.
async fn take_requests(
    machine: &Machine<impl Platform>,
    contact: Option<Contact>,
    (reader, events): (
        &mut FrameReader<impl AsyncRead + Unpin, Request>,
        &mpsc::UnboundedSender<Event>,
    ),
    lock: &mut Option<NodeLock>,
) -> Result<(), StepFailure> {
    let mut steps = JoinSet::new();
    let mut logins = RegistryLogins::new();
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
            Ok(Some(Request::UseLogins { logins: given })) => logins = given,
            Ok(Some(Request::AskRegistries { images })) => {
                let questions = (images, logins.clone());
                let asking = ask_registries(machine.clone(), questions, events.clone());
                lengthy.push(steps.spawn(asking));
            }
            Ok(Some(Request::GoOn)) => match lock {
                Some(lock) => {
                    if let Err(failure) = lock.go_on().or_failure() {
                        break Err(failure);
                    }
                }
                None => break Err(failure_of("the session was begun to look only")),
            },
            Ok(Some(Request::Run { step, .. })) if !may_change(lock.as_ref()) => {
                let failure = failure_of("the session has no lock, or has not gone on with it");
                send(events, Event::Failed { step, failure });
            }
            Ok(Some(Request::Run { step, action })) => {
                let is_lengthy = action.is_lengthy();
                let work = (step, *action, logins.clone());
                let handle = steps.spawn(run_step(machine.clone(), work, events.clone()));
                if is_lengthy {
                    lengthy.push(handle);
                }
            }
            Err(failure) => {
                tracing::warn!(causes = ?failure.causes, "{}; ending", failure.message);
                break Err(failure);
            }
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

/// Tells whether a session may change the node: one that only looks may not, and neither may one
/// that may still give way to another.
fn may_change(lock: Option<&NodeLock>) -> bool {
    lock.is_some_and(NodeLock::has_gone_on)
}

/// Takes the lock, if anything is to be changed, when it is this session's turn.
async fn begin_session(
    machine: &Machine<impl Platform>,
    begin: &Begin,
    events: &mpsc::UnboundedSender<Event>,
) -> Result<Result<Option<NodeLock>, RefusedReason>, StepFailure> {
    if !begin.speaks.is_understood() {
        return Ok(Err(RefusedReason::ProtocolVersion(Speaks::ours())));
    }
    if !begin.exclusive {
        return Ok(Ok(None));
    }
    let mut told = None;
    // For all who are waited for together: it has an end whoever comes.
    let mut giving_way = None;
    loop {
        let holder = match machine
            .store
            .lock_node(&holder(machine, begin))
            .or_failure()?
        {
            Ok(lock) => return Ok(Ok(Some(lock))),
            Err(Some(holder)) => holder,
            Err(None) => return Ok(Err(RefusedReason::Locked { holder: None })),
        };
        let turn = turn(begin, &holder);
        if turn != Turn::Refused && told.as_ref() != Some(&holder) {
            told = Some(holder.clone());
            let holder = holder.clone();
            send(events, Event::Waiting { holder });
        }
        let place = machine.store.node_lock();
        match turn {
            Turn::AfterTheNode => place.wait_until_free().await?,
            Turn::First | Turn::AfterItself => {
                let until = *giving_way.get_or_insert_with(|| Instant::now() + GIVING_WAY);
                let waiting = async {
                    if turn == Turn::First {
                        place.wait_until_decided().await
                    } else {
                        place.wait_until_free().await
                    }
                };
                let Ok(waited) = timeout_at(until, waiting).await else {
                    let holder = Some(holder);
                    return Ok(Err(RefusedReason::Locked { holder }));
                };
                waited?;
            }
            Turn::Refused => {
                let holder = Some(holder);
                return Ok(Err(RefusedReason::Locked { holder }));
            }
        }
    }
}

/// Says who has the lock while this session has it.
fn holder(machine: &Machine<impl Platform>, begin: &Begin) -> LockHolder {
    LockHolder {
        purpose: LockPurpose::Begin,
        operator: begin.operator.clone(),
        session: begin.session.clone(),
        started: begin.started,
        since: machine.clock.seconds(),
        process: std::process::id(),
    }
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

/// Asks the registries of images and tells what they say.
async fn ask_registries(
    machine: Machine<impl Platform>,
    (images, logins): (BTreeSet<ImageReference>, RegistryLogins),
    events: mpsc::UnboundedSender<Event>,
) {
    let images: Vec<ImageReference> = images.into_iter().collect();
    let answers = machine.containers.ask_registries(&images, &logins).await;
    send(&events, Event::RegistriesAnswered { answers });
}

/// Runs one step and reports it.
async fn run_step(
    machine: Machine<impl Platform>,
    (step, action, logins): (StepId, Action, RegistryLogins),
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
        let result = run_action_with(&machine, (action, &logins), &progress_sender).await;
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
