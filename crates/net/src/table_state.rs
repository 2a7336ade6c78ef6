//! A table as the kernel has it, or should have it.

use std::collections::BTreeMap;

use flocker_model::ServicePort;

use crate::routing_table::Target;
use crate::ruleset::{BaseChain, Chain, MARKER_CHAIN, Ruleset};
use crate::set_encoding::{element_pairs, parse_service, parse_target, set_layout};

/// A table as the kernel has it, in the terms in which two tables are compared.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct TableState {
    /// Its chains.
    pub(crate) chains: BTreeMap<String, ChainState>,
    /// Its sets and maps.
    pub(crate) sets: BTreeMap<String, SetState>,
}

/// A chain as the kernel has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChainState {
    /// Type, hook number, priority and policy of a base chain.
    pub(crate) base: Option<BaseState>,
    /// Its rules, in order.
    pub(crate) rules: Vec<RuleState>,
}

/// What makes a chain a base chain, in the kernel's own terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BaseState {
    /// `filter`, `nat` or `route`.
    pub(crate) kind: String,
    /// Number of the hook (`NF_INET_…`).
    pub(crate) hook: u32,
    /// Order among chains at that hook.
    pub(crate) priority: i32,
    /// Verdict on packets that no rule decided (`NF_ACCEPT`, `NF_DROP`).
    pub(crate) policy: u32,
}

/// What is compared of a rule: its comment names it, the marker's fingerprint vouches for its text,
/// and the number of its parts shows when it was taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RuleState {
    /// The comment.
    pub(crate) comment: String,
    /// The kernel's names of its expressions, in order.
    pub(crate) expressions: Vec<String>,
}

/// A set or map as the kernel has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SetState {
    /// How keys and data are laid out.
    pub(crate) layout: SetLayout,
    /// Its elements by their keys, as bytes.
    pub(crate) elements: BTreeMap<Vec<u8>, ElementState>,
}

/// An element but for its key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ElementState {
    /// The last key of a range; empty for a single one.
    pub(crate) end: Vec<u8>,
    /// Its value in a map; empty in sets.
    pub(crate) data: Vec<u8>,
}

/// How a set's keys and data are laid out.
///
/// **Source**: `linux/netfilter/nf_tables.h`, `NFTA_SET_*`; the type numbers are nft's own
/// (`include/datatype.h` there), a concatenation shifting by 6 bits each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SetLayout {
    /// `NFT_SET_*` flags.
    pub(crate) flags: u32,
    /// Type of keys.
    pub(crate) key_type: u32,
    /// Size of keys, in bytes.
    pub(crate) key_length: u32,
    /// Type of data; 0 for sets.
    pub(crate) data_type: u32,
    /// Size of data, in bytes; 0 for sets.
    pub(crate) data_length: u32,
}

impl Ruleset {
    /// Returns what the kernel should answer once the ruleset is programmed.
    pub(crate) fn expected_state(&self) -> TableState {
        let chains = self
            .chains
            .iter()
            .map(|chain| (chain.name.to_owned(), chain.expected_state()))
            .collect();
        let sets = self
            .sets
            .iter()
            .map(|set| {
                let state = SetState {
                    layout: set_layout(&set.elements),
                    elements: element_pairs(&set.elements).into_iter().collect(),
                };
                (set.name.to_owned(), state)
            })
            .collect();
        TableState { chains, sets }
    }
}

impl Chain {
    fn expected_state(&self) -> ChainState {
        let rules = self.rules.iter().map(|rule| RuleState {
            comment: rule.comment.clone(),
            expressions: crate::encode::expression_names(rule),
        });
        ChainState {
            base: self.base.map(BaseChain::expected_state),
            rules: rules.collect(),
        }
    }
}

impl TableState {
    /// Returns the comment that says what the table was made from.
    pub(crate) fn marker(&self) -> Option<&str> {
        let chain = self.chains.get(MARKER_CHAIN)?;
        Some(chain.rules.first()?.comment.as_str())
    }

    /// Returns a map's elements; `None` if there is no such map or it has something else in it.
    pub(crate) fn targets(&self, map: &str) -> Option<BTreeMap<ServicePort, Target>> {
        self.targets_of(map, parse_service)
    }

    /// Returns a map's elements, each key parsed by `parse`.
    pub(crate) fn targets_of<T: Ord>(
        &self,
        map: &str,
        parse: impl Fn(&[u8]) -> Option<T>,
    ) -> Option<BTreeMap<T, Target>> {
        let elements = self.sets.get(map)?.elements.iter();
        let parsed = elements.map(|(key, state)| Some((parse(key)?, parse_target(&state.data)?)));
        parsed.collect()
    }

    /// Returns the keys of a set, each parsed by `parse`.
    pub(crate) fn keys<T: Ord>(
        &self,
        set: &str,
        parse: impl Fn(&[u8]) -> Option<T>,
    ) -> Option<std::collections::BTreeSet<T>> {
        let elements = &self.sets.get(set)?.elements;
        elements.keys().map(|key| parse(key)).collect()
    }
}
