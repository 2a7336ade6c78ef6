//! Talking to the kernel's netfilter subsystem.

mod attributes;
mod batch;
mod message;
mod socket;
mod table_reply;
mod tables;

pub(crate) use attributes::{attributes, find};
#[cfg(test)]
pub(crate) use attributes::{push, push_nested};
pub(crate) use batch::Transaction;
pub(crate) use message::{Request, parse_replies};
pub(crate) use socket::Netlink;
pub use socket::{NetlinkError, Refusal};
pub(crate) use table_reply::{DumpedRule, parse_rule, parse_table};
pub(crate) use tables::{observe_rules, observe_table};
