//! The login that a registry of images asks for.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Secret;

/// The operator's logins, by the registry's host and port as images name it.
pub type RegistryLogins = BTreeMap<String, RegistryLogin>;

/// A login at a registry. It goes with a question or a pull, and is stored nowhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RegistryLogin {
    /// A name and a password.
    Password {
        /// The name.
        username: String,
        /// The password.
        password: Secret,
    },
    /// A token that the registry's own server for logins issued.
    ///
    /// **Source**: Docker's `AuthConfig`, `identitytoken`.
    IdentityToken {
        /// The token.
        token: Secret,
    },
}
