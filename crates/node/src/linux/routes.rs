//! Routes and links are the kernel's.
//!
//! Each call waits for the kernel some milliseconds, which is done where waiting is allowed.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::net::Ipv4Addr;

use flocker_model::{ContainerLinks, FirewallObstacle, RoutePort, SourceNetwork};
use flocker_net::{NetworkNamespace, RoutingTable};
use flocker_remote::protocol::{Change, StepFailure};
use tokio::process::Command;

use super::changed;
use crate::failure::{OrFailure as _, failed_to};
use crate::platform::Routes;

/// The kernel of this machine.
#[derive(Debug, Clone)]
pub(crate) struct Kernel;

/// Translates the network layer's word for whether anything had to be done.
fn change(change: flocker_net::Change) -> Change {
    changed(change == flocker_net::Change::Changed)
}

/// Runs `work` where waiting is allowed.
async fn waiting<T, E>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, StepFailure>
where
    T: Send + 'static,
    E: Error + Send + 'static,
{
    tokio::task::spawn_blocking(work)
        .await
        .or_failed_to("the kernel cannot be waited for")?
        .or_failure()
}

/// Tells whether rules of iptables-legacy drop connections to containers.
///
/// Only its own program reads them. It is not run where the kernel has none, which it would give
/// a table then; where it is not installed, they are rules of some container's.
async fn legacy_obstructs() -> Result<bool, StepFailure> {
    // Where users other than root have no directory of such programs in their path.
    for program in ["iptables-legacy", "/usr/sbin/iptables-legacy"] {
        let mut command = Command::new(program);
        // Somebody else's command may keep its lock for long.
        command.args(["-w", "5", "-S"]).kill_on_drop(true);
        match command.output().await {
            Ok(output) => {
                let listed = String::from_utf8_lossy(&output.stdout);
                return Ok(flocker_net::legacy_rules_obstruct(&listed));
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed_to("iptables-legacy cannot be run", &error)),
        }
    }
    Ok(false)
}

impl Routes for Kernel {
    async fn observe_routing(&self) -> Result<Option<RoutingTable>, StepFailure> {
        waiting(flocker_net::observe_routing).await
    }

    async fn observe_firewall(
        &self,
        bridge: &str,
    ) -> Result<BTreeSet<FirewallObstacle>, StepFailure> {
        let bridge = bridge.to_owned();
        let mut obstacles = waiting(move || flocker_net::observe_firewall(&bridge)).await?;
        if waiting(flocker_net::has_legacy_filter).await? && legacy_obstructs().await? {
            obstacles.insert(FirewallObstacle::LegacyIptables);
        }
        Ok(obstacles)
    }

    async fn ensure_routing(&self, table: &RoutingTable) -> Result<Change, StepFailure> {
        let table = table.clone();
        let ensured = waiting(move || flocker_net::ensure_routing(&table)).await?;
        Ok(change(ensured.change))
    }

    async fn forget_connections(
        &self,
        ports: &BTreeMap<RoutePort, BTreeSet<SourceNetwork>>,
    ) -> Result<(), StepFailure> {
        let ports = ports.clone();
        waiting(move || flocker_net::forget_connections(&ports)).await?;
        Ok(())
    }

    async fn forget_strays(&self, ports: &BTreeSet<RoutePort>) -> Result<(), StepFailure> {
        let ports = ports.clone();
        waiting(move || flocker_net::forget_strays(&ports)).await?;
        Ok(())
    }

    async fn ensure_links(
        &self,
        process: u32,
        gateway: Ipv4Addr,
        links: &ContainerLinks,
    ) -> Result<Change, StepFailure> {
        let links = links.clone();
        let namespace = NetworkNamespace::of_process(process).or_failure()?;
        let ensured = waiting(move || flocker_net::ensure_links(&namespace, gateway, &links)).await;
        ensured.map(change)
    }

    async fn observe_links(&self, process: u32) -> Option<ContainerLinks> {
        let namespace = NetworkNamespace::of_process(process).ok()?;
        waiting(move || flocker_net::observe_links(&namespace))
            .await
            .ok()
            .flatten()
    }

    async fn observe_listening_ports(&self) -> Result<BTreeSet<RoutePort>, StepFailure> {
        waiting(flocker_net::observe_listening_ports).await
    }
}
