//! What a node's firewall table and its containers' links should do.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::{ApplicationName, LocalPort, Port, RoutePort, ServicePort, SourceNetwork};

/// Where traffic for one port goes. It stays in its protocol.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Endpoint {
    /// To a container on this node; its address is looked up when the table is programmed.
    Local {
        /// The application whose container it is.
        application: ApplicationName,
        /// The port inside the container.
        port: Port,
    },
    /// To another node, which sends it on.
    Remote {
        /// The other node's address.
        address: Ipv4Addr,
        /// The port on the other node.
        port: Port,
    },
}

/// Where a routed port leads, and who may use it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RoutedTo {
    /// Where it leads.
    #[serde(flatten)]
    pub endpoint: Endpoint,
    /// The networks that alone may connect; everybody may if it is empty.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub from: BTreeSet<SourceNetwork>,
}

impl From<Endpoint> for RoutedTo {
    fn from(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            from: BTreeSet::new(),
        }
    }
}

/// Ports of a node, and where they lead.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LeadingPorts {
    /// Ports that answer to everybody, or to some networks.
    pub routes: BTreeMap<RoutePort, RoutedTo>,
    /// Ports that answer only to containers here and to peers: the wire side of links.
    pub links: BTreeMap<ServicePort, Endpoint>,
    /// Ports that answer only to peers: the wire side of routes that do not answer to everybody. The
    /// node at which a packet arrives has judged it by then.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub wires: BTreeMap<ServicePort, Endpoint>,
}

impl LeadingPorts {
    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        self.routes.is_empty() && self.links.is_empty() && self.wires.is_empty()
    }

    /// Lists all ports, whatever their kind.
    pub fn keys(&self) -> impl Iterator<Item = RoutePort> {
        let inner = self.links.keys().chain(self.wires.keys());
        let routes = self.routes.keys().copied();
        routes.chain(inner.map(|port| (*port).into()))
    }

    /// Lists where the ports lead.
    pub fn endpoints(&self) -> impl Iterator<Item = &Endpoint> {
        let routes = self.routes.values().map(|routed| &routed.endpoint);
        routes.chain(self.links.values()).chain(self.wires.values())
    }

    /// Returns those of the ports whose number and endpoint are wanted.
    #[must_use]
    pub fn filtered(&self, wanted: impl Fn(RoutePort, &Endpoint) -> bool) -> Self {
        let inner = |ports: &BTreeMap<ServicePort, Endpoint>| {
            let wanted = ports
                .iter()
                .filter(|(port, to)| wanted((**port).into(), to));
            wanted.map(|(port, to)| (*port, to.clone())).collect()
        };
        let routes = self.routes.iter();
        let routes = routes.filter(|(port, to)| wanted(**port, &to.endpoint));
        Self {
            routes: routes.map(|(port, to)| (*port, to.clone())).collect(),
            links: inner(&self.links),
            wires: inner(&self.wires),
        }
    }

    /// Takes over other ports; where one is in both, it leads to where the other one does.
    pub fn extend(&mut self, other: Self) {
        self.routes.extend(other.routes);
        self.links.extend(other.links);
        self.wires.extend(other.wires);
    }

    /// Tells whether each of the other ports is in this, and leads to the same place.
    pub fn includes(&self, other: &Self) -> bool {
        let inner = |ours: &BTreeMap<ServicePort, Endpoint>, theirs: &BTreeMap<_, _>| {
            theirs.iter().all(|(port, to)| ours.get(port) == Some(to))
        };
        let mut routes = other.routes.iter();
        routes.all(|(port, to)| self.routes.get(port) == Some(to))
            && inner(&self.links, &other.links)
            && inner(&self.wires, &other.wires)
    }

    /// Returns those of the ports that lead elsewhere in `other`, or nowhere.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        let inner = |ours: &BTreeMap<ServicePort, Endpoint>, theirs: &BTreeMap<_, _>| {
            let ours = ours
                .iter()
                .filter(|(port, to)| theirs.get(*port) != Some(*to));
            ours.map(|(port, to)| (*port, to.clone())).collect()
        };
        let routes = self.routes.iter();
        let routes = routes.filter(|(port, to)| other.routes.get(port) != Some(*to));
        Self {
            routes: routes.map(|(port, to)| (*port, to.clone())).collect(),
            links: inner(&self.links, &other.links),
            wires: inner(&self.wires, &other.wires),
        }
    }
}

/// The whole of one node's routing, as its firewall table should have it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NodeNetwork {
    /// The ports that lead somewhere.
    #[serde(flatten)]
    pub ports: LeadingPorts,
    /// The other nodes, which may use the link ports.
    pub peers: BTreeSet<Ipv4Addr>,
    /// Ports that nothing new is let through to for now, because what answers them is moving.
    pub held: BTreeSet<RoutePort>,
}

impl NodeNetwork {
    /// Lets ports lead to where they should, and nowhere else, and lets them go.
    pub fn lead(&mut self, ports: &LeadingPorts) {
        for port in ports.keys() {
            self.held.remove(&port);
        }
        self.ports.extend(ports.clone());
    }
}

/// Inside one container: port at a loopback address to the link port of the same protocol on the node.
pub type ContainerLinks = BTreeMap<LocalPort, Port>;

#[cfg(test)]
mod tests {
    use super::*;

    /// Nodes keep the tables that an earlier release wrote, and know theirs by a digest.
    #[test]
    fn a_table_of_an_earlier_release_is_read_and_written_alike() {
        let text = r#"{"routes":{"80":{"remote":{"address":"192.0.2.2","port":80}},"#.to_owned()
            + r#""443":{"local":{"application":"web","port":8443}}},"#
            + r#""links":{"24001":{"local":{"application":"web","port":80}}},"#
            + r#""peers":["192.0.2.2"],"held":[80,24001]}"#;
        let network: NodeNetwork = serde_json::from_str(&text).unwrap();
        assert_eq!(network.ports.keys().count(), 3);
        assert!(network.held.is_subset(&network.ports.keys().collect()));
        assert_eq!(serde_json::to_string(&network).unwrap(), text);
        let text = r#"{"5432":24001,"53/udp":24002}"#;
        let links: ContainerLinks = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&links).unwrap(), text);
    }

    #[test]
    fn links_at_other_addresses_are_stored_with_them() {
        let text = r#"{"5432":24001,"127.1.0.5:5432":24002,"127.1.0.6:53/udp":24003}"#;
        let links: ContainerLinks = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&links).unwrap(), text);
        serde_json::from_str::<ContainerLinks>(r#"{"192.0.2.1:5432":24001}"#).unwrap_err();
    }

    #[test]
    fn networks_and_addresses_are_written_beside_where_a_port_leads() {
        let text = r#"{"routes":{"192.0.2.1:53/udp":{"remote":{"address":"192.0.2.2","#.to_owned()
            + r#""port":24001},"from":["10.0.0.0/8"]}},"links":{},"#
            + r#""wires":{"24001/udp":{"local":{"application":"dns","port":53}}},"#
            + r#""peers":[],"held":["53/udp"]}"#;
        let network: NodeNetwork = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::to_string(&network).unwrap(), text);
    }
}
