//! One seed: deploys that are disturbed, and what must hold all the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use flocker_cluster::{Operator, Transcript};
use flocker_model::{Deployment, VolumeRole};
use tokio::runtime::{Builder, LocalOptions};
use tokio::task::{AbortHandle, JoinError, JoinHandle, spawn_local};
use tokio::time::{sleep, timeout};

use super::chance::{Dice, Event, Tally};
use super::faults::strike;
use super::network::Site;
use super::world::World;
use crate::tests::fake::Mutation;
use crate::tests::wish::{APPLICATIONS, Wish, deployment};

/// How long a deploy may take, whatever befalls it.
const PATIENCE: Duration = Duration::from_secs(1800);
/// How long after the last fault nothing is left of what it cut off.
const QUIET: Duration = Duration::from_secs(300);
/// How long before a deploy ends its last look may have been.
const SINCE_LOOK: Duration = Duration::from_secs(300);
/// What tells an operator what to do next, or that everything is as before.
const NEXT: [&str; 5] = [
    "hint: ",
    "deploy again",
    "deploying again",
    "run the same",
    "nothing was changed",
];

/// What came of a seed.
pub(super) struct Told {
    /// What must not have happened.
    pub(super) broken: Vec<String>,
    /// What happened.
    pub(super) trace: String,
    /// A number that is another one if anything happened otherwise.
    pub(super) sum: u64,
    /// How much time passed in the world.
    pub(super) simulated: Duration,
    /// What befell it.
    pub(super) tally: Tally,
    /// How many deploys were disturbed, and how many of those failed.
    pub(super) deploys: usize,
    pub(super) failed: usize,
}

/// The exit code of a deploy, unless it was given up, and everything that it said.
type Ended = (Option<u8>, Vec<String>);

/// Plays a seed.
pub(super) fn play(seed: u64, mutation: Option<Mutation>) -> Told {
    let mut builder = Builder::new_current_thread();
    builder.enable_time().start_paused(true);
    let runtime = builder.build_local(LocalOptions::default()).unwrap();
    runtime.block_on(async {
        let dice = Dice::new(seed);
        let nodes = 2 + usize::from(dice.once_in(400));
        let world = World::new(nodes, &dice, mutation);
        let mut story = Story {
            world: Arc::clone(&world),
            clock: Arc::default(),
            runs: 0,
            deploys: 0,
            failed: 0,
        };
        let writing = tokio::spawn(write(Arc::clone(&world)));
        story.tell().await;
        writing.abort();
        Told {
            broken: world.trace.all_broken(),
            trace: world.trace.text(),
            sum: world.trace.sum(),
            simulated: world.trace.elapsed(),
            tally: world.trace.tally(),
            deploys: story.deploys,
            failed: story.failed,
        }
    })
}

/// Has applications write for ever.
async fn write(world: Arc<World>) {
    loop {
        sleep(world.dice.time(50..700)).await;
        world.write();
    }
}

struct Story {
    world: Arc<World>,
    /// How far the operators' clock is off.
    clock: Arc<AtomicI64>,
    /// How often somebody deployed.
    runs: usize,
    deploys: usize,
    failed: usize,
}

impl Story {
    async fn tell(&mut self) {
        let mut wishes: Vec<Wish> = (0..APPLICATIONS).map(|_| self.wish()).collect();
        self.must_converge(&self.wanted(&wishes)).await;
        for _ in 0..=self.world.dice.below(2) {
            if self.is_broken() {
                return;
            }
            self.change(&mut wishes);
            self.disturb(&wishes).await;
        }
        if self.is_broken() {
            return;
        }
        if timeout(PATIENCE, self.world.wait_until_up()).await.is_err() {
            self.broken("a node has not restored itself after half an hour");
        }
        self.world.set_quiet(true);
        sleep(QUIET).await;
        self.world.set_quiet(false);
        let left = self.world.programs();
        if !left.is_empty() {
            self.broken(&format!("still runs long after all faults: {left:?}"));
        }
        let wanted = self.wanted(&wishes);
        self.must_converge(&wanted).await;
        let (exit, said) = self.deploy(&wanted).await;
        if exit != Some(0) || !said.iter().any(|line| line == "Nothing changed.") {
            self.broken("a second deploy does something");
        }
        self.check(&wanted, |_| true);
        for leftover in self.world.leftovers(&wanted) {
            self.broken(&format!("left behind: {leftover}"));
        }
    }

    /// Makes up what one application should be.
    fn wish(&self) -> Wish {
        let dice = &self.world.dice;
        let mut wish = Wish::at(dice.below(self.world.count()));
        wish.linked = dice.once_in(300);
        wish.dependent = dice.once_in(200);
        wish.shares = dice.once_in(300);
        wish.version = dice.once_in(500);
        wish
    }

    /// Changes what is wanted: mostly where.
    fn change(&self, wishes: &mut [Wish]) {
        let dice = &self.world.dice;
        for wish in wishes {
            if dice.once_in(700) {
                wish.place = Some(dice.below(self.world.count()));
            }
            if dice.once_in(150) {
                wish.version = !wish.version;
            }
            if dice.once_in(100) {
                wish.limited = !wish.limited;
            }
            if dice.once_in(50) {
                wish.place = None;
            }
        }
    }

    fn wanted(&self, wishes: &[Wish]) -> Deployment {
        deployment(self.world.count(), wishes)
    }

    /// Deploys while faults strike, sometimes beside another operator.
    async fn disturb(&mut self, wishes: &[Wish]) {
        let wanted = self.wanted(wishes);
        let dice = self.world.dice.clone();
        let operators = 1 + usize::from(dice.once_in(150));
        if operators > 1 {
            self.world.trace.count(Event::SecondOperator);
        }
        let faults: Vec<JoinHandle<()>> = (0..=dice.below(3))
            .map(|_| strike(&self.world, operators))
            .collect();
        if dice.once_in(80) {
            let by = *dice.one_of(&[3_600_000, -3_600_000]);
            self.clock.fetch_add(by, Ordering::Relaxed);
        }
        let mut deploys = Vec::new();
        for operator in 0..operators {
            let wanted = if operator == 0 {
                wanted.clone()
            } else {
                let others: Vec<Wish> = (0..APPLICATIONS).map(|_| self.wish()).collect();
                self.wanted(&others)
            };
            deploys.push(self.begin(operator, wanted));
        }
        if dice.once_in(120) {
            self.kill_some_time(deploys[0].abort_handle());
        }
        for deploy in deploys {
            let ended = deploy.await;
            // Of two operators at once each may undo what the other has done.
            let alone = (operators == 1).then_some(&wanted);
            self.judge(ended, alone);
        }
        for fault in faults {
            if let Err(error) = fault.await {
                self.broken(&format!("the simulation panicked: {error}"));
            }
        }
    }

    /// Has the first operator's program killed, at some time from now.
    fn kill_some_time(&self, victim: AbortHandle) {
        let after = self.world.dice.time(0..12_000);
        let trace = self.world.trace.clone();
        tokio::spawn(async move {
            sleep(after).await;
            if !victim.is_finished() {
                trace.count(Event::OperatorKilled);
                trace.note("operator0 is killed");
                victim.abort();
            }
        });
    }

    /// Looks at what came of a disturbed deploy, and whether what was wanted is true if that was
    /// `wanted` by one operator alone.
    fn judge(&mut self, ended: Result<Ended, JoinError>, wanted: Option<&Deployment>) {
        self.deploys += 1;
        match ended {
            Ok((Some(0), _)) => {
                let ended = self.world.trace.elapsed();
                let is_settled = |node| {
                    let cut = self.world.cut_at(node);
                    cut.is_none_or(|cut| cut + SINCE_LOOK < ended)
                };
                if let Some(wanted) = wanted {
                    self.check(wanted, is_settled);
                }
            }
            Ok((Some(exit), said)) => {
                self.failed += 1;
                self.check_words(exit, &said);
            }
            Ok((None, _)) => self.broken("a deploy has not ended after half an hour"),
            Err(error) if error.is_cancelled() => {}
            Err(error) => self.broken(&format!("a deploy panicked: {error}")),
        }
    }

    /// Deploys undisturbed, which must succeed.
    async fn must_converge(&mut self, wanted: &Deployment) {
        let (exit, said) = self.deploy(wanted).await;
        if exit != Some(0) {
            let said = said.join("\n");
            self.broken(&format!(
                "an undisturbed deploy ended with {exit:?}:\n{said}"
            ));
        }
        self.check(wanted, |_| true);
    }

    async fn deploy(&mut self, wanted: &Deployment) -> Ended {
        let ended = self.begin(0, wanted.clone()).await;
        ended.unwrap_or_else(|error| (None, vec![error.to_string()]))
    }

    /// Begins a deploy.
    fn begin(&mut self, operator: usize, wanted: Deployment) -> JoinHandle<Ended> {
        self.runs += 1;
        let transcript = Transcript::default();
        let who = Operator {
            name: format!("ann@desk{operator}"),
            session: format!("run {}", self.runs),
            network: self.world.network.phone(Site::Operator(operator)),
            clock: self.world.operators_clock(&self.clock),
            transcript: transcript.clone(),
        };
        let trace = self.world.trace.clone();
        let site = Site::Operator(operator);
        let placed = wanted.nodes.values();
        let placed: Vec<String> = placed.map(|names| format!("{names:?}")).collect();
        trace.note(&format!("{site}: deploys {}", placed.join(" ")));
        spawn_local(async move {
            let exit = timeout(PATIENCE, flocker_cluster::deploy(wanted, &who)).await;
            let said = transcript.take();
            for text in &said {
                for line in text.lines() {
                    trace.note(&format!("{site}: | {line}"));
                }
            }
            trace.note(&format!("{site}: exit {exit:?}"));
            (exit.ok(), said)
        })
    }

    fn is_broken(&self) -> bool {
        !self.world.trace.all_broken().is_empty()
    }

    fn broken(&self, text: &str) {
        self.world.trace.broken(text);
    }

    /// Every failure names a node, and says what to do next.
    fn check_words(&self, exit: u8, said: &[String]) {
        let text = said.join("\n");
        if !(4..=6).contains(&exit) {
            self.broken(&format!("a deploy ended with exit code {exit}:\n{text}"));
        }
        if !text.contains("error: ") || !text.contains("10.0.0.") {
            self.broken(&format!("a failure names no node:\n{text}"));
        }
        if !NEXT.iter().any(|next| text.contains(next)) {
            self.broken(&format!(
                "a failure says nothing of what to do next:\n{text}"
            ));
        }
    }

    /// What is wanted is true on the nodes of which that can be said.
    fn check(&self, wanted: &Deployment, counts: impl Fn(usize) -> bool) {
        for (name, application, node) in wanted.placed() {
            let Some(Site::Node(index)) = self.world.site_of(node.as_str()) else {
                continue;
            };
            if !counts(index) {
                continue;
            }
            let expected = self.world.acknowledged(name);
            let faults = self.world.inspect(index, |state, id| {
                let mut faults = Vec::new();
                if !state.running.processes.runs(name) {
                    faults.push(format!("{name} does not run on {node}"));
                }
                if application.volume.is_some() {
                    match state.disk.pool.volumes.get(name) {
                        Some(volume) if volume.contents != expected => faults.push(format!(
                            "{name} on {node} has {:?} and not {:?}",
                            String::from_utf8_lossy(&volume.contents),
                            String::from_utf8_lossy(&expected)
                        )),
                        Some(volume) if matches!(volume.role(id), VolumeRole::Owned { .. }) => {}
                        _ => faults.push(format!("{name} has no owner on {node}")),
                    }
                }
                faults
            });
            for fault in faults {
                self.broken(&format!("although the deploy succeeded, {fault}"));
            }
        }
    }
}
