//! Rulesets as `nft` would show them, for people and snapshots.

use std::fmt;

use flocker_model::ServicePort;
use sha2::{Digest as _, Sha256};

use super::{
    BaseChain, Chain, ChainHook, ChainKind, Elements, KeyPart, Lookup, Rejection, Rule, Ruleset,
    Set, Statement, TABLE, Verdict,
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
        let (keyword, data) = if self.elements.is_map() {
            ("map", " : ipv4_addr . inet_service")
        } else {
            ("set", "")
        };
        let parts = self.elements.key().iter().map(|part| part.type_name());
        let key = parts.collect::<Vec<_>>().join(" . ");
        writeln!(formatter, "  {keyword} {} {{", self.name)?;
        writeln!(formatter, "    type {key}{data}")?;
        if self.elements.has_ranges() {
            writeln!(formatter, "    flags interval")?;
        }
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
                .map(|(port, to)| format!("{} : {} . {}", service(*port), to.address, to.port))
                .collect(),
            Self::TargetsAt(targets) => targets
                .iter()
                .map(|((address, port), to)| {
                    let port = service(*port);
                    format!("{address} . {port} : {} . {}", to.address, to.port)
                })
                .collect(),
            Self::Ports(ports) => ports.iter().map(|port| service(*port)).collect(),
            Self::PortsAt(ports) => ports
                .iter()
                .map(|(address, port)| format!("{address} . {}", service(*port)))
                .collect(),
            Self::Addresses(addresses) => addresses.iter().map(ToString::to_string).collect(),
            Self::Sources(sources) => sources
                .iter()
                .map(|(port, network)| format!("{} . {network}", service(*port)))
                .collect(),
            Self::SourcesAt(sources) => sources
                .iter()
                .map(|(address, port, network)| {
                    format!("{address} . {} . {network}", service(*port))
                })
                .collect(),
        }
    }
}

/// Writes a port as a part of a concatenation.
fn service(port: ServicePort) -> String {
    format!("{} . {}", port.protocol, port.port)
}

impl KeyPart {
    /// Returns nft's name of the type.
    const fn type_name(self) -> &'static str {
        match self {
            Self::Destination | Self::Source => "ipv4_addr",
            Self::Protocol => "inet_proto",
            Self::Port => "inet_service",
        }
    }

    /// Returns nft's expression.
    const fn expression(self) -> &'static str {
        match self {
            Self::Destination => "ip daddr",
            Self::Source => "ip saddr",
            Self::Protocol => "meta l4proto",
            Self::Port => "th dport",
        }
    }
}

impl Lookup {
    /// Writes the key, and the set behind `operator`.
    fn write(&self, operator: &str, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = self.key.iter().map(|part| part.expression());
        let key = parts.collect::<Vec<_>>().join(" . ");
        write!(formatter, "{key} {operator}@{}", self.set)
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
            Self::Input => "input",
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
            Self::ToLocalAddress => write!(formatter, "fib daddr type local"),
            Self::OpensConnection => write!(formatter, "tcp flags & (fin|syn|rst|ack) == syn"),
            Self::Is(protocol) => write!(formatter, "meta l4proto {protocol}"),
            Self::In(lookup) => lookup.write("", formatter),
            Self::NotIn(lookup) => lookup.write("!= ", formatter),
            Self::LeadsSomewhere(lookup) => lookup.write("map ", formatter),
            Self::Established => write!(formatter, "ct state established,related"),
            Self::Redirected => write!(formatter, "ct status dnat"),
            Self::ConnectionMarked(bits) => write!(formatter, "ct mark & {bits:#x} == {bits:#x}"),
            Self::MarkPacket(bits) => write!(formatter, "meta mark set meta mark | {bits:#x}"),
            Self::RedirectThrough { lookup, mark } => {
                if *mark != 0 {
                    write!(formatter, "ct mark set ct mark | {mark:#x} ")?;
                }
                write!(formatter, "dnat ip to ")?;
                lookup.write("map ", formatter)
            }
            Self::Masquerade => write!(formatter, "masquerade"),
            Self::Reject(Rejection::TcpReset) => write!(formatter, "reject with tcp reset"),
            Self::Reject(Rejection::PortUnreachable) => {
                write!(formatter, "reject with icmp port-unreachable")
            }
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
