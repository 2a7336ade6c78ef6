//! Routes that answer at one address, or to some networks.

use std::collections::{BTreeMap, BTreeSet};

use flocker_model::{RoutePort, ServicePort, SourceNetwork};
use flocker_net::{RoutingTable, forget_connections, observe_routing};

use super::traffic::{Connection, answers_soon, ask, refused, serve};
use super::udp_traffic::{ask_udp, ignored_udp, refused_udp, serve_udp};
use super::world::{CLIENT, Container, GATEWAY, LOCALHOST, Machine, World, target};

/// The port at which node two hands packets to node one.
const WIRE: u16 = 24001;

fn route(text: &str) -> RoutePort {
    text.parse().unwrap()
}

fn service(text: &str) -> ServicePort {
    text.parse().unwrap()
}

fn networks(texts: &[&str]) -> BTreeSet<SourceNetwork> {
    let texts = texts.iter();
    texts.map(|text| text.parse().unwrap()).collect()
}

/// Tables with a route of TCP and one of UDP to ports of the same number of a container on node one,
/// which goes over wire ports.
fn tables(world: &World, to: &Container, outside: [&str; 2], from: &[&str]) -> [RoutingTable; 2] {
    let wires = [WIRE.to_string(), format!("{WIRE}/udp")];
    let mut one = world.table(&world.one);
    let mut two = world.table(&world.two);
    for (outside, wire) in outside.into_iter().zip(&wires) {
        let outside = route(outside);
        let inside = target(to.address, outside.port.port.get());
        one.routes.insert(outside, inside);
        one.wires.insert(service(wire), inside);
        let next = target(world.one.address, WIRE);
        two.routes.insert(outside, next);
        two.wires.insert(service(wire), next);
        if !from.is_empty() {
            one.from.insert(outside, networks(from));
            two.from.insert(outside, networks(from));
        }
    }
    [one, two]
}

fn program(world: &World, tables: &[RoutingTable; 2]) {
    world.one.program(&tables[0]);
    world.two.program(&tables[1]);
}

/// A database on node one.
fn database(world: &World) -> Container {
    for node in [&world.one, &world.two] {
        node.docker_firewall();
    }
    let database = world.one.container();
    serve(&database.machine, "db", 5432);
    serve_udp(&database.machine, "db", 5432);
    database
}

#[track_caller]
fn dropped(from: &Machine, address: std::net::Ipv4Addr) {
    assert!(!answers_soon(from, address, 5432), "{address}");
    ignored_udp(from, address, 5432);
}

#[test]
fn only_the_networks_of_a_route_reach_it_through_any_node() {
    let Some(world) = World::new() else { return };
    let db = database(&world);
    let routes = ["5432", "5432/udp"];
    program(
        &world,
        &tables(&world, &db, routes, &["10.0.0.0/8", "192.0.2.96/28"]),
    );
    let there = world.two.container();
    let beside = world.one.container();
    for node in [&world.one, &world.two] {
        assert_eq!(ask(&world.client, node.address, 5432).0, "db");
        assert_eq!(ask_udp(&world.client, node.address, 5432).server, "db");
        dropped(&node.machine, LOCALHOST);
        dropped(&node.machine, node.address);
        dropped(&there.machine, node.address);
        dropped(&beside.machine, node.address);
    }
    program(
        &world,
        &tables(&world, &db, routes, &["10.0.0.0/8", "172.20.0.0/24"]),
    );
    for node in [&world.one, &world.two] {
        dropped(&world.client, node.address);
    }
    assert_eq!(ask(&beside.machine, GATEWAY, 5432).0, "db");
    assert_eq!(ask(&there.machine, GATEWAY, 5432).0, "db");
    assert_eq!(ask_udp(&there.machine, GATEWAY, 5432).server, "db");
}

#[test]
fn nobody_goes_round_a_list_by_the_ports_between_nodes() {
    let Some(world) = World::new() else { return };
    let db = database(&world);
    program(
        &world,
        &tables(&world, &db, ["5432", "5432/udp"], &["10.0.0.0/8"]),
    );
    let there = world.two.container();
    let beside = world.one.container();
    for node in [&world.one, &world.two] {
        refused(&world.client, node.address, WIRE);
        refused_udp(&world.client, node.address, WIRE);
    }
    // Its node's address is a peer's, and it leaves the node with that.
    assert!(!answers_soon(&there.machine, world.one.address, WIRE));
    ignored_udp(&there.machine, world.one.address, WIRE);
    refused(&beside.machine, GATEWAY, WIRE);
    // Nor does a machine that uses a node as its router.
    let router = &world.two.machine;
    router.command("iptables -t nat -I POSTROUTING -s 192.0.2.100 -j MASQUERADE");
    router.command("iptables -P FORWARD ACCEPT");
    let line = format!(
        "ip route add {}/32 via {}",
        world.one.address, world.two.address
    );
    world.client.command(&line);
    assert!(!answers_soon(&world.client, world.one.address, WIRE));
    // To programs of node two itself the port is open: they are a peer.
    assert_eq!(ask(&world.two.machine, world.one.address, WIRE).0, "db");
}

#[test]
fn a_narrower_list_ends_connections_from_elsewhere() {
    let Some(world) = World::new() else { return };
    let db = database(&world);
    let routes = ["5432", "5432/udp"];
    program(&world, &tables(&world, &db, routes, &["192.0.2.0/24"]));
    let mut client = Connection::open(&world.client, world.one.address, 5432).unwrap();
    let mut other = Connection::open(&world.two.machine, world.one.address, 5432).unwrap();
    let kept = networks(&["192.0.2.100"]);
    program(&world, &tables(&world, &db, routes, &["192.0.2.100"]));
    let ports = BTreeMap::from([(route("5432"), kept)]);
    let forgotten = world.one.machine.run(|| forget_connections(&ports));
    assert_eq!(forgotten.unwrap(), 1);
    client.echo("listed").unwrap();
    other.give_up_soon();
    other.echo("not listed any more").unwrap_err();
}

#[test]
fn a_route_at_one_address_answers_there_alone() {
    let Some(world) = World::new() else { return };
    let db = database(&world);
    let second = std::net::Ipv4Addr::new(192, 0, 2, 11);
    world
        .one
        .machine
        .command("ip address add 192.0.2.11/24 dev eth0");
    let routes = ["192.0.2.11:5432", "192.0.2.11:5432/udp"];
    program(&world, &tables(&world, &db, routes, &[]));
    let answer = ask(&world.client, second, 5432);
    assert_eq!(answer, ("db".to_owned(), CLIENT));
    assert_eq!(ask_udp(&world.client, second, 5432).server, "db");
    assert_eq!(ask(&world.one.machine, second, 5432).0, "db");
    for node in [&world.one, &world.two] {
        refused(&world.client, node.address, 5432);
        refused_udp(&world.client, node.address, 5432);
        refused(&node.machine, LOCALHOST, 5432);
    }
    // Another one has the port at the other address, for others.
    let other = world.one.container();
    serve(&other.machine, "other", 5432);
    let [mut one, two] = tables(&world, &db, routes, &["10.0.0.0/8"]);
    let outside = route("192.0.2.1:5432");
    one.routes.insert(outside, target(other.address, 5432));
    program(&world, &[one, two]);
    assert_eq!(ask(&world.client, world.one.address, 5432).0, "other");
    assert!(!answers_soon(&world.client, second, 5432));
    ignored_udp(&world.client, second, 5432);
}

#[test]
fn a_route_at_localhost_answers_each_node_itself() {
    let Some(world) = World::new() else { return };
    let db = database(&world);
    let routes = ["127.0.0.1:5432", "127.0.0.1:5432/udp"];
    program(&world, &tables(&world, &db, routes, &[]));
    let beside = world.one.container();
    for node in [&world.one, &world.two] {
        assert_eq!(ask(&node.machine, LOCALHOST, 5432).0, "db");
        assert_eq!(ask_udp(&node.machine, LOCALHOST, 5432).server, "db");
        refused(&node.machine, node.address, 5432);
        refused(&world.client, node.address, 5432);
        refused_udp(&world.client, node.address, 5432);
    }
    refused(&beside.machine, GATEWAY, 5432);
    world
        .client
        .disguise_loopback_of(world.one.address, LOCALHOST);
    assert!(!answers_soon(&world.client, super::world::DISGUISE, 5432));
}

#[test]
fn limits_are_read_back_as_they_were_programmed() {
    let Some(world) = World::new() else { return };
    let db = world.one.container();
    let lists: [&[&str]; 3] = [&[], &["0.0.0.0/0"], &["10.0.0.0/8", "192.0.2.96/28"]];
    for from in lists {
        for routes in [["80", "53/udp"], ["192.0.2.1:80", "127.0.0.1:53/udp"]] {
            let [mut one, _] = tables(&world, &db, routes, from);
            one.held.extend(routes.map(route));
            world.one.program(&one);
            let found = world.one.machine.run(observe_routing).unwrap();
            assert_eq!(found, Some(one));
        }
    }
}

#[test]
fn thousands_of_ports_are_programmed_at_once() {
    let Some(world) = World::new() else { return };
    let db = world.one.container();
    let mut table = world.table(&world.one);
    let list = networks(&["10.0.0.0/8", "192.0.2.96/28", "172.20.0.0/24"]);
    for number in 1..=3000 {
        for port in [format!("{number}/udp"), format!("192.0.2.1:{number}")] {
            table
                .routes
                .insert(route(&port), target(db.address, number));
            table.from.insert(route(&port), list.clone());
            table.held.insert(route(&port));
        }
    }
    world.one.program(&table);
    let found = world.one.machine.run(observe_routing).unwrap();
    assert_eq!(found, Some(table));
}
