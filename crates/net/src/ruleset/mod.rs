//! Firewall rules as data: what a table contains, before any of it is encoded.

mod container;
mod node;
mod node_sets;
mod text;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use flocker_model::{Protocol, ServicePort, SourceNetwork};

use crate::routing_table::Target;

pub(crate) use container::{LINKS, LINKS_AT, parse_container_marker, plan_container_ruleset};
pub(crate) use node::OWN_MARK;
pub(crate) use node::parse_node_marker;
pub(crate) use node::plan_node_ruleset;

/// The one table that is ours, in the `ip` family.
pub(crate) const TABLE: &str = "flocker";

/// The chain whose only rule's comment says what the table was made from.
pub(crate) const MARKER_CHAIN: &str = "deployment";

/// A whole table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ruleset {
    /// Sets and maps.
    pub(crate) sets: Vec<Set>,
    /// Chains with their rules.
    pub(crate) chains: Vec<Chain>,
}

/// A named set or map with its elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Set {
    /// Its name.
    pub(crate) name: &'static str,
    /// What is in it.
    pub(crate) elements: Elements,
}

/// What a set contains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Elements {
    /// From a port to an address and a port.
    Targets(BTreeMap<ServicePort, Target>),
    /// From a port at one address to an address and a port.
    TargetsAt(BTreeMap<(Ipv4Addr, ServicePort), Target>),
    /// Ports.
    Ports(BTreeSet<ServicePort>),
    /// Ports at one address each.
    PortsAt(BTreeSet<(Ipv4Addr, ServicePort)>),
    /// Addresses.
    Addresses(BTreeSet<Ipv4Addr>),
    /// Ports with networks; those of one port do not overlap.
    Sources(BTreeSet<(ServicePort, SourceNetwork)>),
    /// Ports at one address each, with networks; those of one do not overlap.
    SourcesAt(BTreeSet<(Ipv4Addr, ServicePort, SourceNetwork)>),
}

impl Elements {
    /// Returns what their keys consist of.
    pub(crate) const fn key(&self) -> &'static [KeyPart] {
        match self {
            Self::Targets(_) | Self::Ports(_) => PORT,
            Self::TargetsAt(_) | Self::PortsAt(_) => PORT_AT,
            Self::Addresses(_) => SOURCE,
            Self::Sources(_) => PORT_FROM,
            Self::SourcesAt(_) => PORT_AT_FROM,
        }
    }

    /// Tells whether the last part of each key is a range.
    pub(crate) const fn has_ranges(&self) -> bool {
        matches!(self, Self::Sources(_) | Self::SourcesAt(_))
    }

    /// Tells whether each key leads to a target.
    pub(crate) const fn is_map(&self) -> bool {
        matches!(self, Self::Targets(_) | Self::TargetsAt(_))
    }
}

/// A part of a packet that is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyPart {
    /// The address that it is sent to.
    Destination,
    /// The address that it is sent from.
    Source,
    /// Its protocol.
    Protocol,
    /// The port that it is sent to.
    Port,
}

/// A port that a packet is sent to.
pub(crate) const PORT: &[KeyPart] = &[KeyPart::Protocol, KeyPart::Port];
/// A port that a packet is sent to, and the address.
pub(crate) const PORT_AT: &[KeyPart] = &[KeyPart::Destination, KeyPart::Protocol, KeyPart::Port];
/// A port that a packet is sent to, and where it comes from.
pub(crate) const PORT_FROM: &[KeyPart] = &[KeyPart::Protocol, KeyPart::Port, KeyPart::Source];
/// A port that a packet is sent to, the address, and where it comes from.
pub(crate) const PORT_AT_FROM: &[KeyPart] = &[
    KeyPart::Destination,
    KeyPart::Protocol,
    KeyPart::Port,
    KeyPart::Source,
];
/// The address that a packet is sent from.
pub(crate) const SOURCE: &[KeyPart] = &[KeyPart::Source];
/// The address that a packet is sent to.
pub(crate) const DESTINATION: &[KeyPart] = &[KeyPart::Destination];

/// Looking a part of a packet up in a set or map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lookup {
    /// The key that is looked up.
    pub(crate) key: &'static [KeyPart],
    /// The set or map.
    pub(crate) set: &'static str,
}

/// A chain with its rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chain {
    /// Its name.
    pub(crate) name: &'static str,
    /// Where the kernel calls it; `None` for a chain that nothing calls.
    pub(crate) base: Option<BaseChain>,
    /// Its rules, in order.
    pub(crate) rules: Vec<Rule>,
}

/// Where and when the kernel calls a chain.
///
/// **Source**: `nft(8)`, "CHAINS" and "Standard priority names".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BaseChain {
    /// What the chain may do.
    pub(crate) kind: ChainKind,
    /// Where.
    pub(crate) hook: ChainHook,
    /// Before (lower) or after (higher) other chains there.
    pub(crate) priority: i32,
}

/// What a base chain may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChainKind {
    /// Let packets pass or drop them.
    Filter,
    /// Change addresses; sees the first packet of each connection only.
    Nat,
}

/// Where the kernel calls a base chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChainHook {
    /// For each packet that arrives, before it is known where it goes.
    Prerouting,
    /// For each packet that arrives for this machine.
    Input,
    /// For each packet that goes through this machine.
    Forward,
    /// For each packet that a program here sends.
    Output,
    /// For each packet that leaves.
    Postrouting,
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    /// Matches and actions, in order; the first that does not match ends the rule.
    pub(crate) statements: Vec<Statement>,
    /// Why it is there; kept in the kernel and shown by `nft list`.
    pub(crate) comment: String,
}

/// One part of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Statement {
    /// Matches packets that arrived at this interface.
    ArrivedAt(String),
    /// Matches packets that arrived at another interface.
    ArrivedElsewhereThan(String),
    /// Matches packets that leave by this interface.
    LeavesBy(String),
    /// Matches packets that leave by another interface.
    LeavesElsewhereThan(String),
    /// Matches packets from 127.0.0.0/8.
    FromLoopback,
    /// Matches packets to 127.0.0.0/8.
    ToLoopback,
    /// Matches packets to an address.
    To(Ipv4Addr),
    /// Matches packets to an address that is this machine's own.
    ToLocalAddress,
    /// Matches the packet that opens a TCP connection.
    OpensConnection,
    /// Matches packets of a protocol.
    Is(Protocol),
    /// Matches packets that a set has something of.
    In(Lookup),
    /// Matches packets that a set has nothing of.
    NotIn(Lookup),
    /// Matches packets that a map leads somewhere.
    LeadsSomewhere(Lookup),
    /// Matches packets of connections that were answered before, and of what relates to them.
    Established,
    /// Matches packets of connections whose destination was changed.
    Redirected,
    /// Matches packets of connections that have these mark bits.
    ConnectionMarked(u32),
    /// Sets mark bits of the packet.
    MarkPacket(u32),
    /// Sends the connection to what a map has for it, setting mark bits of the connection;
    /// does not match when the map has nothing for it.
    RedirectThrough {
        /// What is looked up, and in which map.
        lookup: Lookup,
        /// Bits to set in the connection's mark.
        mark: u32,
    },
    /// Puts this machine's own address in place of the sender's.
    Masquerade,
    /// Tells the sender that nothing answers there.
    Reject(Rejection),
    /// Decides.
    Decide(Verdict),
}

/// The way in which a sender is told that nothing answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rejection {
    /// A TCP reset, only for TCP.
    TcpReset,
    /// ICMP's "port unreachable".
    PortUnreachable,
}

/// What becomes of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It passes this chain.
    Accept,
    /// It is dropped silently.
    Drop,
    /// The chain's caller goes on.
    Return,
}

impl Rule {
    /// Makes a rule.
    pub(crate) fn new(
        comment: impl Into<String>,
        statements: impl IntoIterator<Item = Statement>,
    ) -> Self {
        Self {
            statements: statements.into_iter().collect(),
            comment: comment.into(),
        }
    }
}

/// Makes the chain that says what a table was made from.
///
/// It cannot be the table's own user data: the kernel only takes that when it creates the table.
pub(crate) fn marker_chain(marker: String) -> Chain {
    Chain {
        name: MARKER_CHAIN,
        base: None,
        rules: vec![Rule::new(marker, [Statement::Decide(Verdict::Return)])],
    }
}

/// Finds `name=value` in a marker.
pub(crate) fn marker_field<'a>(marker: &'a str, name: &str) -> Option<&'a str> {
    marker
        .split(' ')
        .filter_map(|field| field.split_once('='))
        .find_map(|(key, value)| (key == name).then_some(value))
}
