//! Three nodes: an application goes around, and answers on all of them wherever it is.

use std::net::Ipv4Addr;
use std::path::Path;

use super::clients::Clients;
use super::cluster::Cluster;
use super::failure::{Failure, expect};
use super::layouts::{LEDGER, Layout, render_deployment};
use super::report::{Counts, Report, Stopped, heading};
use super::site::Site;
use super::wait::{PATIENCE, eventually};

/// Where the ledger goes from the first node. Every node gets it from both others, and so has at some
/// time an old copy with which somebody else went on.
const JOURNEY: [usize; 6] = [1, 2, 0, 2, 1, 0];

struct ThreeNodes<'a> {
    site: &'a Site,
    report: &'a Report,
    clients: Clients<'a>,
    cluster: Cluster<'a>,
    addresses: [Ipv4Addr; 3],
    /// What was acknowledged, in order.
    lines: Vec<String>,
}

/// Runs the scenario on three nodes, all of which have the image `flocker/writer`.
pub async fn run_three_nodes(site: &Site, cluster: &Path) -> Counts {
    let report = Report::default();
    heading("three nodes: the ledger goes around");
    let addresses: Result<[Ipv4Addr; 3], _> = site.addresses().try_into();
    let Ok(addresses) = addresses else {
        report.skip("three nodes: there are not as many");
        return report.finish();
    };
    let mut scenario = ThreeNodes {
        site,
        report: &report,
        clients: Clients { site },
        cluster: Cluster {
            site,
            program: cluster,
        },
        addresses,
        lines: Vec::new(),
    };
    // Whatever stopped it is in the report.
    let _ = scenario.go_around().await;
    report.finish()
}

impl ThreeNodes<'_> {
    async fn go_around(&mut self) -> Result<(), Stopped> {
        let mut place = 0;
        let first = format!("Deployed `ledger` to {}.", self.addresses[place]);
        self.deploy(place, &[first]).await?;
        self.write_everywhere().await?;
        for next in JOURNEY {
            let line = format!(
                "Re-deployed ledger from {} to {}.",
                self.addresses[place], self.addresses[next]
            );
            self.deploy(next, &[line]).await?;
            self.write_everywhere().await?;
            place = next;
        }
        let unchanged = format!("Unchanged `ledger` on {}.", self.addresses[place]);
        self.deploy(place, &[unchanged, "Nothing changed.".to_owned()])
            .await
    }

    async fn deploy(&self, place: usize, lines: &[String]) -> Result<(), Stopped> {
        let mut places: [(Ipv4Addr, &[&str]); 3] = self.addresses.map(|node| (node, &[][..]));
        places[place].1 = &["ledger"];
        let layout = Layout {
            name: "three-nodes",
            applications: LEDGER.to_owned(),
            deployment: render_deployment(&places),
        };
        let name = format!("the ledger is put on {}", self.addresses[place]);
        let deploy = self.cluster.expect_deploy(&layout, &[], lines);
        self.report.check(self.site, &name, deploy).await?;
        Ok(())
    }

    /// Writes a line through each node, and reads all of them through each.
    async fn write_everywhere(&mut self) -> Result<(), Stopped> {
        let begun = self.lines.len();
        let new: Vec<_> = self
            .addresses
            .iter()
            .enumerate()
            .map(|(number, address)| (*address, format!("line {}", begun + number)))
            .collect();
        let write = async {
            for (address, line) in &new {
                eventually("the ledger takes a line", PATIENCE, async || {
                    // A line whose answer was lost is in the ledger already.
                    let found = self.clients.read_ledger(*address).await?;
                    if found.contains(line) {
                        return Ok(());
                    }
                    self.clients.write_ledger(*address, line).await
                })
                .await?;
            }
            Ok(())
        };
        let name = "a line is acknowledged through each node";
        self.report.check(self.site, name, write).await?;
        self.lines.extend(new.into_iter().map(|(_, line)| line));
        let name = "every line is there once and in order, through each node";
        self.report
            .check(self.site, name, self.expect_lines())
            .await
    }

    async fn expect_lines(&self) -> Result<(), Failure> {
        for address in self.addresses {
            let found = self.clients.read_ledger(address).await?;
            let said = format!("{found:?} through {address}");
            expect(found == self.lines, format!("{:?}", self.lines), said)?;
        }
        Ok(())
    }
}
