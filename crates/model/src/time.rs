//! Points in time as people read them.

/// Renders seconds since 1970 as a UTC date and time: `2026-11-23 02:56:30 UTC`.
///
/// **Source**: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
pub fn render_utc(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
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
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

#[cfg(test)]
mod tests {
    use super::render_utc;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(render_utc(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(render_utc(951_782_399), "2000-02-28 23:59:59 UTC");
        assert_eq!(render_utc(951_782_400), "2000-02-29 00:00:00 UTC");
        assert_eq!(render_utc(1_795_402_590), "2026-11-23 02:56:30 UTC");
    }
}
