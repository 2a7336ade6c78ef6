//! Which firewalls of the node keep redirected connections from its containers.

use std::collections::BTreeSet;
use std::fs;
use std::io;

use flocker_model::{FirewallObstacle, Protocol};

use crate::docker_firewall::{FAMILY, FORWARD, TABLE, accepts_our_mark};
use crate::forwarding::{TableRules, certainly_drops, sets_to_read};
use crate::netlink::{
    DumpedBaseChain, DumpedRule, Netlink, NetlinkError, observe_base_chains, observe_set_keys,
    observe_table_rules,
};
use crate::ruleset;

/// The table in which Docker filters when it does not use iptables.
const DOCKER_TABLE: &str = "docker-bridges";
/// How the names of its chains begin that see what goes to the containers of one bridge.
const DOCKER_CHAIN: &str = "filter-forward-in__";
/// `NFPROTO_INET`.
const INET: u8 = 1;
/// `NF_INET_FORWARD`.
const HOOK_FORWARD: u32 = 2;
/// `NF_DROP`.
const DROP: u32 = 0;

/// Why the node's firewalls could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ObserveFirewallError {
    /// The kernel's list of iptables-legacy tables cannot be read.
    #[error("could not read /proc/net/ip_tables_names")]
    Legacy(#[source] io::Error),
    /// The kernel refused.
    #[error("could not read the firewall's tables")]
    Netfilter(#[source] NetlinkError),
}

/// Tells whether the kernel has a table `filter` of iptables-legacy, which nftables does not show.
///
/// # Errors
/// When the kernel's list cannot be read.
pub fn has_legacy_filter() -> Result<bool, ObserveFirewallError> {
    match fs::read_to_string("/proc/thread-self/net/ip_tables_names") {
        Ok(names) => Ok(names.lines().any(|name| name == TABLE)),
        // The kernel was built without it, or never had it loaded.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(ObserveFirewallError::Legacy(error)),
    }
}

/// Tells whether the rules of iptables-legacy's table `filter`, as `iptables-legacy -S` lists
/// them, keep redirected connections from containers: Docker's chains are among them, or
/// everything is dropped that they do not know.
pub fn legacy_rules_obstruct(listed: &str) -> bool {
    let mut lines = listed.lines().map(str::trim_end);
    lines.any(|line| line == "-P FORWARD DROP" || line == "-N DOCKER-USER")
}

/// Lists what keeps connections that Flocker redirects from containers on `bridge`, as far as
/// nftables shows it.
///
/// Only what certainly drops them is listed: a rule that is not understood is taken to accept.
///
/// # Errors
/// When the kernel refuses.
pub fn observe_firewall(bridge: &str) -> Result<BTreeSet<FirewallObstacle>, ObserveFirewallError> {
    let observe = || {
        let mut netlink = Netlink::open()?;
        let chains = observe_base_chains(&mut netlink)?;
        let mut obstacles = BTreeSet::new();
        for chain in chains.iter().filter(|chain| filters_forwarded(chain)) {
            let table = observe_rules_of(&mut netlink, (chain.family, &chain.table))?;
            obstacles.extend(obstacle(chain, &table, bridge));
        }
        Ok(obstacles)
    };
    observe().map_err(ObserveFirewallError::Netfilter)
}

fn observe_rules_of(netlink: &mut Netlink, table: (u8, &str)) -> Result<TableRules, NetlinkError> {
    let rules = observe_table_rules(netlink, table)?;
    let mut read = TableRules {
        rules,
        ..TableRules::default()
    };
    for name in sets_to_read(&read.rules) {
        let keys = observe_set_keys(netlink, table, &name)?;
        read.sets.insert(name, keys);
    }
    Ok(read)
}

/// Tells whether a chain of somebody else sees what goes to containers.
fn filters_forwarded(chain: &DumpedBaseChain) -> bool {
    let is_ours = chain.family == FAMILY && chain.table == ruleset::TABLE;
    let sees_ipv4 = chain.family == FAMILY || chain.family == INET;
    sees_ipv4 && !is_ours && chain.base.hook == HOOK_FORWARD
}

/// Says what is wrong with a chain, if it keeps redirected connections from containers.
fn obstacle(chain: &DumpedBaseChain, table: &TableRules, bridge: &str) -> Option<FirewallObstacle> {
    if chain.family == FAMILY && chain.table == DOCKER_TABLE {
        let accepts = docker_accepts_mark(&table.rules, bridge);
        return (!accepts).then_some(FirewallObstacle::DockerDropsMark);
    }
    let drops_by_policy = chain.base.policy == DROP;
    let named = (chain.name.as_str(), drops_by_policy);
    let drops = |protocol: &Protocol| certainly_drops(table, named, (bridge, *protocol));
    let dropped: Vec<Protocol> = Protocol::ALL.into_iter().filter(drops).collect();
    let protocol = match *dropped {
        [] => return None,
        [only] => Some(only),
        _ => None,
    };
    let is_iptables = chain.family == FAMILY && chain.table == TABLE && chain.name == FORWARD;
    // A chain that drops one protocol alone has a rule about protocols, and needs another one.
    if is_iptables && protocol.is_none() {
        return Some(FirewallObstacle::DockerChainsMissing);
    }
    let family = if chain.family == INET { "inet" } else { "ip" };
    Some(FirewallObstacle::Chain {
        table: format!("{family} {}", chain.table),
        chain: chain.name.clone(),
        protocol,
    })
}

/// Tells whether Docker lets packets with our mark into the bridge; where the bridge is not there
/// yet, by what it does for others.
fn docker_accepts_mark(rules: &[DumpedRule], bridge: &str) -> bool {
    let ours = format!("{DOCKER_CHAIN}{bridge}");
    let has_ours = rules.iter().any(|rule| rule.chain == ours);
    let mut concerned = rules
        .iter()
        .filter(|rule| rule.chain.starts_with(DOCKER_CHAIN))
        .filter(|rule| !has_ours || rule.chain == ours)
        .peekable();
    // Without any bridge nothing can be told, and nothing is dropped yet.
    concerned.peek().is_none() || concerned.any(accepts_our_mark)
}

#[cfg(test)]
mod tests {
    use super::legacy_rules_obstruct;

    #[test]
    fn only_legacy_rules_that_drop_are_an_obstacle() {
        let empty = "-P INPUT ACCEPT\n-P FORWARD ACCEPT\n-P OUTPUT ACCEPT\n";
        assert!(!legacy_rules_obstruct(empty));
        assert!(!legacy_rules_obstruct("-P INPUT DROP\n-P FORWARD ACCEPT\n"));
        assert!(legacy_rules_obstruct("-P FORWARD DROP\n"));
        assert!(legacy_rules_obstruct(&format!("{empty}-N DOCKER-USER\n")));
    }
}
