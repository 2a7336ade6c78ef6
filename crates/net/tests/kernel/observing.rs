//! What is read back.

use flocker_net::{
    Change, observe_digest, observe_interface_address, observe_listening_ports, observe_routing,
};

use super::traffic::serve;
use super::world::{GATEWAY, Node, World, port, target};

fn digest(node: &Node) -> Option<String> {
    node.machine.run(observe_digest).unwrap()
}

#[test]
fn routing_is_read_back_as_it_was_programmed() {
    let Some(world) = World::new() else { return };
    let node = &world.one;
    assert_eq!(node.machine.run(observe_routing).unwrap(), None);
    let mut table = world.table(node);
    table
        .routes
        .insert(port(80).into(), target(node.address, 65535));
    table.links.insert(port(40001).into(), target(GATEWAY, 1));
    table.held.insert(port(80).into());
    node.program(&table);
    assert_eq!(node.machine.run(observe_routing).unwrap(), Some(table));
    assert_eq!(digest(node).as_deref(), Some("d1"));
}

#[test]
fn a_table_that_somebody_changed_is_noticed_and_put_right() {
    let Some(world) = World::new() else { return };
    let node = &world.one;
    let mut table = world.table(node);
    table
        .routes
        .insert(port(80).into(), target(node.address, 81));
    node.program(&table);
    for change in [
        "nft delete table ip flocker",
        "nft flush chain ip flocker forward",
        "nft add rule ip flocker forward accept",
        "nft insert rule ip flocker redirect-arriving accept",
        "nft add chain ip flocker another { type filter hook input priority 0; }",
        "nft add set ip flocker another { type ipv4_addr; }",
        "nft flush table ip flocker",
    ] {
        node.machine.command(change);
        assert_eq!(digest(node), None, "{change}");
        assert_eq!(node.program(&table).change, Change::Changed, "{change}");
        assert_eq!(digest(node).as_deref(), Some("d1"), "{change}");
    }
    node.machine
        .command("nft add element ip flocker held { tcp . 22 }");
    assert_ne!(
        node.machine.run(observe_routing).unwrap().as_ref(),
        Some(&table)
    );
    assert_eq!(node.program(&table).change, Change::Changed);
    assert_eq!(
        node.machine.run(observe_routing).unwrap().as_ref(),
        Some(&table)
    );
}

#[test]
fn kernel_parameters_are_put_right() {
    let Some(world) = World::new() else { return };
    let node = &world.one;
    let table = world.table(node);
    node.program(&table);
    node.machine.command("sysctl -qw net.ipv4.ip_forward=0");
    assert_eq!(node.program(&table).change, Change::Changed);
    let value = node.machine.command("sysctl -n net.ipv4.ip_forward");
    assert_eq!(value.trim(), "1");
    assert_eq!(node.program(&table).change, Change::Unchanged);
}

#[test]
fn listening_ports_and_addresses_are_those_of_the_namespace() {
    let Some(world) = World::new() else { return };
    let node = &world.one;
    serve(&node.machine, "one", 7000);
    serve(&node.machine, "two", 7001);
    let listening = node.machine.run(observe_listening_ports).unwrap();
    assert_eq!(listening, [port(7000).into(), port(7001).into()].into());
    let address = node.machine.run(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let found = observe_interface_address("flocker0").await.unwrap();
            let missing = observe_interface_address("flocker1").await.unwrap();
            (found, missing)
        })
    });
    assert_eq!(address, (Some(GATEWAY), None));
}
