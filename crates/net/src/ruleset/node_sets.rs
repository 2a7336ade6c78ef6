//! The sets and maps in the table of a node.

use std::net::Ipv4Addr;

use flocker_model::{RoutePort, ServicePort};

use crate::routing_table::RoutingTable;

use super::{Elements, Set};

/// The sets and maps. What is about single addresses of nodes is apart from the rest: in one hash
/// table the kernel finds only whole keys.
pub(super) fn node_sets(table: &RoutingTable) -> Vec<Set> {
    let mut sets = route_sets(table);
    let set = |name, elements| Set { name, elements };
    sets.extend([
        set("links", Elements::Targets(table.links.clone())),
        set("wires", Elements::Targets(table.wires.clone())),
        set("peers", Elements::Addresses(table.peers.clone())),
    ]);
    let held = table.held.iter();
    let (everywhere, at) = (held.clone().filter_map(everywhere), held.filter_map(at));
    sets.extend([
        set("held", Elements::Ports(everywhere.collect())),
        set("held-at", Elements::PortsAt(at.collect())),
    ]);
    sets
}

/// The sets and maps of routes.
fn route_sets(table: &RoutingTable) -> Vec<Set> {
    let (routes, from) = (table.routes.iter(), &table.from);
    let lists = from.iter();
    let sources = lists.flat_map(|(port, list)| list.iter().map(move |network| (port, *network)));
    let targets = routes
        .clone()
        .filter_map(|(port, to)| Some((everywhere(port)?, *to)));
    let targets_at = routes.filter_map(|(port, to)| Some((at(port)?, *to)));
    let allowed = sources
        .clone()
        .filter_map(|(port, network)| Some((everywhere(port)?, network)));
    let allowed_at =
        sources.filter_map(|(port, network)| Some((port.address?, port.port, network)));
    let limited = from.keys().filter_map(everywhere);
    let limited_at = from.keys().filter_map(at);
    let set = |name, elements| Set { name, elements };
    vec![
        set("routes", Elements::Targets(targets.collect())),
        set("routes-at", Elements::TargetsAt(targets_at.collect())),
        set("limited", Elements::Ports(limited.collect())),
        set("limited-at", Elements::PortsAt(limited_at.collect())),
        set("allowed", Elements::Sources(allowed.collect())),
        set("allowed-at", Elements::SourcesAt(allowed_at.collect())),
    ]
}

/// Returns the port, if it answers at every address.
fn everywhere(port: &RoutePort) -> Option<ServicePort> {
    port.address.is_none().then_some(port.port)
}

/// Returns the address and the port, if it answers at one address.
fn at(port: &RoutePort) -> Option<(Ipv4Addr, ServicePort)> {
    Some((port.address?, port.port))
}
