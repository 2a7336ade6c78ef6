//! Firewalls that drop connections to routes and links, in words.

use flocker_model::{FirewallObstacle, NodeName};

/// The table and the chain in which firewalld filters what is forwarded.
const FIREWALLD: (&str, &str) = ("inet firewalld", "filter_FORWARD");
/// The chain of iptables, which must have no rule that iptables cannot write.
const IPTABLES: (&str, &str) = ("ip filter", "FORWARD");

/// Says which firewall drops what.
pub(super) fn text(node: &NodeName, obstacle: &FirewallObstacle) -> String {
    let what = match obstacle {
        FirewallObstacle::Chain {
            protocol: Some(only),
            ..
        } => format!(
            "packets of {} to routes and links",
            only.name().to_ascii_uppercase()
        ),
        _ => "connections to routes and links".to_owned(),
    };
    match obstacle {
        FirewallObstacle::LegacyIptables => {
            format!("iptables-legacy on {node} drops {what}: Flocker's own rules are nftables'")
        }
        FirewallObstacle::DockerDropsMark => format!(
            "Docker on {node} filters with nftables and drops {what}: it does not accept \
             Flocker's mark"
        ),
        FirewallObstacle::DockerChainsMissing => format!(
            "chain FORWARD of iptables on {node} drops {what}: it does not call Docker's chain \
             DOCKER-USER, where Flocker's rule belongs"
        ),
        FirewallObstacle::Chain { table, chain, .. }
            if (table.as_str(), chain.as_str()) == FIREWALLD =>
        {
            format!("firewalld on {node} drops {what}: it does not accept redirected connections")
        }
        FirewallObstacle::Chain { table, chain, .. } => {
            format!("chain {chain} of nftables' table {table} on {node} drops {what}")
        }
    }
}

/// Says what makes it accept them.
pub(super) fn hint(node: &NodeName, obstacle: &FirewallObstacle) -> String {
    match obstacle {
        FirewallObstacle::LegacyIptables => format!(
            "on {node}, give Docker nftables' iptables and empty the other: `update-alternatives \
             --set iptables /usr/sbin/iptables-nft`, `iptables-legacy -P FORWARD ACCEPT`, \
             `iptables-legacy -F`, `iptables-legacy -X`, `iptables-legacy -t nat -F`, then \
             `systemctl restart docker`, which restarts its containers"
        ),
        FirewallObstacle::DockerDropsMark => format!(
            "add `\"bridge-accept-fwmark\": \"0x2000/0x2000\"` to /etc/docker/daemon.json on \
             {node}, then `systemctl restart docker`, which restarts its containers"
        ),
        FirewallObstacle::DockerChainsMissing => format!(
            "remove `\"iptables\": false` from /etc/docker/daemon.json on {node} if it is there, then \
             `systemctl restart docker` makes Docker's chains again; it restarts its containers"
        ),
        FirewallObstacle::Chain { table, chain, .. }
            if (table.as_str(), chain.as_str()) == FIREWALLD =>
        {
            format!(
                "set `StrictForwardPorts=no` in /etc/firewalld/firewalld.conf on {node}, then \
                 `firewall-cmd --reload`"
            )
        }
        FirewallObstacle::Chain { table, chain, .. }
            if (table.as_str(), chain.as_str()) == IPTABLES =>
        {
            format!(
                "accept redirected connections there: `iptables -I FORWARD -m conntrack --ctstate \
                 DNAT -j ACCEPT` on {node}, and in the file that the rules are loaded from"
            )
        }
        FirewallObstacle::Chain { table, chain, .. } => format!(
            "accept redirected connections there: `nft insert rule {table} {chain} ct status dnat \
             accept` on {node}, and in the file that the table is loaded from"
        ),
    }
}
