//! Talking to the kernel's netfilter subsystem.

mod attributes;
mod batch;
mod message;
mod socket;
mod tables;

pub(crate) use attributes::{attributes, find};
pub(crate) use batch::Transaction;
pub(crate) use message::Request;
pub(crate) use socket::Netlink;
pub use socket::{NetlinkError, Refusal};
pub(crate) use tables::{DumpedRule, observe_rules, observe_table};
