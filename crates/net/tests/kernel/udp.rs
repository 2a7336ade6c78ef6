//! Routes and links of UDP.

use std::collections::{BTreeMap, BTreeSet};

use flocker_model::{ContainerLinks, Protocol, RoutePort, ServicePort};
use flocker_net::{
    RoutingTable, ensure_links, forget_connections, forget_strays, observe_listening_ports,
};

use super::traffic::{ask, serve};
use super::udp_traffic::{Client, ask_udp, ignored_udp, is_silence, refused_udp, serve_udp};
use super::world::{CLIENT, Container, GATEWAY, LOCALHOST, Node, World, port, target};

const LINK: u16 = 24001;

fn udp(number: u16) -> ServicePort {
    ServicePort {
        protocol: Protocol::Udp,
        port: port(number),
    }
}

/// A name server in a container on node one, routed as port 53 on both nodes.
fn routed(world: &World) -> Container {
    let dns = world.one.container();
    serve_udp(&dns.machine, "dns", 5353);
    let mut table = world.table(&world.one);
    let to = target(dns.address, 5353);
    table.routes.insert(udp(53).into(), to);
    world.one.program(&table);
    let mut table = world.table(&world.two);
    let to = target(world.one.address, 53);
    table.routes.insert(udp(53).into(), to);
    world.two.program(&table);
    dns
}

#[test]
fn udp_is_answered_from_the_address_that_was_asked() {
    let Some(world) = World::new() else { return };
    for node in [&world.one, &world.two] {
        node.docker_firewall();
    }
    let dns = routed(&world);
    let here = ask_udp(&world.client, world.one.address, 53);
    assert_eq!((here.server.as_str(), here.seen_as), ("dns", CLIENT));
    let there = ask_udp(&world.client, world.two.address, 53);
    assert_eq!(
        (there.server.as_str(), there.seen_as),
        ("dns", world.two.address)
    );
    for node in [&world.one, &world.two] {
        for address in [LOCALHOST, node.address, GATEWAY] {
            assert_eq!(ask_udp(&node.machine, address, 53).server, "dns");
        }
    }
    let beside = world.one.container();
    let elsewhere = world.two.container();
    for container in [&dns, &beside, &elsewhere] {
        for address in [world.one.address, world.two.address, GATEWAY] {
            assert_eq!(ask_udp(&container.machine, address, 53).server, "dns");
        }
    }
}

#[test]
fn large_packets_come_through_in_parts() {
    let Some(world) = World::new() else { return };
    let _dns = routed(&world);
    let large = "x".repeat(9000);
    for node in [&world.one, &world.two] {
        let client = Client::new(&world.client, node.address, 53);
        assert_eq!(client.ask(&large).server, "dns");
    }
}

#[test]
fn tcp_and_udp_of_one_port_lead_to_different_places() {
    let Some(world) = World::new() else { return };
    let packets = world.one.container();
    let connections = world.one.container();
    serve_udp(&packets.machine, "packets", 53);
    serve(&connections.machine, "connections", 53);
    let mut table = world.table(&world.one);
    table
        .routes
        .insert(udp(53).into(), target(packets.address, 53));
    table
        .routes
        .insert(port(53).into(), target(connections.address, 53));
    world.one.program(&table);
    let node = world.one.address;
    assert_eq!(ask_udp(&world.client, node, 53).server, "packets");
    assert_eq!(ask(&world.client, node, 53).0, "connections");
    // Holding the one holds nothing of the other.
    table.held.insert(udp(53).into());
    world.one.program(&table);
    assert_eq!(ask(&world.client, node, 53).0, "connections");
    ignored_udp(&world.client, node, 53);
}

#[test]
fn a_moved_route_reaches_the_new_place_from_the_same_socket() {
    let Some(world) = World::new() else { return };
    let old = world.one.container();
    let new = world.two.container();
    serve_udp(&old.machine, "old", 53);
    serve_udp(&new.machine, "new", 53);
    let [one, two] = [&world.one, &world.two].map(|node| world.table(node));
    let route = |table: &RoutingTable, address| {
        let mut table = table.clone();
        table.routes.insert(udp(53).into(), target(address, 53));
        table
    };
    let program = |tables: &[RoutingTable; 2]| {
        world.one.program(&tables[0]);
        world.two.program(&tables[1]);
    };
    let before = [route(&one, old.address), route(&two, world.one.address)];
    program(&before);
    let clients = [
        Client::new(&world.client, world.one.address, 53),
        Client::new(&world.client, world.two.address, 53),
        Client::new(&world.one.machine, LOCALHOST, 53),
        Client::new(&world.two.machine, world.two.address, 53),
    ];
    for client in &clients {
        assert_eq!(client.ask("first").server, "old");
    }
    let held = before.map(|mut table| {
        table.held.insert(udp(53).into());
        table
    });
    program(&held);
    for client in &clients {
        let error = client.ask_once("while it moves").unwrap_err();
        assert!(is_silence(&error), "{error}");
    }
    program(&[route(&one, world.two.address), route(&two, new.address)]);
    let ports = BTreeMap::from([(RoutePort::from(udp(53)), BTreeSet::new())]);
    for node in [&world.one, &world.two] {
        node.machine.run(|| forget_connections(&ports)).unwrap();
    }
    for client in &clients {
        assert_eq!(client.ask_once("afterwards").unwrap().server, "new");
    }
}

#[test]
fn a_client_that_sent_before_the_route_was_there_finds_it() {
    let Some(world) = World::new() else { return };
    world.one.program(&world.table(&world.one));
    let dns = world.one.container();
    let outside = world.one.container();
    serve_udp(&dns.machine, "dns", 53);
    serve_udp(&outside.machine, "another", 53);
    let early = Client::new(&world.client, world.one.address, 53);
    let other = Client::new(&dns.machine, outside.address, 53);
    early.ask_once("too early").unwrap_err();
    assert_eq!(other.ask("not meant").server, "another");

    let mut table = world.table(&world.one);
    table.routes.insert(udp(53).into(), target(dns.address, 53));
    world.one.program(&table);
    let stuck = early.ask_once("stuck").unwrap_err();
    assert_eq!(stuck.kind(), std::io::ErrorKind::ConnectionRefused);
    let ports = BTreeSet::from([RoutePort::from(udp(53))]);
    let forget = || world.one.machine.run(|| forget_strays(&ports)).unwrap();
    assert_eq!(forget(), 1);
    assert_eq!(early.ask("found").server, "dns");
    assert_eq!(forget(), 0);
}

/// Programs a link on both nodes, to a container on node one.
fn link(world: &World, here: &Container) {
    let mut table = world.table(&world.one);
    table.links.insert(udp(LINK), target(here.address, 53));
    world.one.program(&table);
    let mut table = world.table(&world.two);
    table
        .links
        .insert(udp(LINK), target(world.one.address, LINK));
    world.two.program(&table);
}

fn closed_to_others(world: &World) {
    for node in [&world.one, &world.two] {
        refused_udp(&world.client, node.address, LINK);
        refused_udp(&node.machine, LOCALHOST, LINK);
    }
}

#[test]
fn a_link_of_udp_is_closed_to_others() {
    let Some(world) = World::new() else { return };
    for node in [&world.one, &world.two] {
        node.docker_firewall();
    }
    let dns = world.one.container();
    serve_udp(&dns.machine, "dns", 53);
    let links = ContainerLinks::from([(udp(53).into(), port(LINK))]);
    let sources = [world.one.container(), world.two.container()];
    link(&world, &dns);
    for source in &sources {
        // A program that asks before its link is there.
        let early = Client::new(&source.machine, LOCALHOST, 53);
        early.ask_once("too early").unwrap_err();
        ensure_links(&source.machine.namespace, GATEWAY, &links).unwrap();
        assert_eq!(early.ask("found").server, "dns");
        assert_eq!(ask_udp(&source.machine, LOCALHOST, 53).server, "dns");
        let connected = source
            .machine
            .run(|| std::net::TcpStream::connect((LOCALHOST, 53)).unwrap_err());
        assert_eq!(connected.kind(), std::io::ErrorKind::ConnectionRefused);
    }
    closed_to_others(&world);
}

#[test]
fn a_program_that_takes_packets_listens() {
    let Some(world) = World::new() else { return };
    let Node { machine, .. } = &world.one;
    serve_udp(machine, "one", 7000);
    serve(machine, "two", 7001);
    let _client = Client::new(machine, LOCALHOST, 7000);
    let listening = machine.run(observe_listening_ports).unwrap();
    let expected: BTreeSet<RoutePort> = [udp(7000).into(), port(7001).into()].into();
    assert_eq!(listening, expected);
}
