//! The table inside a container's network namespace.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use flocker_model::{ContainerLinks, LocalPort, Port};

use crate::routing_table::Target;

use super::node::{BEFORE_TRACKING, MASQUERADE, REDIRECT, base, loopback_guard};
use super::{
    Chain, ChainHook, ChainKind, Elements, Lookup, PORT, PORT_AT, Rule, Ruleset, Set, Statement,
    marker_chain, marker_field,
};

/// The map of the links at 127.0.0.1.
pub(crate) const LINKS: &str = "links";
/// The map of the links at other loopback addresses.
pub(crate) const LINKS_AT: &str = "links-at";

/// Works out the table inside a container: from ports at loopback addresses to link ports on the
/// node.
///
/// Only these ports are named, never where the target runs, so a move of the target changes
/// nothing here. A container whose links are all at 127.0.0.1 has the table that it had before there
/// were others, so that an upgrade changes nothing in it.
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
    vec![
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
    ]
}
