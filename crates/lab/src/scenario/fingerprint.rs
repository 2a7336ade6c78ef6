//! What a deploy that has nothing to do must leave as it is.

use super::failure::{Failure, expect_same};
use super::site::Site;

/// Containers: which they are, and since when they run.
const CONTAINERS: &str = "docker ps --all --quiet --no-trunc | xargs --no-run-if-empty docker \
    inspect --format '{{.Name}} {{.Id}} {{.State.StartedAt}} {{.State.Status}}' | sort";

/// The firewall: its generation, which every transaction raises, and its rules
/// without counters. What asks for the generation is `NFT_MSG_GETGEN` (16) of
/// nftables (subsystem 10) on netlink family 12.
///
/// Source: `linux/netfilter/nf_tables.h`.
const FIREWALL: &str = "python3 -c 'import socket, struct
s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
s.send(struct.pack(\"=IHHIIBBH\", 20, 10 << 8 | 16, 1, 1, 0, 0, 0, 0))
print(\"generation\", struct.unpack(\">I\", s.recv(4096)[24:28])[0])' && \
    nft --stateless --handle list ruleset";

/// Pools: our datasets, and how often anything was done to them, which each pool
/// remembers with the transaction group of it.
const POOLS: &str = "zfs list -Hp -r -t all -o name,guid,createtxg,mounted,mountpoint,userrefs \
    $(zfs list -H -o name | grep '/flocker$') && \
    for pool in $(zpool list -Ho name); do zpool history -il $pool; done";

/// Units of ours, and since when they are as they are.
const UNITS: &str = "systemctl show --property Id,ActiveState,StateChangeTimestampMonotonic \
    'flocker-*.service'";

/// What every node is like at one moment.
#[derive(Debug)]
pub(super) struct Fingerprint(Vec<String>);

impl Fingerprint {
    /// Looks at everything that a deploy could touch.
    pub(super) async fn observe(site: &Site) -> Result<Self, Failure> {
        Self::of(site, &[CONTAINERS, FIREWALL, POOLS, UNITS]).await
    }

    /// Looks at the containers alone.
    pub(super) async fn observe_containers(site: &Site) -> Result<Self, Failure> {
        Self::of(site, &[CONTAINERS]).await
    }

    async fn of(site: &Site, commands: &[&str]) -> Result<Self, Failure> {
        let mut texts = Vec::new();
        for (node, address) in site.addresses().iter().enumerate() {
            let text = site.check(node, &commands.join("\n")).await?;
            let lines = text.lines().map(|line| format!("{address}: {line}\n"));
            texts.push(lines.collect());
        }
        Ok(Self(texts))
    }

    /// Makes sure that nothing changed since this was observed.
    pub(super) fn expect_same(&self, later: &Self) -> Result<(), Failure> {
        self.0
            .iter()
            .zip(&later.0)
            .try_for_each(|(before, after)| expect_same(before, after))
    }
}
