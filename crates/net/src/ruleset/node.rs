//! The table of a node.

use crate::routing_table::RoutingTable;

use super::{
    BaseChain, Chain, ChainHook, ChainKind, Elements, Rule, Ruleset, Set, Statement, Verdict,
    marker_chain, marker_field,
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
    let sets = vec![
        set("routes", Elements::Targets(table.routes.clone())),
        set("links", Elements::Targets(table.links.clone())),
        set("peers", Elements::Addresses(table.peers.clone())),
        set("held", Elements::Ports(table.held.clone())),
    ];
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

fn set(name: &'static str, elements: Elements) -> Set {
    Set { name, elements }
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

fn hold() -> Rule {
    Rule::new(
        "what answers this port is moving: let clients try again",
        [
            Statement::OpensConnection,
            Statement::ToPortIn("held"),
            Statement::ToLocalAddress,
            Statement::Decide(Verdict::Drop),
        ],
    )
}

fn guard_loopback_and_hold() -> Chain {
    let mut rules = loopback_guard();
    rules.push(hold());
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
        rules: vec![hold()],
    }
}

fn redirect_arriving(bridge: &str) -> Chain {
    let from_container = || Statement::ArrivedAt(bridge.to_owned());
    let through = |map, mark| Statement::RedirectThrough { map, mark };
    let hairpin = OWN_MARK | HAIRPIN_MARK;
    Chain {
        name: "redirect-arriving",
        base: Some(base(ChainKind::Nat, ChainHook::Prerouting, REDIRECT)),
        rules: vec![
            Rule::new(
                "routes, for containers here",
                [
                    from_container(),
                    Statement::ToLocalAddress,
                    through("routes", hairpin),
                ],
            ),
            Rule::new(
                "routes, for everybody else",
                [Statement::ToLocalAddress, through("routes", OWN_MARK)],
            ),
            Rule::new(
                "links, for containers here",
                [
                    from_container(),
                    Statement::ToLocalAddress,
                    through("links", hairpin),
                ],
            ),
            Rule::new(
                "links, for containers on other nodes",
                [
                    Statement::FromAddressIn("peers"),
                    Statement::ToLocalAddress,
                    through("links", OWN_MARK),
                ],
            ),
        ],
    }
}

fn redirect_own() -> Chain {
    Chain {
        name: "redirect-own",
        base: Some(base(ChainKind::Nat, ChainHook::Output, REDIRECT)),
        rules: vec![Rule::new(
            "routes, for the node itself",
            [
                Statement::ToLocalAddress,
                Statement::RedirectThrough {
                    map: "routes",
                    mark: OWN_MARK,
                },
            ],
        )],
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
