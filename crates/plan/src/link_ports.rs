//! The ports that links and limited routes use between nodes.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use flocker_model::{
    Application, ApplicationName, ContainerLinks, Deployment, Port, Protocol, ServicePort,
    stable_hash,
};

use crate::network::is_open;

/// The ports that links use on the wire: below the kernel's ephemeral ports, so that no outgoing
/// connection of a node ever has one as its source.
///
/// **Source**: `net.ipv4.ip_local_port_range`, 32768 to 60999 by default (`ip(7)`).
pub const LINK_PORT_RANGE: RangeInclusive<u16> = 24000..=28999;

/// An application and a port inside its container.
type Inside = (ApplicationName, ServicePort);

/// The wire port of each linked (application, port inside its container), and of each to which a
/// route leads that does not answer to everybody.
///
/// A pure function of the deployment: every node and every later deploy find the same ports as
/// long as the same links exist, because each begins at its own hash and only gives way to a
/// collision.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LinkPorts {
    /// Containers and peers may use these.
    links: BTreeMap<Inside, Port>,
    /// Only peers may use these.
    wires: BTreeMap<Inside, Port>,
}

impl LinkPorts {
    /// Allocates a port for every link target and limited route of `deployment`.
    pub fn allocate(deployment: &Deployment) -> Self {
        let applications = &deployment.applications;
        let taken = applications
            .values()
            .flat_map(|application| application.routes.keys().map(|route| route.port));
        let mut taken: BTreeSet<ServicePort> = taken.collect();
        let linked = applications
            .values()
            .flat_map(|application| &application.links)
            .map(|link| (link.target.clone(), link.inside()));
        let limited = applications.iter().flat_map(|(name, application)| {
            let routes = application.routes.iter();
            let limited = routes.filter(|(outside, route)| !is_open(**outside, &route.from));
            limited.map(|(outside, route)| {
                let protocol = outside.port.protocol;
                let port = route.port;
                (name.clone(), ServicePort { protocol, port })
            })
        });
        let links = allocate(linked.collect(), "", &mut taken);
        let wires = allocate(limited.collect(), " limited", &mut taken);
        Self { links, wires }
    }

    /// Lists the wire ports of links that lead to `application`, with the port inside its container.
    pub fn of_target(&self, application: &ApplicationName) -> BTreeMap<ServicePort, Port> {
        wires_to(&self.links, application)
    }

    /// Lists the wire ports of limited routes that lead to `application`, with the port inside its
    /// container.
    pub fn wires_of(&self, application: &ApplicationName) -> BTreeMap<ServicePort, Port> {
        wires_to(&self.wires, application)
    }

    /// Lists what the loopback addresses inside `application`'s container must reach.
    pub fn of_source(&self, application: &Application) -> ContainerLinks {
        application
            .links
            .iter()
            .filter_map(|link| {
                let wire = self.links.get(&(link.target.clone(), link.inside()))?;
                Some((link.local(), *wire))
            })
            .collect()
    }
}

/// Lists the wire ports that lead to an application.
fn wires_to(
    ports: &BTreeMap<Inside, Port>,
    application: &ApplicationName,
) -> BTreeMap<ServicePort, Port> {
    let own = ports
        .iter()
        .filter(|((target, _), _)| target == application);
    let wire = |protocol: Protocol, port: Port| ServicePort { protocol, port };
    own.map(|((_, inside), port)| (wire(inside.protocol, *port), inside.port))
        .collect()
}

/// Finds a port for each target, and takes it.
fn allocate(
    targets: BTreeSet<Inside>,
    purpose: &str,
    taken: &mut BTreeSet<ServicePort>,
) -> BTreeMap<Inside, Port> {
    let mut ports = BTreeMap::new();
    for target in targets {
        let text = format!("{}:{}{purpose}", target.0, target.1);
        let protocol = target.1.protocol;
        let is_free = |port| !taken.contains(&ServicePort { protocol, port });
        if let Some(port) = first_free(&text, is_free) {
            taken.insert(ServicePort { protocol, port });
            ports.insert(target, port);
        }
    }
    ports
}

/// Finds the first free port from the target's own place in the range on, around its end.
fn first_free(text: &str, is_free: impl Fn(Port) -> bool) -> Option<Port> {
    let size = LINK_PORT_RANGE.end() - LINK_PORT_RANGE.start() + 1;
    let start = u16::try_from(stable_hash(text.as_bytes()) % u64::from(size)).unwrap_or(0);
    (0..size)
        .map(|step| LINK_PORT_RANGE.start() + (start + step) % size)
        .filter_map(Port::new)
        .find(|port| is_free(*port))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::net::Ipv4Addr;

    use flocker_model::{Link, LoopbackAddress, Route, RoutePort};

    use super::*;

    fn port(number: u16) -> Port {
        Port::new(number).unwrap()
    }

    fn route_port(text: &str) -> RoutePort {
        text.parse().unwrap()
    }

    /// An application that links `db` and one that it links, with these routes.
    fn deployment(routes: &[(&str, Route)]) -> Deployment {
        let mut web = Application::new("web".parse().unwrap());
        let link = |protocol| Link {
            target: "db".parse().unwrap(),
            port: port(5432),
            local_port: port(5432),
            protocol,
            address: LoopbackAddress::LOCALHOST,
        };
        web.links = Protocol::ALL.map(link).into();
        let mut db = Application::new("db".parse().unwrap());
        let routes = routes.iter().cloned();
        db.routes = routes
            .map(|(outside, route)| (route_port(outside), route))
            .collect();
        let mut deployment = Deployment::default();
        deployment.applications.insert("db".parse().unwrap(), db);
        deployment.applications.insert("web".parse().unwrap(), web);
        deployment
    }

    fn links(deployment: &Deployment) -> ContainerLinks {
        let ports = LinkPorts::allocate(deployment);
        ports.of_source(&deployment.applications[&"web".parse().unwrap()])
    }

    /// Tables and containers that exist have it, and an upgrade is to change none of them.
    #[test]
    fn a_link_keeps_the_port_that_it_always_had() {
        let ours = links(&deployment(&[]));
        let start = 24000 + u16::try_from(stable_hash(b"db:5432") % 5000).unwrap();
        assert_eq!(ours.get(&port(5432).into()), Some(&port(start)));
        assert_eq!(ours.len(), 2, "one for each protocol");
        let limited = Route {
            from: BTreeSet::from(["10.0.0.0/8".parse().unwrap()]),
            ..port(5432).into()
        };
        assert_eq!(links(&deployment(&[("5432", limited)])), ours);
    }

    #[test]
    fn applications_are_reached_at_one_port_of_two_addresses() {
        let mut deployment = deployment(&[]);
        let archive = deployment.applications[&"db".parse().unwrap()].clone();
        deployment
            .applications
            .insert("archive".parse().unwrap(), archive);
        let before = links(&deployment);
        let web = deployment.applications.get_mut(&"web".parse().unwrap());
        web.unwrap().links.insert(Link {
            target: "archive".parse().unwrap(),
            port: port(5432),
            local_port: port(5432),
            protocol: Protocol::Tcp,
            address: Ipv4Addr::new(127, 1, 0, 5).try_into().unwrap(),
        });
        let mut after = links(&deployment);
        let at_address = "127.1.0.5:5432".parse::<RoutePort>().unwrap();
        let wire = after.remove(&at_address.try_into().unwrap()).unwrap();
        assert!(!before.values().any(|other| *other == wire));
        assert_eq!(after, before);
    }

    #[test]
    fn only_routes_that_are_limited_have_a_wire_port() {
        let limited = Route {
            from: BTreeSet::from(["10.0.0.0/8".parse().unwrap()]),
            ..port(53).into()
        };
        let deployment = deployment(&[
            ("80", port(80).into()),
            ("192.0.2.1:81", port(81).into()),
            ("53/udp", limited),
        ]);
        let ports = LinkPorts::allocate(&deployment);
        let wires = ports.wires_of(&"db".parse().unwrap());
        let mut inside: Vec<_> = wires.values().map(|port| port.get()).collect();
        inside.sort_unstable();
        assert_eq!(inside, [53, 81]);
        let links = ports.of_target(&"db".parse().unwrap());
        assert!(wires.keys().all(|wire| !links.contains_key(wire)));
    }
}
