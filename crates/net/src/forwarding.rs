//! Whether a chain lets pass the connections that Flocker redirects to containers here: pure.
//!
//! A chain's rules are read only as far as is needed to be sure. A rule that is not understood may
//! match or not, so that the answer is "drops" only where every way through the chain ends so.
//!
//! **Source**: `linux/netfilter/nf_tables.h` (`NFTA_*`), `linux/netfilter/xt_conntrack.h`.

use std::collections::BTreeMap;

use flocker_model::Protocol;

use crate::docker_firewall::{CHAIN as DOCKER_USER, Decision, decision, value};
use crate::netlink::{DumpedRule, find};
use crate::ruleset::OWN_MARK;

/// How deep chains may call each other before that is not followed any further.
const DEEPEST: u32 = 16;
/// `NF_CT_STATE_BIT(IP_CT_NEW)`.
const STATE_NEW: u32 = 8;
/// `IPS_DST_NAT`.
const STATUS_REDIRECTED: u32 = 1 << 5;
/// States of `xt_conntrack` that a new, redirected connection is in: NEW and DNAT.
const XT_STATES: u16 = 1 << 3 | 1 << 7;

/// The rules of one table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct TableRules {
    /// In the order in which the kernel lists them, which within a chain is the one in which it
    /// tries them.
    pub(crate) rules: Vec<DumpedRule>,
    /// The keys of the sets that [`sets_to_read`] names.
    pub(crate) sets: BTreeMap<String, Vec<Vec<u8>>>,
}

/// Whether a rule's conditions hold of the packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Match {
    Yes,
    No,
    Maybe,
}

/// What may come of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Outcomes {
    /// The packet may pass.
    passes: bool,
    /// Its caller may go on.
    returns: bool,
}

/// Tells whether a base chain with this policy certainly drops the packet of a protocol that opens a
/// connection to a container on `bridge`.
pub(crate) fn certainly_drops(
    table: &TableRules,
    (chain, drops_by_policy): (&str, bool),
    (bridge, protocol): (&str, Protocol),
) -> bool {
    let mut chains: BTreeMap<&str, Vec<&DumpedRule>> = BTreeMap::new();
    for rule in &table.rules {
        chains.entry(&rule.chain).or_default().push(rule);
    }
    let mut walk = Walk {
        table,
        bridge,
        protocol: number_of(protocol),
        chains,
        known: BTreeMap::new(),
    };
    let outcomes = walk.chain(chain, 0);
    !outcomes.passes && (drops_by_policy || !outcomes.returns)
}

/// Lists the sets that a table's rules look something up in that is known of the packet.
pub(crate) fn sets_to_read(rules: &[DumpedRule]) -> Vec<String> {
    let mut names = Vec::new();
    for rule in rules {
        let mut loaded = None;
        for (name, payload) in &rule.expressions {
            match (name.as_str(), loaded) {
                ("lookup", Some(Loaded::State | Loaded::Protocol)) => {
                    names.extend(text(payload, LOOKUP_SET));
                }
                _ => loaded = Loaded::by(name, payload),
            }
        }
    }
    names
}

/// Of `meta` and `ct` alike.
const KEY: u16 = 2;
const PAYLOAD_BASE: u16 = 2;
const PAYLOAD_OFFSET: u16 = 3;
const PAYLOAD_LENGTH: u16 = 4;
/// The byte of IPv4's header (`NFT_PAYLOAD_NETWORK_HEADER`) that has the protocol.
const PROTOCOL_FIELD: [Option<u32>; 3] = [Some(1), Some(9), Some(1)];
const COMPARED_OPERATION: u16 = 2;
const COMPARED_DATA: u16 = 3;
const BITWISE_MASK: u16 = 4;
const DATA_VALUE: u16 = 1;
const LOOKUP_SET: u16 = 1;
const LOOKUP_DESTINATION: u16 = 3;
const LOOKUP_FLAGS: u16 = 5;
const XT_NAME: u16 = 1;
const XT_INFO: u16 = 3;

/// What a register was loaded with last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loaded {
    ArrivedAt,
    LeavesBy,
    Mark,
    Protocol,
    Family,
    State,
    Status,
    ConnectionMark,
}

impl Loaded {
    /// Reads what an expression loads, if that is known of the packet.
    fn by(name: &str, payload: &[u8]) -> Option<Self> {
        if name == "payload" {
            let number = |kind| find(payload, kind).and_then(|attribute| attribute.number());
            let place = [PAYLOAD_BASE, PAYLOAD_OFFSET, PAYLOAD_LENGTH].map(number);
            return (place == PROTOCOL_FIELD).then_some(Self::Protocol);
        }
        let key = find(payload, KEY).and_then(|key| key.number());
        match (name, key?) {
            ("meta", 3) => Some(Self::Mark),
            ("meta", 6) => Some(Self::ArrivedAt),
            ("meta", 7) => Some(Self::LeavesBy),
            ("meta", 15) => Some(Self::Family),
            ("meta", 16) => Some(Self::Protocol),
            ("ct", 0) => Some(Self::State),
            ("ct", 2) => Some(Self::Status),
            ("ct", 3) => Some(Self::ConnectionMark),
            _ => None,
        }
    }
}

struct Walk<'a> {
    table: &'a TableRules,
    bridge: &'a str,
    /// The number of the packet's protocol.
    protocol: u8,
    chains: BTreeMap<&'a str, Vec<&'a DumpedRule>>,
    /// What may come of the chains that were looked at: many rules may call the same.
    known: BTreeMap<String, Outcomes>,
}

impl Walk<'_> {
    fn chain(&mut self, name: &str, depth: u32) -> Outcomes {
        // Our rule belongs at the end of it, and what administrators drop there, they mean to.
        if name == DOCKER_USER || depth > DEEPEST {
            return Outcomes {
                passes: true,
                returns: true,
            };
        }
        if let Some(known) = self.known.get(name) {
            return *known;
        }
        let outcomes = self.rules(name, depth);
        self.known.insert(name.to_owned(), outcomes);
        outcomes
    }

    fn rules(&mut self, name: &str, depth: u32) -> Outcomes {
        let mut outcomes = Outcomes::default();
        for rule in self.chains.get(name).cloned().unwrap_or_default() {
            let holds = self.conditions(rule);
            if holds == Match::No {
                continue;
            }
            let called = match decision(rule) {
                None => continue,
                Some(Decision::Drop) => Outcomes::default(),
                Some(Decision::Return) => Outcomes {
                    passes: false,
                    returns: true,
                },
                Some(Decision::Accept | Decision::Other) => Outcomes {
                    passes: true,
                    returns: false,
                },
                Some(Decision::Jump(chain)) => {
                    let called = self.chain(&chain, depth + 1);
                    outcomes.passes |= called.passes;
                    if holds == Match::Yes && !called.returns {
                        return outcomes;
                    }
                    continue;
                }
                Some(Decision::Goto(chain)) => self.chain(&chain, depth + 1),
            };
            outcomes.passes |= called.passes;
            outcomes.returns |= called.returns;
            if holds == Match::Yes {
                return outcomes;
            }
        }
        outcomes.returns = true;
        outcomes
    }

    /// Tells whether a rule's conditions hold.
    fn conditions(&self, rule: &DumpedRule) -> Match {
        let mut holds = Match::Yes;
        let (mut loaded, mut mask) = (None, None);
        for (name, payload) in &rule.expressions {
            let one = match name.as_str() {
                "meta" | "ct" | "payload" => {
                    (loaded, mask) = (Loaded::by(name, payload), None);
                    continue;
                }
                "bitwise" => {
                    mask = value(payload, &[BITWISE_MASK, DATA_VALUE]);
                    continue;
                }
                "cmp" => self.compare((loaded, mask), payload),
                "lookup" => self.look_up(loaded.filter(|_| mask.is_none()), payload),
                "match" => xt_match(payload),
                // They have no condition.
                "counter" | "log" | "immediate" | "reject" => continue,
                _ => {
                    (loaded, mask) = (None, None);
                    Match::Maybe
                }
            };
            match one {
                Match::No => return Match::No,
                Match::Maybe => holds = Match::Maybe,
                Match::Yes => {}
            }
        }
        holds
    }

    /// Compares what is known of the packet.
    fn compare(&self, (loaded, mask): (Option<Loaded>, Option<&[u8]>), payload: &[u8]) -> Match {
        let operation = find(payload, COMPARED_OPERATION).and_then(|attribute| attribute.number());
        let data = value(payload, &[COMPARED_DATA, DATA_VALUE]);
        let (Some(loaded), Some(operation @ (0 | 1)), Some(data)) = (loaded, operation, data)
        else {
            return Match::Maybe;
        };
        let equal = match loaded {
            Loaded::LeavesBy => Some(is_named(self.bridge, data)),
            // It comes neither from this machine nor from a container of it.
            Loaded::ArrivedAt => {
                let is_exact = data.contains(&0);
                let is_other = is_named("lo", data) || is_named(self.bridge, data);
                (is_exact && is_other).then_some(false)
            }
            Loaded::Protocol => Some(data == [self.protocol]),
            Loaded::Family => Some(data == [2]),
            Loaded::State => masked(mask, data, STATE_NEW, u32::MAX),
            Loaded::Status => masked(mask, data, STATUS_REDIRECTED, STATUS_REDIRECTED),
            Loaded::Mark | Loaded::ConnectionMark => masked(mask, data, OWN_MARK, OWN_MARK),
        };
        match equal {
            Some(equal) if equal == (operation == 0) => Match::Yes,
            Some(_) => Match::No,
            None => Match::Maybe,
        }
    }

    /// Looks what is known of the packet up in a set.
    fn look_up(&self, loaded: Option<Loaded>, payload: &[u8]) -> Match {
        let is_plain = find(payload, LOOKUP_DESTINATION).is_none()
            && find(payload, LOOKUP_FLAGS)
                .and_then(|flags| flags.number())
                .unwrap_or(0)
                == 0;
        let set = text(payload, LOOKUP_SET).and_then(|name| self.table.sets.get(&name));
        let known = match loaded {
            Some(Loaded::State) => STATE_NEW.to_ne_bytes().to_vec(),
            Some(Loaded::Protocol) => vec![self.protocol],
            _ => return Match::Maybe,
        };
        match set {
            Some(keys) if is_plain && keys.contains(&known) => Match::Yes,
            Some(_) if is_plain => Match::No,
            _ => Match::Maybe,
        }
    }
}

/// Returns `IPPROTO_TCP` or `IPPROTO_UDP`.
const fn number_of(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
    }
}

/// Compares a number of which some bits are known; `None` if that is not enough.
fn masked(mask: Option<&[u8]>, data: &[u8], bits: u32, known: u32) -> Option<bool> {
    let number = |bytes: &[u8]| Some(u32::from_ne_bytes(bytes.try_into().ok()?));
    let mask = match mask {
        Some(mask) => number(mask)?,
        None => u32::MAX,
    };
    let wanted = number(data)?;
    if (bits ^ wanted) & mask & known != 0 {
        return Some(false);
    }
    // With "not equal to 0" one bit that is set is enough; for that it is compared as a whole.
    (mask & !known == 0).then_some(bits & mask == wanted)
}

/// Tells whether an interface has a name; one that is compared in part has no NUL at its end.
fn is_named(interface: &str, compared: &[u8]) -> bool {
    match compared.split(|byte| *byte == 0).next() {
        Some(name) if name.len() < compared.len() => interface.as_bytes() == name,
        Some(prefix) => interface.as_bytes().starts_with(prefix),
        None => true,
    }
}

/// Reads a match of iptables, of which only states of connections are understood.
fn xt_match(payload: &[u8]) -> Match {
    /// `struct xt_conntrack_mtinfo3`: `match_flags`, `invert_flags` and `state_mask`.
    const FLAGS: usize = 146;
    /// `XT_CONNTRACK_STATE`.
    const STATE: u16 = 1;
    let info = value(payload, &[XT_INFO]).unwrap_or_default();
    let number = |at: usize| {
        let bytes = info.get(at..at + 2)?;
        Some(u16::from_ne_bytes(bytes.try_into().ok()?))
    };
    let states = (number(FLAGS), number(FLAGS + 2), number(FLAGS + 4));
    match (text(payload, XT_NAME).as_deref(), states) {
        (Some("conntrack"), (Some(STATE), Some(0), Some(states))) if states & XT_STATES == 0 => {
            Match::No
        }
        _ => Match::Maybe,
    }
}

fn text(payload: &[u8], kind: u16) -> Option<String> {
    find(payload, kind)?.text().map(str::to_owned)
}

#[cfg(test)]
mod tests;
