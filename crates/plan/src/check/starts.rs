//! Rules for the order of starts.

use flocker_model::{ApplicationName, DependencyCondition, Deployment, Observed, RestartPolicy};

use crate::{Action, Plan, Step, Violation};

use super::{Checker, Order};

/// Finds every start in a plan that does not wait for what the application depends on: for its start,
/// its health or its end, where the plan has the dependency start.
pub fn check_starts(
    plan: &Plan,
    (deployment, observed): (&Deployment, &Observed),
) -> Vec<Violation> {
    let checker = Checker {
        plan,
        observed,
        order: Order::new(plan),
    };
    let mut violations = Vec::new();
    for step in plan.steps() {
        let Some(application) = started(step).and_then(|name| deployment.applications.get(name))
        else {
            continue;
        };
        for (dependency, condition) in &application.depends_on {
            if let Some(problem) = checker.waits(step, (dependency, *condition), deployment) {
                violations.push(Violation {
                    step: step.id,
                    node: step.node.clone(),
                    problem: format!("{}: {problem}", step.action),
                });
            }
        }
    }
    violations
}

/// Returns the application that a step starts.
fn started(step: &Step) -> Option<&ApplicationName> {
    match &step.action {
        Action::StartApplication { specification, .. } => Some(&specification.application),
        _ => None,
    }
}

impl Checker<'_> {
    /// Says what a start should wait for and does not.
    fn waits(
        &self,
        step: &Step,
        (name, condition): (&ApplicationName, DependencyCondition),
        deployment: &Deployment,
    ) -> Option<String> {
        let place = deployment.place_of(name)?;
        let mut starts = self
            .steps_on(place)
            .filter(|other| started(other) == Some(name))
            .peekable();
        let is_started = starts.peek().is_some();
        if !starts.all(|start| self.precedes(start, step)) {
            return Some(format!("it does not wait for the start of {name}"));
        }
        let ends = deployment.applications.get(name)?.restart != RestartPolicy::Always;
        let has_waited = |wanted: &dyn Fn(&Action) -> bool| self.has_before(step, place, wanted);
        match condition {
            DependencyCondition::Started => None,
            DependencyCondition::Healthy => {
                let healthy = has_waited(
                    &|action| matches!(action, Action::AwaitHealth { application } if application == name),
                );
                (is_started && !healthy)
                    .then(|| format!("it does not wait for the health of {name}"))
            }
            DependencyCondition::Completed => {
                let completed = has_waited(
                    &|action| matches!(action, Action::AwaitCompletion { application } if application == name),
                );
                let runs = self
                    .state(place)
                    .and_then(|state| state.containers.get(name))
                    .is_some_and(flocker_model::ContainerState::is_up);
                (ends && (is_started || runs) && !completed)
                    .then(|| format!("it does not wait for the end of {name}"))
            }
        }
    }
}
