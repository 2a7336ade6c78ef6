//! Deploys that change routes, remove and add applications, and leave out nodes.

use std::collections::BTreeSet;

use super::super::cluster::FAILED;
use super::super::failure::{Failure, expect};
use super::super::layouts::Layout;
use super::super::report::Stopped;
use super::super::wait::{PATIENCE, eventually};
use super::{FIRST, Migration, SECOND};

/// The ports that links use between nodes.
///
/// Source: `flocker_plan::LINK_PORT_RANGE`.
const LINK_PORTS: std::ops::RangeInclusive<u16> = 24000..=28999;

/// The log server's port.
const LOG_SERVER: u16 = 9200;
/// The ledger's port.
const LEDGER: u16 = 7000;

impl Migration<'_> {
    pub(super) async fn link_only(&mut self) -> Result<(), Stopped> {
        let trac = self.check("trac runs", self.trac_container()).await?;
        let second = self.layouts.second;
        let lines = [format!("Changed `elasticsearch-trac` on {second}.")];
        let layout = self.layouts.link_only();
        let deploy = self.cluster.expect_deploy(&layout, &[], &lines);
        self.check("a route is taken away", deploy).await?;
        let name = "the log server's port is refused from outside, on both nodes";
        self.check(name, self.refused_everywhere(LOG_SERVER))
            .await?;
        let name = "so are the ports that links use between nodes";
        self.check(name, self.link_ports_refused()).await?;
        let (site, report) = (self.site, self.report);
        let name = "the links work as before";
        report.check(site, name, self.new_things_work()).await?;
        let name = "trac's container is the same, and was not restarted";
        self.check(name, self.expect_trac_container(&trac)).await?;

        let layout = self.layouts.moved();
        let deploy = self.cluster.expect_deploy(&layout, &[], &lines);
        self.check("the route is given back", deploy).await?;
        self.check("the log server answers through both nodes", async {
            eventually("the log server answers", PATIENCE, async || {
                for address in self.site.addresses() {
                    let status = (LOG_SERVER, "/d/status");
                    self.clients.expect_page(address, status, "uptime").await?;
                }
                Ok(())
            })
            .await
        })
        .await
    }

    async fn refused_everywhere(&self, port: u16) -> Result<(), Failure> {
        for address in self.site.addresses() {
            self.clients.expect_refused(address, port).await?;
        }
        Ok(())
    }

    async fn link_ports_refused(&self) -> Result<(), Failure> {
        for (node, address) in self.site.addresses().into_iter().enumerate() {
            let table = self.site.check(node, "nft list table ip flocker").await?;
            let ports: BTreeSet<u16> = table
                .split(|character: char| !character.is_ascii_digit())
                .filter_map(|word| word.parse().ok())
                .filter(|port| LINK_PORTS.contains(port))
                .collect();
            expect(!ports.is_empty(), "ports for links in the table", table)?;
            for port in ports {
                self.clients.expect_refused(address, port).await?;
            }
        }
        Ok(())
    }

    pub(super) async fn ledger(&mut self) -> Result<(), Stopped> {
        let (first, second) = (self.layouts.first, self.layouts.second);
        let (layout, archive) = (self.layouts.ledger_on_first(), self.archive("writer"));
        let (lines, options) = ([format!("Deployed `ledger` to {first}.")], [&*archive]);
        let deploy = self.cluster.expect_deploy(&layout, &options, &lines);
        self.check("an application is added", deploy).await?;
        let (site, report) = (self.site, self.report);
        let name = "it acknowledges lines through both nodes";
        report
            .check(site, name, self.write_ledger_everywhere())
            .await?;

        let layout = self.layouts.moved();
        let lines = [format!(
            "Stopped `ledger` on {first}; its volume stays there."
        )];
        let deploy = self.cluster.expect_deploy(&layout, &[], &lines);
        self.check("it is removed", deploy).await?;
        let name = "its port is refused on both nodes";
        self.check(name, self.refused_everywhere(LEDGER)).await?;
        self.check(
            "its volume is still there",
            self.expect_volume(FIRST, "ledger"),
        )
        .await?;

        let name = "the other node has something else by the name of its image";
        let tagged = self
            .site
            .check(SECOND, "docker tag flocker/postgresql flocker/writer");
        self.check(name, async { Ok(tagged.await?) }).await?;
        let layout = self.layouts.ledger_on_second();
        let lines = [format!("Re-deployed ledger from {first} to {second}.")];
        let deploy = self.cluster.expect_deploy(&layout, &[], &lines);
        self.check("it is added again, on the other node", deploy)
            .await?;
        let name = "it is made from the image with which it ran before";
        self.check(name, self.expect_same_image("writer")).await?;
        let name = "its lines are there, and it takes more";
        let more = async {
            eventually("the ledger has its lines", PATIENCE, async || {
                self.ledger_everywhere().await
            })
            .await?;
            self.write_ledger_everywhere().await?;
            self.ledger_everywhere().await
        };
        report.check(site, name, more).await?;
        self.check("the other applications work", self.example_works(PATIENCE))
            .await?;
        self.way_back().await
    }

    /// Both nodes have the same image by that name.
    async fn expect_same_image(&self, image: &str) -> Result<(), Failure> {
        let command = format!("docker image inspect --format '{{{{.Id}}}}' flocker/{image}");
        let first = self.site.check(FIRST, &command).await?;
        let second = self.site.check(SECOND, &command).await?;
        expect(first == second, first, second)
    }

    /// An application that cannot start where it was moved to is brought back by one command.
    async fn way_back(&mut self) -> Result<(), Stopped> {
        let (first, second) = (self.layouts.first, self.layouts.second);
        let layout = self.layouts.broken_ledger_on_first();
        let said = format!(
            "`ledger` and its data are on {first} now; to run it on {second} again, with all that \
             it has written, deploy the configuration that placed it there"
        );
        let name = "a move after which it ends again and again fails, and says the way back";
        self.check(name, async {
            let transcript = self.cluster.deploy(&layout, &[]).await?;
            transcript.expect_exit(FAILED)?;
            transcript.expect_narration(&["bad port '99999'", &said])
        })
        .await?;
        let lines = [format!("Re-deployed ledger from {first} to {second}.")];
        let layout = self.layouts.ledger_on_second();
        let deploy = self.cluster.expect_deploy(&layout, &[], &lines);
        self.check("one deploy brings it back", deploy).await?;
        let name = "its lines came along";
        self.check(name, async {
            eventually("the ledger has its lines", PATIENCE, async || {
                self.ledger_everywhere().await
            })
            .await
        })
        .await
    }

    async fn write_ledger_everywhere(&mut self) -> Result<(), Failure> {
        for address in self.site.addresses() {
            let line = self.memory.fresh("line");
            eventually("the ledger answers", PATIENCE, async || {
                self.clients.read_ledger(address).await
            })
            .await?;
            self.clients.write_ledger(address, &line).await?;
            self.memory.lines.push(line);
        }
        Ok(())
    }

    async fn expect_volume(&self, node: usize, application: &str) -> Result<(), Failure> {
        let datasets = self.site.check(node, "zfs list -H -o name").await?;
        let end = format!("/flocker/{application}");
        expect(
            datasets.lines().any(|name| name.ends_with(&end)),
            format!("a dataset {end}"),
            datasets,
        )
    }

    pub(super) async fn one_node(&mut self) -> Result<(), Stopped> {
        let (first, second) = (self.layouts.first, self.layouts.second);
        let layout = self.layouts.one_node();
        let lines = ["pgsql-trac", "elasticsearch-trac", "kibana-trac", "ledger"]
            .map(|name| format!("Re-deployed {name} from {second} to {first}."));
        let deploy = self.cluster.expect_deploy(&layout, &[], &lines);
        self.check("a deployment leaves the second node out", deploy)
            .await?;
        let name = "nothing of ours runs or is owned there";
        self.check(name, self.expect_vacant(SECOND)).await?;
        let name = "everything runs on the first node, with its data";
        self.check(name, self.works_on_first(&layout)).await?;

        let layout = self.layouts.returned();
        let lines = ["pgsql-trac", "kibana-trac"]
            .map(|name| format!("Re-deployed {name} from {first} to {second}."));
        let deploy = self.cluster.expect_deploy(&layout, &[], &lines);
        self.check("some of it moves back to the second node", deploy)
            .await?;
        let name = "everything works through both nodes, with its data";
        self.check(name, self.everything_works(PATIENCE)).await
    }

    /// A node has no container of an application, no unit, and owns no volume.
    async fn expect_vacant(&self, node: usize) -> Result<(), Failure> {
        let running = "docker ps --all --quiet --filter label=flocker.application; \
             systemctl list-units --plain --no-legend --type service 'flocker-*.service'";
        let running = self.site.check(node, running).await?;
        expect(running.is_empty(), "no container and no unit", running)?;
        let state = self.site.check(node, "flocker-node observe").await?;
        let owned: Vec<_> = state
            .lines()
            .filter(|line| line.contains(": owned"))
            .collect();
        expect(owned.is_empty(), "no owned volume", format!("{owned:?}"))
    }

    /// The node that is left out routes nothing any more, so only the first is
    /// asked.
    async fn works_on_first(&self, layout: &Layout) -> Result<(), Failure> {
        let address = self.layouts.first;
        eventually("everything answers", PATIENCE, async || {
            let statement = "SELECT count(*) FROM flocker_rows";
            let count = self.clients.sql(address, statement).await?;
            let enough = count
                .parse()
                .is_ok_and(|count: usize| count >= self.memory.rows.len());
            expect(enough, format!("{} rows", self.memory.rows.len()), count)?;
            self.clients
                .expect_page(address, (8080, "/wiki"), "Trac")
                .await?;
            for page in &self.memory.pages {
                let path = format!("/lines.json?q={page}");
                let line = (8081, path.as_str());
                self.clients
                    .expect_page(address, line, "\"total\": 1,")
                    .await?;
            }
            let lines = self.clients.read_ledger(address).await?;
            let missing: Vec<_> = self
                .memory
                .lines
                .iter()
                .filter(|line| !lines.contains(line))
                .collect();
            expect(
                missing.is_empty(),
                "all lines of the ledger",
                format!("{missing:?}"),
            )
        })
        .await?;
        let transcript = self.cluster.deploy(layout, &[]).await?;
        transcript.expect_exit(0)
    }
}
