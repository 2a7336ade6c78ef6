//! Which steps of a plan may begin, given which have ended and how. Pure.

use std::collections::{BTreeMap, BTreeSet};

use flocker_model::{ApplicationName, NodeName};
use flocker_plan::{Action, Handoff, Plan, StepId, Yield};

/// How far one step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// It waits for others.
    Waiting,
    /// It runs.
    Running,
    /// It succeeded.
    Done(Yield),
    /// It failed.
    Failed,
    /// It will not begin, because one that it waits for failed.
    Skipped,
}

/// The progress of a whole plan.
#[derive(Debug)]
pub(crate) struct Schedule<'a> {
    plan: &'a Plan,
    statuses: BTreeMap<StepId, Status>,
    reported: BTreeSet<ApplicationName>,
}

impl<'a> Schedule<'a> {
    /// Begins with nothing done.
    pub(crate) fn new(plan: &'a Plan) -> Self {
        let waiting = |step: &flocker_plan::Step| (step.id, Status::Waiting);
        Self {
            plan,
            statuses: plan.steps().iter().map(waiting).collect(),
            reported: BTreeSet::new(),
        }
    }

    /// Takes the steps that may begin now and marks them as running.
    ///
    /// Steps behind a failed one are skipped; all others go on, so that one application's failure
    /// does not leave another half-way.
    pub(crate) fn begin_ready(&mut self) -> Vec<StepId> {
        let mut ready = Vec::new();
        // Steps only wait for earlier ones, so that one pass in order settles every skip.
        for step in self.plan.steps() {
            if self.statuses[&step.id] != Status::Waiting {
                continue;
            }
            let before = step.after.iter().map(|id| self.statuses[id]);
            let mut status = Status::Running;
            for before in before {
                match before {
                    Status::Done(_) => {}
                    Status::Failed | Status::Skipped => {
                        status = Status::Skipped;
                        break;
                    }
                    Status::Waiting | Status::Running => status = Status::Waiting,
                }
            }
            self.statuses.insert(step.id, status);
            if status == Status::Running {
                ready.push(step.id);
            }
        }
        ready
    }

    /// Notes how a step ended.
    pub(crate) fn end(&mut self, step: StepId, status: Status) {
        self.statuses.insert(step, status);
    }

    /// Tells whether a node is at a step, so that it may say how far it is.
    pub(crate) fn is_running_on(&self, step: StepId, node: &NodeName) -> bool {
        self.statuses.get(&step) == Some(&Status::Running)
            && self.plan.step(step).is_some_and(|it| it.node == *node)
    }

    /// Lists the steps that run.
    pub(crate) fn running(&self) -> Vec<StepId> {
        let running =
            |(id, status): (&StepId, &Status)| (*status == Status::Running).then_some(*id);
        self.statuses.iter().filter_map(running).collect()
    }

    /// Takes the applications that have become what they should since this was last asked.
    pub(crate) fn newly_finished(&mut self) -> Vec<ApplicationName> {
        let mut finished = Vec::new();
        for (name, outcome) in &self.plan.outcomes {
            let done = outcome
                .done_after
                .iter()
                .all(|id| matches!(self.statuses.get(id), Some(Status::Done(_))));
            if done && self.reported.insert(name.clone()) {
                finished.push(name.clone());
            }
        }
        finished
    }

    /// Lists the applications that did not become what they should.
    pub(crate) fn unfinished(&self) -> BTreeSet<ApplicationName> {
        self.plan
            .outcomes
            .keys()
            .filter(|name| !self.reported.contains(*name))
            .cloned()
            .collect()
    }

    /// Returns the action of a step with what earlier steps yielded filled in.
    pub(crate) fn resolved_action(&self, id: StepId) -> Option<Action> {
        let mut action = self.plan.step(id)?.action.clone();
        if let Action::AcquireVolume { handoff, .. } = &mut action
            && let Handoff::FromStep(from) = handoff
        {
            let Some(Status::Done(Yield::HandedOff(guid))) = self.statuses.get(from) else {
                return None;
            };
            *handoff = Handoff::Recorded(*guid);
        }
        Some(action)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use flocker_plan::{Plan, StepId, Yield};
    use serde_json::json;

    use super::{Schedule, Status};

    /// Two applications: the first one's two steps wait for one another, the second has one.
    fn two_applications() -> Plan {
        let step = |id: u32, application: &str, after: &[u32]| {
            let action = json!({ "remove-application": { "application": application } });
            json!({ "id": id, "node": "node1", "action": action, "after": after, "why": "a test" })
        };
        let outcome = |done_after: u32| {
            json!({
                "outcome": "stopped", "volume_kept": true, "node": "node1",
                "done_after": [done_after],
            })
        };
        let plan = json!({
            "steps": [step(0, "web", &[]), step(1, "web", &[0]), step(2, "mail", &[])],
            "outcomes": { "web": outcome(1), "mail": outcome(2) },
            "blocked": [],
        });
        serde_json::from_value(plan).unwrap()
    }

    fn steps(ids: &[u32]) -> Vec<StepId> {
        ids.iter().copied().map(StepId::new).collect()
    }

    #[test]
    fn steps_begin_when_what_they_wait_for_is_done() {
        let plan = two_applications();
        let mut schedule = Schedule::new(&plan);
        assert_eq!(schedule.begin_ready(), steps(&[0, 2]));
        assert_eq!(schedule.begin_ready(), []);
        schedule.end(StepId::new(0), Status::Done(Yield::Nothing));
        assert_eq!(schedule.begin_ready(), steps(&[1]));
        schedule.end(StepId::new(1), Status::Done(Yield::Nothing));
        schedule.end(StepId::new(2), Status::Done(Yield::Nothing));
        assert_eq!(schedule.running(), []);
        assert_eq!(schedule.newly_finished().len(), 2);
        assert_eq!(schedule.newly_finished(), []);
        assert_eq!(schedule.unfinished(), BTreeSet::new());
    }

    #[test]
    fn a_failed_step_skips_what_waits_for_it_and_nothing_else() {
        let plan = two_applications();
        let mut schedule = Schedule::new(&plan);
        schedule.begin_ready();
        schedule.end(StepId::new(0), Status::Failed);
        assert_eq!(schedule.begin_ready(), []);
        assert_eq!(schedule.running(), steps(&[2]));
        schedule.end(StepId::new(2), Status::Done(Yield::Nothing));
        let finished: Vec<String> = schedule
            .newly_finished()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(finished, ["mail"]);
        let unfinished: Vec<String> = schedule
            .unfinished()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(unfinished, ["web"]);
    }
}
