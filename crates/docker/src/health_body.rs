//! What Docker is told about health checks, and how long it takes to make up its mind: pure.

use std::time::Duration;

use bollard::models::HealthConfig;
use flocker_model::{CheckPeriod, CheckTest, HealthCheck};

/// Docker's own `interval` and `timeout`.
///
/// **Source**: Dockerfile's reference, `HEALTHCHECK`.
const DEFAULT_PERIOD: Duration = Duration::from_secs(30);
/// Docker's own `retries`.
///
/// **Source**: Dockerfile's reference, `HEALTHCHECK`.
const DEFAULT_RETRIES: u32 = 3;
/// How much longer Docker may take than its settings say, on a machine that is busy.
const MARGIN: Duration = Duration::from_secs(60);

/// Describes a health check to Docker, which takes what is unset from the image.
pub(crate) fn render_check(check: &HealthCheck) -> HealthConfig {
    let settings = match check {
        HealthCheck::Disabled => {
            return HealthConfig {
                test: Some(vec!["NONE".to_owned()]),
                ..HealthConfig::default()
            };
        }
        HealthCheck::Enabled(settings) => settings,
    };
    let test = settings.test.as_ref().map(|test| match test {
        CheckTest::Shell(line) => vec!["CMD-SHELL".to_owned(), line.clone()],
        CheckTest::Command(words) => {
            let words = words.iter().cloned();
            std::iter::once("CMD".to_owned()).chain(words).collect()
        }
    });
    let nanoseconds = |period: Option<CheckPeriod>| period.map(CheckPeriod::nanoseconds);
    HealthConfig {
        test,
        interval: nanoseconds(settings.interval),
        timeout: nanoseconds(settings.timeout),
        retries: settings.retries.map(|retries| i64::from(retries.get())),
        start_period: nanoseconds(settings.start_period),
        start_interval: nanoseconds(settings.start_interval),
    }
}

/// Works out how long a check may neither pass nor fail for good.
///
/// `check` is what Docker has made of the image's check and the configuration's; nothing and 0 mean
/// Docker's own. A failure within the start period does not count, and one check may have begun just
/// before its end.
pub(crate) fn longest_check(check: Option<&HealthConfig>) -> Duration {
    let period = |nanoseconds: Option<i64>| {
        let nanoseconds = nanoseconds.and_then(|it| u64::try_from(it).ok());
        nanoseconds
            .filter(|nanoseconds| *nanoseconds > 0)
            .map(Duration::from_nanos)
    };
    let interval = period(check.and_then(|check| check.interval)).unwrap_or(DEFAULT_PERIOD);
    let timeout = period(check.and_then(|check| check.timeout)).unwrap_or(DEFAULT_PERIOD);
    let start = period(check.and_then(|check| check.start_period)).unwrap_or_default();
    let retries = check.and_then(|check| u32::try_from(check.retries?).ok());
    let retries = retries
        .filter(|retries| *retries > 0)
        .unwrap_or(DEFAULT_RETRIES);
    let one = interval.saturating_add(timeout);
    start
        .saturating_add(one.saturating_mul(retries.saturating_add(1)))
        .saturating_add(MARGIN)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use flocker_model::CheckSettings;

    use super::*;

    #[test]
    fn a_check_is_described_in_nanoseconds() {
        let period = CheckPeriod::from_milliseconds;
        let settings = CheckSettings {
            test: Some(CheckTest::Command(vec!["pg_isready".to_owned()])),
            interval: period(1_500),
            timeout: None,
            retries: NonZeroU16::new(5),
            start_period: period(60_000),
            start_interval: period(1),
        };
        let body = render_check(&HealthCheck::Enabled(settings));
        assert_eq!(body.test.unwrap(), ["CMD", "pg_isready"]);
        assert_eq!(body.interval, Some(1_500_000_000));
        assert_eq!(body.timeout, None);
        assert_eq!(body.retries, Some(5));
        assert_eq!(body.start_period, Some(60_000_000_000));
        assert_eq!(body.start_interval, Some(1_000_000));
        let shell = CheckSettings {
            test: Some(CheckTest::Shell("a || b".to_owned())),
            ..CheckSettings::default()
        };
        let body = render_check(&HealthCheck::Enabled(shell));
        assert_eq!(body.test.unwrap(), ["CMD-SHELL", "a || b"]);
        let none = render_check(&HealthCheck::Disabled);
        assert_eq!(none.test.unwrap(), ["NONE"]);
    }

    /// A database may replay its journal for an hour before it answers.
    #[test]
    fn a_slow_check_is_waited_for_as_long_as_it_may_take() {
        let seconds = |seconds: i64| Some(seconds * 1_000_000_000);
        let slow = HealthConfig {
            interval: seconds(60),
            timeout: seconds(20),
            retries: Some(10),
            start_period: seconds(3600),
            ..HealthConfig::default()
        };
        assert_eq!(longest_check(Some(&slow)).as_secs(), 3600 + 80 * 11 + 60);
        let unset = HealthConfig {
            interval: Some(0),
            retries: Some(0),
            ..HealthConfig::default()
        };
        assert_eq!(longest_check(Some(&unset)), longest_check(None));
        assert_eq!(longest_check(None).as_secs(), 60 * 4 + 60);
    }
}
