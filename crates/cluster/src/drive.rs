//! Executing a plan: every step as soon as what it waits for is done.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use flocker_failpoint::reach;
use flocker_model::{ApplicationName, Look, NodeName, NodeObservation};
use flocker_plan::{Action, ImageSource, NodeNote, Plan, Step};
use flocker_remote::protocol::{Change, Event, LockHolder, Request, StepDone, StepFailure};
use tokio::sync::mpsc;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::gather::Gathered;
use crate::images::OperatorImages;
use crate::import_file::{StreamImport, Upload};
use crate::printer::Printer;
use crate::refusal::busy;
use crate::schedule::{Schedule, Status};
use crate::session::Incoming;

/// What a driven plan came to.
#[derive(Debug, Default)]
pub(crate) struct Driven {
    /// What failed.
    pub(crate) failures: Vec<Failure>,
    /// The applications that are not as they should be.
    pub(crate) unfinished: BTreeSet<ApplicationName>,
}

/// Drives plans through the nodes' sessions.
pub(crate) struct Driver<'a> {
    pub(crate) gathered: &'a mut Gathered,
    pub(crate) images: Arc<OperatorImages>,
    pub(crate) printer: &'a mut Printer,
    /// Whether the applications' lines are printed as they are done.
    pub(crate) announce: bool,
}

impl Driver<'_> {
    /// Executes `plan` as far as it can be.
    pub(crate) async fn drive(&mut self, plan: &Plan) -> Driven {
        let mut schedule = Schedule::new(plan);
        let mut driven = Driven::default();
        let (local_sender, mut local) = mpsc::unbounded_channel();
        loop {
            for id in schedule.begin_ready() {
                if let Some(step) = plan.step(id)
                    && let Err(failure) = self.begin(step, &schedule, &local_sender).await
                {
                    schedule.end(id, Status::Failed);
                    driven.failures.push(failure);
                }
            }
            self.announce_finished(plan, &mut schedule);
            if schedule.running().is_empty() {
                // A failed beginning may have made others ready to be skipped.
                if schedule.begin_ready().is_empty() {
                    break;
                }
                continue;
            }
            let incoming = tokio::select! {
                biased;
                incoming = self.gathered.incoming.recv() => incoming,
                incoming = local.recv() => incoming,
            };
            let Some((node, incoming)) = incoming else {
                break;
            };
            reach_answer(plan, &incoming).await;
            let failures = match incoming {
                Incoming::Event(event) => self
                    .note_event(plan, &mut schedule, (&node, *event))
                    .into_iter()
                    .collect(),
                Incoming::Lost(failure) => self.note_loss(plan, &mut schedule, (&node, failure)),
            };
            driven.failures.extend(failures);
        }
        driven.unfinished = schedule.unfinished();
        driven
    }

    /// Begins one step: asks its node, or streams an image from here.
    async fn begin(
        &mut self,
        step: &Step,
        schedule: &Schedule<'_>,
        local: &mpsc::UnboundedSender<(NodeName, Incoming)>,
    ) -> Result<(), Failure> {
        self.printer.step_begins(step);
        reach(|| format!("deploy.{}.begin", step.action.kind())).await;
        let Some(action) = schedule.resolved_action(step.id) else {
            let message = format!(
                "{}: {}: an earlier step yielded nothing",
                step.node, step.action
            );
            return Err(Failure::new(Exit::Internal, message));
        };
        let Some(session) = self.gathered.sessions.get_mut(&step.node) else {
            let message = format!("{}: {}: the node is not connected", step.node, step.action);
            return Err(Failure::new(Exit::Unreachable, message));
        };
        if let Action::EnsureImage {
            image,
            from: ImageSource::Operator(copy),
        } = action
        {
            let (images, local) = (Arc::clone(&self.images), local.clone());
            let (connection, node, id) = (session.connection().clone(), step.node.clone(), step.id);
            tokio::spawn(async move {
                let event = match images.stream((&image, &copy), &connection).await {
                    Ok(()) => Event::Done {
                        step: id,
                        done: StepDone::plain(Change::Changed),
                    },
                    Err(error) => Event::Failed {
                        step: id,
                        failure: failure_of(&error),
                    },
                };
                // Nobody listens any more when the deploy has ended.
                let _ = local.send((node, Incoming::Event(Box::new(event))));
            });
            return Ok(());
        }
        if let Some(import) = StreamImport::of(&action) {
            let upload = Upload {
                connection: session.connection().clone(),
                node: step.node.clone(),
                step: step.id,
                local: local.clone(),
            };
            tokio::spawn(upload.run(import));
            return Ok(());
        }
        let request = Request::Run {
            step: step.id,
            action: Box::new(action),
        };
        session.request(&request).await
    }

    /// Notes what a node said.
    fn note_event(
        &mut self,
        plan: &Plan,
        schedule: &mut Schedule<'_>,
        (node, event): (&NodeName, Event),
    ) -> Option<Failure> {
        match event {
            Event::Progress { step, .. }
            | Event::Done { step, .. }
            | Event::Failed { step, .. }
                if !schedule.is_running_on(step, node) =>
            {
                let message = format!(
                    "{node}: it reported on step {step}, which it was not given; the report is ignored"
                );
                let failure = Failure::new(Exit::StepFailed, message);
                Some(failure.hint(format!("find out what answers as flocker-node on {node}")))
            }
            Event::Progress { step, progress } => {
                self.printer.step_progresses(node, step, &progress);
                None
            }
            Event::Done { step, done } => {
                schedule.end(step, Status::Done(done.yielded));
                let from = |note| NodeNote {
                    node: node.clone(),
                    note,
                };
                // A node that looks at an image may note what the plan does already.
                let notes = done.notes.into_iter().map(from);
                for one in notes.filter(|one| !plan.notes.contains(one)) {
                    self.printer.note(&one);
                }
                self.printer.step_ends(step);
                None
            }
            Event::Failed { step, failure } => {
                schedule.end(step, Status::Failed);
                self.printer.step_ends(step);
                let what = plan.step(step).map(|step| step.action.to_string());
                let message = format!("{node}: cannot {}", what.unwrap_or_default());
                Some(Failure::of_step(message, name_node(failure, node)))
            }
            // Left over from an observation that was given up, or from the beginning.
            Event::Observed { .. }
            | Event::WithoutPool { .. }
            | Event::ObserveFailed { .. }
            | Event::RegistriesAnswered { .. }
            | Event::Refused { .. }
            | Event::Waiting { .. } => None,
        }
    }

    /// Notes that a node is gone: every step that it was at has failed, as far as can be known.
    fn note_loss(
        &mut self,
        plan: &Plan,
        schedule: &mut Schedule<'_>,
        (node, failure): (&NodeName, Failure),
    ) -> Vec<Failure> {
        self.gathered.sessions.remove(node);
        let mut failures = Vec::new();
        for id in schedule.running() {
            let Some(step) = plan.step(id).filter(|step| step.node == *node) else {
                continue;
            };
            schedule.end(id, Status::Failed);
            self.printer.step_ends(id);
            let mut causes = vec![failure.message.clone()];
            causes.extend(failure.causes.clone());
            failures.push(Failure {
                exit: Exit::StepFailed,
                message: format!("{node}: it is not known whether it could {}", step.action),
                causes,
                hint: failure.hint.clone(),
            });
        }
        failures
    }

    /// Prints the lines of the applications that have just become what they should.
    fn announce_finished(&mut self, plan: &Plan, schedule: &mut Schedule<'_>) {
        for name in schedule.newly_finished() {
            let outcome = &plan.outcomes[&name];
            if self.announce && !outcome.done_after.is_empty() {
                self.printer.outcome(&name, outcome);
            }
        }
    }

    /// Looks at every node again; returns why some were not seen.
    ///
    /// A node whose session has ended is asked for another one, once: its process may have been
    /// killed, or the way to it cut, and it may be the one on which something has to start again.
    pub(crate) async fn observe_again(&mut self) -> Vec<Failure> {
        let known = self.known_nodes();
        let mut failures = self.observe_connected().await;
        failures.extend(self.ask_lost_again(known).await);
        failures
    }

    /// Lists the nodes that have answered so far.
    pub(crate) fn known_nodes(&self) -> BTreeSet<NodeName> {
        let Gathered {
            sessions, observed, ..
        } = &*self.gathered;
        let identified = observed.identities().map(|(node, ..)| node);
        identified.chain(sessions.keys()).cloned().collect()
    }

    /// Tells whether the session of one of these nodes has ended.
    pub(crate) fn has_lost(&self, known: &BTreeSet<NodeName>) -> bool {
        let sessions = &self.gathered.sessions;
        known.iter().any(|node| !sessions.contains_key(node))
    }

    /// Looks at every node that is still connected again; returns why some were not seen.
    pub(crate) async fn observe_connected(&mut self) -> Vec<Failure> {
        let mut failures = Vec::new();
        let mut waiting = BTreeSet::new();
        for (node, session) in &mut self.gathered.sessions {
            // Should this fail, the session is ending, and its end comes in like an answer.
            let _ = session.request(&Request::Observe).await;
            waiting.insert(node.clone());
        }
        let mut looks: BTreeMap<NodeName, Look> = BTreeMap::new();
        while !waiting.is_empty() {
            let Some((node, incoming)) = self.gathered.incoming.recv().await else {
                break;
            };
            match incoming {
                Incoming::Event(event) => match *event {
                    Event::Observed { state } => {
                        waiting.remove(&node);
                        looks.insert(node, Look::Whole(state));
                    }
                    Event::WithoutPool { node: poolless } => {
                        waiting.remove(&node);
                        looks.insert(node, Look::WithoutPool(poolless));
                    }
                    Event::ObserveFailed { failure } => {
                        waiting.remove(&node);
                        let message = format!("{node}: its state cannot be observed");
                        failures.push(Failure::of_step(message, failure));
                    }
                    _ => {}
                },
                Incoming::Lost(failure) => {
                    waiting.remove(&node);
                    // It may have been lost after its answer.
                    looks.remove(&node);
                    self.gathered.sessions.remove(&node);
                    let text = format!("warning: {node} was lost while it was looked at:");
                    self.printer.narrate(&text);
                    self.printer.narrate(&failure.to_string());
                }
            }
        }
        self.replace_observations(looks);
        failures
    }

    /// Takes over what was seen now; a node that did not answer this time is unreachable, unless it
    /// said that it cannot look at itself.
    fn replace_observations(&mut self, looks: BTreeMap<NodeName, Look>) {
        let Gathered {
            sessions, observed, ..
        } = &mut *self.gathered;
        for (node, observation) in &mut observed.nodes {
            if observation.identity().is_none() {
                continue;
            }
            *observation = if sessions.contains_key(node) {
                let reason = "its state cannot be observed".to_owned();
                NodeObservation::Unusable { reason }
            } else {
                let reason = "it was lost during the deploy".to_owned();
                NodeObservation::Unreachable { reason }
            };
        }
        for (node, look) in looks {
            self.gathered.note_look(node, look);
        }
    }

    /// Asks those of these nodes that are not connected once more; returns why some do not answer.
    pub(crate) async fn ask_lost_again(&mut self, known: BTreeSet<NodeName>) -> Vec<Failure> {
        let Self {
            gathered, printer, ..
        } = self;
        let mut lost = known;
        lost.retain(|node| !gathered.sessions.contains_key(node));
        for node in &lost {
            printer.narrate(&format!("{node}: it was lost, and is asked once more"));
        }
        let printer: &Printer = printer;
        let tell = |node: &NodeName, holder: &LockHolder| printer.narrate(&busy(node, holder));
        gathered.ask_again(lost, tell).await
    }
}

/// Names the node in a command that it advises: what looks after its datasets does not know what
/// the deployment calls it.
fn name_node(failure: StepFailure, node: &NodeName) -> StepFailure {
    let complete =
        |text: String| text.replace("--set-aside NODE`", &format!("--set-aside {node}`"));
    StepFailure {
        message: complete(failure.message),
        causes: failure.causes.into_iter().map(complete).collect(),
        ..failure
    }
}

/// Says that what a node answered has come, and nothing was made of it yet: where it is done, where
/// it failed, or where the node is gone.
async fn reach_answer(plan: &Plan, incoming: &Incoming) {
    let (id, answer) = match incoming {
        Incoming::Event(event) => match **event {
            Event::Done { step, .. } => (step, "done"),
            Event::Failed { step, .. } => (step, "failed"),
            _ => return,
        },
        Incoming::Lost(_) => return reach(|| "deploy.node.lost".to_owned()).await,
    };
    if let Some(step) = plan.step(id) {
        reach(|| format!("deploy.{}.{answer}", step.action.kind())).await;
    }
}

/// Puts an error of this side into the form in which a node reports its own.
pub(crate) fn failure_of(error: &(dyn std::error::Error + 'static)) -> StepFailure {
    let mut causes = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        causes.push(cause.to_string());
        next = cause.source();
    }
    StepFailure {
        message: error.to_string(),
        causes,
        hint: None,
        stale: false,
    }
}

#[cfg(test)]
mod tests;
