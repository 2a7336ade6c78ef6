//! Points in time as people read and write them.

use thiserror::Error;

const SECONDS_PER_DAY: u64 = 86_400;

/// Renders seconds since 1970 as a UTC date and time: `2026-11-23 02:56:30 UTC`.
///
/// **Source**: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
pub fn render_utc(seconds: u64) -> String {
    let (date, time) = (date_of(seconds), time_of(seconds));
    format!("{date} {time} UTC")
}

/// Renders seconds since 1970 as what a program reads: `2026-11-23T02:56:30Z`.
///
/// **Source**: RFC 3339, section 5.6.
pub fn render_rfc3339(seconds: u64) -> String {
    let (date, time) = (date_of(seconds), time_of(seconds));
    format!("{date}T{time}Z")
}

/// Renders how long something took or is ago by its two largest units, rounded down: `3 h 12 min`.
pub fn render_span(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / SECONDS_PER_DAY);
    let (large, small) = match (days, hours, minutes) {
        (0, 0, 0) => ((seconds, "s"), (0, "")),
        (0, 0, _) => ((minutes, "min"), (seconds % 60, "s")),
        (0, _, _) => ((hours, "h"), (minutes % 60, "min")),
        (1, _, _) => ((1, "day"), (hours % 24, "h")),
        _ => ((days, "days"), (hours % 24, "h")),
    };
    match (large, small) {
        ((count, unit), (0, _)) => format!("{count} {unit}"),
        ((count, unit), (rest, part)) => format!("{count} {unit} {rest} {part}"),
    }
}

/// Renders how far a point in time is from `now`, both in seconds since 1970: `3 h 12 min ago`.
///
/// What lies in the future was written down by a clock that is ahead of that of `now`; it is said
/// so, because the true age is not known then.
pub fn render_age(at: u64, now: u64) -> String {
    match now.checked_sub(at) {
        Some(age) => format!("{} ago", render_span(age)),
        None => format!(
            "{} in the future by the clock here, so the clocks differ",
            render_span(at - now)
        ),
    }
}

/// Renders the time of day.
fn time_of(seconds: u64) -> String {
    let rest = seconds % SECONDS_PER_DAY;
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!("{hour:02}:{minute:02}:{second:02}")
}

/// Renders the day.
fn date_of(seconds: u64) -> String {
    let days = seconds / SECONDS_PER_DAY;
    // Days are counted from 1 March of year 0, so that a leap day is the last of its year.
    let days = days + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

/// A text that is no point in time.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{text}` {problem}; write it in UTC, as `2026-11-23T02:56:30Z` or `2026-11-23 02:56`")]
pub struct InvalidTime {
    /// The text.
    pub text: String,
    /// What is wrong with it, as the end of a sentence.
    pub problem: &'static str,
}

/// Reads a point in time in UTC, as seconds since 1970: `2026-11-23T02:56:30Z`,
/// `2026-11-23 02:56:30 UTC`, and both without seconds or without the zone. Fractions of a second
/// are dropped.
///
/// **Source**: RFC 3339, section 5.6; the day is counted as in `days_from_civil` of Howard Hinnant,
/// "chrono-Compatible Low-Level Date Algorithms".
///
/// # Errors
/// Fails for another form, another zone, a day that the calendar does not have, and what is before
/// 1970.
pub fn parse_utc(text: &str) -> Result<u64, InvalidTime> {
    let invalid = |problem| InvalidTime {
        text: text.to_owned(),
        problem,
    };
    let form = || invalid("is no date and time");
    let (date, time) = text.trim().split_once(['T', 't', ' ']).ok_or_else(form)?;
    let [year, month, day] = numbers(date, '-', &[4, 2, 2])
        .and_then(|parts| parts.try_into().ok())
        .ok_or_else(form)?;
    let time = without_zone(time).ok_or_else(|| invalid("is not in UTC"))?;
    let [hour, minute, second] = time_parts(time).ok_or_else(form)?;
    // What is rendered back differently is a day that does not exist, like 30 February.
    let seconds = days_until(year, month, day).ok_or_else(|| invalid("is before 1970"))?
        * SECONDS_PER_DAY
        + hour * 3_600
        + minute * 60
        + second;
    let exists = date_of(seconds) == date && hour < 24 && minute < 60 && second < 60;
    exists
        .then_some(seconds)
        .ok_or_else(|| invalid("does not exist"))
}

/// Takes the zone off a time of day; `None` for one other than UTC.
fn without_zone(time: &str) -> Option<&str> {
    let time = ["Z", "z", "+00:00", "-00:00", " UTC"]
        .into_iter()
        .find_map(|zone| time.strip_suffix(zone))
        .unwrap_or(time);
    let plain = |character: char| character.is_ascii_digit() || matches!(character, ':' | '.');
    time.chars().all(plain).then_some(time)
}

/// Reads the hour, the minute and the second of a time of day.
fn time_parts(time: &str) -> Option<[u64; 3]> {
    let whole = match time.split_once('.') {
        Some((whole, fraction)) if !fraction.is_empty() && whole.len() == 8 => whole,
        Some(_) => return None,
        None => time,
    };
    let mut parts = numbers(whole, ':', &[2, 2, 2]).or_else(|| numbers(whole, ':', &[2, 2]))?;
    parts.resize(3, 0);
    parts.try_into().ok()
}

/// Reads numbers of exactly these lengths.
fn numbers(text: &str, separator: char, lengths: &[usize]) -> Option<Vec<u64>> {
    let parts: Vec<&str> = text.split(separator).collect();
    let fits = parts.len() == lengths.len()
        && parts.iter().zip(lengths).all(|(part, length)| {
            part.len() == *length && part.bytes().all(|byte| byte.is_ascii_digit())
        });
    fits.then(|| parts.iter().map(|part| part.parse().ok()).collect())?
}

/// Counts the days from 1970 to a date; `None` before that.
fn days_until(year: u64, month: u64, day: u64) -> Option<u64> {
    // The year begins in March, so that a leap day is its last.
    let year = year.checked_sub(u64::from(month <= 2))?;
    let (era, year_of_era) = (year / 400, year % 400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day.checked_sub(1)?;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    (era * 146_097 + day_of_era).checked_sub(719_468)
}

#[cfg(test)]
mod tests {
    use super::{parse_utc, render_age, render_rfc3339, render_span, render_utc};

    #[test]
    fn spans_have_two_units_at_most() {
        let spans = [
            0, 59, 60, 61, 3_599, 3_600, 3_660, 11_526, 86_400, 90_000, 172_799, 172_800, 1_000_000,
        ];
        let rendered: Vec<String> = spans.into_iter().map(render_span).collect();
        assert_eq!(
            rendered.join(", "),
            "0 s, 59 s, 1 min, 1 min 1 s, 59 min 59 s, 1 h, 1 h 1 min, 3 h 12 min, 1 day, \
             1 day 1 h, 1 day 23 h, 2 days, 11 days 13 h"
        );
    }

    #[test]
    fn an_age_that_a_wrong_clock_makes_is_said_to_be_one() {
        assert_eq!(render_age(100, 100), "0 s ago");
        assert_eq!(render_age(100, 11_626), "3 h 12 min ago");
        assert_eq!(
            render_age(160, 100),
            "1 min in the future by the clock here, so the clocks differ"
        );
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(render_utc(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(render_utc(951_782_399), "2000-02-28 23:59:59 UTC");
        assert_eq!(render_utc(951_782_400), "2000-02-29 00:00:00 UTC");
        assert_eq!(render_utc(1_795_402_590), "2026-11-23 02:56:30 UTC");
        assert_eq!(render_rfc3339(1_795_402_590), "2026-11-23T02:56:30Z");
    }

    #[test]
    fn what_is_rendered_can_be_read() {
        // Some days apart, so that every month and leap rule is met.
        for seconds in (0..8_000_000_000).step_by(1_000_003) {
            assert_eq!(parse_utc(&render_utc(seconds)), Ok(seconds));
            assert_eq!(parse_utc(&render_rfc3339(seconds)), Ok(seconds));
        }
    }

    #[test]
    fn times_are_read_as_people_write_them() {
        for text in [
            "2026-11-23T02:56:00Z",
            "2026-11-23t02:56:00z",
            "2026-11-23T02:56:00.999Z",
            "2026-11-23T02:56:00+00:00",
            "2026-11-23 02:56",
            "2026-11-23 02:56Z",
            "2026-11-23 02:56:00",
            "2026-11-23 02:56:00 UTC",
        ] {
            assert_eq!(parse_utc(text), Ok(1_795_402_560), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused_with_the_reason() {
        let refusals: Vec<String> = [
            "yesterday",
            "2026-11-23",
            "2026-11-23 2:56",
            "2026-02-30 00:00",
            "2026-13-01 00:00",
            "2026-00-01 00:00",
            "2026-01-00 00:00",
            "2026-01-01 24:00",
            "2026-01-01 00:00:60",
            "1969-12-31 23:59",
            "2026-11-23T02:56:30+01:00",
            "2026-11-23 02:56 CET",
            "",
        ]
        .into_iter()
        .map(|text| match parse_utc(text) {
            Ok(seconds) => panic!("{text} was read as {seconds}"),
            Err(error) => format!("{text:?} {}", error.problem),
        })
        .collect();
        assert_eq!(
            refusals.join("\n"),
            r#""yesterday" is no date and time
"2026-11-23" is no date and time
"2026-11-23 2:56" is no date and time
"2026-02-30 00:00" does not exist
"2026-13-01 00:00" does not exist
"2026-00-01 00:00" does not exist
"2026-01-00 00:00" is before 1970
"2026-01-01 24:00" does not exist
"2026-01-01 00:00:60" does not exist
"1969-12-31 23:59" is before 1970
"2026-11-23T02:56:30+01:00" is not in UTC
"2026-11-23 02:56 CET" is not in UTC
"" is no date and time"#
        );
    }
}
