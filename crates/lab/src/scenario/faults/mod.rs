//! A move is disturbed in every way, at every moment; then `deploy` is run again, and nothing else,
//! and everything that was acknowledged is there once.

mod bystanders;
mod case;
mod ending;
mod lost_owner;
mod nodes;
mod operators;
mod report;
mod strike;
mod uptime;
mod wire;
mod world;
mod writer;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use flocker_model::ApplicationName;
use tokio::process::Child;
use tokio::time::timeout;

use self::case::{Place, Role};
use self::ending::expect_explained;
use self::nodes::Nodes;
use self::uptime::Uptime;
use self::wire::Before;
use self::world::{Traces, World};
use self::writer::{Writer, expect_all_once_in_order};
use super::clients::Clients;
use super::cluster::Cluster;
use super::failure::{Failure, expect};
use super::layouts::{Layout, render_deployment};
use super::site::{Site, SiteError};
use super::wait::{PATIENCE, RESTORE_PATIENCE, eventually};

pub use case::{Case, DisturbedMove, Fault, Moment};
pub use report::{Campaign, Choice, FaultsReport, OtherSource, Tried, run_faults};

/// The ledger alone.
const APPLICATIONS: &str = "
ledger:
  image: flocker/writer
  volume: /var/lib/writer
  routes: [7000]
  links: []
";

/// How long a disturbed deploy may take to end: longer than what notices a dead connection.
const END_PATIENCE: Duration = Duration::from_secs(400);
/// How many records are acknowledged before a move, so that there is something to lose.
const RECORDS: usize = 5;

/// Cases, one after another, on two nodes.
struct Faults<'a> {
    site: &'a Site,
    cluster: Cluster<'a>,
    application: ApplicationName,
    /// Where the application is: 0 or 1.
    place: usize,
    /// The last record that was tried.
    record: u64,
    acknowledged: Vec<u64>,
    /// What a move that nothing disturbs leaves.
    traces: Option<Traces>,
}

/// What a case came to, beyond its success.
#[derive(Debug, Default)]
struct Course {
    /// How the disturbed deploy ended; nothing if it was killed.
    first_exit: Option<i32>,
    /// How often `deploy` was run after it.
    deploys: u32,
}

impl<'a> Faults<'a> {
    fn new(site: &'a Site, program: &'a Path) -> Result<Self, Failure> {
        let application = ApplicationName::try_from("ledger".to_owned());
        Ok(Self {
            site,
            cluster: Cluster { site, program },
            application: application
                .map_err(|error| Failure::unexpected("a name", error.to_string()))?,
            place: 0,
            record: 0,
            acknowledged: Vec::new(),
            traces: None,
        })
    }

    /// The ledger on a node.
    fn layout(&self, node: usize) -> Layout {
        let addresses: [Ipv4Addr; 2] = [self.site.address(0), self.site.address(1)];
        let (mut first, mut second): (&[&str], &[&str]) = (&["ledger"], &[]);
        let mut name = "faults-first";
        if node == 1 {
            std::mem::swap(&mut first, &mut second);
            name = "faults-second";
        }
        Layout {
            name,
            applications: APPLICATIONS.to_owned(),
            deployment: render_deployment(&[(addresses[0], first), (addresses[1], second)]),
        }
    }

    /// Deploys the ledger, and moves it there and back without any fault: what that leaves is what
    /// every case must leave.
    async fn begin(&mut self) -> Result<(), Failure> {
        bystanders::make(self.site).await?;
        self.move_to(0).await?;
        self.make_noise().await?;
        self.move_to(1).await?;
        self.move_to(0).await?;
        let traces = Traces::observe(self.site, 1).await?;
        traces.expect_complete()?;
        self.traces = Some(traces);
        Ok(())
    }

    async fn move_to(&mut self, node: usize) -> Result<(), Failure> {
        let moved = self.cluster.deploy(&self.layout(node), &[]).await?;
        moved.expect_exit(0)?;
        self.place = node;
        self.expect_acknowledged(self.site.address(node)).await
    }

    /// Runs one case to its end.
    async fn run(&mut self, case: Case) -> (Course, Result<(), Failure>) {
        match case {
            Case::TwoOperators => (Course::default(), self.two_operators().await),
            Case::LostOwner => (Course::default(), self.lost_owner().await),
            Case::Move(disturbed) => self.disturbed_move(disturbed).await,
        }
    }

    /// Disturbs a move, and sees that nothing came of it.
    async fn disturbed_move(&mut self, case: DisturbedMove) -> (Course, Result<(), Failure>) {
        let mut course = Course::default();
        let nodes = Nodes {
            site: self.site,
            source: self.place,
        };
        let writer = match self.begin_case(case, nodes).await {
            Ok(writer) => writer,
            Err(failure) => return (course, Err(failure)),
        };
        let settled = self.survive(case, nodes, &mut course).await;
        let stopped = writer.stop().await;
        let outcome = match settled.and(stopped) {
            Ok(acknowledged) => {
                self.acknowledged.extend(acknowledged);
                self.expect_whole(nodes).await
            }
            Err(failure) => Err(failure),
        };
        (course, outcome)
    }

    /// Disturbs a move, and deploys until it is complete.
    async fn survive(
        &mut self,
        case: DisturbedMove,
        nodes: Nodes<'_>,
        course: &mut Course,
    ) -> Result<(), Failure> {
        let before = Before::observe(case, nodes).await?;
        let uptime = Uptime::observe(case, nodes).await?;
        self.disturb(case, nodes, course).await?;
        let is_moved = course.first_exit == Some(0);
        uptime.expect_unbroken(nodes, is_moved).await?;
        self.settle(nodes, course).await?;
        before.expect_no_second_copy(nodes).await
    }

    /// Makes sure that there is something to lose, and somebody who would notice.
    async fn begin_case(
        &mut self,
        case: DisturbedMove,
        nodes: Nodes<'_>,
    ) -> Result<Writer, Failure> {
        if case.moment.is_first_copy() {
            let dataset = format!("tank/flocker/{}", self.application);
            let command = format!(
                "zfs list -H -o name -t snapshot {dataset} | xargs --max-args=1 zfs release \
                 flocker && zfs destroy -r {dataset}"
            );
            nodes.check(Role::Target, &command).await?;
        }
        // Far enough from all numbers that the writer before this one tried.
        self.record += 1_000_000;
        let writer = Writer::start(self.site, self.record)?;
        eventually("records are acknowledged", PATIENCE, async || {
            let count = writer.count()?;
            expect(count >= RECORDS, "some records", count)
        })
        .await?;
        Ok(writer)
    }

    /// Begins the move, makes the fault happen, waits for the deploy's end, and makes the fault go
    /// away.
    async fn disturb(
        &self,
        case: DisturbedMove,
        nodes: Nodes<'_>,
        course: &mut Course,
    ) -> Result<(), Failure> {
        let place = case.moment.place();
        let before = case.moment.place_before();
        nodes.arm(before.unwrap_or(place)).await?;
        let mut operator = self.start_deploy(1 - nodes.source)?;
        if let Some(before) = before {
            self.come_to(nodes, before, &mut operator).await?;
            nodes.arm(place).await?;
            nodes.let_go(before).await?;
        }
        self.come_to(nodes, place, &mut operator).await?;
        nodes.strike(case.fault, place, &mut operator).await?;
        let answers = Nodes::answers(case.fault, place.role);
        if answers {
            nodes.let_go(place).await?;
        }
        let ended = timeout(END_PATIENCE, operator.wait()).await;
        let lifted = nodes.lift(case.fault).await;
        if !answers {
            nodes.let_go(place).await?;
        }
        lifted?;
        let status = match ended {
            Ok(status) => status.map_err(|source| SiteError::Run {
                program: "flocker-cluster".to_owned(),
                source,
            })?,
            Err(_) => {
                return Err(Failure::Endless {
                    what: "the disturbed deploy".to_owned(),
                    patience: END_PATIENCE,
                });
            }
        };
        course.first_exit = status.code();
        let said = std::fs::read_to_string(self.disturbed_log()).unwrap_or_default();
        if case.fault != Fault::KillOperator || status.code().is_some() {
            expect_explained(status.code(), &said, &self.site.addresses())?;
        }
        let world = World::observe(self.site).await?;
        world.expect_no_second_owner(&self.application)?;
        if status.success() {
            // I4: then everything that was wanted is true, whatever happened meanwhile.
            return world.expect_at(&self.application, nodes.number(Role::Target));
        }
        let is_seen_to = status.code().is_some() && case.fault != Fault::PowerCutSource;
        if is_seen_to && world.owners(&self.application) == [nodes.source] {
            // What was stopped to be moved was started again where it still is, and nobody who asks
            // for it there is kept waiting.
            world.expect_at(&self.application, nodes.source)?;
            let address = self.site.address(nodes.source);
            self.expect_acknowledged(address).await?;
        }
        Ok(())
    }

    /// Waits until the move is held at a place; one that ends before never will be.
    async fn come_to(
        &self,
        nodes: Nodes<'_>,
        place: Place,
        operator: &mut Child,
    ) -> Result<(), Failure> {
        tokio::select! {
            held = nodes.wait_until_held(place) => held,
            _ = operator.wait() => {
                let said = std::fs::read_to_string(self.disturbed_log()).unwrap_or_default();
                let expected = format!("the move to come to {}", place.name);
                Err(Failure::unexpected(expected, format!("the deploy ended before:\n{said}")))
            }
        }
    }

    /// What the disturbed deploy says.
    fn disturbed_log(&self) -> PathBuf {
        self.site.directory().join("disturbed-deploy")
    }

    fn start_deploy(&self, node: usize) -> Result<Child, Failure> {
        let mut command = self.cluster.command(&self.layout(node), &["-v"])?;
        let log = self.disturbed_log();
        let file = std::fs::File::create(&log);
        let outputs = file.and_then(|file| Ok((file.try_clone()?, file)));
        let (stdout, stderr) = outputs.map_err(|source| SiteError::Write { path: log, source })?;
        command.stdin(Stdio::null()).stdout(stdout).stderr(stderr);
        let child = command.spawn();
        Ok(child.map_err(|source| SiteError::Run {
            program: "flocker-cluster".to_owned(),
            source,
        })?)
    }

    /// Runs `deploy` until it succeeds, and once more, which must do nothing.
    async fn settle(&mut self, nodes: Nodes<'_>, course: &mut Course) -> Result<(), Failure> {
        let target = nodes.number(Role::Target);
        let layout = self.layout(target);
        let began = Instant::now();
        loop {
            course.deploys += 1;
            let transcript = self.cluster.deploy(&layout, &[]).await?;
            if transcript.succeeded() {
                break;
            }
            // A node that has just booted is at work for a while, and says so.
            if began.elapsed() > RESTORE_PATIENCE {
                transcript.expect_exit(0)?;
            }
            let (code, said) = (transcript.code(), transcript.narration());
            expect_explained(code, said, &self.site.addresses())?;
        }
        self.place = target;
        World::observe(self.site)
            .await?
            .expect_at(&self.application, target)?;
        let again = self.cluster.deploy(&layout, &[]).await?;
        again.expect_exit(0)?;
        again.expect_last_line("Nothing changed.")
    }

    /// After a case that failed: gets to where the next can begin, and reckons only with what is
    /// still there, so that each loss is told once.
    async fn start_over(&mut self) -> Result<(), Failure> {
        let mut course = Course::default();
        let nodes = Nodes {
            site: self.site,
            source: 1 - self.place,
        };
        self.settle(nodes, &mut course).await?;
        let clients = Clients { site: self.site };
        let ledger = clients.read_ledger(self.site.address(self.place)).await?;
        self.acknowledged
            .retain(|number| ledger.contains(&format!("record-{number}")));
        Ok(())
    }

    /// Everything that was acknowledged is there, through both nodes, and nothing is left over.
    async fn expect_whole(&self, nodes: Nodes<'_>) -> Result<(), Failure> {
        for address in self.site.addresses() {
            self.expect_acknowledged(address).await?;
        }
        self.expect_nothing_left(nodes.source).await
    }

    /// Everything that was acknowledged is there, through a node.
    async fn expect_acknowledged(&self, address: Ipv4Addr) -> Result<(), Failure> {
        let clients = Clients { site: self.site };
        let ledger = eventually("the ledger answers", PATIENCE, async || {
            clients.read_ledger(address).await
        })
        .await?;
        expect_all_once_in_order(&self.acknowledged, &ledger)
    }

    /// Nothing is there that a move from `source` would not leave if nothing disturbed it.
    async fn expect_nothing_left(&self, source: usize) -> Result<(), Failure> {
        let Some(traces) = &self.traces else {
            return Ok(());
        };
        eventually("nothing is left over", PATIENCE, async || {
            traces.expect_same(&Traces::observe(self.site, source).await?)
        })
        .await
    }
}
