//! The table inside a container's network namespace.

use std::net::Ipv4Addr;

use flocker_model::ContainerLinks;

use crate::routing_table::Target;

use super::node::{BEFORE_TRACKING, MASQUERADE, REDIRECT, base, loopback_guard};
use super::{
    Chain, ChainHook, ChainKind, Elements, Lookup, PORT, Rule, Ruleset, Set, Statement,
    marker_chain, marker_field,
};

/// Works out the table inside a container: from ports on `localhost` to link ports on the node.
///
/// Only these ports are named, never where the target runs, so a move of the target changes
/// nothing here.
pub(crate) fn plan_container_ruleset(gateway: Ipv4Addr, links: &ContainerLinks) -> Ruleset {
    let targets = links
        .iter()
        .map(|(local, link)| {
            let target = Target {
                address: gateway,
                port: *link,
            };
            (*local, target)
        })
        .collect();
    let mut chains = container_chains();
    let rules = Ruleset {
        sets: Vec::new(),
        chains: chains.clone(),
    };
    chains.push(marker_chain(format!(
        "gateway={gateway} rules={}",
        rules.fingerprint()
    )));
    Ruleset {
        sets: vec![Set {
            name: "links",
            elements: Elements::Targets(targets),
        }],
        chains,
    }
}

/// Takes the gateway's address out of a table's marker.
pub(crate) fn parse_container_marker(marker: &str) -> Option<Ipv4Addr> {
    marker_field(marker, "gateway")?.parse().ok()
}

fn container_chains() -> Vec<Chain> {
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
            rules: vec![Rule::new(
                "links",
                [
                    Statement::To(Ipv4Addr::LOCALHOST),
                    Statement::RedirectThrough {
                        lookup: Lookup {
                            key: PORT,
                            set: "links",
                        },
                        mark: 0,
                    },
                ],
            )],
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
