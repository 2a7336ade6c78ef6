//! Containers send nothing that is too large for the node's network.

use flocker_model::ContainerLinks;
use flocker_net::{Change, ensure_links};

use super::traffic::{Connection, serve};
use super::world::{BRIDGE, CLIENT, GATEWAY, Machine, World};

fn mtu_of(machine: &Machine, interface: &str) -> u32 {
    let listed = machine.command(&format!("ip -o link show {interface}"));
    let mut words = listed.split_whitespace();
    words.find(|word| *word == "mtu");
    words.next().unwrap().parse().unwrap()
}

#[test]
fn containers_follow_the_mtu_of_the_nodes_default_route() {
    let Some(world) = World::new() else { return };
    let node = &world.one;
    node.docker_firewall();
    let container = node.container();
    let namespace = &container.machine.namespace;
    serve(&world.client, "client", 7000);
    let (links, table) = (ContainerLinks::new(), world.table(node));
    let link = || {
        let linked = node
            .machine
            .run(|| ensure_links(namespace, GATEWAY, &links));
        linked.unwrap()
    };
    node.program(&table);
    assert_eq!(link(), Change::Unchanged, "there is no default route");
    node.machine
        .command(&format!("ip route add default via {CLIENT}"));
    // What would tell senders of packets that are too large is often lost.
    node.machine.rules(
        "table ip lossy { chain output {
            type filter hook output priority filter;
            icmp type destination-unreachable drop
        }
        }",
    );
    for mtu in [1420, 1280] {
        node.machine.command(&format!("ip link set eth0 mtu {mtu}"));
        assert_eq!(link(), Change::Changed);
        assert_eq!(link(), Change::Unchanged);
        assert_eq!(node.program(&table).change, Change::Changed);
        assert_eq!(node.program(&table).change, Change::Unchanged);
        assert_eq!(mtu_of(&container.machine, "eth0"), mtu);
        assert_eq!(mtu_of(&node.machine, BRIDGE), mtu);
        let mut connection = Connection::open(&container.machine, CLIENT, 7000).unwrap();
        connection.echo(&"x".repeat(100_000)).unwrap();
    }
    node.machine.command("ip link set eth0 mtu 1500");
    assert_eq!(link(), Change::Unchanged);
}

#[test]
fn the_lowest_default_route_counts() {
    let Some(world) = World::new() else { return };
    let node = &world.one;
    let container = node.container();
    node.machine
        .command(&format!("ip route add default via {CLIENT}"));
    node.machine.command(&format!(
        "ip route add default via {CLIENT} metric 100 mtu 1400"
    ));
    let linked = node.machine.run(|| {
        ensure_links(
            &container.machine.namespace,
            GATEWAY,
            &ContainerLinks::new(),
        )
    });
    assert_eq!(linked.unwrap(), Change::Changed);
    assert_eq!(mtu_of(&container.machine, "eth0"), 1400);
}
