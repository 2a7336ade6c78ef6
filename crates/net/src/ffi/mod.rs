//! What `nftnl` lacks, over `nftnl-sys`: any expression, maps, and rules before another.
//!
//! `nftnl` 0.9.4 has no maps, no lookup into a register, no `fib` and no 32-bit registers.

#![expect(unsafe_code, reason = "libnftnl is a C library")]

mod expression;
mod message;

pub(crate) use expression::Expression;
pub(crate) use message::{Inserted, NamedSet, SetElements};
