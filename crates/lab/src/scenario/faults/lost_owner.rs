//! The machine that has the volume is lost, is given up, and comes back.

use super::super::clients::Clients;
use super::super::cluster::{BLOCKED, Transcript, UNREACHABLE};
use super::super::failure::{Failure, expect};
use super::super::layouts::{Layout, render_deployment};
use super::super::wait::{PATIENCE, RESTORE_PATIENCE, eventually};
use super::case::Role;
use super::nodes::Nodes;
use super::world::World;
use super::{APPLICATIONS, Faults};

/// Shows that a copy that was set aside has `$record`, as `docs/operations.md` tells the operator to
/// look for it, and destroys the copy as it says there.
const LOOK_AND_DESTROY: &str = r#"
set -e
copy=$(zfs list -Ho name | grep '/_set-aside:ledger-')
zfs mount "$copy"
grep --recursive --quiet --line-regexp "$record" "$(zfs get -Ho value mountpoint "$copy")"
zfs unmount "$copy"
zfs list -Ho name -t snapshot "$copy" | xargs -r -n1 zfs release flocker
zfs destroy -r "$copy"
"#;

impl Faults<'_> {
    /// While the owner is away nothing starts anywhere; what it had that no replica has is given up
    /// only by the command that says so; and when it is back, it does not start its copy, in which
    /// that can be found.
    pub(super) async fn lost_owner(&mut self) -> Result<(), Failure> {
        let kept = self.place;
        self.write_record(true).await?;
        self.move_to(1 - kept).await?;
        let nodes = Nodes {
            site: self.site,
            source: self.place,
        };
        let lost_record = self.write_record(false).await?;

        nodes.power_cut(Role::Source).await?;
        let promoted = self.promote(kept).await;
        nodes.power_on(Role::Source).await?;
        promoted?;
        self.place = kept;
        self.expect_it_stays_away(nodes).await?;

        let refused = self.cluster.deploy(&self.layout(kept), &[]).await?;
        refused.expect_exit(BLOCKED)?;
        self.obey(&refused, "volume resolve ledger ").await?;
        let look = format!("record={lost_record}\n{LOOK_AND_DESTROY}");
        nodes.check(Role::Source, &look).await?;

        let again = self.cluster.deploy(&self.layout(kept), &[]).await?;
        again.expect_exit(0)?;
        self.move_to(1 - kept).await?;
        self.expect_nothing_left(kept).await
    }

    /// Without the owner a deploy is refused; does what it advises, and deploys.
    async fn promote(&mut self, kept: usize) -> Result<(), Failure> {
        let alone = Layout {
            name: "faults-alone",
            applications: APPLICATIONS.to_owned(),
            deployment: render_deployment(&[(self.site.address(kept), &["ledger"])]),
        };
        let refused = self.cluster.deploy(&alone, &[]).await?;
        refused.expect_exit(UNREACHABLE)?;
        refused.expect_narration(&["which was not seen", " ago, "])?;
        self.obey(&refused, "volume promote ledger ").await?;
        let deployed = self.cluster.deploy(&alone, &[]).await?;
        // The lost machine may still run it.
        deployed.expect_exit(UNREACHABLE)?;
        self.expect_acknowledged(self.site.address(kept)).await
    }

    /// The node that was lost boots and does not start its copy, and says who has a later one.
    async fn expect_it_stays_away(&self, nodes: Nodes<'_>) -> Result<(), Failure> {
        let status = "systemctl show --property ActiveState flocker; \
             journalctl --boot --unit flocker --output cat";
        eventually("the old owner has decided", RESTORE_PATIENCE, async || {
            let status = nodes.check(Role::Source, status).await?;
            let is_so = status.contains("ActiveState=failed") && status.contains("a later owner");
            expect(is_so, "a failed unit that says why", status)
        })
        .await?;
        let runs = World::observe(self.site).await?.runners(&self.application);
        expect(
            runs == [self.place],
            format!("{} on node {} only", self.application, self.place),
            format!("{runs:?}"),
        )
    }

    /// Runs the command that a message advises.
    async fn obey(&self, said: &Transcript, beginning: &str) -> Result<(), Failure> {
        let advice = said.advice(beginning)?;
        self.cluster.obey(&advice).await?.expect_exit(0)
    }

    /// Writes a record where the application is; those that are not to be lost are looked for later.
    async fn write_record(&mut self, is_to_be_kept: bool) -> Result<String, Failure> {
        self.record += 1_000_000;
        let record = format!("record-{}", self.record);
        let (clients, address) = (Clients { site: self.site }, self.site.address(self.place));
        eventually("the ledger answers", PATIENCE, async || {
            clients.read_ledger(address).await
        })
        .await?;
        clients.write_ledger(address, &record).await?;
        if is_to_be_kept {
            self.acknowledged.push(self.record);
        }
        Ok(record)
    }
}
