//! The table of a node.

use flocker_model::{Protocol, RoutePort};

use crate::routing_table::RoutingTable;

use super::{
    BaseChain, Chain, ChainHook, ChainKind, DESTINATION, Elements, Lookup, PORT, PORT_AT,
    PORT_AT_FROM, PORT_FROM, Rule, Ruleset, SOURCE, Set, Statement, Verdict, marker_chain,
    marker_field,
};

/// Mark bit of connections that the table redirected, and of their packets while they are forwarded.
///
/// One bit that the usual users of marks leave alone: Kubernetes has 0x4000 and 0x8000, Tailscale
/// 0xff0000, Calico 0xffff0000, Cilium 0x1e00.
pub(crate) const OWN_MARK: u32 = 0x2000;

/// Mark bit of redirected connections that a container on this node opened.
///
/// Their answers have to come back through the node, or the asking container would be answered by
/// an address that it never asked.
const HAIRPIN_MARK: u32 = 0x1000;

/// Before connection tracking, so that what is dropped leaves no trace (`NF_IP_PRI_RAW`).
pub(super) const BEFORE_TRACKING: i32 = -300;
/// A little before `dstnat`, so that routes do not depend on whether Docker started first.
pub(super) const REDIRECT: i32 = -110;
/// A little before `srcnat`, for the same reason.
pub(super) const MASQUERADE: i32 = 90;
/// A little before `filter`, where Docker's FORWARD chain looks at the packet's mark.
const BEFORE_FILTER: i32 = -10;

/// Works out the table of a node.
///
/// A packet that the table does nothing with gets what it would get without the table: a link port
/// that is not routed refuses connections from outside just as an unused port does.
pub(crate) fn plan_node_ruleset(table: &RoutingTable) -> Ruleset {
    let sets = node_sets(table);
    let mut chains = vec![
        guard_loopback_and_hold(),
        hold_output(),
        redirect_arriving(&table.bridge),
        redirect_own(),
        forward(&table.bridge),
        masquerade(&table.bridge),
    ];
    let rules = Ruleset {
        sets: Vec::new(),
        chains: chains.clone(),
    };
    chains.push(marker_chain(format!(
        "digest={} bridge={} rules={}",
        table.digest,
        table.bridge,
        rules.fingerprint()
    )));
    Ruleset { sets, chains }
}

/// Takes the digest and the bridge's name out of a table's marker.
pub(crate) fn parse_node_marker(marker: &str) -> Option<(String, String)> {
    let digest = marker_field(marker, "digest")?;
    let bridge = marker_field(marker, "bridge")?;
    Some((digest.to_owned(), bridge.to_owned()))
}

/// The sets and maps. What is about single addresses of nodes is apart from the rest: in one hash
/// table the kernel finds only whole keys.
fn node_sets(table: &RoutingTable) -> Vec<Set> {
    let everywhere = |port: &RoutePort| port.address.is_none().then_some(port.port);
    let at = |port: &RoutePort| Some((port.address?, port.port));
    let (routes, from) = (&table.routes, &table.from);
    let sources = || {
        let lists = from.iter();
        lists.flat_map(|(port, list)| list.iter().map(move |network| (port, *network)))
    };
    let set = |name, elements| Set { name, elements };
    vec![
        set(
            "routes",
            Elements::Targets(
                routes
                    .iter()
                    .filter_map(|(port, to)| Some((everywhere(port)?, *to)))
                    .collect(),
            ),
        ),
        set(
            "routes-at",
            Elements::TargetsAt(
                routes
                    .iter()
                    .filter_map(|(port, to)| Some((at(port)?, *to)))
                    .collect(),
            ),
        ),
        set(
            "limited",
            Elements::Ports(from.keys().filter_map(everywhere).collect()),
        ),
        set(
            "limited-at",
            Elements::PortsAt(from.keys().filter_map(at).collect()),
        ),
        set(
            "allowed",
            Elements::Sources(
                sources()
                    .filter_map(|(port, network)| Some((everywhere(port)?, network)))
                    .collect(),
            ),
        ),
        set(
            "allowed-at",
            Elements::SourcesAt(
                sources()
                    .filter_map(|(port, network)| Some((port.address?, port.port, network)))
                    .collect(),
            ),
        ),
        set("links", Elements::Targets(table.links.clone())),
        set("wires", Elements::Targets(table.wires.clone())),
        set("peers", Elements::Addresses(table.peers.clone())),
        set(
            "held",
            Elements::Ports(table.held.iter().filter_map(everywhere).collect()),
        ),
        set(
            "held-at",
            Elements::PortsAt(table.held.iter().filter_map(at).collect()),
        ),
    ]
}

pub(super) fn base(kind: ChainKind, hook: ChainHook, priority: i32) -> BaseChain {
    BaseChain {
        kind,
        hook,
        priority,
    }
}

/// The rules that `route_localnet` makes necessary: with it, the kernel would take packets for
/// 127.0.0.0/8 from the network.
pub(super) fn loopback_guard() -> Vec<Rule> {
    let lo = || Statement::ArrivedElsewhereThan("lo".to_owned());
    let drop = Statement::Decide(Verdict::Drop);
    vec![
        Rule::new(
            "nobody else is localhost",
            [lo(), Statement::FromLoopback, drop.clone()],
        ),
        Rule::new(
            "localhost is not for others",
            [lo(), Statement::ToLoopback, drop],
        ),
    ]
}

/// The rules that hold ports. Of UDP every packet is dropped: what answered it is about to stop.
fn hold() -> Vec<Rule> {
    let first_packets = [Statement::OpensConnection, Statement::Is(Protocol::Udp)];
    let lookups = [(PORT, "held"), (PORT_AT, "held-at")];
    let rules = lookups.into_iter().flat_map(|(key, set)| {
        first_packets.clone().map(|first_packet| {
            Rule::new(
                "what answers this port is moving: let clients try again",
                [
                    first_packet,
                    Statement::In(Lookup { key, set }),
                    Statement::ToLocalAddress,
                    Statement::Decide(Verdict::Drop),
                ],
            )
        })
    });
    rules.collect()
}

/// The routes of one kind, and before them the rule that drops packets from where nobody may
/// connect. It is asked only of the first packet of a connection, and on the node at which that
/// arrives: others see it come from a peer.
fn route_rules(at_one_address: bool, redirect: impl IntoIterator<Item = Rule>) -> Vec<Rule> {
    let (port, limited, port_from, allowed) = if at_one_address {
        (PORT_AT, "limited-at", PORT_AT_FROM, "allowed-at")
    } else {
        (PORT, "limited", PORT_FROM, "allowed")
    };
    let mut rules = vec![Rule::new(
        "the route is not for this sender",
        [
            Statement::ToLocalAddress,
            Statement::In(Lookup {
                key: port,
                set: limited,
            }),
            Statement::NotIn(Lookup {
                key: port_from,
                set: allowed,
            }),
            Statement::Decide(Verdict::Drop),
        ],
    )];
    rules.extend(redirect);
    rules
}

/// Looks a packet up among the routes of one kind.
const fn routes_lookup(at_one_address: bool) -> Lookup {
    if at_one_address {
        Lookup {
            key: PORT_AT,
            set: "routes-at",
        }
    } else {
        Lookup {
            key: PORT,
            set: "routes",
        }
    }
}

fn guard_loopback_and_hold() -> Chain {
    let mut rules = loopback_guard();
    rules.extend(hold());
    Chain {
        name: "arriving",
        base: Some(base(
            ChainKind::Filter,
            ChainHook::Prerouting,
            BEFORE_TRACKING,
        )),
        rules,
    }
}

fn hold_output() -> Chain {
    Chain {
        name: "sending",
        base: Some(base(ChainKind::Filter, ChainHook::Output, BEFORE_TRACKING)),
        rules: hold(),
    }
}

fn redirect_arriving(bridge: &str) -> Chain {
    let from_container = || Statement::ArrivedAt(bridge.to_owned());
    let through = |lookup, mark| Statement::RedirectThrough { lookup, mark };
    let wire = |set| Lookup { key: PORT, set };
    let from_peer = || {
        Statement::In(Lookup {
            key: SOURCE,
            set: "peers",
        })
    };
    let hairpin = OWN_MARK | HAIRPIN_MARK;
    let mut rules = Vec::new();
    for at_one_address in [true, false] {
        let lookup = routes_lookup(at_one_address);
        let redirect = [
            Rule::new(
                "routes, for containers here",
                [
                    from_container(),
                    Statement::ToLocalAddress,
                    through(lookup, hairpin),
                ],
            ),
            Rule::new(
                "routes, for everybody else",
                [Statement::ToLocalAddress, through(lookup, OWN_MARK)],
            ),
        ];
        rules.extend(route_rules(at_one_address, redirect));
    }
    rules.extend([
        Rule::new(
            "links, for containers here",
            [
                from_container(),
                Statement::ToLocalAddress,
                through(wire("links"), hairpin),
            ],
        ),
        Rule::new(
            "links, for containers on other nodes",
            [
                from_peer(),
                Statement::ToLocalAddress,
                through(wire("links"), OWN_MARK),
            ],
        ),
        Rule::new(
            "limited routes, from other nodes",
            [
                Statement::ArrivedElsewhereThan(bridge.to_owned()),
                from_peer(),
                Statement::ToLocalAddress,
                through(wire("wires"), OWN_MARK),
            ],
        ),
    ]);
    Chain {
        name: "redirect-arriving",
        base: Some(base(ChainKind::Nat, ChainHook::Prerouting, REDIRECT)),
        rules,
    }
}

fn redirect_own() -> Chain {
    let rules = [true, false].into_iter().flat_map(|at_one_address| {
        let redirect = Rule::new(
            "routes, for the node itself",
            [
                Statement::ToLocalAddress,
                Statement::RedirectThrough {
                    lookup: routes_lookup(at_one_address),
                    mark: OWN_MARK,
                },
            ],
        );
        route_rules(at_one_address, [redirect])
    });
    Chain {
        name: "redirect-own",
        base: Some(base(ChainKind::Nat, ChainHook::Output, REDIRECT)),
        rules: rules.collect(),
    }
}

fn forward(bridge: &str) -> Chain {
    let accept = || Statement::Decide(Verdict::Accept);
    let into_bridge = || {
        [
            Statement::LeavesBy(bridge.to_owned()),
            Statement::ArrivedElsewhereThan(bridge.to_owned()),
        ]
    };
    let [leaves, arrived] = into_bridge();
    let redirected = [leaves, arrived, Statement::Redirected, accept()];
    let [leaves, arrived] = into_bridge();
    Chain {
        name: "forward",
        base: Some(base(ChainKind::Filter, ChainHook::Forward, BEFORE_FILTER)),
        rules: vec![
            Rule::new(
                "ours: tell DOCKER-USER by a mark",
                [
                    Statement::ConnectionMarked(OWN_MARK),
                    Statement::MarkPacket(OWN_MARK),
                    accept(),
                ],
            ),
            Rule::new(
                "containers may not use the ports between nodes",
                [
                    Statement::ArrivedAt(bridge.to_owned()),
                    Statement::In(Lookup {
                        key: DESTINATION,
                        set: "peers",
                    }),
                    Statement::LeadsSomewhere(Lookup {
                        key: PORT,
                        set: "wires",
                    }),
                    Statement::Decide(Verdict::Drop),
                ],
            ),
            Rule::new("answers", [Statement::Established, accept()]),
            Rule::new("ports that Docker published", redirected),
            Rule::new(
                "no way to containers but through routes and links",
                [leaves, arrived, Statement::Decide(Verdict::Drop)],
            ),
        ],
    }
}

fn masquerade(bridge: &str) -> Chain {
    Chain {
        name: "masquerade",
        base: Some(base(ChainKind::Nat, ChainHook::Postrouting, MASQUERADE)),
        rules: vec![
            Rule::new(
                "answers to containers here come back through the node",
                [
                    Statement::ConnectionMarked(HAIRPIN_MARK),
                    Statement::Masquerade,
                ],
            ),
            Rule::new(
                "answers of other nodes come back through this one",
                [
                    Statement::ConnectionMarked(OWN_MARK),
                    Statement::LeavesElsewhereThan(bridge.to_owned()),
                    Statement::Masquerade,
                ],
            ),
            Rule::new(
                "nobody can answer localhost",
                [
                    Statement::ConnectionMarked(OWN_MARK),
                    Statement::FromLoopback,
                    Statement::Masquerade,
                ],
            ),
        ],
    }
}
