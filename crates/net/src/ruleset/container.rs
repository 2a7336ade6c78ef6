//! The table inside a container's network namespace.

use std::net::Ipv4Addr;

use flocker_model::ContainerLinks;

use crate::routing_table::Target;

use super::node::loopback_guard;
use super::{
    BaseChain, Chain, ChainHook, ChainKind, Elements, Rule, Ruleset, Set, Statement, marker_chain,
    marker_field,
};

/// Works out the table inside a container: from ports on `localhost` to link ports on the node.
///
/// Only these ports are named, never where the target runs, so a move of the target changes
/// nothing here.
pub fn plan_container_ruleset(gateway: Ipv4Addr, links: &ContainerLinks) -> Ruleset {
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
    let base = |kind, hook, priority| {
        Some(BaseChain {
            kind,
            hook,
            priority,
        })
    };
    vec![
        Chain {
            name: "arriving",
            base: base(ChainKind::Filter, ChainHook::Prerouting, -300),
            rules: loopback_guard(),
        },
        Chain {
            name: "redirect-own",
            base: base(ChainKind::Nat, ChainHook::Output, -110),
            rules: vec![Rule::new(
                "links",
                [
                    Statement::To(Ipv4Addr::LOCALHOST),
                    Statement::RedirectThrough {
                        map: "links",
                        mark: 0,
                    },
                ],
            )],
        },
        Chain {
            name: "masquerade",
            base: base(ChainKind::Nat, ChainHook::Postrouting, 90),
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
