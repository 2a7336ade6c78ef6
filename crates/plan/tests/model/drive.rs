//! Carries plans out as `flocker-cluster` and `flocker-node` do, with everything that can go wrong.

use std::collections::{BTreeMap, BTreeSet};

use flocker_model::{ApplicationName, NodeName};
use flocker_plan::{Refusal, Step, StepId, Yield};

use crate::case::node_name;
use crate::invariants::Broken;
use crate::mutation::Made;
use crate::random::Random;
use crate::run::Run;

/// What a step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Waiting,
    Done(Yield),
    Failed,
}

/// What can happen to a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It is done.
    Whole,
    /// It fails before anything is done.
    Nothing,
    /// It is done in part.
    Part,
    /// It is done, and nobody hears of it.
    AnswerLost,
    /// Its machine loses power before it.
    PowerCutBefore,
    /// Its machine loses power after it, before it could answer.
    PowerCutAfter,
    /// Another machine loses power.
    PowerCutElsewhere,
    /// The operator's machine dies once the step was begun.
    OperatorDies,
    /// From before the step on, the operator does not reach its machine.
    CutOffBefore,
    /// The step is done, and from then on the operator does not reach its machine.
    CutOffAfter,
    /// Something is done to a volume before the step.
    Damage,
}

const FAULTS: [Fate; 11] = [
    Fate::Nothing,
    Fate::Part,
    Fate::AnswerLost,
    Fate::PowerCutBefore,
    Fate::PowerCutAfter,
    Fate::PowerCutElsewhere,
    Fate::OperatorDies,
    Fate::CutOffBefore,
    Fate::CutOffAfter,
    Fate::Damage,
    Fate::Damage,
];

/// What came of a plan.
#[derive(Debug, Default)]
pub(crate) struct Driven {
    /// Some step failed, or what was done may have been undone.
    pub(crate) failed: bool,
    /// Something went wrong, even if no step failed.
    pub(crate) disturbed: bool,
    pub(crate) operator_died: bool,
    /// The applications that are not as they should be.
    pub(crate) unfinished: BTreeSet<ApplicationName>,
    /// The machines that the operator lost.
    pub(crate) lost: BTreeSet<NodeName>,
}

impl Run<'_> {
    /// Does the steps in an arbitrary order that the plan allows. Those that wait for a failed one
    /// are left out, and all others are done.
    pub(crate) fn drive(&mut self, made: &Made, may_fail: bool) -> Result<Driven, Broken> {
        let mut driven = Driven::default();
        let mut statuses = vec![Status::Waiting; made.steps().len()];
        let mut yields: BTreeMap<StepId, Yield> = BTreeMap::new();
        let is_done =
            |statuses: &[Status], id: &StepId| matches!(statuses[id.index()], Status::Done(_));
        loop {
            let waiting = made
                .steps()
                .iter()
                .filter(|step| statuses[step.id.index()] == Status::Waiting);
            let is_ready = |step: &&Step| step.after.iter().all(|id| is_done(&statuses, id));
            let ready: Vec<&Step> = waiting.filter(is_ready).collect();
            let Some(step) = self.random.of(&ready).copied() else {
                break;
            };
            let status = if driven.lost.contains(&step.node) {
                Status::Failed
            } else {
                let fault = if may_fail { self.strike() } else { None };
                driven.disturbed |= fault.is_some();
                self.do_step(step, fault, (&yields, &mut driven))?
            };
            if let Status::Done(yielded) = status {
                yields.insert(step.id, yielded);
            }
            driven.failed |= status == Status::Failed;
            statuses[step.id.index()] = status;
            self.world.write(&mut self.random);
            self.look_at_world()?;
            if driven.operator_died {
                break;
            }
        }
        // A power cut may have undone what was done.
        driven.failed |= !driven.lost.is_empty();
        for (name, outcome) in &made.plan.outcomes {
            if !outcome.done_after.iter().all(|id| is_done(&statuses, id)) {
                driven.unfinished.insert(name.clone());
            }
        }
        Ok(driven)
    }

    /// Does one step, if nothing hinders it.
    fn do_step(
        &mut self,
        step: &Step,
        mut fault: Option<Random>,
        (yields, driven): (&BTreeMap<StepId, Yield>, &mut Driven),
    ) -> Result<Status, Broken> {
        let Step { node, action, .. } = step;
        let fate = fault.as_mut().and_then(|fault| fault.of(&FAULTS).copied());
        let fate = fate.unwrap_or(Fate::Whole);
        self.tell(|| match fate {
            Fate::Whole => format!("{} {node}: {action}", step.id),
            _ => format!("{} {node}: {action}: {fate:?}", step.id),
        });
        self.look_before(step)?;
        if let Some(fault) = &mut fault
            && !self.begin(step, (fate, fault), driven)?
        {
            return Ok(Status::Failed);
        }
        let result = self.act(node, action, yields);
        if let Err(refusal) = &result {
            self.tell(|| refusal.to_string());
        }
        match fault {
            Some(mut fault) => self.end(step, (fate, &mut fault), (result, driven)),
            None => Ok(status(result)),
        }
    }

    /// What goes wrong before a step; tells whether it is done nevertheless.
    fn begin(
        &mut self,
        step: &Step,
        (fate, fault): (Fate, &mut Random),
        driven: &mut Driven,
    ) -> Result<bool, Broken> {
        let node = &step.node;
        match fate {
            Fate::Nothing => return Ok(false),
            Fate::Part => {
                self.world.act_partly(node, &step.action, fault);
                return Ok(false);
            }
            Fate::PowerCutBefore => {
                driven.lost.insert(node.clone());
                self.power_cut(node, fault)?;
            }
            Fate::PowerCutElsewhere => {
                let other = node_name(fault.below(self.case.nodes));
                driven.lost.insert(other.clone());
                self.power_cut(&other, fault)?;
            }
            Fate::CutOffBefore => {
                driven.lost.insert(node.clone());
                self.cut_off(node.clone());
            }
            Fate::Damage => self.damage(step.action.application(), fault),
            Fate::Whole
            | Fate::AnswerLost
            | Fate::PowerCutAfter
            | Fate::OperatorDies
            | Fate::CutOffAfter => {}
        }
        Ok(!driven.lost.contains(node))
    }

    /// What goes wrong after a step was done, before its answer arrives.
    fn end(
        &mut self,
        step: &Step,
        (fate, fault): (Fate, &mut Random),
        (result, driven): (Result<Yield, Refusal>, &mut Driven),
    ) -> Result<Status, Broken> {
        let node = &step.node;
        match fate {
            Fate::AnswerLost => {}
            Fate::OperatorDies => driven.operator_died = true,
            Fate::PowerCutAfter => {
                driven.lost.insert(node.clone());
                self.power_cut(node, fault)?;
            }
            Fate::CutOffAfter => {
                driven.lost.insert(node.clone());
                self.cut_off(node.clone());
            }
            _ => return Ok(status(result)),
        }
        Ok(Status::Failed)
    }
}

/// Tells what a step came to whose answer arrives.
fn status(result: Result<Yield, Refusal>) -> Status {
    result.map_or(Status::Failed, Status::Done)
}
