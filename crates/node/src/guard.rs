//! Keeping the node's table through changes of its firewall that others make.
//!
//! `nft flush ruleset`, a reload of nftables or firewalld, and Docker when it makes its chains
//! anew take away what was programmed, or the rule that Docker's firewall needs. This process
//! sleeps in the kernel until something like that may have happened, and programs what the node
//! remembers. It decides nothing: whatever a deploy meant last, with the ports that it holds, is
//! what is programmed, under the lock under which deploys program theirs.

use std::path::Path;
use std::time::Duration;

use flocker_model::{Digest, NodeNetwork};
use flocker_net::{FirewallWatch, RoutingTable};
use flocker_remote::protocol::{Change, StepFailure};
use tokio::sync::oneshot;

use crate::failure::OrFailure as _;
use crate::linux::Kernel;
use crate::machine::Machine;
use crate::platform::{Platform, Routes};
use crate::report;
use crate::settings::Settings;
use crate::store::Store;

/// How long after a repair that failed it is tried again, at first and at last.
const FIRST_DELAY: Duration = Duration::from_secs(1);
const LAST_DELAY: Duration = Duration::from_secs(60);

/// Guards this machine's table for as long as the process runs.
///
/// # Errors
///
/// Fails when the kernel or the node's memory cannot be read.
pub(crate) async fn guard(settings: &Path) -> Result<(), StepFailure> {
    // The node gets its identity when it is first used, and not by this process: machines may be
    // copied after the package was installed.
    let store = Store::open(&Settings::read(settings).or_failure()?).or_failure()?;
    let watch = FirewallWatch::begin().or_failure()?;
    // Docker and systemd are connected to when they are needed: they start and stop meanwhile.
    let repair = || async {
        // A connection would start a Docker that was stopped. Its own start wakes this process.
        if is_docker_stopped().await {
            return Ok(());
        }
        repair(&Machine::connect(settings).await?).await
    };
    guard_with((Kernel, store), watch, repair).await
}

/// Tells whether systemd has Docker stopped. Where systemd does not say so, it counts as running.
async fn is_docker_stopped() -> bool {
    let asked = tokio::process::Command::new("systemctl")
        .args(["show", "--property=LoadState,ActiveState", "docker.service"])
        .output()
        .await;
    asked.is_ok_and(|asked| says_stopped(&String::from_utf8_lossy(&asked.stdout)))
}

/// Reads what systemd says of a unit: one that it does not know is not stopped.
fn says_stopped(shown: &str) -> bool {
    let says = |line: &str| shown.lines().any(|shown| shown == line);
    says("LoadState=loaded") && (says("ActiveState=inactive") || says("ActiveState=failed"))
}

/// Looks at the table, has it repaired if it may not be what the node remembers, and waits for the
/// next change. After a repair that failed it does not wait for ever.
pub(crate) async fn guard_with<F>(
    (routes, store): (impl Routes, Store),
    mut watch: FirewallWatch,
    repair: impl Fn() -> F + Send,
) -> Result<(), StepFailure>
where
    F: Future<Output = Result<(), StepFailure>> + Send,
{
    let (mut last, mut delay) = (None, None);
    loop {
        let mut found = routes.observe_routing().await?;
        let network = store.network().or_failure()?;
        let repaired = match network {
            Some(network) if needs_repair(&network, found.as_ref(), last.as_ref()) => {
                let repaired = repair().await;
                found = routes.observe_routing().await?;
                repaired
            }
            // Flocker has programmed nothing since the boot: there is nothing to miss.
            _ => Ok(()),
        };
        delay = match repaired {
            Ok(()) => None,
            Err(failure) => {
                report::failure(&failure);
                Some(next_delay(delay))
            }
        };
        last = found;
        watch = wait(watch, delay).await?;
    }
}

/// Waits for a change, on a thread that is not one of the runtime's: that would wait for it at its
/// own end.
async fn wait(
    watch: FirewallWatch,
    longest: Option<Duration>,
) -> Result<FirewallWatch, StepFailure> {
    let (done, waited) = oneshot::channel();
    std::thread::spawn(move || {
        // Nobody listens any more when the process ends.
        let _ = done.send(watch.wait(longest).map(|()| watch));
    });
    waited
        .await
        .or_failed_to("the firewall cannot be watched")?
        .or_failure()
}

/// Tells whether the table that was found may lack something of what the node remembers. `last`
/// is the table that was found before: with another address of a container in it, or without
/// one, a table may still be right, and only who asks Docker can tell.
pub(crate) fn needs_repair(
    remembered: &NodeNetwork,
    found: Option<&RoutingTable>,
    last: Option<&RoutingTable>,
) -> bool {
    let Some(found) = found else {
        return true;
    };
    found.digest != Digest::of(remembered).as_str() || last.is_some_and(|last| last != found)
}

/// Programs what the node remembers.
pub(crate) async fn repair(machine: &Machine<impl Platform>) -> Result<(), StepFailure> {
    let change = machine.change_network("guard-network", |_| {}).await?;
    if change == Change::Changed {
        tracing::warn!("the firewall lacked rules of Flocker's, which were programmed again");
    }
    Ok(())
}

/// Doubles the delay, within its limits.
fn next_delay(last: Option<Duration>) -> Duration {
    last.map_or(FIRST_DELAY, |last| (last * 2).min(LAST_DELAY))
}

#[cfg(test)]
mod tests {
    use super::says_stopped;

    #[test]
    fn a_docker_that_systemd_does_not_know_counts_as_running() {
        assert!(says_stopped("LoadState=loaded\nActiveState=inactive\n"));
        assert!(!says_stopped("LoadState=loaded\nActiveState=active\n"));
        assert!(!says_stopped("LoadState=not-found\nActiveState=inactive\n"));
        assert!(!says_stopped(""));
    }
}
