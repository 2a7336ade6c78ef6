//! The table inside a container's network namespace.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use flocker_model::{ContainerLinks, LocalPort, Port, Protocol};

use crate::routing_table::Target;

use super::node::{BEFORE_TRACKING, MASQUERADE, REDIRECT, base, loopback_guard};
use super::{
    Chain, ChainHook, ChainKind, DESTINATION, Elements, Lookup, PORT, PORT_AT, Rejection, Rule,
    Ruleset, Set, Statement, Verdict, marker_chain, marker_field,
};

/// The map of the links at 127.0.0.1.
pub(crate) const LINKS: &str = "links";
/// The map of the links at other loopback addresses.
pub(crate) const LINKS_AT: &str = "links-at";

/// The set of the addresses with links, but for 127.0.0.1.
const LINKED: &str = "linked";
/// With `filter` (`NF_IP_PRI_FILTER`).
const FILTER: i32 = 0;

/// Works out the table inside a container: from ports at loopback addresses to link ports on the
/// node.
///
/// Only these ports are named, never where the target runs, so a move of the target changes
/// nothing here. An address with links stands for other applications: at its other ports nothing
/// answers, not even the container itself. A container whose links are all at 127.0.0.1 has the table
/// that it had before there were others, so that an upgrade changes nothing in it.
pub(crate) fn plan_container_ruleset(gateway: Ipv4Addr, links: &ContainerLinks) -> Ruleset {
    let target = |port: &Port| Target {
        address: gateway,
        port: *port,
    };
    let (mut at_localhost, mut elsewhere) = (BTreeMap::new(), BTreeMap::new());
    for (LocalPort { address, port }, link) in links {
        if address.is_localhost() {
            at_localhost.insert(*port, target(link));
        } else {
            elsewhere.insert((address.get(), *port), target(link));
        }
    }
    let linked: BTreeSet<Ipv4Addr> = elsewhere.keys().map(|(address, _)| *address).collect();
    let mut chains = container_chains(!elsewhere.is_empty());
    let rules = Ruleset {
        sets: Vec::new(),
        chains: chains.clone(),
    };
    chains.push(marker_chain(format!(
        "gateway={gateway} rules={}",
        rules.fingerprint()
    )));
    let mut sets = vec![Set {
        name: LINKS,
        elements: Elements::Targets(at_localhost),
    }];
    if !elsewhere.is_empty() {
        sets.push(Set {
            name: LINKS_AT,
            elements: Elements::TargetsAt(elsewhere),
        });
        sets.push(Set {
            name: LINKED,
            elements: Elements::Addresses(linked),
        });
    }
    Ruleset { sets, chains }
}

/// Takes the gateway's address out of a table's marker.
pub(crate) fn parse_container_marker(marker: &str) -> Option<Ipv4Addr> {
    marker_field(marker, "gateway")?.parse().ok()
}

fn container_chains(has_other_addresses: bool) -> Vec<Chain> {
    let links = |destination, key, set| {
        let lookup = Lookup { key, set };
        let redirect = Statement::RedirectThrough { lookup, mark: 0 };
        Rule::new("links", [destination, redirect])
    };
    let mut redirect = vec![links(Statement::To(Ipv4Addr::LOCALHOST), PORT, LINKS)];
    if has_other_addresses {
        redirect.push(links(Statement::ToLoopback, PORT_AT, LINKS_AT));
    }
    let mut chains = vec![
        Chain {
            name: "arriving",
            base: Some(base(
                ChainKind::Filter,
                ChainHook::Prerouting,
                BEFORE_TRACKING,
            )),
            rules: loopback_guard(),
        },
        Chain {
            name: "redirect-own",
            base: Some(base(ChainKind::Nat, ChainHook::Output, REDIRECT)),
            rules: redirect,
        },
        Chain {
            name: "masquerade",
            base: Some(base(ChainKind::Nat, ChainHook::Postrouting, MASQUERADE)),
            rules: vec![Rule::new(
                "nobody can answer localhost",
                [
                    Statement::LeavesElsewhereThan("lo".to_owned()),
                    Statement::FromLoopback,
                    Statement::Masquerade,
                ],
            )],
        },
    ];
    if has_other_addresses {
        chains.push(refuse_without_link());
    }
    chains
}

/// Refuses connections to an address with links, at a port without one.
///
/// As they arrive at `lo`: the kernel would answer a program of UDP that sends there with "operation not
/// permitted".
fn refuse_without_link() -> Chain {
    let to_linked = |then: &[Statement]| {
        let lookup = Lookup {
            key: DESTINATION,
            set: LINKED,
        };
        [&[Statement::In(lookup)], then].concat()
    };
    let why = "the address has links, but none at this port";
    let reset = [
        Statement::OpensConnection,
        Statement::Reject(Rejection::TcpReset),
    ];
    let answers = [Statement::Established, Statement::Decide(Verdict::Accept)];
    let unreachable = [
        Statement::Is(Protocol::Udp),
        Statement::Reject(Rejection::PortUnreachable),
    ];
    Chain {
        name: "refuse-without-link",
        base: Some(base(ChainKind::Filter, ChainHook::Input, FILTER)),
        rules: vec![
            Rule::new(why, to_linked(&reset)),
            Rule::new("answers", to_linked(&answers)),
            Rule::new(why, to_linked(&unreachable)),
        ],
    }
}
