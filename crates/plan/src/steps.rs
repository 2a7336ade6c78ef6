//! A plan: steps that wait for earlier ones, and what they amount to for each application.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use flocker_model::{ApplicationName, NodeName, Observed};
use serde::{Deserialize, Serialize};

use crate::{Action, Blocked, Goal, NodeNote, Outcome};

/// Names a step of one plan. Minted by the builder in order, so that a step can only wait for
/// steps that existed before it and no plan can have a cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepId(u32);

impl StepId {
    /// Makes the id of the step at `index`, for tests and for the wire.
    pub const fn new(index: u32) -> Self {
        Self(index)
    }

    /// Returns the position of the step in its plan.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for StepId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "#{}", self.0)
    }
}

/// One action on one node, when it may begin, and why it is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Its name in the plan.
    pub id: StepId,
    /// The node that acts.
    pub node: NodeName,
    /// What it does.
    pub action: Action,
    /// The steps that must have succeeded before.
    pub after: BTreeSet<StepId>,
    /// Why it is in the plan, as a clause.
    pub why: String,
}

/// What to do, and what cannot be done.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Plan {
    steps: Vec<Step>,
    /// What the steps amount to for each application.
    pub outcomes: BTreeMap<ApplicationName, Outcome>,
    /// What stands in the way, if anything does.
    pub blocked: Vec<Blocked>,
    /// What the operator has to know although nothing stands in the way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<NodeNote>,
}

impl Plan {
    /// Lists the steps in an order in which they could be done one by one.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Returns the step called `id`.
    pub fn step(&self, id: StepId) -> Option<&Step> {
        self.steps.get(id.index())
    }

    /// Tells whether there is nothing to do and nothing in the way.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.blocked.is_empty()
    }

    /// Plans to see everything that this plan starts stay up, and everything that was started just
    /// before it by an earlier deploy, a boot or systemd.
    ///
    /// A plan of its own, for after this one: nothing is to wait for it, least of all the routes of
    /// what was started. What this plan has waited for itself is left out.
    #[must_use]
    pub fn settling(&self, goal: &Goal<'_>, observed: &Observed) -> Self {
        let mut settling = Self::default();
        let mut started: BTreeMap<&ApplicationName, &NodeName> = BTreeMap::new();
        for (name, _, place) in goal.deployment.placed() {
            let state = observed.node(place).filter(|_| goal.covers(place));
            let container = state.and_then(|state| state.containers.get(name));
            if container.is_some_and(|it| it.just_started && it.is_up()) {
                started.insert(name, place);
            }
        }
        for step in &self.steps {
            if let Action::StartApplication { specification, .. } = &step.action {
                started.insert(&specification.application, &step.node);
            }
        }
        let awaited: BTreeSet<&ApplicationName> =
            self.steps
                .iter()
                .filter_map(|step| match &step.action {
                    Action::AwaitHealth { application }
                    | Action::AwaitCompletion { application } => Some(application),
                    _ => None,
                })
                .collect();
        started.retain(|name, _| !awaited.contains(name));
        for (application, node) in started {
            let because = Because {
                after: &[],
                why: "it was started",
            };
            let action = Action::AwaitHealth {
                application: application.clone(),
            };
            let seen = settling.add(node, action, because);
            if let Some(outcome) = self.outcomes.get(application) {
                let done_after = BTreeSet::from([seen]);
                let outcome = Outcome {
                    done_after,
                    ..outcome.clone()
                };
                settling.outcomes.insert(application.clone(), outcome);
            }
        }
        settling
    }

    /// Refuses a plan that something stands in the way of, so that nothing of it is done.
    ///
    /// # Errors
    ///
    /// Returns everything that stands in the way.
    pub fn complete(self) -> Result<Self, Vec<Blocked>> {
        if self.blocked.is_empty() {
            Ok(self)
        } else {
            Err(self.blocked)
        }
    }

    /// Notes in the start of an application that another step waits until it has completed.
    pub(crate) fn expect_completion(&mut self, start: StepId) {
        if let Some(step) = self.steps.get_mut(start.index())
            && let Action::StartApplication { completes, .. } = &mut step.action
        {
            *completes = true;
        }
    }

    /// Adds a step and returns its name. What it waits for already through another is left out.
    pub(crate) fn add(&mut self, node: &NodeName, action: Action, why: Because<'_>) -> StepId {
        let id = StepId(u32::try_from(self.steps.len()).unwrap_or(u32::MAX));
        self.steps.push(Step {
            id,
            node: node.clone(),
            action,
            after: self.without_implied(why.after),
            why: why.why.to_owned(),
        });
        id
    }

    /// Leaves out the steps that another of them waits for.
    fn without_implied(&self, after: &[StepId]) -> BTreeSet<StepId> {
        let all: BTreeSet<StepId> = after.iter().copied().collect();
        let Some(first) = all.first() else {
            return all;
        };
        let mut implied = BTreeSet::new();
        let mut open: Vec<StepId> = all.iter().copied().collect();
        while let Some(step) = open.pop() {
            let before = self.step(step).map(|step| &step.after);
            for earlier in before.into_iter().flatten() {
                if earlier >= first && implied.insert(*earlier) {
                    open.push(*earlier);
                }
            }
        }
        all.difference(&implied).copied().collect()
    }

    /// Drops the steps from `length` on, when an application turns out to be blocked half-way.
    pub(crate) fn truncate(&mut self, length: usize) {
        self.steps.truncate(length);
    }
}

/// What a step waits for, and why it is there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Because<'a> {
    /// The steps that it waits for.
    pub(crate) after: &'a [StepId],
    /// Why it is there.
    pub(crate) why: &'a str,
}

impl fmt::Display for Plan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            write!(
                formatter,
                "{:>4} {}: {}",
                step.id.to_string(),
                step.node,
                step.action
            )?;
            if !step.after.is_empty() {
                let after: Vec<String> = step.after.iter().map(StepId::to_string).collect();
                write!(formatter, " [after {}]", after.join(" "))?;
            }
            writeln!(formatter, " -- {}", step.why)?;
        }
        for blocked in &self.blocked {
            writeln!(formatter, "blocked: {blocked}")?;
        }
        Ok(())
    }
}
