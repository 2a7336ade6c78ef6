//! The operator's program is killed where only it knows how far the deploy is.

use std::path::PathBuf;
use std::{fs, io};

use clap::ValueEnum;
use tokio::process::Command;

use super::super::failure::{Failure, expect};
use super::super::site::{Site, SiteError};
use super::super::wait::eventually;
use super::case::{Fault, Moment, Role};
use super::nodes::Nodes;
use super::strike::{PLACE_PATIENCE, kill};
use super::uptime::Uptime;
use super::world::World;
use super::{Course, Faults};

/// Where `flocker-cluster` looks for places at which it is held.
///
/// Source: `flocker_failpoint`.
const VARIABLE: &str = "FLOCKER_FAILPOINTS";

/// When the operator's program is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OperatorMoment {
    /// It has reached a node and has asked for nothing
    Connected,
    /// It has a node's lock
    Locked,
    /// It has seen all nodes
    Observed,
    /// It knows what is to be done
    Planned,
    /// It is about to have the volume released
    ReleaseNotAsked,
    /// It was told that the volume is released
    ReleaseAnswered,
    /// It was told that the target owns the volume
    AcquireAnswered,
    /// It was told that the application runs
    StartAnswered,
    /// All is done, and was not looked at again
    Driven,
    /// What was started has stayed up
    Settled,
    /// All was looked at again, and nothing was said of it
    Verified,
    /// A step has failed, and what was stopped does not run
    ReturnBegun,
    /// It has seen what can be brought back
    ReturnObserved,
    /// That was brought back, and nothing was said of it
    Returned,
}

impl OperatorMoment {
    /// Where the program is held.
    const fn place(self) -> &'static str {
        match self {
            Self::Connected => "session.connected",
            Self::Locked => "session.locked",
            Self::Observed => "deploy.observed",
            Self::Planned => "deploy.planned",
            Self::ReleaseNotAsked => "deploy.release-volume.begin",
            Self::ReleaseAnswered => "deploy.release-volume.done",
            Self::AcquireAnswered => "deploy.acquire-volume.done",
            Self::StartAnswered => "deploy.start-application.done",
            Self::Driven => "deploy.driven",
            Self::Settled => "deploy.verify.settled",
            Self::Verified => "deploy.verify.observed",
            Self::ReturnBegun => "deploy.recover.begun",
            Self::ReturnObserved => "deploy.recover.observed",
            Self::Returned => "deploy.recover.returned",
        }
    }

    /// Whether nothing was stopped by then.
    const fn never_stops(self) -> bool {
        matches!(
            self,
            Self::Connected | Self::Locked | Self::Observed | Self::Planned
        )
    }

    /// Whether it comes to this only after a step that failed.
    const fn is_of_the_return(self) -> bool {
        matches!(
            self,
            Self::ReturnBegun | Self::ReturnObserved | Self::Returned
        )
    }

    /// Where the application has to run although nobody says so any more.
    const fn runs_at(self) -> Option<Role> {
        match self {
            Self::Connected | Self::Locked | Self::Observed | Self::Planned | Self::Returned => {
                Some(Role::Source)
            }
            Self::Driven | Self::Settled | Self::Verified => Some(Role::Target),
            Self::ReleaseNotAsked
            | Self::ReleaseAnswered
            | Self::AcquireAnswered
            | Self::StartAnswered
            | Self::ReturnBegun
            | Self::ReturnObserved => None,
        }
    }
}

/// The places at which the operator's program is held.
#[derive(Debug)]
struct Places(PathBuf);

impl Places {
    fn of(site: &Site) -> Self {
        Self(site.directory().join("failpoints"))
    }

    fn failed(&self) -> impl FnOnce(io::Error) -> SiteError {
        let path = self.0.clone();
        move |source| SiteError::Write { path, source }
    }

    fn arm(&self, place: &str) -> Result<(), SiteError> {
        let made = ["armed", "reached"].map(|name| fs::create_dir_all(self.0.join(name)));
        let armed = made.into_iter().collect::<io::Result<()>>();
        let armed = armed.and_then(|()| fs::write(self.0.join("armed").join(place), ""));
        armed.map_err(self.failed())
    }

    fn disarm(&self) -> Result<(), SiteError> {
        fs::remove_dir_all(&self.0).map_err(self.failed())
    }

    async fn wait_until_held(&self, place: &str) -> Result<(), Failure> {
        let held = self.0.join("reached").join(place);
        let what = format!("the deploy is held at {place}");
        eventually(&what, PLACE_PATIENCE, async || {
            expect(held.exists(), "the deploy to be held", "it is not")
        })
        .await
    }
}

/// Has the operator's program look for places of this scenario only.
pub(super) fn hold_at_places_of(site: &Site, command: &mut Command) {
    command.env(VARIABLE, Places::of(site).0);
}

impl Faults<'_> {
    /// Kills the program that moves the ledger, and deploys until the move is complete.
    pub(super) async fn survive_killed_operator(
        &mut self,
        moment: OperatorMoment,
        nodes: Nodes<'_>,
        course: &mut Course,
    ) -> Result<(), Failure> {
        let uptime = Uptime::observe(moment.never_stops(), nodes).await?;
        let places = Places::of(self.site);
        places.arm(moment.place())?;
        let killed = self.kill_operator_at(moment, nodes, &places).await;
        places.disarm()?;
        killed?;
        uptime.expect_unbroken(nodes, false).await?;
        let world = World::observe(self.site).await?;
        world.expect_no_second_owner(&self.application)?;
        if let Some(role) = moment.runs_at() {
            world.expect_at(&self.application, nodes.number(role))?;
        }
        self.settle(nodes, course).await
    }

    async fn kill_operator_at(
        &self,
        moment: OperatorMoment,
        nodes: Nodes<'_>,
        places: &Places,
    ) -> Result<(), Failure> {
        let stopped = Moment::AfterStop.place();
        if moment.is_of_the_return() {
            nodes.arm(stopped).await?;
        }
        let mut operator = self.start_deploy(nodes.number(Role::Target))?;
        if moment.is_of_the_return() {
            self.come_to(nodes, stopped, &mut operator).await?;
            nodes
                .strike(Fault::KillAgent, stopped, &mut operator)
                .await?;
            nodes.let_go(stopped).await?;
        }
        tokio::select! {
            held = places.wait_until_held(moment.place()) => held?,
            _ = operator.wait() => return Err(self.ended_before(moment.place())),
        }
        Ok(kill(&mut operator).await?)
    }
}
