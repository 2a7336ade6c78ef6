//! The health check that a configuration gives an application, in the place of its image's own.

use std::fmt;
use std::num::NonZeroU16;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What the configuration says of an application's health check. An application of which it says
/// nothing has the check that its image declares, if there is one.
///
/// **Source**: Compose Specification, `healthcheck`; Docker's API, `HealthConfig`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HealthCheck {
    /// There is none, even if the image declares one.
    Disabled,
    /// There is one.
    Enabled(CheckSettings),
}

/// How a health check is made. Docker takes what is unset from the image, and what the image does
/// not say either is Docker's own.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CheckSettings {
    /// The test that is run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<CheckTest>,
    /// How long after one check the next is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<CheckPeriod>,
    /// How long one check may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<CheckPeriod>,
    /// How many checks in a row have to fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<NonZeroU16>,
    /// How long after the start failures do not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_period: Option<CheckPeriod>,
    /// How long after one check the next is made within `start_period`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_interval: Option<CheckPeriod>,
}

/// The test that a health check runs in the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckTest {
    /// A command line for the container's shell.
    Shell(String),
    /// A program and its arguments; never empty.
    Command(Vec<String>),
}

/// A length of time of a health check: from a millisecond, below which Docker refuses it, to a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CheckPeriod(u32);

impl CheckPeriod {
    /// The longest period: one day.
    const MAXIMUM: u32 = 24 * 60 * 60 * 1000;

    /// A number of milliseconds; refuses none, and more than a day.
    pub fn from_milliseconds(milliseconds: u32) -> Option<Self> {
        (1..=Self::MAXIMUM)
            .contains(&milliseconds)
            .then_some(Self(milliseconds))
    }

    /// Returns the number of nanoseconds, in which Docker counts.
    pub fn nanoseconds(self) -> i64 {
        i64::from(self.0) * 1_000_000
    }
}

impl From<CheckPeriod> for Duration {
    fn from(period: CheckPeriod) -> Self {
        Self::from_millis(u64::from(period.0))
    }
}

/// Who says what an application's health check is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckOrigin {
    /// The image declares it.
    Image,
    /// The configuration has it.
    Configuration,
}

impl CheckOrigin {
    /// Tells where the check comes from that a configuration asks for, if there is any.
    pub fn of(check: Option<&HealthCheck>) -> Self {
        match check {
            Some(HealthCheck::Enabled(settings)) if settings.test.is_some() => Self::Configuration,
            _ => Self::Image,
        }
    }
}

impl fmt::Display for CheckOrigin {
    /// Writes the name of the check in a message.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Image => "the health check of its image",
            Self::Configuration => "its `healthcheck`",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_reads_back_as_it_was_stored() {
        let settings = CheckSettings {
            test: Some(CheckTest::Shell("pg_isready".to_owned())),
            interval: CheckPeriod::from_milliseconds(1_500),
            retries: NonZeroU16::new(5),
            ..CheckSettings::default()
        };
        for check in [HealthCheck::Disabled, HealthCheck::Enabled(settings)] {
            let text = serde_json::to_string(&check).unwrap();
            assert_eq!(serde_json::from_str::<HealthCheck>(&text).unwrap(), check);
            assert!(!text.contains("null"), "{text}");
        }
    }

    #[test]
    fn periods_are_those_that_docker_takes() {
        assert_eq!(CheckPeriod::from_milliseconds(0), None);
        assert_eq!(CheckPeriod::from_milliseconds(86_400_001), None);
        let second = CheckPeriod::from_milliseconds(1000).unwrap();
        assert_eq!(second.nanoseconds(), 1_000_000_000);
    }
}
