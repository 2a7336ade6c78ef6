//! A move is disturbed in every way, at every moment, or its operator is, or a boot; then `deploy` is
//! run again, and nothing else, and everything that was acknowledged is there once.

mod bystanders;
mod case;
mod disturbed_move;
mod ending;
mod interrupted_restore;
mod killed_operator;
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

use self::case::{Place, Role};
use self::ending::expect_explained;
use self::killed_operator::hold_at_places_of;
use self::nodes::Nodes;
use self::world::{Traces, World};
use self::writer::{Writer, expect_all_once_in_order};
use super::clients::Clients;
use super::cluster::Cluster;
use super::failure::{Failure, expect};
use super::layouts::{Layout, render_deployment};
use super::site::{Site, SiteError};
use super::wait::{PATIENCE, RESTORE_PATIENCE, eventually};

pub use case::{Case, Cases, DisturbedMove, Fault, Moment};
pub use interrupted_restore::{InterruptedRestore, Outage, RestoreMoment};
pub use killed_operator::OperatorMoment;
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

    /// Deploys the ledger, and moves it without any fault: what that leaves is what every case must
    /// leave.
    async fn begin(&mut self) -> Result<(), Failure> {
        bystanders::make(self.site).await?;
        self.move_to(1).await?;
        self.make_noise().await?;
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
            Case::Move(disturbed) => {
                self.while_a_client_writes(async |faults, nodes, course| {
                    faults.survive(disturbed, nodes, course).await
                })
                .await
            }
            Case::Operator(moment) => {
                self.while_a_client_writes(async |faults, nodes, course| {
                    faults.survive_killed_operator(moment, nodes, course).await
                })
                .await
            }
            Case::Restore(restore) => {
                self.while_a_client_writes(async |faults, nodes, course| {
                    faults
                        .survive_interrupted_restore(restore, nodes, course)
                        .await
                })
                .await
            }
        }
    }

    /// Does something with the ledger while a client writes, and sees that all is there that was
    /// acknowledged to it, and nothing else.
    async fn while_a_client_writes(
        &mut self,
        survive: impl AsyncFnOnce(&mut Self, Nodes<'a>, &mut Course) -> Result<(), Failure>,
    ) -> (Course, Result<(), Failure>) {
        let mut course = Course::default();
        let nodes = Nodes {
            site: self.site,
            source: self.place,
        };
        let writer = match self.begin_writing().await {
            Ok(writer) => writer,
            Err(failure) => return (course, Err(failure)),
        };
        let settled = survive(self, nodes, &mut course).await;
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

    /// Makes sure that there is something to lose, and somebody who would notice.
    async fn begin_writing(&mut self) -> Result<Writer, Failure> {
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

    /// Waits until the move is held at a place; one that ends before never will be.
    async fn come_to(
        &self,
        nodes: Nodes<'_>,
        place: Place,
        operator: &mut Child,
    ) -> Result<(), Failure> {
        tokio::select! {
            held = nodes.wait_until_held(place) => held,
            _ = operator.wait() => Err(self.ended_before(place.name)),
        }
    }

    /// The disturbed deploy never came to a place.
    fn ended_before(&self, place: &str) -> Failure {
        let said = std::fs::read_to_string(self.disturbed_log()).unwrap_or_default();
        let expected = format!("the move to come to {place}");
        Failure::unexpected(expected, format!("the deploy ended before:\n{said}"))
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
        hold_at_places_of(self.site, &mut command);
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
