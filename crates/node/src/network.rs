//! Between the table as the planner means it and the table with addresses that the kernel has.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use flocker_model::{ApplicationName, Digest, Endpoint, NodeNetwork, Port};
use flocker_net::{RoutingTable, Target};
use flocker_remote::protocol::{Change, StepFailure};

use crate::failure::OrFailure as _;
use crate::machine::Machine;
use crate::places::reach;
use crate::platform::{Containers as _, Platform, Routes as _};

/// The address of each application's container on this node.
pub(crate) type ContainerAddresses = BTreeMap<ApplicationName, Ipv4Addr>;

impl<P: Platform> Machine<P> {
    /// Looks up the addresses of this node's containers.
    pub(crate) async fn container_addresses(&self) -> Result<ContainerAddresses, StepFailure> {
        let containers = self.containers.observe_containers().await?;
        Ok(containers
            .into_iter()
            .filter_map(|(name, found)| Some((name, found.namespace?.running?.1)))
            .collect())
    }

    /// Changes the node's table by `change`, which is given the one that was meant so far, as a part
    /// of a step of this name.
    ///
    /// Connections that were pinned to where a port led before are forgotten.
    pub(crate) async fn change_network(
        &self,
        step: &str,
        change: impl Fn(&mut NodeNetwork) + Send,
    ) -> Result<Change, StepFailure> {
        let store = self.store.clone();
        let bridge = self.settings.docker().bridge;
        let _lock = tokio::task::spawn_blocking(move || store.lock_network())
            .await
            .or_failed_to("the routing table's lock cannot be waited for")?
            .or_failure()?;
        // Only now: who looked before would write a table without what came up while he waited.
        let addresses = self.container_addresses().await?;
        let before = self.routes.observe_routing().await?;
        // Also where the kernel has no such table any more: somebody may have flushed it.
        let mut network = self.store.network().or_failure()?.unwrap_or_default();
        change(&mut network);
        // Apart from the other: after a boot there is no table, and what was meant is remembered.
        self.store.change_remembered_network(&change).or_failure()?;
        self.store.set_network(&network).or_failure()?;
        reach(|| format!("{step}.table-remembered")).await;
        let table = resolve(&network, &addresses, bridge);
        let changed = self.routes.ensure_routing(&table).await?;
        reach(|| format!("{step}.table-programmed")).await;
        let moved = before.map(|before| moved_ports(&before, &table));
        self.routes
            .forget_connections(&moved.unwrap_or_default())
            .await?;
        Ok(changed)
    }

    /// Reads the node's table as the planner means it; `None` if it is not whole, or if containers
    /// have other addresses by now.
    pub(crate) async fn observe_network(
        &self,
        addresses: &ContainerAddresses,
    ) -> Result<Option<NodeNetwork>, StepFailure> {
        let Some(table) = self.routes.observe_routing().await? else {
            return Ok(None);
        };
        let Some(network) = self.store.network().or_failure()? else {
            return Ok(None);
        };
        let expected = resolve(&network, addresses, self.settings.docker().bridge);
        Ok((expected == table).then_some(network))
    }
}

/// Puts addresses in the place of applications; one that does not run has no entry.
fn resolve(network: &NodeNetwork, addresses: &ContainerAddresses, bridge: String) -> RoutingTable {
    let targets = |endpoints: &BTreeMap<Port, Endpoint>| {
        endpoints
            .iter()
            .filter_map(|(port, endpoint)| {
                let target = match endpoint {
                    Endpoint::Local { application, port } => Target {
                        address: *addresses.get(application)?,
                        port: *port,
                    },
                    Endpoint::Remote { address, port } => Target {
                        address: *address,
                        port: *port,
                    },
                };
                Some((*port, target))
            })
            .collect()
    };
    RoutingTable {
        bridge,
        routes: targets(&network.routes),
        links: targets(&network.links),
        peers: network.peers.clone(),
        held: network.held.clone(),
        digest: Digest::of(network).as_str().to_owned(),
    }
}

/// Lists the ports that lead elsewhere than they did.
fn moved_ports(before: &RoutingTable, after: &RoutingTable) -> BTreeSet<Port> {
    let moved = |before: &BTreeMap<Port, Target>, after: &BTreeMap<Port, Target>| {
        before
            .iter()
            .filter(|(port, target)| after.get(port) != Some(target))
            .map(|(port, _)| *port)
            .collect::<BTreeSet<Port>>()
    };
    let mut ports = moved(&before.routes, &after.routes);
    ports.extend(moved(&before.links, &after.links));
    ports
}
