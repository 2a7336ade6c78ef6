//! Names that people write: of applications and of nodes.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A name that cannot be used, and why.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{kind} `{}` {problem}", shortened(.name))]
pub struct InvalidName {
    /// What was being named.
    pub kind: &'static str,
    /// The text as it was written.
    pub name: String,
    /// What is wrong with it, as the end of a sentence.
    pub problem: &'static str,
}

/// Cuts a name that is too long to be shown; it may be a megabyte that somebody made up.
pub(crate) fn shortened(name: &str) -> String {
    const SHOWN: usize = 300;
    match name.char_indices().nth(SHOWN) {
        None => name.to_owned(),
        Some((end, _)) => format!("{}…", &name[..end]),
    }
}

/// The name of an application, and so of its container, volume and systemd unit.
///
/// It must be valid in all three places at once: a letter or digit, then letters, digits, `_`, `.`
/// or `-`, 63 characters at most.
///
/// **Source**: Docker container names (`[a-zA-Z0-9][a-zA-Z0-9_.-]+`), `zfsconcepts(7)` dataset
/// components, `systemd.unit(5)` unit names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ApplicationName(String);

impl ApplicationName {
    /// Longest accepted name, in bytes: what a DNS label and a host name may have.
    pub const MAXIMUM_LENGTH: usize = 63;

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ApplicationName {
    type Err = InvalidName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let problem = if name.is_empty() {
            Some("is empty")
        } else if name.len() > Self::MAXIMUM_LENGTH {
            Some("is longer than 63 characters")
        } else if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            Some("does not start with a letter or digit")
        } else if !name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
        {
            Some("has a character other than letters, digits, `_`, `.` and `-`")
        } else {
            None
        };
        match problem {
            None => Ok(Self(name.to_owned())),
            Some(problem) => Err(InvalidName {
                kind: "application name",
                name: name.to_owned(),
                problem,
            }),
        }
    }
}

/// A node as the operator writes it in the deployment: an address or a host name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NodeName(String);

impl NodeName {
    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the IPv4 address that this name is, if it is one and not a host name.
    pub fn as_address(&self) -> Option<Ipv4Addr> {
        self.0.parse().ok()
    }
}

impl FromStr for NodeName {
    type Err = InvalidName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let problem = if name.is_empty() {
            Some("is empty")
        } else if name.len() > 253 {
            Some("is longer than 253 characters")
        } else if name.starts_with('-') {
            Some("starts with `-`")
        } else if !name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
        {
            Some("is neither an IPv4 address nor a host name")
        } else if looks_numeric(name) && name.parse::<Ipv4Addr>().is_err() {
            Some("is not a valid IPv4 address")
        } else {
            None
        };
        match problem {
            None => Ok(Self(name.to_owned())),
            Some(problem) => Err(InvalidName {
                kind: "node",
                name: name.to_owned(),
                problem,
            }),
        }
    }
}

/// Tells whether only digits and dots occur, so that an address was meant.
fn looks_numeric(name: &str) -> bool {
    name.chars().all(|c| c.is_ascii_digit() || c == '.')
}

macro_rules! text_conversions {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.pad(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;

            fn try_from(name: String) -> Result<Self, Self::Error> {
                name.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }
    };
}

text_conversions!(ApplicationName);
text_conversions!(NodeName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_seed_are_valid() {
        for name in ["trac", "pgsql-trac", "elasticsearch-trac", "kibana-trac"] {
            assert!(name.parse::<ApplicationName>().is_ok(), "{name}");
        }
    }

    #[test]
    fn names_that_docker_zfs_or_systemd_would_refuse_are_invalid() {
        for name in ["", "-x", ".x", "a b", "a/b", "a@b", "ä", &"x".repeat(64)] {
            assert!(name.parse::<ApplicationName>().is_err(), "{name}");
        }
    }

    #[test]
    fn a_name_without_end_makes_no_message_without_end() {
        let error = "x".repeat(1_000_000).parse::<ApplicationName>();
        let text = error.unwrap_err().to_string();
        assert!(text.len() < 400 && text.contains("x…"), "{text}");
    }

    #[test]
    fn nodes_are_addresses_or_host_names() {
        let address: NodeName = "1.1.1.1".parse().unwrap();
        assert_eq!(address.as_address(), Some(Ipv4Addr::new(1, 1, 1, 1)));
        let host: NodeName = "db-1.example.com".parse().unwrap();
        assert_eq!(host.as_address(), None);
        for name in ["", "-oProxyCommand=x", "1.1.1", "300.1.1.1", "a b", "a;b"] {
            assert!(name.parse::<NodeName>().is_err(), "{name}");
        }
    }
}
