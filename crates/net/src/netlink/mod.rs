//! Talking to the kernel's netfilter subsystem.

mod attributes;
mod batch;
mod message;
mod socket;
mod table_reply;
mod tables;
mod watch;

pub(crate) use attributes::{attributes, find};
#[cfg(test)]
pub(crate) use attributes::{push, push_nested};
pub(crate) use batch::Transaction;
pub(crate) use message::{Request, parse_replies};
pub(crate) use socket::Netlink;
pub use socket::{NetlinkError, Refusal};
pub(crate) use table_reply::{DumpedBaseChain, DumpedRule, parse_rule, parse_table};
pub(crate) use tables::{
    observe_base_chains, observe_set_keys, observe_table, observe_table_rules,
};
pub(crate) use watch::FirewallEvents;
