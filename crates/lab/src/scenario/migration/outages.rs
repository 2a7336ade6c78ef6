//! Docker is restarted, the power goes, and deploys fail.

use super::super::cluster::UNREACHABLE;
use super::super::failure::{Failure, expect};
use super::super::fingerprint::Fingerprint;
use super::super::layouts::NOBODYS_IMAGE;
use super::super::report::Stopped;
use super::super::wait::{PATIENCE, RESTORE_PATIENCE};
use super::{FIRST, Migration, SECOND};

impl Migration<'_> {
    pub(super) async fn docker_restart(&mut self) -> Result<(), Stopped> {
        let (site, report) = (self.site, self.report);
        for node in [SECOND, FIRST] {
            let address = site.address(node);
            let restart = async { Ok(site.check(node, "systemctl restart docker").await?) };
            let name = format!("Docker is restarted on {address}");
            self.check(&name, restart).await?;
            let name = "everything answers again, with its data";
            self.check(name, self.example_works(PATIENCE)).await?;
            let name = "and new things go all the way";
            report.check(site, name, self.new_things_work()).await?;
        }
        Ok(())
    }

    pub(super) async fn power_cut(&mut self) -> Result<(), Stopped> {
        let (site, report) = (self.site, self.report);
        let name = "there are fresh rows, pages and lines";
        report.check(site, name, self.new_things_work()).await?;
        let name = "all nodes lose their power at the same moment, and get it back";
        let cut = async { Ok(site.power_cycle().await?) };
        self.check(name, cut).await?;
        let name = "everything answers again without an operator, with its data";
        self.check(name, self.everything_works(RESTORE_PATIENCE))
            .await?;
        let name = "and new things go all the way";
        report.check(site, name, self.new_things_work()).await?;
        let layout = self.layouts.returned();
        self.check("a deploy then says that nothing changed", async {
            let transcript = self.cluster.deploy(&layout, &[]).await?;
            transcript.expect_exit(0)?;
            transcript.expect_last_line("Nothing changed.")
        })
        .await
    }

    pub(super) async fn failures(&mut self) -> Result<(), Stopped> {
        let before = Fingerprint::observe_containers(self.site);
        let before = self.check("the nodes can be looked at", before).await?;
        let name = "a deploy of an image that nobody has fails, and says where and why";
        self.check(name, self.deploy_nobodys_image()).await?;
        let name = "the running containers are as they were";
        self.check(name, async {
            before.expect_same(&Fingerprint::observe_containers(self.site).await?)
        })
        .await?;
        let name = "everything works as before";
        self.check(name, self.everything_works(PATIENCE)).await?;

        let before = Fingerprint::observe(self.site);
        let before = self.check("the nodes can be looked at", before).await?;
        let name = "a deploy to a node that does not exist fails with exit code 6";
        self.check(name, self.deploy_unreachable()).await?;
        let name = "it touches no container, no rule, no dataset and no unit";
        self.check(name, async {
            before.expect_same(&Fingerprint::observe(self.site).await?)
        })
        .await
    }

    async fn deploy_nobodys_image(&self) -> Result<(), Failure> {
        let layout = self.layouts.nobodys_image();
        let transcript = self.cluster.deploy(&layout, &[]).await?;
        expect(
            !transcript.succeeded(),
            "a failure",
            "success, with an image that nobody has",
        )?;
        let node = self.layouts.second.to_string();
        transcript.expect_narration(&["error: ", &node, NOBODYS_IMAGE, "caused by: "])
    }

    async fn deploy_unreachable(&self) -> Result<(), Failure> {
        let nobody = self.site.nobodys_address();
        let layout = self.layouts.unreachable(nobody);
        let transcript = self.cluster.deploy(&layout, &[]).await?;
        transcript.expect_exit(UNREACHABLE)?;
        transcript.expect_narration(&["error: ", &nobody.to_string()])
    }
}
