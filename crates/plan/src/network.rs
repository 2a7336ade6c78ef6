//! What each node's firewall table should be once everything is in place.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use flocker_model::{
    ApplicationName, Deployment, Endpoint, LeadingPorts, NodeName, NodeNetwork, Port, Protocol,
    Route, RoutePort, RoutedTo, SourceNetwork,
};

use crate::LinkPorts;

/// The address of each node, as far as one is known.
pub(crate) type Addresses = BTreeMap<NodeName, Ipv4Addr>;

/// What ports lead to, for every node alike.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wiring<'a> {
    pub(crate) deployment: &'a Deployment,
    pub(crate) link_ports: &'a LinkPorts,
    pub(crate) addresses: &'a Addresses,
}

impl Wiring<'_> {
    /// Works out where `node` sends the ports of `application`, which runs on `place`.
    pub(crate) fn ports(
        &self,
        node: &NodeName,
        application: &ApplicationName,
        place: &NodeName,
    ) -> LeadingPorts {
        let here = self.ports_at_place(application);
        if node == place {
            return here;
        }
        let address = self.addresses.get(place);
        address.map_or_else(LeadingPorts::default, |address| towards(*address, &here))
    }

    /// Works out the ports of `application` on the node on which it runs.
    fn ports_at_place(&self, application: &ApplicationName) -> LeadingPorts {
        let local = |port: Port| Endpoint::Local {
            application: application.clone(),
            port,
        };
        let routed = |(outside, route): (&RoutePort, &Route)| {
            let to = RoutedTo {
                endpoint: local(route.port),
                from: route.from.clone(),
            };
            (*outside, to)
        };
        let wire = |(outside, inside)| (outside, local(inside));
        let definition = self.deployment.applications.get(application);
        let routes = definition.into_iter().flat_map(|it| &it.routes);
        let links = self.link_ports.of_target(application).into_iter();
        let wires = self.link_ports.wires_of(application).into_iter();
        LeadingPorts {
            routes: routes.map(routed).collect(),
            links: links.map(wire).collect(),
            wires: wires.map(wire).collect(),
        }
    }

    /// Lists every port that leads to `application`, whatever its kind.
    pub(crate) fn all_ports(&self, application: &ApplicationName) -> BTreeSet<RoutePort> {
        self.ports_at_place(application).keys().collect()
    }

    /// Works out the whole table of `node`, for the placed applications that `include` accepts.
    ///
    /// A node that the deployment omits sends nothing on: nobody would keep its table true.
    pub(crate) fn table(
        &self,
        node: &NodeName,
        include: impl Fn(&ApplicationName, &NodeName) -> bool,
    ) -> NodeNetwork {
        if !self.deployment.nodes.contains_key(node) {
            return NodeNetwork::default();
        }
        let mut network = NodeNetwork {
            peers: self
                .deployment
                .nodes
                .keys()
                .filter(|peer| *peer != node)
                .filter_map(|peer| self.addresses.get(peer).copied())
                .collect(),
            ..NodeNetwork::default()
        };
        for (name, _, place) in self.deployment.placed() {
            if include(name, place) {
                network.ports.extend(self.ports(node, name, place));
            }
        }
        network
    }
}

/// Tells whether a route answers to everybody at every address of a node.
///
/// Other nodes send packets for one that does not to a wire port, which answers to peers alone: they
/// arrive from a node's own address, and at whichever address that node knows.
pub(crate) fn is_open(port: RoutePort, from: &BTreeSet<SourceNetwork>) -> bool {
    port.address.is_none() && from.is_empty()
}

/// Returns the ports that another node sends on to the node with this address, which has them `here`.
pub(crate) fn towards(address: Ipv4Addr, here: &LeadingPorts) -> LeadingPorts {
    let remote = |port: Port| Endpoint::Remote { address, port };
    let routed = |(outside, to): (&RoutePort, &RoutedTo)| {
        let port = if is_open(*outside, &to.from) {
            outside.port.port
        } else {
            wire_of(outside.port.protocol, &to.endpoint, here)?
        };
        let to = RoutedTo {
            endpoint: remote(port),
            from: to.from.clone(),
        };
        Some((*outside, to))
    };
    let wire = |(port, _): (&flocker_model::ServicePort, &Endpoint)| (*port, remote(port.port));
    LeadingPorts {
        routes: here.routes.iter().filter_map(routed).collect(),
        links: here.links.iter().map(wire).collect(),
        wires: here.wires.iter().map(wire).collect(),
    }
}

/// Finds the wire port that leads to the same port of a container as a route.
fn wire_of(protocol: Protocol, to: &Endpoint, here: &LeadingPorts) -> Option<Port> {
    let mut wires = here.wires.iter();
    let wire = wires.find(|(wire, wired)| wire.protocol == protocol && *wired == to);
    wire.map(|(wire, _)| wire.port)
}
