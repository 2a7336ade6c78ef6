//! Administrators' rules, and the firewalls that other programs keep on a node.

use flocker_model::{FirewallObstacle, Protocol};
use flocker_net::{Change, RoutingTable, has_legacy_filter, legacy_rules_obstruct};

use super::traffic::{answers_soon, ask, serve};
use super::world::{CLIENT, Node, World, port, target};

const OUR_RULE: &str = "-m mark --mark 0x2000/0x2000 -j ACCEPT";

/// A node that routes port 80 to a container.
fn routed(world: &World) -> RoutingTable {
    let container = world.one.container();
    serve(&container.machine, "web", 8000);
    let mut table = world.table(&world.one);
    table
        .routes
        .insert(port(80).into(), target(container.address, 8000));
    table
}

#[track_caller]
fn client_gets_through(world: &World) {
    assert_eq!(ask(&world.client, world.one.address, 80).0, "web");
}

fn client_is_dropped(world: &World) -> bool {
    !answers_soon(&world.client, world.one.address, 80)
}

/// Lists the rules of a chain of iptables.
fn chain(node: &Node, name: &str) -> Vec<String> {
    let listed = node.machine.command(&format!("iptables -S {name}"));
    let rules = listed.lines().filter(|line| line.starts_with("-A"));
    let prefix = format!("-A {name} ");
    rules.map(|rule| rule.replacen(&prefix, "", 1)).collect()
}

#[test]
fn administrators_rules_come_first() {
    let Some(world) = World::new() else { return };
    let node = &world.one;
    node.docker_firewall();
    let table = routed(&world);
    let drop = format!("-s {CLIENT}/32 -j DROP");
    node.machine
        .command(&format!("iptables -I DOCKER-USER {drop}"));
    node.program(&table);
    let expected = [drop.as_str(), OUR_RULE, "-j RETURN"];
    assert_eq!(chain(node, "DOCKER-USER"), expected);
    assert!(client_is_dropped(&world));
    assert_eq!(ask(&world.two.machine, node.address, 80).0, "web");
    assert_eq!(node.program(&table).change, Change::Unchanged);

    // Where releases before had it.
    node.machine
        .command(&format!("iptables -D DOCKER-USER {OUR_RULE}"));
    node.machine
        .command(&format!("iptables -I DOCKER-USER {OUR_RULE}"));
    client_gets_through(&world);
    assert_eq!(node.program(&table).change, Change::Changed);
    assert_eq!(chain(node, "DOCKER-USER"), expected);
    assert!(client_is_dropped(&world));
    assert_eq!(ask(&world.two.machine, node.address, 80).0, "web");

    // Newer versions of Docker leave the chain empty, and administrators append to it.
    node.machine.command("iptables -F DOCKER-USER");
    node.program(&table);
    client_gets_through(&world);
    node.machine
        .command(&format!("iptables -A DOCKER-USER {drop}"));
    node.program(&table);
    assert_eq!(chain(node, "DOCKER-USER"), expected[..2]);
    assert!(client_is_dropped(&world));
}

#[test]
fn what_administrators_let_return_early_gets_through() {
    let Some(world) = World::new() else { return };
    let node = &world.one;
    node.docker_firewall();
    let table = routed(&world);
    let before = chain(node, "FORWARD");
    for (number, rule) in [
        "-m conntrack --ctstate RELATED,ESTABLISHED -j RETURN".to_owned(),
        format!("-s {}/32 -j RETURN", world.two.address),
        "-j DROP".to_owned(),
    ]
    .iter()
    .enumerate()
    {
        let number = number + 1;
        node.machine
            .command(&format!("iptables -I DOCKER-USER {number} {rule}"));
    }
    node.program(&table);
    assert_eq!(ask(&world.two.machine, node.address, 80).0, "web");
    assert!(client_is_dropped(&world));
    assert_eq!(chain(node, "FORWARD")[..2], ["-j DOCKER-USER", OUR_RULE]);
    assert_eq!(node.program(&table).change, Change::Unchanged);

    node.machine.command("iptables -F DOCKER-USER");
    assert_eq!(node.program(&table).change, Change::Changed);
    assert_eq!(chain(node, "FORWARD"), before);
    client_gets_through(&world);
}

/// What Docker 29 filters by with `"firewall-backend": "nftables"`, for one bridge.
fn docker_nftables(accepted: &str) -> String {
    format!(
        r#"table ip docker-bridges {{
            map filter-forward-in-jumps {{
                type ifname : verdict
                elements = {{ "flocker0" : jump filter-forward-in__flocker0 }}
            }}
            map filter-forward-out-jumps {{
                type ifname : verdict
                elements = {{ "flocker0" : jump filter-forward-out__flocker0 }}
            }}
            chain filter-FORWARD {{
                type filter hook forward priority filter; policy accept;
                oifname vmap @filter-forward-in-jumps
                iifname vmap @filter-forward-out-jumps
            }}
            chain filter-forward-in__flocker0 {{
                ct state established,related counter accept
                {accepted}
                iifname "flocker0" counter accept comment "containers among each other"
                counter drop comment "ports that are not published"
            }}
            chain filter-forward-out__flocker0 {{
                ct state established,related counter accept
                counter accept comment "outwards"
            }}
            chain raw-PREROUTING {{
                type filter hook prerouting priority raw; policy accept;
                ip daddr 172.20.0.0/24 iifname != {{ "flocker0", "lo" }} counter drop
            }}
        }}"#
    )
}

#[test]
fn dockers_nftables_need_to_accept_our_mark() {
    let Some(world) = World::new() else { return };
    let node = &world.one;
    let table = routed(&world);
    let obstacles = |accepted: &str| {
        let machine = &node.machine;
        machine.rules("add table ip docker-bridges; delete table ip docker-bridges");
        machine.rules(&docker_nftables(accepted));
        node.program(&table);
        node.obstacles()
    };
    let drops = [FirewallObstacle::DockerDropsMark];
    assert_eq!(obstacles(""), drops);
    assert!(client_is_dropped(&world));
    assert_eq!(obstacles("meta mark & 1 == 1 counter accept"), drops);
    assert!(client_is_dropped(&world));
    for mark in ["and 8192 == 8192", "8192"] {
        let accepted = format!("meta mark {mark} counter accept comment \"ALLOW FW MARK\"");
        assert_eq!(obstacles(&accepted), [], "{mark}");
        client_gets_through(&world);
    }
}

/// What firewalld filters forwarded packets by, with one interface in its zone `public`.
fn firewalld(redirected: &str) -> String {
    format!(
        r#"table inet firewalld {{
            chain filter_FORWARD {{
                type filter hook forward priority filter + 10; policy accept;
                ct state {{ established, related }} accept
                {redirected}
                iifname "lo" accept
                ct state invalid drop
                ip6 daddr {{ ::/96, 2002::/24 }} reject with icmpv6 addr-unreachable
                jump filter_FORWARD_IN_ZONES
                reject with icmpx admin-prohibited
            }}
            chain filter_FORWARD_IN_ZONES {{
                iifname "eth0" goto filter_FWD_public
                goto filter_FWD_public
            }}
            chain filter_FWD_public {{
                jump filter_FWD_public_log
                jump filter_FWD_public_allow
                meta l4proto {{ icmp, ipv6-icmp }} accept
                reject with icmpx admin-prohibited
            }}
            chain filter_FWD_public_log {{
            }}
            chain filter_FWD_public_allow {{
                oifname "eth0" accept
            }}
        }}"#
    )
}

#[test]
fn firewalld_lets_redirected_connections_pass_unless_it_is_strict() {
    let Some(world) = World::new() else { return };
    let node = &world.one;
    node.docker_firewall();
    let table = routed(&world);
    node.program(&table);
    node.machine.rules(&firewalld("ct status dnat accept"));
    assert_eq!(node.obstacles(), []);
    client_gets_through(&world);
    node.machine.rules("delete table inet firewalld");
    node.machine.rules(&firewalld(""));
    let strict = FirewallObstacle::Chain {
        table: "inet firewalld".to_owned(),
        chain: "filter_FORWARD".to_owned(),
        protocol: None,
    };
    assert_eq!(node.obstacles(), [strict]);
    assert!(client_is_dropped(&world));
}

#[test]
fn ufw_lets_pass_what_docker_user_accepted() {
    let Some(world) = World::new() else { return };
    let node = &world.one;
    node.docker_firewall();
    let ufw = [
        "-N ufw-before-forward",
        "-N ufw-user-forward",
        "-N ufw-after-forward",
        "-N ufw-reject-forward",
        "-A ufw-before-forward -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        "-A ufw-before-forward -p icmp --icmp-type echo-request -j ACCEPT",
        "-A ufw-before-forward -j ufw-user-forward",
        "-A FORWARD -j ufw-before-forward",
        "-A FORWARD -j ufw-after-forward",
        "-A FORWARD -j ufw-reject-forward",
    ];
    for line in ufw {
        node.machine.command(&format!("iptables {line}"));
    }
    let table = routed(&world);
    node.program(&table);
    assert_eq!(node.obstacles(), []);
    client_gets_through(&world);

    // As after `nft flush ruleset` and `ufw reload`, without Docker.
    node.machine.command("iptables -D FORWARD -j DOCKER-USER");
    assert_eq!(node.obstacles(), [FirewallObstacle::DockerChainsMissing]);
    assert!(client_is_dropped(&world));
    let allowed = "iptables -A ufw-user-forward -p tcp --dport 8000 -j ACCEPT";
    node.machine.command(allowed);
    let drops_udp = FirewallObstacle::Chain {
        table: "ip filter".to_owned(),
        chain: "FORWARD".to_owned(),
        protocol: Some(Protocol::Udp),
    };
    assert_eq!(node.obstacles(), [drops_udp], "TCP may well pass");
    client_gets_through(&world);
    for line in ["-F", "-X", "-P FORWARD ACCEPT"] {
        node.machine.command(&format!("iptables {line}"));
    }
    assert_eq!(node.obstacles(), [], "nothing drops");
    client_gets_through(&world);
}

/// Gives the node a table of another firewall, whose chain ends with this policy.
fn forward_by(node: &Node, policy: &str, rules: &str) {
    node.machine
        .rules("add table inet mine; delete table inet mine");
    node.machine.rules(&format!(
        "table inet mine {{ chain forward {{
            type filter hook forward priority filter; policy {policy};
            {rules}
        }}
        }}"
    ));
}

#[test]
fn a_chain_that_drops_is_an_obstacle_unless_it_may_accept() {
    let Some(world) = World::new() else { return };
    let node = &world.one;
    let table = routed(&world);
    node.program(&table);
    let obstacles = |rule: &str| {
        forward_by(
            node,
            "drop",
            &format!("iifname \"flocker0\" accept; {rule}"),
        );
        let mut obstacles = node.obstacles();
        obstacles.retain(|obstacle| obstacle.drops(Protocol::Tcp));
        obstacles
    };
    for rule in [
        "ct status dnat accept",
        "oifname \"flocker0\" accept",
        "oifname \"flo*\" accept",
        "meta mark & 0x2000 == 0x2000 accept",
        "tcp dport 8000 accept",
    ] {
        let answer = format!("ct state established,related accept; {rule}");
        assert_eq!(obstacles(&answer), [], "{rule}");
        client_gets_through(&world);
    }
}

#[test]
fn a_chain_that_drops_everything_new_is_an_obstacle() {
    let Some(world) = World::new() else { return };
    let node = &world.one;
    let table = routed(&world);
    node.program(&table);
    for rules in [
        "",
        "ct state established,related accept",
        "iifname \"lo\" accept; oifname != \"flocker0\" accept; meta l4proto icmp accept",
        "tcp dport 22 drop; meta nfproto ipv6 accept",
    ] {
        forward_by(node, "drop", rules);
        let drops = FirewallObstacle::Chain {
            table: "inet mine".to_owned(),
            chain: "forward".to_owned(),
            protocol: None,
        };
        assert_eq!(node.obstacles(), [drops], "{rules}");
        assert!(client_is_dropped(&world), "{rules}");
    }
}

#[test]
fn a_chain_may_drop_one_protocol_alone() {
    let Some(world) = World::new() else { return };
    let node = &world.one;
    node.program(&routed(&world));
    for (rules, dropped) in [
        ("meta l4proto udp drop", Protocol::Udp),
        ("ip protocol udp drop", Protocol::Udp),
        ("meta l4proto { udp, icmp } drop", Protocol::Udp),
        ("meta l4proto tcp drop", Protocol::Tcp),
    ] {
        forward_by(node, "accept", rules);
        let drops = FirewallObstacle::Chain {
            table: "inet mine".to_owned(),
            chain: "forward".to_owned(),
            protocol: Some(dropped),
        };
        assert_eq!(node.obstacles(), [drops], "{rules}");
    }
}

#[test]
fn rules_of_iptables_legacy_are_seen() {
    let Some(world) = World::new() else { return };
    let node = &world.one;
    let table = routed(&world);
    node.program(&table);
    assert!(!node.machine.run(has_legacy_filter).unwrap());
    let listed = || node.machine.command("iptables-legacy -S");
    assert!(!legacy_rules_obstruct(&listed()));
    assert!(node.machine.run(has_legacy_filter).unwrap());
    client_gets_through(&world);
    node.machine.command("iptables-legacy -P FORWARD DROP");
    assert!(legacy_rules_obstruct(&listed()));
    assert!(client_is_dropped(&world));
}
