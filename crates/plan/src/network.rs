//! What each node's firewall table should be once everything is in place.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use flocker_model::{ApplicationName, Deployment, Endpoint, NodeName, NodeNetwork, Port};

use crate::LinkPorts;

/// The address of each node, as far as one is known.
pub(crate) type Addresses = BTreeMap<NodeName, Ipv4Addr>;

/// The ports of one application as one node should send them on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ApplicationPorts {
    /// Ports that answer to everybody.
    pub(crate) routes: BTreeMap<Port, Endpoint>,
    /// Ports that answer to containers and peers.
    pub(crate) links: BTreeMap<Port, Endpoint>,
}

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
    ) -> ApplicationPorts {
        let endpoint = |outside: Port, inside: Port| -> Option<Endpoint> {
            if node == place {
                Some(Endpoint::Local {
                    application: application.clone(),
                    port: inside,
                })
            } else {
                let address = *self.addresses.get(place)?;
                Some(Endpoint::Remote {
                    address,
                    port: outside,
                })
            }
        };
        let all = |ports: BTreeMap<Port, Port>| {
            ports
                .into_iter()
                .filter_map(|(outside, inside)| Some((outside, endpoint(outside, inside)?)))
                .collect()
        };
        let routes = self
            .deployment
            .applications
            .get(application)
            .map(|application| application.routes.clone())
            .unwrap_or_default();
        ApplicationPorts {
            routes: all(routes),
            links: all(self.link_ports.of_target(application)),
        }
    }

    /// Lists every port that leads to `application`, whatever its kind.
    pub(crate) fn all_ports(&self, application: &ApplicationName) -> BTreeSet<Port> {
        let routes = self
            .deployment
            .applications
            .get(application)
            .into_iter()
            .flat_map(|application| application.routes.keys().copied());
        routes
            .chain(self.link_ports.of_target(application).into_keys())
            .collect()
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
                let ports = self.ports(node, name, place);
                network.routes.extend(ports.routes);
                network.links.extend(ports.links);
            }
        }
        network
    }
}
