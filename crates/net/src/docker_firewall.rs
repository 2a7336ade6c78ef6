//! The one rule that Docker's own firewall needs.
//!
//! Docker's FORWARD chain drops what it does not know, and an `accept` in our table cannot overrule
//! that. It calls the chain DOCKER-USER first, which it leaves to its users.

use crate::encode::accept_marked;
use crate::netlink::{DumpedRule, Netlink, NetlinkError, attributes, observe_rules};
use crate::ruleset::OWN_MARK;

/// The table of iptables that Docker's chains are in.
pub(crate) const TABLE: &str = "filter";
/// The chain that Docker leaves to its users.
pub(crate) const CHAIN: &str = "DOCKER-USER";

/// `NFTA_BITWISE_MASK`.
const BITWISE_MASK: u16 = 4;
/// `NFTA_CMP_DATA`.
const COMPARED_DATA: u16 = 3;
/// `NFTA_META_KEY`.
const META_KEY: u16 = 2;
/// `NFT_META_MARK`.
const META_MARK: u32 = 3;
/// `NFTA_IMMEDIATE_DATA`.
const IMMEDIATE_DATA: u16 = 2;
/// `NFTA_DATA_VALUE`.
const DATA_VALUE: u16 = 1;
/// `NFTA_DATA_VERDICT`.
const DATA_VERDICT: u16 = 2;
/// `NFTA_VERDICT_CODE`.
const VERDICT_CODE: u16 = 1;
/// `NF_ACCEPT`.
const ACCEPT: u32 = 1;

/// Whether Docker's firewall lets redirected connections pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DockerFirewall {
    /// The rule is in DOCKER-USER.
    Accepts,
    /// The rule is missing from DOCKER-USER.
    LacksRule,
    /// There is no chain DOCKER-USER: Docker has not started yet, or leaves the firewall alone.
    Absent,
}

/// Looks for our rule.
pub(crate) fn observe_docker_firewall(
    netlink: &mut Netlink,
) -> Result<DockerFirewall, NetlinkError> {
    if !netlink.chain_exists(TABLE, CHAIN)? {
        return Ok(DockerFirewall::Absent);
    }
    let rules = observe_rules(netlink, TABLE, CHAIN)?;
    Ok(if rules.iter().any(is_ours) {
        DockerFirewall::Accepts
    } else {
        DockerFirewall::LacksRule
    })
}

/// Recognises the rule by what it does, so that it also counts when iptables-restore wrote it.
pub(crate) fn is_ours(rule: &DumpedRule) -> bool {
    let names = rule.expressions.iter().map(|(name, _)| name.as_str());
    let expected = accept_marked(OWN_MARK);
    if !names.eq(expected.iter().map(crate::ffi::Expression::name)) {
        return false;
    }
    let [(_, meta), (_, bitwise), (_, compare), _, (_, immediate)] = rule.expressions.as_slice()
    else {
        return false;
    };
    let mark = OWN_MARK.to_ne_bytes();
    let verdict = value(immediate, &[IMMEDIATE_DATA, DATA_VERDICT, VERDICT_CODE]);
    value(meta, &[META_KEY]) == Some(&META_MARK.to_be_bytes())
        && value(bitwise, &[BITWISE_MASK, DATA_VALUE]) == Some(&mark)
        && value(compare, &[COMPARED_DATA, DATA_VALUE]) == Some(&mark)
        && verdict == Some(&ACCEPT.to_be_bytes())
}

/// Follows a path of nested attributes.
fn value<'a>(payload: &'a [u8], path: &[u16]) -> Option<&'a [u8]> {
    path.iter().try_fold(payload, |payload, kind| {
        let mut found = attributes(payload).filter(|attribute| attribute.kind == *kind);
        Some(found.next()?.value)
    })
}
