//! Routes of UDP, and routes that answer at one address or to some networks.

use std::str::FromStr;

use flocker_model::{Deployment, Endpoint, NodeNetwork, Route, RoutePort, ServicePort};
use flocker_plan::{BlockedKind, LINK_PORT_RANGE};
use insta::assert_snapshot;

use crate::cluster::{Cluster, database, deployment, port, show};

/// Routes, each with the networks that may connect.
type Routes<'a> = &'a [(&'a str, &'a [&'a str])];

/// A database with routes to 5432, on the node with this number.
fn on(number: &str, routes: Routes<'_>) -> Deployment {
    let mut db = database();
    db.routes = routes
        .iter()
        .map(|(outside, from)| {
            let networks = from.iter().map(|network| parsed(network));
            let route = Route {
                from: networks.collect(),
                ..port(5432).into()
            };
            (route_port(outside), route)
        })
        .collect();
    let (first, second): (&[&str], &[&str]) = match number {
        "1" => (&["db"], &[]),
        _ => (&[], &["db"]),
    };
    deployment(&[("db", db)], &[("1", first), ("2", second)])
}

fn parsed<T: FromStr>(text: &str) -> T {
    text.parse()
        .unwrap_or_else(|_| panic!("{text} is not of the type"))
}

fn route_port(text: &str) -> RoutePort {
    parsed(text)
}

fn table<'a>(cluster: &'a mut Cluster, number: &str) -> &'a NodeNetwork {
    let network = cluster.machine(number).network.as_ref();
    network.unwrap_or_else(|| panic!("node {number} has no table"))
}

/// The port of the first node to which the second one sends what arrives at a route.
fn port_between(cluster: &mut Cluster, outside: &str) -> ServicePort {
    let outside = route_port(outside);
    let endpoint = &table(cluster, "2").ports.routes[&outside].endpoint;
    let Endpoint::Remote { port, .. } = endpoint else {
        panic!("{outside} does not lead to another node");
    };
    ServicePort {
        protocol: outside.port.protocol,
        port: *port,
    }
}

#[test]
fn a_limited_route_goes_over_a_port_for_peers_alone() {
    let routes: Routes<'_> = &[
        ("5432", &[]),
        ("5433", &["10.0.0.0/8"]),
        ("5434/udp", &["10.0.0.0/8"]),
        ("127.0.0.1:5435", &[]),
    ];
    let mut cluster = Cluster::running(2, &on("1", routes));
    assert_eq!(port_between(&mut cluster, "5432").to_string(), "5432");
    for limited in ["5433", "5434/udp", "127.0.0.1:5435"] {
        let wire = port_between(&mut cluster, limited);
        assert!(LINK_PORT_RANGE.contains(&wire.port.get()), "{wire}");
        for number in ["1", "2"] {
            let ports = &table(&mut cluster, number).ports;
            assert!(ports.wires.contains_key(&wire), "{limited}");
            assert!(!ports.links.contains_key(&wire), "{limited}");
        }
    }
    for number in ["1", "2"] {
        let ports = &table(&mut cluster, number).ports;
        assert_eq!(ports.routes[&route_port("5433")].from.len(), 1);
        assert_eq!(ports.wires.len(), 2, "one for each protocol");
    }
}

#[test]
fn a_move_holds_ports_of_udp_and_those_between_nodes() {
    let routes: Routes<'_> = &[("5432/udp", &[]), ("192.0.2.1:5433", &["10.0.0.0/8"])];
    let mut cluster = Cluster::running(2, &on("1", routes));
    assert_snapshot!(cluster.deploy(&on("2", routes)));
}

#[test]
fn another_list_of_networks_touches_no_container() {
    let mut cluster = Cluster::running(2, &on("1", &[("5432", &["10.0.0.0/8"])]));
    assert_snapshot!(cluster.deploy(&on("1", &[("5432", &["192.0.2.7"])])));
}

#[test]
fn a_port_of_the_other_protocol_or_address_is_in_nobodys_way() {
    let taken = |listening: &str, outside: &str| {
        let mut cluster = Cluster::running(2, &on("1", &[]));
        let listening = route_port(listening);
        cluster.machine("2").listening.insert(listening);
        cluster.plan(&on("1", &[(outside, &[])]))
    };
    for (listening, outside) in [
        ("5432", "5432/udp"),
        ("5432/udp", "5432"),
        ("192.0.2.2:5432", "192.0.2.1:5432"),
    ] {
        let made = taken(listening, outside);
        assert!(made.blocked.is_empty(), "{made}");
    }
    for (listening, outside) in [
        ("5432/udp", "5432/udp"),
        ("127.0.0.53:53/udp", "53/udp"),
        ("5432", "192.0.2.1:5432"),
    ] {
        let made = taken(listening, outside);
        let kinds = made.blocked.iter().map(|blocked| &blocked.kind);
        let taken: Vec<_> = kinds
            .filter(|kind| matches!(kind, BlockedKind::PortTaken { .. }))
            .collect();
        assert_eq!(taken.len(), 1, "{made}");
    }
    assert_snapshot!(show(&taken("192.0.2.1:53/udp", "192.0.2.1:53/udp")));
}
