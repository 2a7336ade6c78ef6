//! The rule that Docker's own firewall needs, and where it belongs.
//!
//! Docker's FORWARD chain drops what it does not know, and an `accept` in our table cannot overrule
//! that. It calls the chain DOCKER-USER first, which it leaves to administrators. Their rules come
//! first there, and ours is the last one: what they drop stays dropped.
//!
//! A packet that they `RETURN` early has passed their rules and never meets the end of DOCKER-USER.
//! For such packets our rule is in FORWARD as well, right behind the call of DOCKER-USER.

use crate::encode::accept_marked;
use crate::netlink::{DumpedRule, Netlink, NetlinkError, attributes, observe_table_rules};
use crate::ruleset::OWN_MARK;

/// The table of iptables that Docker's chains are in.
pub(crate) const TABLE: &str = "filter";
/// The chain that Docker leaves to its users.
pub(crate) const CHAIN: &str = "DOCKER-USER";
/// The chain that iptables calls for forwarded packets.
pub(crate) const FORWARD: &str = "FORWARD";
/// The number of the family that the table is of (`NFPROTO_IPV4`).
pub(crate) const FAMILY: u8 = 2;

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
/// `NFTA_VERDICT_CHAIN`.
const VERDICT_CHAIN: u16 = 2;

/// `NFTA_LOOKUP_DREG`.
const LOOKUP_DESTINATION: u16 = 3;

/// Whether Docker's firewall lets redirected connections pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DockerFirewall {
    /// Our rule is where it belongs.
    Accepts,
    /// Our rule is missing, or is not where it belongs.
    LacksRule,
    /// There is no chain DOCKER-USER: Docker has not started yet, or does not use iptables.
    Absent,
}

/// What a rule decides about packets that match it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    /// The packet passes.
    Accept,
    /// The packet is dropped.
    Drop,
    /// The caller of the chain goes on.
    Return,
    /// Another chain is called.
    Jump(String),
    /// Another chain goes on in the place of this one.
    Goto(String),
    /// Anything else.
    Other,
}

/// One change to a chain of iptables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Edit {
    /// Remove the rule that has this handle.
    Remove(u64),
    /// Put our rule before the one that has this handle.
    InsertBefore(u64),
    /// Put our rule at the end.
    Append,
}

/// What keeps our rule from being where it belongs in Docker's chains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DockerChains {
    /// Whether DOCKER-USER exists.
    exists: bool,
    /// The changes that are needed: the chain, and what to do there.
    pub(crate) edits: Vec<(&'static str, Edit)>,
}

impl DockerChains {
    /// Says how things are.
    pub(crate) fn state(&self) -> DockerFirewall {
        match (self.exists, self.edits.is_empty()) {
            (false, _) => DockerFirewall::Absent,
            (true, true) => DockerFirewall::Accepts,
            (true, false) => DockerFirewall::LacksRule,
        }
    }
}

/// Reads Docker's chains and works out what our rule lacks there.
pub(crate) fn observe_docker_chains(netlink: &mut Netlink) -> Result<DockerChains, NetlinkError> {
    if !netlink.chain_exists(TABLE, CHAIN)? {
        return Ok(DockerChains {
            exists: false,
            edits: Vec::new(),
        });
    }
    let rules = observe_table_rules(netlink, (FAMILY, TABLE))?;
    Ok(DockerChains {
        exists: true,
        edits: plan_edits(&rules),
    })
}

/// Works out the changes that put our rule where it belongs, from all rules of the table.
pub(crate) fn plan_edits(rules: &[DumpedRule]) -> Vec<(&'static str, Edit)> {
    let in_chain = |chain: &'static str| rules.iter().filter(move |rule| rule.chain == chain);
    let users: Vec<_> = in_chain(CHAIN).filter(|rule| !is_ours(rule)).collect();
    // What comes after a RETURN without a condition is never reached. Docker used to put one at
    // the end of the chain.
    let end = users.iter().position(|rule| returns_everything(rule));
    let end = end.unwrap_or(users.len());
    let leaves_early = users.iter().take(end).any(|rule| {
        // A chain that was gone to returns past DOCKER-USER.
        matches!(decision(rule), Some(Decision::Return | Decision::Goto(_)))
    });
    let forwarding: Vec<_> = in_chain(FORWARD).filter(|rule| !is_ours(rule)).collect();
    let call = forwarding.iter().position(|rule| calls_docker_user(rule));
    let behind_call = call.filter(|_| leaves_early).map(|call| call + 1);
    let mut edits = edits_for(CHAIN, &in_chain(CHAIN).collect::<Vec<_>>(), Some(end));
    let forward: Vec<_> = in_chain(FORWARD).collect();
    edits.extend(edits_for(FORWARD, &forward, behind_call));
    edits
}

/// Works out the changes after which our rule is in a chain once, before the rule with this number
/// among the others, or nowhere.
fn edits_for(
    chain: &'static str,
    rules: &[&DumpedRule],
    wanted: Option<usize>,
) -> Vec<(&'static str, Edit)> {
    let own = |(index, rule): (usize, &&DumpedRule)| is_ours(rule).then_some(index);
    let found: Vec<usize> = rules.iter().enumerate().filter_map(own).collect();
    if found == wanted.into_iter().collect::<Vec<_>>() {
        return Vec::new();
    }
    let removed = found.iter().filter_map(|index| rules.get(*index));
    let mut edits: Vec<_> = removed
        .map(|rule| (chain, Edit::Remove(rule.handle)))
        .collect();
    if let Some(wanted) = wanted {
        let next = rules.iter().filter(|rule| !is_ours(rule)).nth(wanted);
        let edit = next.map_or(Edit::Append, |next| Edit::InsertBefore(next.handle));
        edits.push((chain, edit));
    }
    edits
}

/// Recognises our rule by what it does, so that it also counts when iptables-restore wrote it.
pub(crate) fn is_ours(rule: &DumpedRule) -> bool {
    let names = rule.expressions.iter().map(|(name, _)| name.as_str());
    let expected = accept_marked(OWN_MARK);
    if !names.eq(expected.iter().map(crate::ffi::Expression::name)) {
        return false;
    }
    let [(_, meta), (_, bitwise), (_, compare), ..] = rule.expressions.as_slice() else {
        return false;
    };
    let mark = OWN_MARK.to_ne_bytes();
    value(meta, &[META_KEY]) == Some(&META_MARK.to_be_bytes())
        && value(bitwise, &[BITWISE_MASK, DATA_VALUE]) == Some(&mark)
        && value(compare, &[COMPARED_DATA, DATA_VALUE]) == Some(&mark)
        && decision(rule) == Some(Decision::Accept)
}

/// Tells whether a rule accepts every packet that has our mark, as Docker's own rules for its
/// option `bridge-accept-fwmark` do.
pub(crate) fn accepts_our_mark(rule: &DumpedRule) -> bool {
    let conditions = rule
        .expressions
        .iter()
        .filter(|(name, _)| name != "counter" && name != "immediate");
    let conditions: Vec<_> = conditions
        .map(|(name, payload)| (name.as_str(), payload.as_slice()))
        .collect();
    let (meta, bits, compare) = match conditions.as_slice() {
        [("meta", meta), ("bitwise", bitwise), ("cmp", compare)] => {
            (meta, value(bitwise, &[BITWISE_MASK, DATA_VALUE]), compare)
        }
        // Without a mask the whole mark is compared, in which others set no bit by default.
        [("meta", meta), ("cmp", compare)] => (meta, None, compare),
        _ => return false,
    };
    let mark = OWN_MARK.to_ne_bytes();
    let is_mark = value(meta, &[META_KEY]) == Some(&META_MARK.to_be_bytes());
    is_mark
        && bits.is_none_or(|bits| bits == mark)
        && value(compare, &[COMPARED_DATA, DATA_VALUE]) == Some(&mark)
        && decision(rule) == Some(Decision::Accept)
}

/// Returns what a rule decides, if it does; the verdict is the last of its expressions.
pub(crate) fn decision(rule: &DumpedRule) -> Option<Decision> {
    let (name, payload) = rule.expressions.last()?;
    match name.as_str() {
        "reject" => return Some(Decision::Drop),
        // A map of verdicts, or a program that decides.
        "lookup" if value(payload, &[LOOKUP_DESTINATION]).is_some() => {
            return Some(Decision::Other);
        }
        "queue" | "target" => return Some(Decision::Other),
        _ => {}
    }
    let verdict = |kind| value(payload, &[IMMEDIATE_DATA, DATA_VERDICT, kind]);
    let code = verdict(VERDICT_CODE).filter(|_| name == "immediate")?;
    let code = i32::from_be_bytes(code.try_into().ok()?);
    let chain = || {
        let name = verdict(VERDICT_CHAIN).unwrap_or_default();
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
        String::from_utf8_lossy(name).into_owned()
    };
    Some(match code {
        // `NF_DROP`, `NF_ACCEPT`, and `NFT_JUMP` to `NFT_RETURN`.
        0 => Decision::Drop,
        1 => Decision::Accept,
        -3 => Decision::Jump(chain()),
        -4 => Decision::Goto(chain()),
        -5 => Decision::Return,
        _ => Decision::Other,
    })
}

/// Tells whether a rule has a verdict and no condition.
fn returns_everything(rule: &DumpedRule) -> bool {
    let others = rule.expressions.len().saturating_sub(1);
    let mut others = rule.expressions.iter().take(others);
    decision(rule) == Some(Decision::Return) && others.all(|(name, _)| name == "counter")
}

fn calls_docker_user(rule: &DumpedRule) -> bool {
    matches!(decision(rule), Some(Decision::Jump(chain) | Decision::Goto(chain)) if chain == CHAIN)
}

/// Follows a path of nested attributes.
pub(crate) fn value<'a>(payload: &'a [u8], path: &[u16]) -> Option<&'a [u8]> {
    path.iter().try_fold(payload, |payload, kind| {
        let mut found = attributes(payload).filter(|attribute| attribute.kind == *kind);
        Some(found.next()?.value)
    })
}

#[cfg(test)]
pub(crate) mod tests;
