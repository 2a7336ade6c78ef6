//! Being told when the firewall loses what was programmed.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use flocker_net::{Change, FirewallWatch, observe_routing};

use super::traffic::{answers_soon, ask, serve};
use super::world::{Machine, World, port, target};

const DEADLINE: Duration = Duration::from_secs(15);

/// Watches a machine, and sends a word whenever something may have changed.
fn watch(machine: &Machine) -> mpsc::Receiver<()> {
    let watch = machine.run(FirewallWatch::begin).unwrap();
    let (told, changes) = mpsc::channel();
    thread::spawn(
        move || {
            while watch.wait(None).is_ok() && told.send(()).is_ok() {}
        },
    );
    changes
}

#[test]
fn a_flush_of_the_ruleset_wakes_the_watcher_once() {
    let Some(world) = World::new() else { return };
    let node = &world.one;
    let container = node.container();
    serve(&container.machine, "web", 8000);
    let mut table = world.table(node);
    table
        .routes
        .insert(port(80).into(), target(container.address, 8000));
    table.held.insert(port(5432).into());
    node.program(&table);
    let changes = watch(&node.machine);
    for flush in [
        "nft flush ruleset",
        "nft delete table ip flocker",
        "nft flush chain ip flocker redirect-arriving",
        "nft flush map ip flocker routes",
    ] {
        node.machine.command(flush);
        changes.recv_timeout(DEADLINE).expect(flush);
        let routing = node.machine.run(observe_routing).unwrap();
        assert_ne!(routing.as_ref(), Some(&table), "{flush}");
        assert!(!answers_soon(&world.client, node.address, 80), "{flush}");
        assert_eq!(node.program(&table).change, Change::Changed, "{flush}");
        let routing = node.machine.run(observe_routing).unwrap();
        assert_eq!(routing.as_ref(), Some(&table), "{flush}");
        assert_eq!(ask(&world.client, node.address, 80).0, "web", "{flush}");
        // What was programmed is a change as well, and all of it is one.
        changes.recv_timeout(DEADLINE).expect("programming");
        changes.recv_timeout(Duration::from_secs(1)).unwrap_err();
    }
}

#[test]
fn new_chains_of_docker_wake_the_watcher() {
    let Some(world) = World::new() else { return };
    let node = &world.one;
    let table = world.table(node);
    node.program(&table);
    let changes = watch(&node.machine);
    node.docker_firewall();
    changes.recv_timeout(DEADLINE).unwrap();
    assert_eq!(node.machine.run(observe_routing).unwrap(), None);
    node.program(&table);
    assert_eq!(node.machine.run(observe_routing).unwrap(), Some(table));
}

#[test]
fn other_programs_tables_wake_nobody() {
    let Some(world) = World::new() else { return };
    let node = &world.one;
    node.docker_firewall();
    node.program(&world.table(node));
    let changes = watch(&node.machine);
    for line in [
        "nft add table inet f2b",
        "nft add set inet f2b addresses { type ipv4_addr; }",
        "nft add element inet f2b addresses { 198.51.100.1 }",
        "iptables -N f2b-sshd",
        "iptables -A f2b-sshd -s 198.51.100.1 -j DROP",
        "nft add table ip6 flocker",
    ] {
        node.machine.command(line);
    }
    changes.recv_timeout(Duration::from_secs(1)).unwrap_err();
}
