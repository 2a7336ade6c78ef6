//! A node boots and brings back what ran there, and that is interrupted.

use clap::ValueEnum;

use super::super::failure::Failure;
use super::super::wait::{RESTORE_PATIENCE, eventually};
use super::case::{Place, Role};
use super::nodes::Nodes;
use super::world::World;
use super::{Course, Faults};

/// What interrupts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Outage {
    /// The program gets SIGKILL
    KillRestore,
    /// The node loses its power again
    PowerCutRestore,
}

/// When.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RestoreMoment {
    /// It has the node's lock
    Locked,
    /// It has seen what is there
    Observed,
    /// The other node has said what it owns
    Asked,
    /// It knows what is to be done
    Planned,
    /// The volume is mounted and the container made; nothing was started
    Ready,
    /// The container runs; nobody has seen yet whether it stays up
    Started,
    /// All is done
    Done,
}

impl RestoreMoment {
    /// Where the node is held.
    const fn place(self) -> Place {
        let name = match self {
            Self::Locked => "restore.locked",
            Self::Observed => "restore.observed",
            Self::Asked => "restore.asked",
            Self::Planned => "restore.planned",
            Self::Ready => "start-application.ready",
            Self::Started => "start-application.started",
            Self::Done => "restore.done",
        };
        Place {
            role: Role::Source,
            name,
        }
    }
}

/// A restore that is interrupted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InterruptedRestore {
    pub(super) outage: Outage,
    pub(super) moment: RestoreMoment,
}

impl InterruptedRestore {
    /// Each outage at each moment.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        let outages = Outage::value_variants().iter();
        outages.flat_map(|outage| {
            let moments = RestoreMoment::value_variants().iter();
            moments.map(|moment| Self {
                outage: *outage,
                moment: *moment,
            })
        })
    }
}

impl Faults<'_> {
    /// Takes the power from the node of the ledger and interrupts the restore of its next boot. With
    /// nobody's help all is there again; and after that a deploy moves it.
    pub(super) async fn survive_interrupted_restore(
        &mut self,
        case: InterruptedRestore,
        nodes: Nodes<'_>,
        course: &mut Course,
    ) -> Result<(), Failure> {
        let place = case.moment.place();
        nodes.arm_next_boot(place).await?;
        nodes.power_cut(Role::Source).await?;
        nodes.power_on(Role::Source).await?;
        nodes.wait_until_held(place).await?;
        nodes.disarm_next_boot(place.role).await?;
        match case.outage {
            Outage::KillRestore => {
                nodes.kill_agent(place.role).await?;
                nodes.let_go(place).await?;
            }
            Outage::PowerCutRestore => {
                nodes.power_cut(Role::Source).await?;
                nodes.power_on(Role::Source).await?;
            }
        }
        eventually(
            "the node has brought it back",
            RESTORE_PATIENCE,
            async || {
                let world = World::observe(self.site).await?;
                world.expect_at(&self.application, nodes.source)
            },
        )
        .await?;
        for address in self.site.addresses() {
            self.expect_acknowledged(address).await?;
        }
        self.settle(nodes, course).await
    }
}
