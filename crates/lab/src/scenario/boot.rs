//! The lab itself: nodes that answer, reach each other, and survive a power cut.

use super::failure::{Failure, expect};
use super::report::{Counts, Report, Stopped, heading};
use super::site::Site;

/// Tries the lab's nodes, on which nothing has to be installed.
pub async fn run_boot(site: &Site) -> Counts {
    let report = Report::default();
    heading("boot: the lab's nodes");
    // Whatever stopped it is in the report.
    let _ = try_nodes(site, &report).await;
    report.finish()
}

async fn try_nodes(site: &Site, report: &Report) -> Result<(), Stopped> {
    let name = "every node has a pool, Docker and systemd";
    report.check(site, name, has_everything(site)).await?;
    let name = "every node reaches every other";
    report.check(site, name, reach_each_other(site)).await?;
    let written = async {
        Ok(site
            .check(0, "echo kept >/tank/written && sync /tank/written")
            .await?)
    };
    report.check(site, "a file is written", written).await?;
    let cut = async { Ok(site.power_cycle().await?) };
    let name = "all nodes boot again after a power cut";
    report.check(site, name, cut).await?;
    let name = "the file is still there";
    let kept = async {
        let text = site.check(0, "cat /tank/written").await?;
        expect(text == "kept\n", "kept", text)
    };
    report.check(site, name, kept).await?;
    let name = "every node has a pool, Docker and systemd again";
    report.check(site, name, has_everything(site)).await
}

async fn has_everything(site: &Site) -> Result<(), Failure> {
    for node in 0..site.addresses().len() {
        let commands = "zpool list -H -o health && docker info >/dev/null && \
            systemctl is-system-running --wait";
        let answer = site.check(node, commands).await?;
        expect(answer == "ONLINE\nrunning\n", "ONLINE and running", answer)?;
    }
    Ok(())
}

async fn reach_each_other(site: &Site) -> Result<(), Failure> {
    for node in 0..site.addresses().len() {
        for address in site.addresses() {
            let command = format!("timeout 30 bash -c '</dev/tcp/{address}/22'");
            site.check(node, &command).await?;
        }
    }
    Ok(())
}
