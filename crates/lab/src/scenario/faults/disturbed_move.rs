//! A fault happens to a move, and goes away.

use tokio::time::timeout;

use super::super::failure::Failure;
use super::super::site::SiteError;
use super::case::{DisturbedMove, Role};
use super::ending::expect_explained;
use super::nodes::Nodes;
use super::uptime::{Uptime, never_stops};
use super::wire::Before;
use super::world::World;
use super::{Course, END_PATIENCE, Faults};

impl Faults<'_> {
    /// Disturbs a move, and deploys until it is complete.
    pub(super) async fn survive(
        &mut self,
        case: DisturbedMove,
        nodes: Nodes<'_>,
        course: &mut Course,
    ) -> Result<(), Failure> {
        if case.moment.is_first_copy() {
            self.destroy_copy(nodes).await?;
        }
        let before = Before::observe(case, nodes).await?;
        let uptime = Uptime::observe(never_stops(case), nodes).await?;
        self.disturb(case, nodes, course).await?;
        let is_moved = course.first_exit == Some(0);
        uptime.expect_unbroken(nodes, is_moved).await?;
        self.settle(nodes, course).await?;
        before.expect_no_second_copy(nodes).await
    }

    /// Leaves the target without a copy of the volume.
    async fn destroy_copy(&self, nodes: Nodes<'_>) -> Result<(), SiteError> {
        let dataset = format!("tank/flocker/{}", self.application);
        let command = format!(
            "zfs list -H -o name -t snapshot {dataset} | xargs --max-args=1 zfs release flocker && \
             zfs destroy -r {dataset}"
        );
        nodes.check(Role::Target, &command).await.map(drop)
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
        if !case.fault.kills_operator() || status.code().is_some() {
            expect_explained(status.code(), &said, &self.site.addresses())?;
        }
        let world = World::observe(self.site).await?;
        world.expect_no_second_owner(&self.application)?;
        if status.success() {
            // I4: then everything that was wanted is true, whatever happened meanwhile.
            return world.expect_at(&self.application, nodes.number(Role::Target));
        }
        let is_seen_to = status.code().is_some() && !case.fault.cuts_power_of(Role::Source);
        if is_seen_to && world.owners(&self.application) == [nodes.source] {
            // What was stopped to be moved was started again where it still is, and nobody who asks
            // for it there is kept waiting.
            world.expect_at(&self.application, nodes.source)?;
            let address = self.site.address(nodes.source);
            self.expect_acknowledged(address).await?;
        }
        Ok(())
    }
}
