//! Reaches nodes: the SSH transport, and the protocol spoken over it.

pub mod clock;
mod patience;
pub mod protocol;
pub mod ssh;
