//! Links: loopback addresses in one container lead to others, wherever those run.

use std::net::Ipv4Addr;
use std::thread;

use flocker_model::{ContainerLinks, LocalPort, RoutePort, ServicePort};
use flocker_net::{Change, ensure_links, observe_links};

use super::traffic::{answers_soon, ask, await_retry, refused, serve, serve_at};
use super::udp_traffic::{Client, refused_udp, serve_udp};
use super::world::{DISGUISE, GATEWAY, LOCALHOST, World, port, target};

const LINK: u16 = 40001;

/// Loopback addresses of containers beside 127.0.0.1.
const ONE: Ipv4Addr = Ipv4Addr::new(127, 1, 0, 5);
const OTHER: Ipv4Addr = Ipv4Addr::new(127, 1, 0, 6);

/// The port of both protocols at an address.
fn both_at(address: Ipv4Addr, number: u16) -> [LocalPort; 2] {
    let service = ServicePort::from(port(number));
    let udp: ServicePort = format!("{number}/udp").parse().unwrap();
    [service, udp].map(|port| {
        let address = Some(address);
        RoutePort { address, port }.try_into().unwrap()
    })
}

#[test]
fn a_link_follows_its_target_and_is_closed_to_others() {
    let Some(world) = World::new() else { return };
    for node in [&world.one, &world.two] {
        node.docker_firewall();
    }
    let source = world.one.container();
    let here = world.one.container();
    let there = world.two.container();
    serve(&here.machine, "here", 5432);
    serve(&there.machine, "there", 5432);
    let links = ContainerLinks::from([(port(5432).into(), port(LINK))]);
    ensure_links(&source.machine.namespace, GATEWAY, &links).unwrap();

    let mut one = world.table(&world.one);
    let mut two = world.table(&world.two);
    one.links
        .insert(port(LINK).into(), target(here.address, 5432));
    two.links
        .insert(port(LINK).into(), target(world.one.address, LINK));
    world.one.program(&one);
    world.two.program(&two);
    assert_eq!(ask(&source.machine, LOCALHOST, 5432).0, "here");
    closed_to_others(&world);

    // The target moves: only the nodes' tables change, and who connects meanwhile waits.
    for (node, table) in [(&world.one, &mut one), (&world.two, &mut two)] {
        table.held.insert(port(LINK).into());
        node.program(table);
    }
    thread::scope(|scope| {
        let waiting = scope.spawn(|| ask(&source.machine, LOCALHOST, 5432).0);
        await_retry(&source.machine, 5432);
        one.links
            .insert(port(LINK).into(), target(world.two.address, LINK));
        two.links
            .insert(port(LINK).into(), target(there.address, 5432));
        for (node, table) in [(&world.one, &mut one), (&world.two, &mut two)] {
            table.held.clear();
            node.program(table);
        }
        assert_eq!(waiting.join().unwrap(), "there");
    });
    assert_eq!(ask(&source.machine, LOCALHOST, 5432).0, "there");
    closed_to_others(&world);
}

fn closed_to_others(world: &World) {
    for node in [&world.one, &world.two] {
        for number in [LINK, 5432] {
            refused(&world.client, node.address, number);
            refused(&node.machine, LOCALHOST, number);
        }
    }
}

#[test]
fn a_container_can_link_to_itself_and_keeps_its_own_ports() {
    let Some(world) = World::new() else { return };
    let container = world.one.container();
    serve(&container.machine, "self", 8000);
    let links = ContainerLinks::from([(port(80).into(), port(LINK))]);
    ensure_links(&container.machine.namespace, GATEWAY, &links).unwrap();
    let mut table = world.table(&world.one);
    table
        .links
        .insert(port(LINK).into(), target(container.address, 8000));
    world.one.program(&table);
    assert_eq!(ask(&container.machine, LOCALHOST, 80).0, "self");
    assert_eq!(
        ask(&container.machine, LOCALHOST, 8000),
        ("self".to_owned(), LOCALHOST)
    );
    let beside = world.one.container();
    refused(&beside.machine, container.address, 80);
}

#[test]
fn applications_at_one_port_have_an_address_each() {
    let Some(world) = World::new() else { return };
    let source = world.one.container();
    let inside = &source.machine;
    serve(inside, "own", 5432);
    serve_udp(inside, "own", 5432);
    let mut links = ContainerLinks::new();
    let (mut one, mut two) = (world.table(&world.one), world.table(&world.two));
    for (wire, (address, name)) in (LINK..).zip([(ONE, "first"), (OTHER, "second")]) {
        let target_there = world.two.container();
        serve(&target_there.machine, name, 5432);
        serve_udp(&target_there.machine, name, 5432);
        for local in both_at(address, 5432) {
            links.insert(local, port(wire));
            let protocol = local.port.protocol;
            let wire = ServicePort {
                protocol,
                port: port(wire),
            };
            let (here, there) = (world.two.address, target_there.address);
            one.links.insert(wire, target(here, wire.port.get()));
            two.links.insert(wire, target(there, 5432));
        }
    }
    // A program that asks before its link is there. The container's own server answers it from
    // 127.0.0.1, which it did not ask.
    let early = Client::new(inside, ONE, 5432);
    early.ask_once("too early").unwrap_err();
    world.one.program(&one);
    world.two.program(&two);
    ensure_links(&inside.namespace, GATEWAY, &links).unwrap();
    assert_eq!(early.ask("found").server, "first");
    for (address, name) in [(LOCALHOST, "own"), (ONE, "first"), (OTHER, "second")] {
        assert_eq!(ask(inside, address, 5432).0, name);
        let client = Client::new(inside, address, 5432);
        assert_eq!(client.ask("who is there?").server, name);
    }
    assert_eq!(observe_links(&inside.namespace).unwrap(), Some(links));
    // Addresses without a link are the container's own.
    assert_eq!(ask(inside, Ipv4Addr::new(127, 1, 0, 7), 5432).0, "own");
}

/// A server that listens at every address of its container would answer there too, in the place of the
/// linked application.
#[test]
fn an_address_with_links_answers_at_no_other_port() {
    let Some(world) = World::new() else { return };
    let source = world.one.container();
    let inside = &source.machine;
    serve(inside, "own", 5433);
    serve_udp(inside, "own", 5433);
    let links = both_at(ONE, 5432).map(|local| (local, port(LINK)));
    ensure_links(&inside.namespace, GATEWAY, &links.into()).unwrap();
    refused(inside, ONE, 5433);
    refused_udp(inside, ONE, 5433);
    for address in [LOCALHOST, OTHER] {
        assert_eq!(ask(inside, address, 5433).0, "own");
        let client = Client::new(inside, address, 5433);
        // From another address than it asked it takes no answer.
        let answered = client.ask_once("who is there?");
        assert_eq!(answered.is_ok(), address == LOCALHOST, "{answered:?}");
    }
    // A program of the container that uses the address itself is answered.
    let itself = Client::bound_to(ONE, inside, (LOCALHOST, 5433).into());
    assert_eq!(itself.ask("who is there?").seen_as, ONE);
    // Once the address has no link, it is the container's own again.
    ensure_links(&inside.namespace, GATEWAY, &ContainerLinks::new()).unwrap();
    assert_eq!(ask(inside, ONE, 5433).0, "own");
}

#[test]
fn ipv6_localhost_is_refused_so_that_clients_fall_back() {
    let Some(world) = World::new() else { return };
    let container = world.one.container();
    let links = ContainerLinks::from([(port(80).into(), port(LINK))]);
    ensure_links(&container.machine.namespace, GATEWAY, &links).unwrap();
    let refused = container
        .machine
        .run(|| std::net::TcpStream::connect("[::1]:80"));
    assert_eq!(
        refused.unwrap_err().kind(),
        std::io::ErrorKind::ConnectionRefused
    );
}

#[test]
fn links_are_programmed_once_and_read_back() {
    let Some(world) = World::new() else { return };
    let container = world.one.container();
    let namespace = &container.machine.namespace;
    // Not from the machine that runs the tests, whose MTU the container would get.
    let ensure_links = |links| {
        let node = &world.one.machine;
        node.run(|| ensure_links(namespace, GATEWAY, links))
    };
    let none = ContainerLinks::new();
    let some = ContainerLinks::from([
        (port(80).into(), port(LINK)),
        (port(443).into(), port(LINK + 1)),
    ]);
    assert_eq!(observe_links(namespace).unwrap(), Some(none.clone()));
    let mut elsewhere = some.clone();
    elsewhere.extend(both_at(ONE, 80).map(|local| (local, port(LINK + 2))));
    let steps = [
        (&none, Change::Unchanged),
        (&some, Change::Changed),
        (&some, Change::Unchanged),
        (&elsewhere, Change::Changed),
        (&elsewhere, Change::Unchanged),
        (&some, Change::Changed),
        (&some, Change::Unchanged),
        (&none, Change::Changed),
        (&none, Change::Unchanged),
    ];
    for (links, change) in steps {
        let done = ensure_links(links).unwrap();
        assert_eq!(done, change, "{links:?}");
        assert_eq!(observe_links(namespace).unwrap().as_ref(), Some(links));
    }
    container
        .machine
        .command("nft flush chain ip flocker redirect-own");
    assert_eq!(observe_links(namespace).unwrap(), None);
    assert_eq!(ensure_links(&some).unwrap(), Change::Changed);
}

#[test]
fn links_do_not_open_loopback_addresses_to_other_containers() {
    let Some(world) = World::new() else { return };
    for address in [LOCALHOST, ONE] {
        let container = world.one.container();
        let beside = world.one.container();
        let inside = &container.machine;
        serve_at(inside, "private", (address, 7000));
        inside.command("sysctl -qw net.ipv4.conf.all.route_localnet=1");
        beside
            .machine
            .disguise_loopback_of(container.address, address);
        let attack = || answers_soon(&beside.machine, DISGUISE, 7000);
        assert!(attack(), "without the table, the disguise works");
        let mut links = ContainerLinks::from([(port(80).into(), port(LINK))]);
        links.extend(both_at(ONE, 80).map(|local| (local, port(LINK))));
        ensure_links(&inside.namespace, GATEWAY, &links).unwrap();
        assert!(!attack());
        // An address with links is not the container's own.
        if address == LOCALHOST {
            assert_eq!(ask(inside, address, 7000).0, "private");
        }
    }
}
