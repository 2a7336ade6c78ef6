//! Reads what the kernel answers about its firewall, without asking it.
//!
//! Whatever observes routes and links reads by these functions. They are public so that they can
//! also be given what no kernel would answer. A datagram is a list of netlink messages.
//!
//! **Source**: `netlink(7)`, `linux/netfilter/nf_tables.h`.

use flocker_model::{ContainerLinks, Protocol};

use crate::RoutingTable;
use crate::docker_firewall::is_ours;
use crate::forwarding::{TableRules, certainly_drops};
use crate::links::parse_links;
use crate::netlink::{parse_replies, parse_rule, parse_table};
use crate::routing::parse_routing;
use crate::ruleset::TABLE;

/// Reads a node's table; `None` unless it is exactly what would be written for what is in it.
pub fn read_routing(datagram: &[u8]) -> Option<RoutingTable> {
    parse_routing(&parse_table(&parse_replies(datagram), TABLE))
}

/// Reads a container's table; `None` unless it is exactly what would be written for what is in it.
pub fn read_links(datagram: &[u8]) -> Option<ContainerLinks> {
    parse_links(&parse_table(&parse_replies(datagram), TABLE))
}

/// Tells whether one of the rules lets redirected connections pass Docker's firewall.
pub fn accepts_redirected(datagram: &[u8]) -> bool {
    let replies = parse_replies(datagram);
    let mut rules = replies.iter().map(|reply| parse_rule(reply.attributes()));
    rules.any(|rule| is_ours(&rule))
}

/// Tells whether a chain at the hook `forward` certainly drops all connections to containers on a
/// bridge, by the rules of its table.
pub fn drops_forwarded(datagram: &[u8], chain: &str, bridge: &str) -> bool {
    let replies = parse_replies(datagram);
    let rules = replies.iter().map(|reply| parse_rule(reply.attributes()));
    let table = TableRules {
        rules: rules.collect(),
        ..TableRules::default()
    };
    let drops = |protocol| certainly_drops(&table, (chain, false), (bridge, protocol));
    Protocol::ALL.into_iter().all(drops)
}

#[cfg(test)]
mod tests;
