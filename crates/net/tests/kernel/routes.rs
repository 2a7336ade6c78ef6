//! Routed ports answer on every node, to everybody.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::traffic::{Connection, answers_soon, ask, refused, serve, serve_at};
use super::world::{CLIENT, Container, DISGUISE, GATEWAY, LOCALHOST, World, port, target};

/// A web server in a container on node one, routed as port 80 on both nodes.
fn routed(world: &World) -> Container {
    let web = world.one.container();
    route_web(world, &web);
    web
}

fn route_web(world: &World, web: &Container) {
    serve(&web.machine, "web", 8000);
    let mut table = world.table(&world.one);
    table
        .routes
        .insert(port(80).into(), target(web.address, 8000));
    world.one.program(&table);
    let mut table = world.table(&world.two);
    table
        .routes
        .insert(port(80).into(), target(world.one.address, 80));
    world.two.program(&table);
}

#[test]
fn a_route_answers_outside_clients_through_both_nodes() {
    let Some(world) = World::new() else { return };
    let _web = routed(&world);
    assert_eq!(
        ask(&world.client, world.one.address, 80),
        ("web".to_owned(), CLIENT),
        "a container sees who its clients are"
    );
    let through_two = ask(&world.client, world.two.address, 80);
    assert_eq!(through_two, ("web".to_owned(), world.two.address));
}

#[test]
fn a_route_answers_the_nodes_themselves() {
    let Some(world) = World::new() else { return };
    let _web = routed(&world);
    for node in [&world.one, &world.two] {
        for address in [LOCALHOST, node.address, GATEWAY] {
            assert_eq!(ask(&node.machine, address, 80).0, "web", "{address}");
        }
    }
    assert_eq!(ask(&world.one.machine, world.two.address, 80).0, "web");
    assert_eq!(ask(&world.two.machine, world.one.address, 80).0, "web");
}

#[test]
fn a_route_answers_containers() {
    let Some(world) = World::new() else { return };
    world.one.docker_firewall();
    world.two.docker_firewall();
    let web = routed(&world);
    let beside = world.one.container();
    let elsewhere = world.two.container();
    for container in [&web, &beside, &elsewhere] {
        for node in [world.one.address, world.two.address, GATEWAY] {
            assert_eq!(ask(&container.machine, node, 80).0, "web", "{node}");
        }
    }
}

#[test]
fn routes_pass_dockers_firewall() {
    let Some(world) = World::new() else { return };
    world.one.docker_firewall();
    world.two.docker_firewall();
    let _web = routed(&world);
    let elsewhere = world.two.container();
    for node in [world.one.address, world.two.address] {
        assert_eq!(ask(&world.client, node, 80).0, "web");
        assert_eq!(ask(&elsewhere.machine, node, 80).0, "web");
    }
    assert_eq!(ask(&world.one.machine, LOCALHOST, 80).0, "web");
    assert_eq!(ask(&world.two.machine, LOCALHOST, 80).0, "web");
}

#[test]
fn only_routed_ports_of_a_container_can_be_reached() {
    let Some(world) = World::new() else { return };
    world
        .client
        .command("ip route add 172.20.0.0/24 via 192.0.2.1");
    let web = world.one.container();
    serve(&web.machine, "secret", 9000);
    world
        .one
        .machine
        .command("sysctl -qw net.ipv4.ip_forward=1");
    assert_eq!(ask(&world.client, web.address, 9000).0, "secret");
    route_web(&world, &web);
    assert!(!answers_soon(&world.client, web.address, 9000));
    assert!(!answers_soon(&world.client, web.address, 8000));
    refused(&world.client, world.one.address, 9000);
    let beside = world.one.container();
    assert_eq!(ask(&beside.machine, web.address, 9000).0, "secret");
}

#[test]
fn nobody_else_is_localhost() {
    let Some(world) = World::new() else { return };
    let node = &world.one;
    serve_at(&node.machine, "private", (LOCALHOST, 7000));
    node.machine
        .command("sysctl -qw net.ipv4.conf.all.route_localnet=1");
    world.client.disguise_loopback_of(node.address, LOCALHOST);
    let attack = || answers_soon(&world.client, DISGUISE, 7000);
    assert!(attack(), "without the table, the disguise works");
    node.program(&world.table(node));
    assert!(!attack());
    assert_eq!(ask(&node.machine, LOCALHOST, 7000).0, "private");
}

#[test]
fn open_connections_survive_any_reprogramming() {
    let Some(world) = World::new() else { return };
    let web = routed(&world);
    survive(&world, &web);
}

/// Docker's own chains for address translation make the kernel behave differently: it forgets
/// translations when the last such chain goes.
#[test]
fn open_connections_survive_any_reprogramming_beside_docker() {
    let Some(world) = World::new() else { return };
    world.one.docker_firewall();
    world.two.docker_firewall();
    let web = routed(&world);
    survive(&world, &web);
}

/// Keeps connections busy while both nodes are programmed again and again.
fn survive(world: &World, web: &Container) {
    let programmed = AtomicBool::new(false);
    let connections = [
        (&world.client, world.one.address),
        (&world.client, world.two.address),
        (&world.one.machine, LOCALHOST),
        (&world.two.machine, LOCALHOST),
        (&web.machine, world.one.address),
    ]
    .map(|(from, address)| Connection::open(from, address, 80).unwrap());
    thread::scope(|scope| {
        for mut connection in connections {
            let programmed = &programmed;
            scope.spawn(move || {
                while !programmed.load(Ordering::Relaxed) {
                    connection.echo("still there").unwrap();
                }
                connection.echo("at the end, too").unwrap();
            });
        }
        for number in 1..=20 {
            for node in [&world.one, &world.two] {
                let mut table = world.table(node);
                table.digest = format!("d{number}");
                table.held.insert(port(80).into());
                table
                    .routes
                    .insert(port(number).into(), target(web.address, 8000));
                node.program(&table);
            }
        }
        programmed.store(true, Ordering::Relaxed);
    });
}
