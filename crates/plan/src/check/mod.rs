//! The invariants, stated again: what must hold of any plan, whoever made it.
//!
//! Shares nothing with the planner but the types, so that a mistake in the one is not repeated in
//! the other.

mod containers;
mod network;
mod order;
mod resolving;
mod starts;
mod volumes;

use std::fmt;

use flocker_model::{NodeId, NodeName, NodeState, Observed};

use crate::{Action, Plan, Step, StepId};
use order::Order;
pub use starts::check_starts;

/// What is wrong with a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The step that breaks a rule.
    pub step: StepId,
    /// Where it would do so.
    pub node: NodeName,
    /// What it would do, and which rule that breaks.
    pub problem: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            step,
            node,
            problem,
        } = self;
        write!(formatter, "step {step} on {node}: {problem}")
    }
}

/// Finds everything in `plan` that could break an invariant, given what was seen.
pub fn check(plan: &Plan, observed: &Observed) -> Vec<Violation> {
    let checker = Checker {
        plan,
        observed,
        order: Order::new(plan),
    };
    let mut violations = Vec::new();
    for (position, step) in plan.steps().iter().enumerate() {
        let problems = [
            form(position, step),
            checker.reach(step),
            checker.volumes(step),
            checker.containers(step),
            checker.network(step),
            checker.record(step),
        ];
        violations.extend(problems.into_iter().flatten().map(|problem| Violation {
            step: step.id,
            node: step.node.clone(),
            problem: format!("{}: {problem}", step.action),
        }));
    }
    violations
}

/// A plan and what it was made for.
struct Checker<'a> {
    plan: &'a Plan,
    observed: &'a Observed,
    order: Order,
}

/// What a rule says of a step: `Some` problem, or nothing.
type Finding = Option<String>;

/// Says that a rule is broken, unless it holds.
fn require(holds: bool, problem: &str) -> Finding {
    (!holds).then(|| problem.to_owned())
}

/// Steps are named by their position and wait for earlier ones alone.
fn form(position: usize, step: &Step) -> Finding {
    let in_place = step.id.index() == position;
    let backwards = step.after.iter().all(|before| before.index() < position);
    require(in_place && backwards, "it waits for a step that is later")
}

impl<'a> Checker<'a> {
    /// Nothing is asked of a node that was not seen.
    fn reach(&self, step: &Step) -> Finding {
        let target = match &step.action {
            Action::PushVolume { to, .. } | Action::PushImage { to, .. } => Some(to),
            _ => None,
        };
        let mut nodes = std::iter::once(&step.node).chain(target);
        require(
            nodes.all(|node| self.observed.node(node).is_some()),
            "a node that was not seen has a part in it",
        )
    }

    /// A deployment is remembered when everything else is done, and when nothing stood in its way.
    fn record(&self, step: &Step) -> Finding {
        let Action::RecordDeployment { .. } = &step.action else {
            return None;
        };
        let is_record = |other: &Step| matches!(other.action, Action::RecordDeployment { .. });
        let mut others = self.plan.steps().iter().filter(|other| !is_record(other));
        require(
            others.all(|other| self.precedes(other, step)) && self.plan.blocked.is_empty(),
            "not everything is done by then",
        )
    }

    /// Tells whether one step waits, directly or not, for another.
    fn precedes(&self, earlier: &Step, later: &Step) -> bool {
        self.order.precedes(earlier.id, later.id)
    }

    /// Finds a step before `step` on `node` that `is_wanted` accepts.
    fn has_before(
        &self,
        step: &Step,
        node: &NodeName,
        is_wanted: impl Fn(&Action) -> bool,
    ) -> bool {
        self.steps_on(node)
            .any(|other| is_wanted(&other.action) && self.precedes(other, step))
    }

    /// Lists the steps on a node.
    fn steps_on(&self, node: &NodeName) -> impl Iterator<Item = &'a Step> {
        let plan = self.plan;
        let node = node.clone();
        plan.steps().iter().filter(move |step| step.node == node)
    }

    /// Returns what was seen of a node.
    fn state(&self, node: &NodeName) -> Option<&'a NodeState> {
        self.observed.node(node)
    }

    /// Returns a seen node's identity.
    fn id(&self, node: &NodeName) -> Option<NodeId> {
        self.state(node).map(|state| state.id)
    }
}
