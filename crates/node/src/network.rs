//! Between the table as the planner means it and the table with addresses that the kernel has.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use flocker_model::{
    ApplicationName, Digest, Endpoint, NodeNetwork, RoutePort, RoutedTo, ServicePort, SourceNetwork,
};
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
        let bridge = self.settings.docker().bridge;
        let _lock = self.store.lock_network().await?;
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
        if changed == Change::Changed {
            self.routes.forget_strays(&leading_ports(&table)).await?;
        }
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
    let target = |endpoint: &Endpoint| {
        Some(match endpoint {
            Endpoint::Local { application, port } => Target {
                address: *addresses.get(application)?,
                port: *port,
            },
            Endpoint::Remote { address, port } => Target {
                address: *address,
                port: *port,
            },
        })
    };
    let targets = |endpoints: &BTreeMap<ServicePort, Endpoint>| {
        let endpoints = endpoints.iter();
        let targets = endpoints.filter_map(|(port, to)| Some((*port, target(to)?)));
        targets.collect()
    };
    let ports = &network.ports;
    let routes = ports.routes.iter();
    let routes = routes.filter_map(|(port, to)| Some((*port, target(&to.endpoint)?)));
    let limited = |(port, to): (&RoutePort, &RoutedTo)| {
        let from = SourceNetwork::without_contained(&to.from);
        (!from.is_empty()).then_some((*port, from))
    };
    RoutingTable {
        bridge,
        routes: routes.collect(),
        from: ports.routes.iter().filter_map(limited).collect(),
        links: targets(&ports.links),
        wires: targets(&ports.wires),
        peers: network.peers.clone(),
        held: network.held.clone(),
        digest: Digest::of(network).as_str().to_owned(),
    }
}

/// Lists the ports that lead elsewhere than they did, and those from which fewer networks may connect,
/// with the networks whose connections go on.
fn moved_ports(
    before: &RoutingTable,
    after: &RoutingTable,
) -> BTreeMap<RoutePort, BTreeSet<SourceNetwork>> {
    let moved = |before: &BTreeMap<ServicePort, Target>, after: &BTreeMap<ServicePort, Target>| {
        let before = before.iter();
        let moved = before.filter(|(port, target)| after.get(port) != Some(target));
        let ports = moved.map(|(port, _)| RoutePort::from(*port));
        ports.collect::<BTreeSet<RoutePort>>()
    };
    let routes = before.routes.iter();
    let elsewhere = routes.filter(|(port, target)| after.routes.get(port) != Some(target));
    let mut ports: BTreeSet<RoutePort> = elsewhere.map(|(port, _)| *port).collect();
    ports.extend(moved(&before.links, &after.links));
    ports.extend(moved(&before.wires, &after.wires));
    let narrowed = after.from.iter();
    let narrowed = narrowed.filter(|(port, from)| before.from.get(port) != Some(from));
    let mut all: BTreeMap<_, _> = narrowed.map(|(port, from)| (*port, from.clone())).collect();
    all.extend(ports.into_iter().map(|port| (port, BTreeSet::new())));
    all
}

/// Lists the ports that lead somewhere.
fn leading_ports(table: &RoutingTable) -> BTreeSet<RoutePort> {
    let inner = table.links.keys().chain(table.wires.keys());
    let routes = table.routes.keys().copied();
    routes.chain(inner.map(|port| (*port).into())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(network: &str) -> RoutingTable {
        let network: NodeNetwork = serde_json::from_str(network).unwrap();
        let addresses = BTreeMap::from([("dns".parse().unwrap(), [172, 20, 0, 2].into())]);
        resolve(&network, &addresses, "flocker0".to_owned())
    }

    fn moved(before: &str, after: &str) -> Vec<String> {
        let moved = moved_ports(&table(before), &table(after)).into_iter();
        let kept = |kept: BTreeSet<SourceNetwork>| {
            kept.iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(" ")
        };
        moved
            .map(|(port, networks)| format!("{port}: {}", kept(networks)))
            .collect()
    }

    /// A table with one route of UDP; `from` goes behind where it leads.
    fn route(from: &str) -> String {
        let to = r#"{"local":{"application":"dns","port":53}"#;
        format!(r#"{{"routes":{{"53/udp":{to}{from}}}}},"links":{{}},"peers":[],"held":[]}}"#)
    }

    #[test]
    fn a_table_names_no_network_that_another_one_contains() {
        let list = table(&route(r#","from":["10.0.0.0/8","10.1.0.0/16"]"#)).from;
        let expected = BTreeSet::from(["10.0.0.0/8".parse().unwrap()]);
        assert_eq!(list.into_values().collect::<Vec<_>>(), [expected]);
    }

    #[test]
    fn connections_end_when_a_route_moves_or_no_longer_lets_them_in() {
        let open = route("");
        let limited = route(r#","from":["10.0.0.0/8"]"#);
        let nothing = r#"{"routes":{},"links":{},"peers":[],"held":[]}"#;
        assert!(moved(&open, &open).is_empty());
        assert!(moved(&limited, &open).is_empty());
        assert_eq!(moved(&open, &limited), ["53/udp: 10.0.0.0/8"]);
        assert_eq!(moved(&limited, nothing), ["53/udp: "]);
        assert!(moved(nothing, &open).is_empty());
    }
}
