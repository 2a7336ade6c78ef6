//! Rulesets as `nft` would show them, for people and snapshots.

use std::fmt;

use sha2::{Digest as _, Sha256};

use super::{
    BaseChain, Chain, ChainHook, ChainKind, Elements, Rule, Ruleset, Set, Statement, TABLE, Verdict,
};

impl Ruleset {
    /// Returns a fingerprint of the whole text, to tell whether a table has what this version of
    /// the program would write.
    pub(crate) fn fingerprint(&self) -> String {
        let hash = Sha256::digest(self.to_string());
        let (start, _) = hash.split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
        format!("{:016x}", u64::from_be_bytes(*start))
    }
}

impl fmt::Display for Ruleset {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "table ip {TABLE} {{")?;
        for set in &self.sets {
            write!(formatter, "{set}")?;
        }
        for chain in &self.chains {
            write!(formatter, "{chain}")?;
        }
        writeln!(formatter, "}}")
    }
}

impl fmt::Display for Set {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (keyword, kind) = match &self.elements {
            Elements::Targets(_) => ("map", "inet_service : ipv4_addr . inet_service"),
            Elements::Ports(_) => ("set", "inet_service"),
            Elements::Addresses(_) => ("set", "ipv4_addr"),
        };
        writeln!(formatter, "  {keyword} {} {{", self.name)?;
        writeln!(formatter, "    type {kind}")?;
        for element in self.elements.texts() {
            writeln!(formatter, "    element {element}")?;
        }
        writeln!(formatter, "  }}")
    }
}

impl Elements {
    fn texts(&self) -> Vec<String> {
        match self {
            Self::Targets(targets) => targets
                .iter()
                .map(|(port, target)| format!("{port} : {} . {}", target.address, target.port))
                .collect(),
            Self::Ports(ports) => ports.iter().map(ToString::to_string).collect(),
            Self::Addresses(addresses) => addresses.iter().map(ToString::to_string).collect(),
        }
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "  chain {} {{", self.name)?;
        if let Some(base) = &self.base {
            writeln!(formatter, "    {base}")?;
        }
        for rule in &self.rules {
            writeln!(formatter, "    {rule}")?;
        }
        writeln!(formatter, "  }}")
    }
}

impl fmt::Display for BaseChain {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let priority = self.priority;
        write!(
            formatter,
            "type {} hook {} priority {priority}; policy accept;",
            self.kind.name(),
            self.hook.name()
        )
    }
}

impl ChainKind {
    /// Returns the kernel's name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Filter => "filter",
            Self::Nat => "nat",
        }
    }
}

impl ChainHook {
    /// Returns `nft`'s name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Prerouting => "prerouting",
            Self::Forward => "forward",
            Self::Output => "output",
            Self::Postrouting => "postrouting",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for statement in &self.statements {
            write!(formatter, "{statement} ")?;
        }
        write!(formatter, "comment \"{}\"", self.comment)
    }
}

impl fmt::Display for Statement {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ArrivedAt(interface) => write!(formatter, "iifname \"{interface}\""),
            Self::ArrivedElsewhereThan(interface) => {
                write!(formatter, "iifname != \"{interface}\"")
            }
            Self::LeavesBy(interface) => write!(formatter, "oifname \"{interface}\""),
            Self::LeavesElsewhereThan(interface) => write!(formatter, "oifname != \"{interface}\""),
            Self::FromLoopback => write!(formatter, "ip saddr 127.0.0.0/8"),
            Self::ToLoopback => write!(formatter, "ip daddr 127.0.0.0/8"),
            Self::To(address) => write!(formatter, "ip daddr {address}"),
            Self::FromAddressIn(set) => write!(formatter, "ip saddr @{set}"),
            Self::ToLocalAddress => write!(formatter, "fib daddr type local"),
            Self::OpensConnection => write!(formatter, "tcp flags & (fin|syn|rst|ack) == syn"),
            Self::ToPortIn(set) => write!(formatter, "tcp dport @{set}"),
            Self::Established => write!(formatter, "ct state established,related"),
            Self::Redirected => write!(formatter, "ct status dnat"),
            Self::ConnectionMarked(bits) => write!(formatter, "ct mark & {bits:#x} == {bits:#x}"),
            Self::MarkPacket(bits) => write!(formatter, "meta mark set meta mark | {bits:#x}"),
            Self::RedirectThrough { map, mark } => {
                if *mark != 0 {
                    write!(formatter, "ct mark set ct mark | {mark:#x} ")?;
                }
                write!(formatter, "dnat ip to tcp dport map @{map}")
            }
            Self::Masquerade => write!(formatter, "masquerade"),
            Self::Decide(verdict) => write!(formatter, "{verdict}"),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Accept => "accept",
            Self::Drop => "drop",
            Self::Return => "return",
        })
    }
}
