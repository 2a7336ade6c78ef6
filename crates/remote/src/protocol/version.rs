//! What a program says of itself before anything else, to the operator's side and to other nodes.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The version of all messages, those of a deploy and those of a push; both sides must speak the
/// same one.
///
/// It is one number for both: a deploy refuses a node whose messages it does not speak, so that the
/// nodes of a deploy speak those of each other.
pub const PROTOCOL_VERSION: u32 = 7;

/// What a program speaks.
///
/// It is in the first message of every exchange and keeps its shape for ever: were it changed,
/// another version could not be told from nonsense.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Speaks {
    /// The protocol's version.
    pub protocol: u32,
    /// The version of the program.
    pub release: String,
}

impl Speaks {
    /// What this program speaks.
    pub fn ours() -> Self {
        Self {
            protocol: PROTOCOL_VERSION,
            release: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    /// Tells whether the two programs understand each other; how they are called does not matter.
    pub const fn is_understood(&self) -> bool {
        self.protocol == PROTOCOL_VERSION
    }
}

impl fmt::Display for Speaks {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{}, which speaks protocol {}",
            self.release, self.protocol
        )
    }
}
