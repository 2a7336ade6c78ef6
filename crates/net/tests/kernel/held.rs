//! During a move new connections wait, and then go to the right place.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::thread;

use flocker_net::{RoutingTable, forget_connections};

use super::traffic::{Connection, ask, await_retry, serve};
use super::world::{LOCALHOST, Machine, World, port, target};

#[test]
fn held_connections_go_where_the_port_leads_afterwards() {
    let Some(world) = World::new() else { return };
    let old = world.one.container();
    let new = world.two.container();
    serve(&old.machine, "old", 5432);
    serve(&new.machine, "new", 5432);
    let [one, two] = [&world.one, &world.two].map(|node| world.table(node));
    let route = |table: &RoutingTable, address| {
        let mut table = table.clone();
        table
            .routes
            .insert(port(5432).into(), target(address, 5432));
        table
    };
    let before = [route(&one, old.address), route(&two, world.one.address)];
    let after = [route(&one, world.two.address), route(&two, new.address)];
    let held = before.clone().map(|mut table| {
        table.held.insert(port(5432).into());
        table
    });
    let program = |tables: &[RoutingTable; 2]| {
        world.one.program(&tables[0]);
        world.two.program(&tables[1]);
    };

    program(&before);
    let mut open = Connection::open(&world.client, world.two.address, 5432).unwrap();
    program(&held);
    open.echo("open connections are not held").unwrap();
    let beside = world.one.container();
    let clients: [(&Machine, _); 5] = [
        (&world.client, world.one.address),
        (&world.client, world.two.address),
        (&world.one.machine, LOCALHOST),
        (&world.two.machine, world.two.address),
        (&beside.machine, world.one.address),
    ];
    thread::scope(|scope| {
        let waiting =
            clients.map(|(machine, address)| scope.spawn(move || ask(machine, address, 5432).0));
        for (machine, _) in clients {
            await_retry(machine, 5432);
        }
        program(&after);
        for client in waiting {
            assert_eq!(client.join().unwrap(), "new");
        }
    });
}

#[test]
fn half_open_connections_are_not_pinned_to_where_nobody_answers() {
    let Some(world) = World::new() else { return };
    let old = world.one.container();
    let new = world.one.container();
    serve(&new.machine, "new", 5432);
    for line in [
        "nft add table ip silence",
        "nft add chain ip silence input { type filter hook input priority 0; policy drop; }",
    ] {
        old.machine.command(line);
    }
    let mut table = world.table(&world.one);
    table
        .routes
        .insert(port(5432).into(), target(old.address, 5432));
    world.one.program(&table);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| ask(&world.client, world.one.address, 5432).0);
        await_retry(&world.client, 5432);
        table
            .routes
            .insert(port(5432).into(), target(new.address, 5432));
        world.one.program(&table);
        let ports = BTreeMap::from([(port(5432).into(), BTreeSet::new())]);
        let forgotten = world.one.machine.run(|| forget_connections(&ports));
        assert_eq!(forgotten.unwrap(), 1);
        assert_eq!(waiting.join().unwrap(), "new");
    });
}

#[test]
fn forgotten_connections_end_at_once_and_others_stay() {
    let Some(world) = World::new() else { return };
    let old = world.one.container();
    let new = world.two.container();
    serve(&old.machine, "old", 5432);
    serve(&old.machine, "web", 80);
    serve(&new.machine, "new", 5432);
    let mut table = world.table(&world.one);
    table
        .routes
        .insert(port(5432).into(), target(old.address, 5432));
    table
        .routes
        .insert(port(80).into(), target(old.address, 80));
    world.one.program(&table);
    let mut database = Connection::open(&world.client, world.one.address, 5432).unwrap();
    let mut web = Connection::open(&world.client, world.one.address, 80).unwrap();

    let mut other = world.table(&world.two);
    other
        .routes
        .insert(port(5432).into(), target(new.address, 5432));
    world.two.program(&other);
    table
        .routes
        .insert(port(5432).into(), target(world.two.address, 5432));
    world.one.program(&table);
    database.echo("pinned to where it went").unwrap();
    let ports = BTreeMap::from([(port(5432).into(), BTreeSet::new())]);
    let forget = || {
        world
            .one
            .machine
            .run(|| forget_connections(&ports))
            .unwrap()
    };
    assert_eq!(forget(), 1);
    assert_eq!(forget(), 0);
    let error = database.echo("forgotten").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
    web.echo("not meant").unwrap();
}
