//! What the kernel answers about tables: pure.
//!
//! **Source**: `linux/netfilter/nf_tables.h` (`NFTA_*`).

use std::collections::BTreeMap;

use nix::libc;

use crate::table_state::{
    BaseState, ChainState, ElementState, RuleState, SetLayout, SetState, TableState,
};

use super::attributes::{Attribute, attributes, find};
use super::message::Reply;

/// Of tables, and of all that is in them (`NFTA_TABLE_NAME`, `NFTA_CHAIN_TABLE`, …).
pub(super) const TABLE_NAME: u16 = 1;
pub(super) const CHAIN_NAME: u16 = 3;
const CHAIN_HOOK: u16 = 4;
const CHAIN_POLICY: u16 = 5;
const CHAIN_TYPE: u16 = 7;
const HOOK_NUMBER: u16 = 1;
const HOOK_PRIORITY: u16 = 2;
const RULE_CHAIN: u16 = 2;
const RULE_HANDLE: u16 = 3;
const RULE_EXPRESSIONS: u16 = 4;
const RULE_USERDATA: u16 = 7;
const EXPRESSION_NAME: u16 = 1;
const EXPRESSION_DATA: u16 = 2;
const SET_NAME: u16 = 2;
const SET_FLAGS: u16 = 3;
const SET_KEY_TYPE: u16 = 4;
const SET_KEY_LENGTH: u16 = 5;
const SET_DATA_TYPE: u16 = 6;
const SET_DATA_LENGTH: u16 = 7;
pub(super) const ELEMENTS_SET: u16 = 2;
const ELEMENTS: u16 = 3;
const ELEMENT_KEY: u16 = 1;
const ELEMENT_DATA: u16 = 2;
const ELEMENT_KEY_END: u16 = 10;
const DATA_VALUE: u16 = 1;
/// libnftnl's number of a rule's comment among its user data (`NFTNL_UDATA_RULE_COMMENT`).
const USERDATA_COMMENT: u8 = 0;

/// A rule as the kernel lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DumpedRule {
    /// The kernel's number of it, unique in its table.
    pub(crate) handle: u64,
    /// The chain that it is in.
    pub(crate) chain: String,
    /// Its comment, if it has one.
    pub(crate) comment: String,
    /// Its expressions: the kernel's name and the attributes.
    pub(crate) expressions: Vec<(String, Vec<u8>)>,
}

/// Puts a table together from all that the kernel answered about it, in any order; what is said of
/// other tables is left out.
pub(crate) fn parse_table(replies: &[Reply], table: &str) -> TableState {
    let chains = payloads(replies, libc::NFT_MSG_NEWCHAIN, table).map(|payload| {
        let chain = ChainState {
            base: parse_base(payload),
            rules: Vec::new(),
        };
        (text(payload, CHAIN_NAME), chain)
    });
    let mut chains: BTreeMap<_, _> = chains.collect();
    for payload in payloads(replies, libc::NFT_MSG_NEWRULE, table) {
        let rule = parse_rule(payload);
        if let Some(chain) = chains.get_mut(&rule.chain) {
            let names = rule.expressions.into_iter().map(|(name, _)| name);
            chain.rules.push(RuleState {
                comment: rule.comment,
                expressions: names.collect(),
            });
        }
    }
    let sets = payloads(replies, libc::NFT_MSG_NEWSET, table).map(|payload| {
        let set = SetState {
            layout: parse_layout(payload),
            elements: BTreeMap::new(),
        };
        (text(payload, SET_NAME), set)
    });
    let mut sets: BTreeMap<_, _> = sets.collect();
    for payload in payloads(replies, libc::NFT_MSG_NEWSETELEM, table) {
        if let Some(set) = sets.get_mut(&text(payload, ELEMENTS_SET)) {
            set.elements.extend(parse_elements(payload));
        }
    }
    TableState { chains, sets }
}

/// Names the sets of a table.
pub(super) fn set_names(replies: &[Reply], table: &str) -> Vec<String> {
    payloads(replies, libc::NFT_MSG_NEWSET, table)
        .map(|payload| text(payload, SET_NAME))
        .collect()
}

/// The attributes of all messages of a kind that are about a table.
fn payloads<'a>(
    replies: &'a [Reply],
    message: libc::c_int,
    table: &'a str,
) -> impl Iterator<Item = &'a [u8]> {
    let wanted = replies
        .iter()
        .filter(move |reply| reply.is_from(libc::NFNL_SUBSYS_NFTABLES, message));
    wanted
        .map(Reply::attributes)
        .filter(move |payload| text(payload, TABLE_NAME) == table)
}

/// A base chain of any table, as the kernel lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DumpedBaseChain {
    /// The number of the table's family (`NFPROTO_…`).
    pub(crate) family: u8,
    /// The table.
    pub(crate) table: String,
    /// Its name.
    pub(crate) name: String,
    /// Where the kernel calls it.
    pub(crate) base: BaseState,
}

/// Lists the base chains among chains of any table.
pub(super) fn parse_base_chains(replies: &[Reply]) -> Vec<DumpedBaseChain> {
    let chains = replies
        .iter()
        .filter(|reply| reply.is_from(libc::NFNL_SUBSYS_NFTABLES, libc::NFT_MSG_NEWCHAIN));
    let bases = chains.filter_map(|reply| {
        let payload = reply.attributes();
        Some(DumpedBaseChain {
            family: reply.family()?,
            table: text(payload, TABLE_NAME),
            name: text(payload, CHAIN_NAME),
            base: parse_base(payload)?,
        })
    });
    bases.collect()
}

/// Tells whether one of the messages is about a chain, or something in it, of an IPv4 table;
/// `is_meant` is given the table and the chain, which is empty for what is in no chain.
pub(super) fn mentions(replies: &[Reply], is_meant: impl Fn(&str, &str) -> bool) -> bool {
    let ipv4 = u8::try_from(libc::NFPROTO_IPV4).ok();
    replies.iter().any(|reply| {
        let payload = reply.attributes();
        let chain = match reply.number(libc::NFNL_SUBSYS_NFTABLES) {
            Some(libc::NFT_MSG_NEWCHAIN | libc::NFT_MSG_DELCHAIN) => text(payload, CHAIN_NAME),
            Some(libc::NFT_MSG_NEWRULE | libc::NFT_MSG_DELRULE) => text(payload, RULE_CHAIN),
            Some(_) => String::new(),
            None => return false,
        };
        reply.family() == ipv4 && is_meant(&text(payload, TABLE_NAME), &chain)
    })
}

fn parse_base(payload: &[u8]) -> Option<BaseState> {
    let hook = find(payload, CHAIN_HOOK)?;
    Some(BaseState {
        kind: text(payload, CHAIN_TYPE),
        hook: number(hook.value, HOOK_NUMBER),
        priority: number(hook.value, HOOK_PRIORITY).cast_signed(),
        policy: number(payload, CHAIN_POLICY),
    })
}

pub(crate) fn parse_rule(payload: &[u8]) -> DumpedRule {
    let expressions = find(payload, RULE_EXPRESSIONS)
        .into_iter()
        .flat_map(|list| list.nested());
    let expressions = expressions.map(|expression| {
        let data = find(expression.value, EXPRESSION_DATA);
        let data = data.map(|data| data.value.to_vec()).unwrap_or_default();
        (text(expression.value, EXPRESSION_NAME), data)
    });
    let comment = find(payload, RULE_USERDATA).and_then(|userdata| parse_comment(userdata.value));
    let handle = find(payload, RULE_HANDLE).and_then(|attribute| attribute.large_number());
    DumpedRule {
        handle: handle.unwrap_or_default(),
        chain: text(payload, RULE_CHAIN),
        comment: comment.unwrap_or_default(),
        expressions: expressions.collect(),
    }
}

/// User data is a list of type, length and value, a byte for each of the first two.
fn parse_comment(userdata: &[u8]) -> Option<String> {
    let mut rest = userdata;
    while let [kind, length, following @ ..] = rest {
        let value = following.get(..usize::from(*length))?;
        if *kind == USERDATA_COMMENT {
            let attribute = Attribute { kind: 0, value };
            return attribute.text().map(str::to_owned);
        }
        rest = following.get(usize::from(*length)..)?;
    }
    None
}

fn parse_layout(payload: &[u8]) -> SetLayout {
    SetLayout {
        flags: number(payload, SET_FLAGS),
        key_type: number(payload, SET_KEY_TYPE),
        key_length: number(payload, SET_KEY_LENGTH),
        data_type: number(payload, SET_DATA_TYPE),
        data_length: number(payload, SET_DATA_LENGTH),
    }
}

pub(super) fn parse_elements(payload: &[u8]) -> impl Iterator<Item = (Vec<u8>, ElementState)> {
    let elements = attributes(payload)
        .filter(|attribute| attribute.kind == ELEMENTS)
        .flat_map(|list| list.nested());
    elements.map(|element| {
        let value = |kind| {
            find(element.value, kind)
                .and_then(|data| find(data.value, DATA_VALUE))
                .map(|data| data.value.to_vec())
                .unwrap_or_default()
        };
        let state = ElementState {
            end: value(ELEMENT_KEY_END),
            data: value(ELEMENT_DATA),
        };
        (value(ELEMENT_KEY), state)
    })
}

fn text(payload: &[u8], kind: u16) -> String {
    let text = find(payload, kind).and_then(|attribute| attribute.text());
    text.unwrap_or_default().to_owned()
}

pub(super) fn number(payload: &[u8], kind: u16) -> u32 {
    let number = find(payload, kind).and_then(|attribute| attribute.number());
    number.unwrap_or_default()
}
