//! Reaches nodes: the SSH transport, and the protocol spoken over it.

pub mod clock;
mod new_file;
mod patience;
pub mod protocol;
pub mod ssh;

pub use new_file::write_new;
