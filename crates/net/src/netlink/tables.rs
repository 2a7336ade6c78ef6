//! Asking for tables.
//!
//! **Source**: `linux/netfilter/nf_tables.h` (`NFTA_*`).

use nix::libc;

use crate::table_state::TableState;

use super::message::Request;
use super::socket::{Netlink, NetlinkError};
use super::table_reply::{
    CHAIN_NAME, DumpedBaseChain, DumpedRule, ELEMENTS_SET, TABLE_NAME, number, parse_base_chains,
    parse_elements, parse_rule, parse_table, set_names,
};

const GENERATION_ID: u16 = 1;

/// How often a table is read that keeps changing meanwhile.
const ATTEMPTS: u32 = 20;

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
    let named = |message| request(message).text(TABLE_NAME, table);
    let exists = named(libc::NFT_MSG_GETTABLE).acknowledged();
    netlink.ask(&exists, "show a table")?;
    // Of chains the kernel lists those of all tables.
    let chains = request(libc::NFT_MSG_GETCHAIN).dump();
    let mut replies = netlink.ask(&chains, "list chains")?;
    replies.extend(netlink.ask(&named(libc::NFT_MSG_GETRULE).dump(), "list rules")?);
    let sets = netlink.ask(&named(libc::NFT_MSG_GETSET).dump(), "list sets")?;
    for set in set_names(&sets, table) {
        let elements = named(libc::NFT_MSG_GETSETELEM).dump();
        let elements = elements.text(ELEMENTS_SET, &set);
        replies.extend(netlink.ask(&elements, "list a set's elements")?);
    }
    replies.extend(sets);
    Ok(parse_table(&replies, table))
}

fn request(message: libc::c_int) -> Request {
    Request::new(libc::NFNL_SUBSYS_NFTABLES, message)
}

/// Lists the base chains of all tables of all families.
///
/// # Errors
/// When the kernel refuses.
pub(crate) fn observe_base_chains(
    netlink: &mut Netlink,
) -> Result<Vec<DumpedBaseChain>, NetlinkError> {
    let chains = request(libc::NFT_MSG_GETCHAIN).family(0).dump();
    Ok(parse_base_chains(&netlink.ask(&chains, "list chains")?))
}

/// Reads all rules of a table of any family.
///
/// # Errors
/// When the kernel refuses; a table that does not exist has no rules.
pub(crate) fn observe_table_rules(
    netlink: &mut Netlink,
    (family, table): (u8, &str),
) -> Result<Vec<DumpedRule>, NetlinkError> {
    let rules = request(libc::NFT_MSG_GETRULE).family(family);
    let rules = rules.dump().text(TABLE_NAME, table);
    let replies = netlink.ask(&rules, "list rules")?;
    let rules = replies.iter().map(|reply| parse_rule(reply.attributes()));
    Ok(rules.collect())
}

/// Reads the keys of a set of any table; none if there is no such set.
///
/// # Errors
/// When the kernel refuses.
pub(crate) fn observe_set_keys(
    netlink: &mut Netlink,
    (family, table): (u8, &str),
    set: &str,
) -> Result<Vec<Vec<u8>>, NetlinkError> {
    let elements = request(libc::NFT_MSG_GETSETELEM).family(family).dump();
    let elements = elements.text(TABLE_NAME, table).text(ELEMENTS_SET, set);
    match netlink.ask(&elements, "list a set's elements") {
        Ok(replies) => Ok(replies
            .iter()
            .flat_map(|reply| parse_elements(reply.attributes()))
            .map(|(key, _)| key)
            .collect()),
        Err(error) if error.is_not_found() => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

impl Netlink {
    /// Tells whether a table has a chain.
    ///
    /// # Errors
    /// When the kernel refuses for another reason than that there is none.
    pub(crate) fn chain_exists(&mut self, table: &str, chain: &str) -> Result<bool, NetlinkError> {
        let request = request(libc::NFT_MSG_GETCHAIN)
            .acknowledged()
            .text(TABLE_NAME, table)
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
