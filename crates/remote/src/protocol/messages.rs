//! The messages themselves.

use std::collections::{BTreeMap, BTreeSet};

use flocker_model::{ImageName, ImageReference, NodeState, PoollessNode, RegistryAnswer};
use flocker_plan::{Action, Note, StepId, Yield};
use serde::{Deserialize, Serialize};

use super::version::Speaks;

/// Who begins a session, and for what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begin {
    /// What the program speaks that asks.
    #[serde(flatten)]
    pub speaks: Speaks,
    /// The person and machine that ask, as `user@host`.
    pub operator: String,
    /// Names this run of the program, so that one machine reached under two names is noticed.
    pub session: String,
    /// When it began, in milliseconds since 1970 by the operator's clock: of two that begin at
    /// once, the earlier one goes on.
    #[serde(default)]
    pub started: u64,
    /// Whether anything may be changed; observing alone takes no lock.
    pub exclusive: bool,
}

/// What the operator's side asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
// Tagged from outside, as are actions: serde cannot read a map with numbers as keys behind a tag
// that is inside.
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// Begins the session: takes the lock and observes.
    Begin(Begin),
    /// Goes on from looking: from now on the lock is had for good, and steps may be asked for.
    /// There is no answer.
    GoOn,
    /// Observes again.
    Observe,
    /// Asks the registries of images that a plan may have the node pull; also before this run goes
    /// on from looking.
    AskRegistries {
        /// The images.
        images: BTreeSet<ImageReference>,
    },
    /// Runs one step of a plan.
    Run {
        /// The step's name, repeated in every event about it.
        step: StepId,
        /// What is to be done, with earlier steps' results filled in.
        action: Box<Action>,
    },
}

/// For what a node's lock is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LockPurpose {
    /// An operator looks at all nodes, and goes on or gives way; that takes seconds. Nothing is
    /// changed meanwhile.
    Begin,
    /// An operator deploys; that may take any time, and may be another wish than ours.
    Deploy,
    /// The node complies with configuration by itself, at boot or by hand; that needs nobody, and
    /// ends.
    Comply,
}

/// Who holds a node's lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockHolder {
    /// For what.
    pub purpose: LockPurpose,
    /// The person and machine, as `user@host`.
    pub operator: String,
    /// Names that run of the program.
    pub session: String,
    /// When that began, in milliseconds since 1970 by the clock of whoever began it.
    #[serde(default)]
    pub started: u64,
    /// Since when, in seconds since 1970 by the node's clock.
    pub since: u64,
    /// The process on the node that holds it.
    pub process: u32,
}

/// Why a session is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "refused")]
pub enum RefusedReason {
    /// Somebody else is changing the node.
    Locked {
        /// Who; `None` when it ended while we asked.
        holder: Option<LockHolder>,
    },
    /// The two programs do not speak the same protocol.
    ProtocolVersion(Speaks),
    /// The node could not be observed.
    NotObserved {
        /// What went wrong and what to do.
        failure: StepFailure,
    },
}

/// Whether a step had anything to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// What was wanted was already so.
    Unchanged,
    /// It was made so.
    Changed,
}

/// A step that succeeded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepDone {
    /// Whether it had anything to do.
    pub change: Change,
    /// What later steps use of it.
    pub yielded: Yield,
    /// What the operator has to know although it succeeded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Note>,
}

impl StepDone {
    /// A step that yields nothing, and of which there is nothing to say.
    pub const fn plain(change: Change) -> Self {
        Self {
            change,
            yielded: Yield::Nothing,
            notes: Vec::new(),
        }
    }
}

/// A step that failed, in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepFailure {
    /// What failed.
    pub message: String,
    /// Its causes, outermost first.
    pub causes: Vec<String>,
    /// What to do next, if there is something better than deploying again.
    pub hint: Option<String>,
    /// Whether the node was found in another state than the plan expects, so that a new plan may
    /// succeed.
    pub stale: bool,
}

/// How far a step is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// What is being done, as a clause.
    pub what: String,
    /// Bytes done.
    pub done: u64,
    /// Bytes in all, if that is known.
    pub total: Option<u64>,
}

/// What the node answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// The session is refused; the node ends it.
    Refused {
        /// Why.
        reason: RefusedReason,
    },
    /// Somebody else has the node's lock, but not for long; what was asked is done after that.
    Waiting {
        /// Who has the node's lock.
        holder: LockHolder,
    },
    /// What was observed: the answer to a beginning and to every later observation.
    Observed {
        /// The node's state.
        state: Box<NodeState>,
    },
    /// The answer in place of [`Event::Observed`] where the pool cannot be looked at.
    WithoutPool {
        /// The node, without any word on volumes.
        node: Box<PoollessNode>,
    },
    /// Observing again failed.
    ObserveFailed {
        /// Why.
        failure: StepFailure,
    },
    /// What registries say of the images that were asked about.
    RegistriesAnswered {
        /// By image.
        answers: BTreeMap<ImageName, RegistryAnswer>,
    },
    /// A step is under way.
    Progress {
        /// The step.
        step: StepId,
        /// How far it is.
        progress: Progress,
    },
    /// A step succeeded.
    Done {
        /// The step.
        step: StepId,
        /// What it did.
        done: StepDone,
    },
    /// A step failed.
    Failed {
        /// The step.
        step: StepId,
        /// Why.
        failure: StepFailure,
    },
}

#[cfg(test)]
mod tests {
    use flocker_model::{Endpoint, LeadingPorts, Port, ServicePort};

    use super::*;

    /// Another version must be able to read what is said first, or it can only call it nonsense.
    #[test]
    fn the_first_message_is_read_by_other_versions() {
        let former = r#"{"begin":{"protocol":1,"release":"0.1.0","operator":"ann@laptop",
            "session":"s1","exclusive":true}}"#;
        let Request::Begin(begin) = serde_json::from_str(former).unwrap() else {
            panic!("another message");
        };
        assert!(!begin.speaks.is_understood());
        let later = former.replace(r#""protocol":1"#, r#""protocol":9,"dialect":[7]"#);
        let Request::Begin(begin) = serde_json::from_str(&later).unwrap() else {
            panic!("another message");
        };
        assert_eq!(begin.speaks.protocol, 9);
        let refusal = RefusedReason::ProtocolVersion(begin.speaks);
        assert_eq!(
            serde_json::to_string(&refusal).unwrap(),
            r#"{"refused":"protocol-version","protocol":9,"release":"0.1.0"}"#
        );
    }

    /// Ports as keys of maps once did not survive the way to the node.
    #[test]
    fn ports_survive_the_wire() {
        let port = Port::new(7000).unwrap();
        let application = "ledger".parse().unwrap();
        let endpoint = Endpoint::Local { application, port };
        let request = Request::Run {
            step: StepId::new(1),
            action: Box::new(Action::SwitchRoutes {
                application: "ledger".parse().unwrap(),
                ports: LeadingPorts {
                    routes: BTreeMap::from([(port.into(), endpoint.clone().into())]),
                    links: BTreeMap::from([(port.into(), endpoint.clone())]),
                    wires: BTreeMap::from([("53/udp".parse::<ServicePort>().unwrap(), endpoint)]),
                },
            }),
        };
        let text = serde_json::to_string(&request).unwrap();
        assert_eq!(serde_json::from_str::<Request>(&text).unwrap(), request);
    }
}
