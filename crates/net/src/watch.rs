//! Waiting for changes to what Flocker has programmed.

use std::time::Duration;

use crate::docker_firewall;
use crate::netlink::{FirewallEvents, NetlinkError};
use crate::ruleset;

/// Tells when the node's table, or Docker's chains that our rule belongs in, may have changed.
pub struct FirewallWatch {
    events: FirewallEvents,
}

impl FirewallWatch {
    /// Begins to watch, in the network namespace that the thread is in.
    ///
    /// # Errors
    /// When the kernel has no netfilter or the process is not root.
    pub fn begin() -> Result<Self, NetlinkError> {
        let events = FirewallEvents::subscribe()?;
        Ok(Self { events })
    }

    /// Sleeps in the kernel until something may have changed, and for `longest` at most if that is
    /// given. Many changes at once are one; other tables and chains are ignored.
    ///
    /// # Errors
    /// When the kernel's notifications cannot be read.
    pub fn wait(&self, longest: Option<Duration>) -> Result<(), NetlinkError> {
        self.events.wait(longest, concerns_us)
    }
}

/// Tells whether a chain of a table, or something in it, matters; without a chain it is the table.
fn concerns_us(table: &str, chain: &str) -> bool {
    let dockers = ["", docker_firewall::CHAIN, docker_firewall::FORWARD];
    table == ruleset::TABLE || (table == docker_firewall::TABLE && dockers.contains(&chain))
}

#[cfg(test)]
mod tests {
    use super::concerns_us;

    #[test]
    fn changes_elsewhere_are_ignored() {
        for (table, chain) in [
            ("flocker", ""),
            ("flocker", "forward"),
            ("filter", ""),
            ("filter", "FORWARD"),
            ("filter", "DOCKER-USER"),
        ] {
            assert!(concerns_us(table, chain), "{table} {chain}");
        }
        for (table, chain) in [("filter", "f2b-sshd"), ("nat", ""), ("f2b-table", "")] {
            assert!(!concerns_us(table, chain), "{table} {chain}");
        }
    }
}
