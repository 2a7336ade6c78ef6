//! A short fingerprint of a value, for telling "changed" from "unchanged".

use std::fmt::{self, Write as _};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The first 128 bits of the SHA-256 of a value's canonical JSON, in hexadecimal.
///
/// Canonical because every map in this crate is a `BTreeMap`: equal values have equal text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(String);

impl Digest {
    /// Fingerprints `value`.
    pub fn of<T: Serialize>(value: &T) -> Self {
        // Serialising a plain data type into memory cannot fail; should it ever, the message
        // itself is fingerprinted, which differs from every real value.
        let text = serde_json::to_string(value).unwrap_or_else(|error| error.to_string());
        let hash = Sha256::digest(text.as_bytes());
        let mut text = String::with_capacity(32);
        for byte in hash.iter().take(16) {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        Self(text)
    }

    /// Takes a fingerprint that was written down earlier, in a label or a table's user data.
    pub fn from_recorded(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the hexadecimal text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}
