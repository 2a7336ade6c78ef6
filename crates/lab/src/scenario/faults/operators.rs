//! Two operators at once.

use super::super::cluster::BLOCKED;
use super::super::failure::Failure;
use super::super::wait::{PATIENCE, eventually};
use super::Faults;
use super::case::{Moment, Role};
use super::nodes::Nodes;
use super::strike::kill;
use super::world::Traces;

impl Faults<'_> {
    /// While one deploy is at work, others are refused and told of it, whatever they want; as soon
    /// as it is killed they are not, although the node was in the middle of what it had been asked.
    pub(super) async fn two_operators(&mut self) -> Result<(), Failure> {
        let nodes = Nodes {
            site: self.site,
            source: self.place,
        };
        let place = Moment::BetweenRounds.place();
        let (here, there) = (self.place, nodes.number(Role::Target));
        nodes.arm(place).await?;
        let mut winner = self.start_deploy(there)?;
        self.come_to(nodes, place, &mut winner).await?;
        Traces::observe(self.site, here).await?.expect_locked()?;
        for node in [there, here] {
            let loser = self.cluster.deploy(&self.layout(node), &[]).await?;
            loser.expect_exit(BLOCKED)?;
            loser.expect_narration(&[
                "has been changing it since",
                "nothing was changed on any node",
            ])?;
        }
        kill(&mut winner).await?;
        // Nobody lets the node go on: that its operator is gone has to be enough.
        eventually("the lock is free", PATIENCE, async || {
            let transcript = self.cluster.deploy(&self.layout(there), &[]).await?;
            transcript.expect_exit(0)
        })
        .await?;
        self.place = there;
        nodes.let_go(place).await?;
        self.expect_nothing_left(here).await
    }
}
