//! Goes from goal to goal as operators do: deploys, and deploys again, whatever goes wrong.

use std::collections::{BTreeMap, BTreeSet};

use flocker_model::{Deployment, DeploymentId, NodeName, NodeObservation, Observed};
use flocker_plan::{Action, Goal, Scope, Step, check, check_starts};

use crate::case::{Case, Fault, node_name};
use crate::invariants::{Broken, Invariant};
use crate::mend::hides_data;
use crate::mutation::{Made, Mutation};
use crate::random::Random;
use crate::world::World;

/// How often a deploy is tried while things go wrong.
const ATTEMPTS: usize = 12;
/// How often people mend what was damaged before a deploy must succeed.
const MENDINGS: usize = 40;

/// After one in how many interrupted plans it is looked at what boots would make of it.
const BOOTS: usize = 4;

/// One case while it runs.
pub(crate) struct Run<'a> {
    pub(crate) case: &'a Case,
    pub(crate) world: World,
    /// What is left to chance when nothing goes wrong.
    pub(crate) random: Random,
    /// How the protocol is broken, if it is.
    pub(crate) mutation: Option<Mutation>,
    /// How many plans did not come to their end.
    pub(crate) interrupted: usize,
    /// Machines that the operator cannot reach; they go on by themselves.
    pub(crate) unreachable: BTreeSet<NodeName>,
    /// Every deployment that was ever wanted, as far as a mistake needs them.
    pub(crate) wanted: BTreeMap<DeploymentId, Deployment>,
    /// What is still to go wrong on the way to the present goal, last first.
    faults: Vec<Fault>,
    /// What happened, if that is to be told.
    pub(crate) log: Option<Vec<String>>,
}

impl<'a> Run<'a> {
    pub(crate) fn new(case: &'a Case, mutation: Option<Mutation>) -> Self {
        let mut random = Random::new(case.seed);
        Self {
            case,
            world: World::new(case, &mut random),
            random,
            mutation,
            interrupted: 0,
            unreachable: BTreeSet::new(),
            wanted: BTreeMap::new(),
            faults: Vec::new(),
            log: None,
        }
    }

    /// Goes through all goals, one after the other.
    pub(crate) fn go(&mut self) -> Result<(), Broken> {
        let mut before = None;
        for turn in &self.case.turns {
            let deployment = self.case.goal(turn.goal, before.as_ref());
            self.tell(|| format!("--- goal: {}", describe(&deployment)));
            self.faults = turn.faults.iter().rev().copied().collect();
            for _ in 0..ATTEMPTS {
                if self.faults.is_empty() || self.attempt(&deployment)? {
                    break;
                }
            }
            self.converge(&deployment)?;
            before = Some(deployment);
        }
        Ok(())
    }

    /// Tells whether something goes wrong now; what it is depends on the returned numbers.
    pub(crate) fn strike(&mut self) -> Option<Random> {
        let next = self.faults.last_mut()?;
        if next.after > 0 {
            next.after -= 1;
            return None;
        }
        self.faults.pop().map(|fault| Random::new(fault.seed))
    }

    /// Deploys while things go wrong; tells whether that succeeded nevertheless.
    fn attempt(&mut self, deployment: &Deployment) -> Result<bool, Broken> {
        self.world.write(&mut self.random);
        self.world.take_others_snapshots();
        if self.random.once_in(2) {
            self.unreachable.clear();
        }
        if let Some(fault) = self.strike() {
            self.happen(deployment, fault)?;
        }
        let observed = self.world.gather(deployment, &self.unreachable);
        self.tell(|| "deploy".to_owned());
        let made = self.plan(&cluster(deployment), &observed)?;
        if !made.plan.blocked.is_empty() {
            return self.refused(deployment, &made).map(|()| false);
        }
        let driven = self.drive(&made, true)?;
        if driven.failed {
            self.interrupted += 1;
            if self.random.once_in(BOOTS) {
                self.try_boots()?;
            }
            if !driven.operator_died {
                let again = self.look_again(&observed, &driven.lost);
                self.recover((&made, &driven), &again)?;
            }
            return Ok(false);
        }
        if !driven.disturbed {
            let again = self.look_again(&observed, &BTreeSet::new());
            self.require_nothing_left(deployment, &again)?;
        }
        Ok(true)
    }

    /// A plan may be refused for what cannot be reached, or what was damaged; people mend that.
    fn refused(&mut self, deployment: &Deployment, made: &Made) -> Result<(), Broken> {
        self.deploy_without_hidden(deployment, &made.plan.blocked)?;
        for blocked in &made.plan.blocked {
            self.tell(|| format!("blocked: {blocked}"));
            if !hides_data(blocked)
                && !self.mend(deployment, blocked)?
                && self.unreachable.is_empty()
            {
                return Err(Broken::new(Invariant::Converges, blocked.to_string()));
            }
        }
        Ok(())
    }

    /// Things that happen between deploys.
    fn happen(&mut self, deployment: &Deployment, mut fault: Random) -> Result<(), Broken> {
        let node = node_name(fault.below(self.case.nodes));
        match fault.below(8) {
            0 => self.power_cut(&node, &mut fault)?,
            1 => {
                self.tell(|| format!("apply on {node}"));
                self.comply(deployment, &node)?;
            }
            2 => self.world.end_application(deployment, &mut fault),
            3 | 4 => self.cut_off(node),
            5 => {
                for index in 0..self.case.nodes {
                    if fault.once_in(2) {
                        self.cut_off(node_name(index));
                    }
                }
            }
            _ => self.damage(None, &mut fault),
        }
        self.look_at_world()
    }

    /// The operator reaches a machine no more; it does not notice.
    pub(crate) fn cut_off(&mut self, node: NodeName) {
        self.tell(|| format!("{node} cannot be reached"));
        self.unreachable.insert(node);
    }

    /// Something is done to a volume behind Flocker's back.
    pub(crate) fn damage(
        &mut self,
        about: Option<&flocker_model::ApplicationName>,
        fault: &mut Random,
    ) {
        if let Some(text) = self.world.damage(about, fault) {
            self.tell(|| text);
        }
    }

    /// Deploys with nothing going wrong: that must be enough, and a second time does nothing.
    fn converge(&mut self, deployment: &Deployment) -> Result<(), Broken> {
        self.unreachable.clear();
        self.faults.clear();
        self.world.take_others_snapshots();
        let mut mendings = 0;
        let (made, observed) = loop {
            let observed = self.world.gather(deployment, &BTreeSet::new());
            self.tell(|| "deploy, undisturbed".to_owned());
            let made = self.plan(&cluster(deployment), &observed)?;
            if made.plan.blocked.is_empty() || mendings == MENDINGS {
                break (made, observed);
            }
            mendings += 1;
            self.refused(deployment, &made)?;
        };
        let driven = self.drive(&made, false)?;
        if driven.failed || !made.plan.blocked.is_empty() {
            return Err(Broken::new(Invariant::Converges, made.plan.to_string()));
        }
        if self.random.once_in(3) {
            let again = self.look_again(&observed, &BTreeSet::new());
            self.require_nothing_left(deployment, &again)?;
        }
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
        let left = self.plan(&cluster(deployment), observed)?.plan;
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
            ..Observed::default()
        }
    }

    /// Makes a plan, and checks it by the rules that are written down apart from the planner.
    pub(crate) fn plan(&mut self, goal: &Goal<'_>, observed: &Observed) -> Result<Made, Broken> {
        if self.mutation == Some(Mutation::RestoreWhatWasApplied) {
            let deployment = goal.deployment.clone();
            self.wanted.insert(deployment.id(), deployment);
        }
        let made = Made::new(self.mutation, goal, observed);
        let is_decision = |step: &Step| {
            matches!(
                step.action,
                Action::PromoteVolume { .. }
                    | Action::RecordOwner { .. }
                    | Action::SetVolumeAside { .. }
            )
        };
        if let Some(step) = made.steps().iter().find(|step| is_decision(step)) {
            let how = format!("a deploy decides what only people may: {}", step.action);
            return Err(Broken::new(Invariant::PlansAreSound, how));
        }
        self.inspect(&made, observed)?;
        if self.mutation.is_none() && made.plan.blocked.is_empty() {
            let violations = check_starts(&made.plan, (goal.deployment, observed));
            if let Some(violation) = violations.first() {
                let how = format!("{violation}\n{}", made.plan);
                return Err(Broken::new(Invariant::PlansAreSound, how));
            }
        }
        Ok(made)
    }

    /// Checks a plan, unless it is meant to be wrong: what comes of it must be found then.
    pub(crate) fn inspect(&self, made: &Made, observed: &Observed) -> Result<(), Broken> {
        if self.mutation.is_some() {
            return Ok(());
        }
        match check(&made.plan, observed).first() {
            None => Ok(()),
            Some(violation) => Err(Broken::new(
                Invariant::PlansAreSound,
                format!("{violation}\n{}", made.plan),
            )),
        }
    }

    /// A machine loses power, boots, and restores what it can.
    pub(crate) fn power_cut(&mut self, node: &NodeName, fault: &mut Random) -> Result<(), Broken> {
        self.tell(|| format!("power cut of {node}"));
        self.world.reboot(node);
        self.look_at_world()?;
        if fault.once_in(4) {
            // Its restoring comes to nothing; it is down until the next deploy.
            return Ok(());
        }
        self.restore(node)
    }

    /// Does what `flocker-node apply` does: what the machine can alone.
    pub(crate) fn comply(
        &mut self,
        deployment: &Deployment,
        node: &NodeName,
    ) -> Result<(), Broken> {
        let observed = self.look_alone(node, deployment.nodes.keys().cloned());
        let goal = Goal::new(deployment, Scope::Node(node.clone()));
        let made = self.plan(&goal, &observed)?;
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
pub(crate) fn cluster(deployment: &Deployment) -> Goal<'_> {
    Goal::new(deployment, Scope::Cluster)
}

/// Writes a goal in one line.
fn describe(deployment: &Deployment) -> String {
    let nodes = deployment.nodes.iter().map(|(node, placed)| {
        let placed: Vec<String> = placed
            .iter()
            .map(|name| {
                let application = &deployment.applications[name];
                match (&application.volume, &application.shared) {
                    (Some(_), _) => format!("{name}+volume"),
                    (None, Some(shared)) => format!("{name}@{}", shared.application),
                    (None, None) => name.to_string(),
                }
            })
            .collect();
        format!("{node}: [{}]", placed.join(", "))
    });
    nodes.collect::<Vec<_>>().join(" ")
}
