//! Beside other people's rules.

use flocker_net::{Change, DockerFirewall, observe_generation};

use super::traffic::{ask, serve};
use super::world::{World, port, target};

const OUR_RULE: &str = "-A DOCKER-USER -m mark --mark 0x2000/0x2000 -j ACCEPT";

#[test]
fn dockers_firewall_gets_one_rule_that_iptables_understands() {
    let Some(world) = World::new() else { return };
    let node = &world.one;
    let table = world.table(node);
    assert_eq!(node.program(&table).docker_firewall, DockerFirewall::Absent);
    assert!(!node.machine.command("nft list tables").contains("filter"));

    node.docker_firewall();
    let before = node.machine.command("iptables -S");
    let ensured = node.program(&table);
    assert_eq!(ensured.docker_firewall, DockerFirewall::Accepts);
    assert_eq!(ensured.change, Change::Changed);
    let after = node.machine.command("iptables -S");
    assert_eq!(after.replacen(&format!("{OUR_RULE}\n"), "", 1), before);
    let first = after
        .lines()
        .find(|line| line.starts_with("-A DOCKER-USER"));
    assert_eq!(first, Some(OUR_RULE), "it has to come before RETURN");

    assert_eq!(node.program(&table).change, Change::Unchanged);
    let saved = node.machine.command("iptables-save");
    assert_eq!(saved.matches(OUR_RULE).count(), 1, "{saved}");
    for line in [
        "iptables -w -A DOCKER-USER -s 198.51.100.7 -j DROP",
        "iptables -w -I FORWARD -j DOCKER-USER",
        "iptables -w -D DOCKER-USER -m mark --mark 0x2000/0x2000 -j ACCEPT",
    ] {
        node.machine.command(line);
    }
    assert_eq!(node.program(&table).change, Change::Changed);
    assert!(node.machine.command("iptables -S").contains(OUR_RULE));
}

#[test]
fn a_rule_that_iptables_wrote_is_recognised() {
    let Some(world) = World::new() else { return };
    let node = &world.one;
    node.docker_firewall();
    let table = world.table(node);
    node.program(&table);
    node.machine.command("iptables -F DOCKER-USER");
    node.machine.command(&format!("iptables {OUR_RULE}"));
    assert_eq!(node.program(&table).change, Change::Unchanged);
}

#[test]
fn other_tables_are_not_touched() {
    let Some(world) = World::new() else { return };
    let node = &world.one;
    for line in [
        "nft add table inet mine",
        "nft add set inet mine some { type ipv4_addr; }",
        "nft add element inet mine some { 198.51.100.1, 198.51.100.2 }",
        "nft add chain inet mine input { type filter hook input priority 0; }",
        "nft add rule inet mine input ip saddr @some counter drop",
        "nft add table ip6 flocker",
    ] {
        node.machine.command(line);
    }
    let before = node.machine.command("nft -a list table inet mine");
    let mut table = world.table(node);
    node.program(&table);
    table.digest = "d2".to_owned();
    node.program(&table);
    assert_eq!(node.machine.command("nft -a list table inet mine"), before);
    let tables = node.machine.command("nft list tables");
    let expected = ["table inet mine", "table ip6 flocker", "table ip flocker"];
    assert_eq!(tables.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn programming_twice_does_nothing_the_second_time() {
    let Some(world) = World::new() else { return };
    let node = &world.one;
    node.docker_firewall();
    let mut table = world.table(node);
    table
        .routes
        .insert(port(80).into(), target(node.address, 81));
    table.held.insert(port(80).into());
    assert_eq!(node.program(&table).change, Change::Changed);
    let generation = || node.machine.run(observe_generation).unwrap();
    let listed = node.machine.command("nft -a list ruleset");
    let before = generation();
    assert_eq!(node.program(&table).change, Change::Unchanged);
    assert_eq!(generation(), before);
    assert_eq!(node.machine.command("nft -a list ruleset"), listed);
    table.held.clear();
    assert_eq!(node.program(&table).change, Change::Changed);
    assert_eq!(generation(), before + 1, "one transaction");
}

#[test]
fn ten_thousand_ports_go_in_one_transaction() {
    let Some(world) = World::new() else { return };
    let node = &world.one;
    let container = node.container();
    serve(&container.machine, "last", 8000);
    let mut table = world.table(node);
    for number in 10_000..20_000 {
        table
            .routes
            .insert(port(number).into(), target(container.address, 8000));
    }
    let generation = || node.machine.run(observe_generation).unwrap();
    let before = generation();
    let started = std::time::Instant::now();
    node.program(&table);
    println!("programmed in {:?}", started.elapsed());
    assert_eq!(generation(), before + 1);
    assert_eq!(ask(&world.client, node.address, 19_999).0, "last");
    let started = std::time::Instant::now();
    assert_eq!(node.program(&table).change, Change::Unchanged);
    println!("compared in {:?}", started.elapsed());
}
