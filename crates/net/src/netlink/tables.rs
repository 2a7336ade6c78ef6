//! Reading tables back.
//!
//! **Source**: `linux/netfilter/nf_tables.h` (`NFTA_*`).

use std::collections::BTreeMap;

use nix::libc;

use crate::table_state::{BaseState, ChainState, RuleState, SetLayout, SetState, TableState};

use super::attributes::{Attribute, attributes, find};
use super::message::Request;
use super::socket::{Netlink, NetlinkError};

const TABLE_NAME: u16 = 1;
const CHAIN_TABLE: u16 = 1;
const CHAIN_NAME: u16 = 3;
const CHAIN_HOOK: u16 = 4;
const CHAIN_POLICY: u16 = 5;
const CHAIN_TYPE: u16 = 7;
const HOOK_NUMBER: u16 = 1;
const HOOK_PRIORITY: u16 = 2;
const RULE_TABLE: u16 = 1;
const RULE_CHAIN: u16 = 2;
const RULE_EXPRESSIONS: u16 = 4;
const RULE_USERDATA: u16 = 7;
const EXPRESSION_NAME: u16 = 1;
const EXPRESSION_DATA: u16 = 2;
const SET_TABLE: u16 = 1;
const SET_NAME: u16 = 2;
const SET_FLAGS: u16 = 3;
const SET_KEY_TYPE: u16 = 4;
const SET_KEY_LENGTH: u16 = 5;
const SET_DATA_TYPE: u16 = 6;
const SET_DATA_LENGTH: u16 = 7;
const ELEMENTS_TABLE: u16 = 1;
const ELEMENTS_SET: u16 = 2;
const ELEMENTS: u16 = 3;
const ELEMENT_KEY: u16 = 1;
const ELEMENT_DATA: u16 = 2;
const DATA_VALUE: u16 = 1;
const GENERATION_ID: u16 = 1;
/// libnftnl's number of a rule's comment among its user data (`NFTNL_UDATA_RULE_COMMENT`).
const USERDATA_COMMENT: u8 = 0;

/// How often a table is read that keeps changing meanwhile.
const ATTEMPTS: u32 = 20;

/// A rule as the kernel lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DumpedRule {
    /// The chain that it is in.
    pub(crate) chain: String,
    /// Its comment, if it has one.
    pub(crate) comment: String,
    /// Its expressions: the kernel's name and the attributes.
    pub(crate) expressions: Vec<(String, Vec<u8>)>,
}

/// Reads a table as it is at one moment; `None` if there is none of that name.
///
/// # Errors
/// When the kernel refuses, or others keep changing the firewall.
pub(crate) fn observe_table(
    netlink: &mut Netlink,
    table: &str,
) -> Result<Option<TableState>, NetlinkError> {
    for _attempt in 0..ATTEMPTS {
        let before = netlink.observe_generation()?;
        let state = observe_parts(netlink, table);
        if netlink.observe_generation()? == before {
            return match state {
                Err(error) if error.is_not_found() => Ok(None),
                other => other.map(Some),
            };
        }
    }
    Err(NetlinkError::Unsteady)
}

fn observe_parts(netlink: &mut Netlink, table: &str) -> Result<TableState, NetlinkError> {
    let exists = request(libc::NFT_MSG_GETTABLE).text(TABLE_NAME, table);
    netlink.ask(&exists.acknowledged(), "show a table")?;
    let mut chains = observe_chains(netlink, table)?;
    for rule in observe_rules(netlink, table, None)? {
        if let Some(chain) = chains.get_mut(&rule.chain) {
            let names = rule.expressions.into_iter().map(|(name, _)| name);
            chain.rules.push(RuleState {
                comment: rule.comment,
                expressions: names.collect(),
            });
        }
    }
    let sets = observe_sets(netlink, table)?;
    Ok(TableState { chains, sets })
}

fn request(message: libc::c_int) -> Request {
    Request::new(libc::NFNL_SUBSYS_NFTABLES, message)
}

fn observe_chains(
    netlink: &mut Netlink,
    table: &str,
) -> Result<BTreeMap<String, ChainState>, NetlinkError> {
    let replies = netlink.ask(&request(libc::NFT_MSG_GETCHAIN).dump(), "list chains")?;
    let in_table = replies
        .iter()
        .map(super::message::Reply::attributes)
        .filter(|payload| text(payload, CHAIN_TABLE) == table);
    let chains = in_table.map(|payload| {
        let chain = ChainState {
            base: parse_base(payload),
            rules: Vec::new(),
        };
        (text(payload, CHAIN_NAME), chain)
    });
    Ok(chains.collect())
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

/// Reads a table's rules in their order; of all chains, or of one.
///
/// # Errors
/// When the kernel refuses; a table or chain that does not exist has no rules.
pub(crate) fn observe_rules(
    netlink: &mut Netlink,
    table: &str,
    chain: Option<&str>,
) -> Result<Vec<DumpedRule>, NetlinkError> {
    let mut request = request(libc::NFT_MSG_GETRULE)
        .dump()
        .text(RULE_TABLE, table);
    if let Some(chain) = chain {
        request = request.text(RULE_CHAIN, chain);
    }
    let replies = netlink.ask(&request, "list rules")?;
    Ok(replies
        .iter()
        .map(|reply| parse_rule(reply.attributes()))
        .collect())
}

fn parse_rule(payload: &[u8]) -> DumpedRule {
    let expressions = find(payload, RULE_EXPRESSIONS)
        .into_iter()
        .flat_map(|list| list.nested());
    let expressions = expressions.map(|expression| {
        let data = find(expression.value, EXPRESSION_DATA);
        let data = data.map(|data| data.value.to_vec()).unwrap_or_default();
        (text(expression.value, EXPRESSION_NAME), data)
    });
    let comment = find(payload, RULE_USERDATA).and_then(|userdata| parse_comment(userdata.value));
    DumpedRule {
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

fn observe_sets(
    netlink: &mut Netlink,
    table: &str,
) -> Result<BTreeMap<String, SetState>, NetlinkError> {
    let request = request(libc::NFT_MSG_GETSET).dump().text(SET_TABLE, table);
    let mut sets = BTreeMap::new();
    for reply in netlink.ask(&request, "list sets")? {
        let payload = reply.attributes();
        let name = text(payload, SET_NAME);
        let layout = SetLayout {
            flags: number(payload, SET_FLAGS),
            key_type: number(payload, SET_KEY_TYPE),
            key_length: number(payload, SET_KEY_LENGTH),
            data_type: number(payload, SET_DATA_TYPE),
            data_length: number(payload, SET_DATA_LENGTH),
        };
        let elements = observe_elements(netlink, table, &name)?;
        sets.insert(name, SetState { layout, elements });
    }
    Ok(sets)
}

fn observe_elements(
    netlink: &mut Netlink,
    table: &str,
    set: &str,
) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, NetlinkError> {
    let request = request(libc::NFT_MSG_GETSETELEM)
        .dump()
        .text(ELEMENTS_TABLE, table)
        .text(ELEMENTS_SET, set);
    let replies = netlink.ask(&request, "list a set's elements")?;
    let elements = replies
        .iter()
        .flat_map(|reply| attributes(reply.attributes()))
        .filter(|attribute| attribute.kind == ELEMENTS)
        .flat_map(|list| list.nested());
    Ok(elements
        .map(|element| {
            let value = |kind| {
                find(element.value, kind)
                    .and_then(|data| find(data.value, DATA_VALUE))
                    .map(|data| data.value.to_vec())
                    .unwrap_or_default()
            };
            (value(ELEMENT_KEY), value(ELEMENT_DATA))
        })
        .collect())
}

impl Netlink {
    /// Tells whether a table has a chain.
    ///
    /// # Errors
    /// When the kernel refuses for another reason than that there is none.
    pub(crate) fn chain_exists(&mut self, table: &str, chain: &str) -> Result<bool, NetlinkError> {
        let request = request(libc::NFT_MSG_GETCHAIN)
            .acknowledged()
            .text(CHAIN_TABLE, table)
            .text(CHAIN_NAME, chain);
        match self.ask(&request, "show a chain") {
            Ok(_chain) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Reads the number that the kernel increases with each change to the firewall.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(crate) fn observe_generation(&mut self) -> Result<u32, NetlinkError> {
        let request = request(libc::NFT_MSG_GETGEN).acknowledged();
        let replies = self.ask(&request, "show the firewall's generation")?;
        let reply = replies.first();
        Ok(reply.map_or(0, |reply| number(reply.attributes(), GENERATION_ID)))
    }
}

fn text(payload: &[u8], kind: u16) -> String {
    let text = find(payload, kind).and_then(|attribute| attribute.text());
    text.unwrap_or_default().to_owned()
}

fn number(payload: &[u8], kind: u16) -> u32 {
    let number = find(payload, kind).and_then(|attribute| attribute.number());
    number.unwrap_or_default()
}
