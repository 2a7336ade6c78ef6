//! What an assertion says when it does not hold.

use std::fmt::Display;
use std::time::Duration;

use super::site::SiteError;

/// An assertion does not hold, or could not be tried.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// Something else was found.
    #[error("expected {expected}; got {got}")]
    Unexpected {
        /// What should have been.
        expected: String,
        /// What was.
        got: String,
    },
    /// It did not become so.
    #[error("not within {} s: {what}; the last time: {last}", .patience.as_secs())]
    TooLate {
        /// What was waited for.
        what: String,
        /// For how long.
        patience: Duration,
        /// Why it was not so the last time.
        last: Box<Failure>,
    },
    /// A program does not end.
    #[error("`{what}` has not ended within {} s", .patience.as_secs())]
    Endless {
        /// The program.
        what: String,
        /// How long it was given.
        patience: Duration,
    },
    /// The site did not obey.
    #[error(transparent)]
    Site(#[from] SiteError),
}

impl Failure {
    pub(super) fn unexpected(expected: impl Into<String>, got: impl Into<String>) -> Self {
        Self::Unexpected {
            expected: expected.into(),
            got: got.into(),
        }
    }
}

/// Fails unless `truth`.
pub(super) fn expect(
    truth: bool,
    expected: impl Into<String>,
    got: impl Display,
) -> Result<(), Failure> {
    if truth {
        return Ok(());
    }
    Err(Failure::unexpected(expected, got.to_string()))
}

/// Fails unless both texts are the same.
pub(super) fn expect_same(expected: &str, got: &str) -> Result<(), Failure> {
    if expected == got {
        return Ok(());
    }
    let differences = render_differences(expected, got);
    Err(Failure::unexpected("no difference", differences))
}

/// The lines that are in one text and not in the other.
fn render_differences(expected: &str, got: &str) -> String {
    let only = |mark: &'static str, these: &str, those: &str| {
        let those: Vec<&str> = those.lines().collect();
        let lines = these.lines().filter(|line| !those.contains(line));
        lines.map(|line| format!("\n    {mark} {line}")).collect()
    };
    let lines: [Vec<String>; 2] = [only("-", expected, got), only("+", got, expected)];
    if lines.iter().all(Vec::is_empty) {
        return "the same lines in another order or number".to_owned();
    }
    lines.concat().concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_shown_by_line() {
        let failure = expect_same("a\nb\nc\n", "a\nx\nc\n").unwrap_err();
        let text = failure.to_string();
        assert_eq!(text, "expected no difference; got \n    - b\n    + x");
        let failure = expect_same("a\nb\n", "b\na\n").unwrap_err();
        assert!(failure.to_string().contains("another order"), "{failure}");
        expect_same("a\n", "a\n").unwrap();
    }
}
