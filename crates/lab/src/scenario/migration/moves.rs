//! The README's two deploys, and what must be true before and after.

use super::super::failure::{Failure, expect};
use super::super::fingerprint::Fingerprint;
use super::super::report::Stopped;
use super::super::wait::{PATIENCE, eventually};
use super::{FIRST, Migration, SECOND};

/// What [`Migration::routed_from_within`] shows.
const FROM_WITHIN: &str = "the database answers at both addresses, from nodes and from containers";

impl Migration<'_> {
    pub(super) async fn first_deploy(&mut self) -> Result<(), Stopped> {
        let ready = "the nodes have Flocker, and no node has the log page's image";
        self.check(ready, self.prepare()).await?;
        let (first, second) = (self.layouts.first, self.layouts.second);
        let lines = [
            format!("Deployed `trac` to {first}."),
            format!("Deployed `pgsql-trac` to {first}."),
            format!("Deployed `elasticsearch-trac` to {second}."),
            format!("Deployed `kibana-trac` to {second}."),
        ];
        let (layout, archive) = (self.layouts.original(), self.archive("kibana"));
        let options = [&*archive];
        let deploy = self.cluster.expect_deploy(&layout, &options, &lines);
        self.check("the first deploy prints the README's lines", deploy)
            .await?;

        self.check("the database answers through both nodes", async {
            eventually("the database answers", PATIENCE, async || {
                for address in self.site.addresses() {
                    self.clients.sql(address, "SELECT 1").await?;
                }
                Ok(())
            })
            .await
        })
        .await?;
        self.check("trac's page is served through both nodes", async {
            eventually("trac serves its page", PATIENCE, async || {
                self.trac_everywhere().await
            })
            .await
        })
        .await?;
        self.check(FROM_WITHIN, self.routed_from_within()).await?;
        let (site, report) = (self.site, self.report);
        let name = "rows can be inserted through both nodes, and read through both";
        let new = async {
            self.insert_everywhere().await?;
            self.rows_everywhere().await
        };
        report.check(site, name, new).await?;
        let name = "the log page shows trac's log lines through both nodes";
        let new = async {
            self.visit_everywhere().await?;
            self.example_works(PATIENCE).await
        };
        report.check(site, name, new).await
    }

    /// Makes sure that the nodes are as the scenario needs them.
    async fn prepare(&self) -> Result<(), Failure> {
        for node in [FIRST, SECOND] {
            self.site.check(node, "flocker-node --version").await?;
            self.forget_image(node, "kibana").await?;
        }
        Ok(())
    }

    /// Removes an image from a node, if it is there.
    async fn forget_image(&self, node: usize, image: &str) -> Result<(), Failure> {
        let command = format!(
            "! docker image inspect flocker/{image} >/dev/null 2>&1 || \
             docker image rm flocker/{image}"
        );
        self.site.check(node, &command).await?;
        Ok(())
    }

    pub(super) async fn second_deploy(&mut self) -> Result<(), Stopped> {
        let before = Fingerprint::observe(self.site);
        let before = self.check("the nodes can be looked at", before).await?;
        let (first, second) = (self.layouts.first, self.layouts.second);
        let lines = [
            format!("Unchanged `trac` on {first}."),
            format!("Unchanged `pgsql-trac` on {first}."),
            format!("Unchanged `elasticsearch-trac` on {second}."),
            format!("Unchanged `kibana-trac` on {second}."),
            "Nothing changed.".to_owned(),
        ];
        let layout = self.layouts.original();
        let deploy = self.cluster.expect_deploy(&layout, &["--verbose"], &lines);
        let transcript = self
            .check("the same deploy again says that nothing changed", deploy)
            .await?;
        let name = "it asks each node once";
        let requests = [first, second].map(|node| format!("{node}: 1 requests"));
        let asked = transcript.expect_narration(&[&requests[0], &requests[1]]);
        self.check(name, async { asked }).await?;
        let name = "it touches no container, no rule, no dataset and no unit";
        self.check(name, async {
            before.expect_same(&Fingerprint::observe(self.site).await?)
        })
        .await
    }

    pub(super) async fn move_database(&mut self) -> Result<(), Stopped> {
        let trac = self.trac_container();
        let trac = self.check("trac runs", trac).await?;
        let (first, second) = (self.layouts.first, self.layouts.second);
        let lines = [format!("Re-deployed pgsql-trac from {first} to {second}.")];
        let layout = self.layouts.moved();
        let deploy = self.cluster.expect_deploy(&layout, &[], &lines);
        self.check("the second deploy prints the README's line", deploy)
            .await?;

        let (site, report) = (self.site, self.report);
        let name = "trac's next request succeeds, through both nodes";
        report.check(site, name, self.visit_everywhere()).await?;
        let name = "trac's container is the same, and was not restarted";
        self.check(name, self.expect_trac_container(&trac)).await?;
        self.check(FROM_WITHIN, self.routed_from_within()).await?;
        let name = "the rows moved along";
        self.check(name, self.rows_everywhere()).await?;
        let name = "rows can be inserted through both nodes, and read through both";
        let new = async {
            self.insert_everywhere().await?;
            self.rows_everywhere().await
        };
        report.check(site, name, new).await?;
        let name = "the log page shows the new log lines";
        self.check(name, self.example_works(PATIENCE)).await?;
        let name = "the first node keeps a copy that is not mounted";
        self.check(name, self.expect_replica(FIRST, "pgsql-trac"))
            .await
    }

    /// A node has a dataset of that application, which it cannot write to.
    async fn expect_replica(&self, node: usize, application: &str) -> Result<(), Failure> {
        let command = format!(
            "zfs list -H -o mounted $(zfs list -H -o name | grep '/flocker/{application}$')"
        );
        let mounted = self.site.check(node, &command).await?;
        expect(mounted.trim() == "no", "no", mounted.trim())
    }
}
