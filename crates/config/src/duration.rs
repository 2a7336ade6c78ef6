//! Lengths of time as Compose writes them: `90s`, `1m30s`, `1.5s`, `2h`.
//!
//! **Source**: Compose Specification, "Specifying durations".

use flocker_model::{CheckPeriod, StopGracePeriod};

use crate::quantity::{Decimal, Refusal};

/// Reads how long a process may take to end.
///
/// # Errors
/// Refuses a number without a unit, parts of a second, and more than a day.
pub(crate) fn parse_grace_period(text: &str) -> Result<StopGracePeriod, Refusal> {
    let milliseconds = parse_milliseconds(text)?;
    if milliseconds % 1000 != 0 {
        return Err(malformed("has parts of a second"));
    }
    StopGracePeriod::from_seconds(milliseconds / 1000).ok_or_else(too_long)
}

/// Reads a length of time of a health check.
///
/// # Errors
/// Refuses a number without a unit, no time at all, parts of a millisecond, and more than a day.
pub(crate) fn parse_check_period(text: &str) -> Result<CheckPeriod, Refusal> {
    match parse_milliseconds(text)? {
        0 => Err(Refusal::new(
            "is no time at all",
            "leave it out for what the image or Docker has",
        )),
        milliseconds => CheckPeriod::from_milliseconds(milliseconds).ok_or_else(too_long),
    }
}

/// Reads a length of time of a health check that may be none, which is as if it was left out.
///
/// # Errors
/// Refuses what [`parse_check_period`] refuses, but no time at all.
pub(crate) fn parse_optional_period(text: &str) -> Result<Option<CheckPeriod>, Refusal> {
    match parse_milliseconds(text)? {
        0 => Ok(None),
        _ => parse_check_period(text).map(Some),
    }
}

/// Reads a length of time as a number of milliseconds.
fn parse_milliseconds(text: &str) -> Result<u32, Refusal> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let hint = format!("write `{text}s` for seconds");
        return Err(Refusal::new("has no unit", hint));
    }
    let is_of_number = |c: char| c.is_ascii_digit() || c == '.';
    let mut milliseconds = 0_u32;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c| !is_of_number(c)).unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let letters = after.find(is_of_number).unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let factor = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60 * 1000,
            "h" => 60 * 60 * 1000,
            "us" | "ns" => return Err(malformed("has parts of a millisecond")),
            _ => return Err(malformed("is not a length of time")),
        };
        let number = Decimal::parse(number).ok_or_else(|| malformed("is not a length of time"))?;
        let part = number.times(factor);
        let part = part.ok_or_else(|| malformed("has parts of a millisecond"))?;
        milliseconds = u32::try_from(part)
            .ok()
            .and_then(|part| part.checked_add(milliseconds))
            .ok_or_else(too_long)?;
        rest = after;
    }
    if text.is_empty() {
        return Err(malformed("is empty"));
    }
    Ok(milliseconds)
}

fn malformed(problem: &str) -> Refusal {
    Refusal::new(problem, "write a time like `90s`, `1m30s` or `2h`")
}

fn too_long() -> Refusal {
    Refusal::new("is longer than a day", "write `24h` or less")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grace_periods_have_units() {
        let seconds = |text: &str| parse_grace_period(text).map(StopGracePeriod::seconds).ok();
        assert_eq!(seconds("90s"), Some(90));
        assert_eq!(seconds("1m30s"), Some(90));
        assert_eq!(seconds("2h"), Some(7200));
        assert_eq!(seconds("0s"), Some(0));
        assert_eq!(seconds("24h"), Some(86_400));
        assert_eq!(seconds("1.5m"), Some(90));
        for text in [
            "",
            "90",
            "s",
            "1.5s",
            "1.2.3s",
            "500ms",
            "24h1s",
            "1d",
            "-1s",
            "1m 30s",
            "99999999999s",
            "1mm",
        ] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }

    #[test]
    fn check_periods_have_milliseconds() {
        let milliseconds = |text: &str| {
            let period = parse_check_period(text).ok()?;
            Some(period.nanoseconds() / 1_000_000)
        };
        assert_eq!(milliseconds("1m30s"), Some(90_000));
        assert_eq!(milliseconds("1s500ms"), Some(1_500));
        assert_eq!(milliseconds("1.5s"), Some(1_500));
        assert_eq!(milliseconds("24h"), Some(86_400_000));
        for text in ["", "0s", "30", "1us", "24h1ms", "1193h", "s", "1.0001s"] {
            assert_eq!(milliseconds(text), None, "{text}");
        }
        assert_eq!(parse_optional_period("0s"), Ok(None));
    }
}
