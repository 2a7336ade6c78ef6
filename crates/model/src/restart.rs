//! When an application is started again after it has ended.

use std::fmt;
use std::num::NonZeroU16;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::InvalidName;

/// When systemd starts an application's container again after it has ended.
///
/// Stored as text, as in Compose: `on-failure:5`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum RestartPolicy {
    /// However it ended.
    #[default]
    Always,
    /// When it ended with an error.
    OnFailure,
    /// When it ended with an error, so many times at most.
    OnFailureUpTo(NonZeroU16),
    /// Not at all.
    Never,
}

impl fmt::Display for RestartPolicy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Always => formatter.write_str("always"),
            Self::OnFailure => formatter.write_str("on-failure"),
            Self::OnFailureUpTo(times) => write!(formatter, "on-failure:{times}"),
            Self::Never => formatter.write_str("never"),
        }
    }
}

impl FromStr for RestartPolicy {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let limited = |text: &str| {
            let times = text.strip_prefix("on-failure:")?;
            let is_plain = times.bytes().all(|byte| byte.is_ascii_digit());
            times.parse().ok().filter(|_| is_plain)
        };
        match text {
            "always" => Ok(Self::Always),
            "on-failure" => Ok(Self::OnFailure),
            "never" => Ok(Self::Never),
            _ => limited(text)
                .map(Self::OnFailureUpTo)
                .ok_or_else(|| InvalidName {
                    kind: "restart policy",
                    name: text.to_owned(),
                    problem: "is not a restart policy",
                }),
        }
    }
}

impl TryFrom<String> for RestartPolicy {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<RestartPolicy> for String {
    fn from(policy: RestartPolicy) -> Self {
        policy.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_stored_as_they_are_written() {
        for text in ["always", "on-failure", "never", "on-failure:5"] {
            let json = format!("\"{text}\"");
            let policy: RestartPolicy = serde_json::from_str(&json).unwrap();
            assert_eq!(serde_json::to_string(&policy).unwrap(), json);
        }
        for text in [
            "",
            "no",
            "on-failure:",
            "on-failure:0",
            "on-failure:+1",
            "on-failure:65536",
            "unless-stopped",
        ] {
            assert!(text.parse::<RestartPolicy>().is_err(), "{text}");
        }
    }
}
