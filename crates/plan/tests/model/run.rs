//! Carries plans out as `flocker-cluster` and `flocker-node` do, with everything that can go wrong.

use std::collections::{BTreeMap, BTreeSet};

use flocker_model::{ApplicationName, Deployment, NodeName, NodeObservation, Observed};
use flocker_plan::{Goal, Plan, Scope, Step, StepId, Yield, check, plan, plan_return};

use crate::case::{Case, node_name};
use crate::invariants::{Broken, Invariant};
use crate::random::Random;
use crate::world::World;

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
    /// The operator's machine dies.
    OperatorDies,
}

const FAULTS: [Fate; 7] = [
    Fate::Nothing,
    Fate::Part,
    Fate::AnswerLost,
    Fate::PowerCutBefore,
    Fate::PowerCutAfter,
    Fate::PowerCutElsewhere,
    Fate::OperatorDies,
];

/// One case while it runs.
pub(crate) struct Run<'a> {
    pub(crate) case: &'a Case,
    pub(crate) world: World,
    pub(crate) random: Random,
    /// How many plans did not come to their end.
    pub(crate) interrupted: usize,
    faults_left: usize,
    /// What happened, if that is to be told.
    pub(crate) log: Option<Vec<String>>,
}

/// What came of a plan.
#[derive(Debug, Default)]
struct Driven {
    failed: bool,
    operator_died: bool,
    unfinished: BTreeSet<ApplicationName>,
    lost: BTreeSet<NodeName>,
}

impl<'a> Run<'a> {
    pub(crate) fn new(case: &'a Case, log: Option<Vec<String>>) -> Self {
        let mut random = Random::new(case.seed);
        Self {
            case,
            world: World::new(case, &mut random),
            random,
            interrupted: 0,
            faults_left: case.faults,
            log,
        }
    }

    /// Goes through all goals, one after the other.
    pub(crate) fn go(&mut self) -> Result<(), Broken> {
        let goals = self.case.goals.clone();
        let mut before = None;
        for seed in goals {
            let deployment = self.case.goal(seed, before.as_ref());
            self.tell(|| format!("--- goal: {}", describe(&deployment)));
            for _ in 0..self.random.below(5) {
                self.attempt(&deployment)?;
            }
            self.converge(&deployment)?;
            before = Some(deployment);
        }
        Ok(())
    }

    /// Deploys while things go wrong.
    fn attempt(&mut self, deployment: &Deployment) -> Result<(), Broken> {
        self.happen(deployment)?;
        let mut unreachable = BTreeSet::new();
        if self.faults_left > 0 && self.random.once_in(6) {
            self.faults_left -= 1;
            unreachable.insert(node_name(self.random.below(self.case.nodes)));
        }
        let observed = self.world.gather(deployment, &unreachable);
        let made = plan(&cluster(deployment), &observed);
        self.inspect(&made, &observed)?;
        if !made.blocked.is_empty() {
            self.tell(|| format!("blocked: {}", made.blocked[0]));
            if unreachable.is_empty() {
                return Err(Broken::new(Invariant::Converges, made.to_string()));
            }
            return Ok(());
        }
        let driven = self.drive(&made, true)?;
        if driven.failed {
            self.interrupted += 1;
            if !driven.operator_died {
                self.recover(&driven, &observed)?;
            }
        }
        Ok(())
    }

    /// Things that happen between deploys.
    fn happen(&mut self, deployment: &Deployment) -> Result<(), Broken> {
        self.world.write(&mut self.random);
        if self.faults_left == 0 {
            return Ok(());
        }
        let node = node_name(self.random.below(self.case.nodes));
        match self.random.below(12) {
            0 => {
                self.faults_left -= 1;
                self.power_cut(&node)?;
            }
            1 => {
                self.tell(|| format!("apply on {node}"));
                self.comply(deployment, &node)?;
            }
            2 => self.world.end_application(deployment, &mut self.random),
            _ => {}
        }
        self.look_at_world()
    }

    /// After a failure, starts again what can run where it ran.
    fn recover(&mut self, driven: &Driven, before: &Observed) -> Result<(), Broken> {
        let again = self.look_again(before, &driven.lost);
        for back in plan_return(&driven.unfinished, &again) {
            self.tell(|| "return:".to_owned());
            self.inspect(&back, &again)?;
            self.drive(&back, false)?;
        }
        Ok(())
    }

    /// Deploys with nothing going wrong: that must be enough, and a second time does nothing.
    fn converge(&mut self, deployment: &Deployment) -> Result<(), Broken> {
        let observed = self.world.gather(deployment, &BTreeSet::new());
        let made = plan(&cluster(deployment), &observed);
        self.tell(|| "undisturbed:".to_owned());
        self.inspect(&made, &observed)?;
        let driven = self.drive(&made, false)?;
        if driven.failed || !made.blocked.is_empty() {
            return Err(Broken::new(Invariant::Converges, made.to_string()));
        }
        let again = self.look_again(&observed, &BTreeSet::new());
        self.require_nothing_left(deployment, &again)?;
        self.look_at_end(deployment)?;
        if self.random.once_in(3) {
            self.tell(|| "power cut of every machine".to_owned());
            for index in 0..self.case.nodes {
                self.world.reboot(&node_name(index));
            }
            for index in 0..self.case.nodes {
                self.restore(&node_name(index))?;
            }
            self.look_at_end(deployment)?;
        }
        let fresh = self.world.gather(deployment, &BTreeSet::new());
        self.require_nothing_left(deployment, &fresh)
    }

    /// A further deploy must find nothing to do.
    fn require_nothing_left(
        &mut self,
        deployment: &Deployment,
        observed: &Observed,
    ) -> Result<(), Broken> {
        self.tell(|| "once more:".to_owned());
        let left = plan(&cluster(deployment), observed);
        if left.is_empty() {
            return Ok(());
        }
        Err(Broken::new(Invariant::SecondDoesNothing, left.to_string()))
    }

    /// Looks at the same machines once more.
    fn look_again(&self, before: &Observed, lost: &BTreeSet<NodeName>) -> Observed {
        let look = |(node, observation): (&NodeName, &NodeObservation)| {
            let observation = match observation.seen() {
                Some(_) => self.world.look(node, lost),
                None => observation.clone(),
            };
            (node.clone(), observation)
        };
        Observed {
            nodes: before.nodes.iter().map(look).collect(),
            operator_images: before.operator_images.clone(),
        }
    }

    /// Checks a plan by the rules that are written down apart from the planner.
    fn inspect(&mut self, made: &Plan, observed: &Observed) -> Result<(), Broken> {
        self.tell(|| made.to_string());
        match check(made, observed).first() {
            None => Ok(()),
            Some(violation) => Err(Broken::new(
                Invariant::PlansAreSound,
                format!("{violation}\n{made}"),
            )),
        }
    }

    /// Does the steps in an arbitrary order that the plan allows. Those that wait for a failed one
    /// are left out, and all others are done.
    fn drive(&mut self, made: &Plan, disturbed: bool) -> Result<Driven, Broken> {
        let mut driven = Driven::default();
        let mut statuses = vec![Status::Waiting; made.steps().len()];
        let mut yields: BTreeMap<StepId, Yield> = BTreeMap::new();
        loop {
            let is_done = |id: &StepId| matches!(statuses[id.index()], Status::Done(_));
            let ready: Vec<&Step> = made
                .steps()
                .iter()
                .filter(|step| statuses[step.id.index()] == Status::Waiting)
                .filter(|step| step.after.iter().all(is_done))
                .collect();
            let Some(step) = self.random.of(&ready).copied() else {
                break;
            };
            let fate = self.fate(disturbed);
            let status = if driven.lost.contains(&step.node) {
                Status::Failed
            } else {
                self.do_step(step, fate, (&yields, &mut driven))?
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
        let is_done = |id: &StepId| matches!(statuses[id.index()], Status::Done(_));
        for (name, outcome) in &made.outcomes {
            if !outcome.done_after.iter().all(is_done) {
                driven.unfinished.insert(name.clone());
            }
        }
        Ok(driven)
    }

    /// Decides what happens to a step.
    fn fate(&mut self, disturbed: bool) -> Fate {
        if !disturbed || self.faults_left == 0 || !self.random.once_in(8) {
            return Fate::Whole;
        }
        self.faults_left -= 1;
        self.random.of(&FAULTS).copied().unwrap_or(Fate::Whole)
    }

    /// Does one step, as its fate has it.
    fn do_step(
        &mut self,
        step: &Step,
        fate: Fate,
        (yields, driven): (&BTreeMap<StepId, Yield>, &mut Driven),
    ) -> Result<Status, Broken> {
        let Step { node, action, .. } = step;
        self.tell(|| format!("{} {node}: {action}: {fate:?}", step.id));
        self.look_before(step)?;
        match fate {
            Fate::Nothing => return Ok(Status::Failed),
            Fate::Part => {
                self.world.act_partly(node, action, &mut self.random);
                return Ok(Status::Failed);
            }
            Fate::PowerCutBefore => {
                driven.lost.insert(node.clone());
                self.power_cut(node)?;
                return Ok(Status::Failed);
            }
            Fate::PowerCutElsewhere => {
                let other = node_name(self.random.below(self.case.nodes));
                driven.lost.insert(other.clone());
                self.power_cut(&other)?;
            }
            Fate::Whole | Fate::AnswerLost | Fate::PowerCutAfter | Fate::OperatorDies => {}
        }
        if driven.lost.contains(node) {
            return Ok(Status::Failed);
        }
        let result = self.world.act(node, action, yields);
        match (fate, result) {
            (Fate::PowerCutAfter, _) => {
                driven.lost.insert(node.clone());
                self.power_cut(node)?;
                Ok(Status::Failed)
            }
            (Fate::AnswerLost, _) => Ok(Status::Failed),
            (Fate::OperatorDies, _) => {
                driven.operator_died = true;
                Ok(Status::Failed)
            }
            (_, Ok(yielded)) => Ok(Status::Done(yielded)),
            (_, Err(refusal)) => {
                self.tell(|| refusal.to_string());
                Ok(Status::Failed)
            }
        }
    }

    /// A machine loses power, boots, and restores what it can.
    fn power_cut(&mut self, node: &NodeName) -> Result<(), Broken> {
        self.tell(|| format!("power cut of {node}"));
        self.world.reboot(node);
        self.look_at_world()?;
        if self.random.once_in(4) {
            // Its restoring comes to nothing; it is down until the next deploy.
            return Ok(());
        }
        self.restore(node)
    }

    /// Does what `flocker-node restore` does after a boot.
    fn restore(&mut self, node: &NodeName) -> Result<(), Broken> {
        let Some(applied) = self.world.machine(node).applied.clone() else {
            return Ok(());
        };
        self.comply(&applied.deployment, node)
    }

    /// Does what `flocker-node apply` does: what the machine can alone.
    fn comply(&mut self, deployment: &Deployment, node: &NodeName) -> Result<(), Broken> {
        let members = self.world.machine(node).members.clone();
        let mut observed = Observed::default();
        for other in deployment.nodes.keys().chain(members.keys()) {
            let unasked = NodeObservation::NotAsked;
            observed.nodes.insert(other.clone(), unasked);
        }
        let seen = self.world.look(node, &BTreeSet::new());
        observed.nodes.insert(node.clone(), seen);
        let goal = Goal {
            deployment,
            scope: Scope::Node(node.clone()),
        };
        let made = plan(&goal, &observed);
        self.inspect(&made, &observed)?;
        self.drive(&made, false)?;
        Ok(())
    }

    /// Notes what happens, if anybody is to be told.
    pub(crate) fn tell(&mut self, text: impl FnOnce() -> String) {
        if let Some(log) = &mut self.log {
            log.push(text());
        }
    }
}

/// Wants a deployment of every node.
fn cluster(deployment: &Deployment) -> Goal<'_> {
    Goal {
        deployment,
        scope: Scope::Cluster,
    }
}

/// Writes a goal in one line.
fn describe(deployment: &Deployment) -> String {
    let nodes = deployment.nodes.iter().map(|(node, placed)| {
        let placed: Vec<String> = placed
            .iter()
            .map(|name| match &deployment.applications[name].volume {
                Some(_) => format!("{name}+volume"),
                None => name.to_string(),
            })
            .collect();
        format!("{node}: [{}]", placed.join(", "))
    });
    nodes.collect::<Vec<_>>().join(" ")
}
