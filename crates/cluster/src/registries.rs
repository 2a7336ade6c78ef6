//! Asking nodes what the registries of images say.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use flocker_model::{
    ImageName, ImageReference, NodeName, NodeObservation, RegistryAnswer, RegistryLogins,
};
use flocker_plan::{Goal, registry_questions};
use flocker_remote::protocol::{Event, Request};
use tokio::time::{Instant, timeout_at};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::gather::Gathered;
use crate::logins::logins_of;
use crate::session::{Incoming, Reach};

/// How long all nodes together may take. Each answers within 10 seconds, whatever its registries do.
const PATIENCE: Duration = Duration::from_secs(15);

impl Gathered {
    /// Has nodes ask the registries of those images about which the plan has to know: a round trip
    /// that most deploys do without.
    pub(crate) async fn ask_registries(&mut self, goal: &Goal<'_>) {
        let mut questions = registry_questions(goal, &self.observed);
        if questions.is_empty() {
            return;
        }
        let registries = |images: &BTreeSet<ImageReference>| -> BTreeSet<String> {
            let names = images.iter().map(|image| image.domain().to_owned());
            names.collect()
        };
        let all = questions.values().flat_map(registries).collect();
        let logins = match &self.caller.reach {
            Reach::Ssh(_) => logins_of(&all).await,
            // Simulated registries get no real login.
            Reach::Network(_) => RegistryLogins::new(),
        };
        let deadline = Instant::now() + PATIENCE;
        for (node, images) in &questions {
            if let Some(session) = self.sessions.get_mut(node) {
                let mut logins = logins.clone();
                let asked = registries(images);
                logins.retain(|registry, _| asked.contains(registry));
                if !logins.is_empty() {
                    let _ = session.request(&Request::UseLogins { logins }).await;
                }
                let images = images.clone();
                // Should this fail, the session is ending, and its end comes in like an answer.
                let _ = session.request(&Request::AskRegistries { images }).await;
            }
        }
        questions.retain(|node, _| self.sessions.contains_key(node));
        while !questions.is_empty() {
            let Ok(Some((node, incoming))) = timeout_at(deadline, self.incoming.recv()).await
            else {
                break;
            };
            match incoming {
                Incoming::Event(event) => {
                    if let Event::RegistriesAnswered { answers } = *event
                        && let Some(asked) = questions.remove(&node)
                    {
                        self.note_answers(node, &asked, answers);
                    }
                }
                Incoming::Lost(failure) => {
                    questions.remove(&node);
                    self.sessions.remove(&node);
                    let reason = failure.message.clone();
                    let exit = Exit::Unreachable;
                    let failure = Failure { exit, ..failure };
                    self.failures.insert(node.clone(), failure);
                    let lost = NodeObservation::Unreachable { reason };
                    self.observed.nodes.insert(node, lost);
                }
            }
        }
        for (node, asked) in questions {
            self.note_answers(node, &asked, BTreeMap::new());
        }
    }

    /// Notes what a node says of the images that it was asked about, and of no others.
    fn note_answers(
        &mut self,
        node: NodeName,
        asked: &BTreeSet<ImageReference>,
        mut answers: BTreeMap<ImageName, RegistryAnswer>,
    ) {
        let silence = || RegistryAnswer::Unreachable {
            reason: "the node's Docker did not answer".to_owned(),
        };
        let answers = asked.iter().map(|image| {
            let name = image.identity();
            let answer = answers.remove(&name).unwrap_or_else(silence);
            (name, answer)
        });
        let answers = answers.collect();
        self.observed.registries.insert(node, answers);
    }
}
