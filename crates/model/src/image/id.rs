//! The digest that identifies an image's content.

use serde::{Deserialize, Serialize};

/// The identity of an image's content, as Docker reports it (`sha256:…`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ImageId(pub String);

impl ImageId {
    /// Returns as much of it as people need to tell images apart.
    pub fn short(&self) -> &str {
        short_digest(&self.0)
    }
}

/// How many digits of a digest people are shown, as Docker does.
const SHOWN_DIGITS: usize = 12;

/// Cuts a digest short for people.
pub fn short_digest(digest: &str) -> &str {
    const ALGORITHM: &str = "sha256:";
    if digest.starts_with(ALGORITHM) {
        digest
            .get(..ALGORITHM.len() + SHOWN_DIGITS)
            .unwrap_or(digest)
    } else {
        digest
    }
}
