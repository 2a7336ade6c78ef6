//! The one place that writes to the terminal.

use std::cell::Cell;
use std::error::Error;
use std::io::Write as _;

thread_local! {
    /// What this thread's lines begin with.
    static PREFIX: Cell<&'static str> = const { Cell::new("") };
}

/// Lets each line that this thread prints begin with this, where another prints as well.
pub(crate) fn prefix(text: &'static str) {
    PREFIX.set(text);
}

/// Prints one line of result to standard output.
///
/// A closed pipe (`cargo xtask test | head`) is not worth a panic, so write errors are dropped.
pub(crate) fn line(text: &str) {
    let mut output = std::io::stdout().lock();
    let prefix = PREFIX.get();
    let _ = writeln!(output, "{prefix}{text}").and_then(|()| output.flush());
}

/// Prints a heading that can be found again in a long log.
pub(crate) fn heading(text: &str) {
    line(&format!("\n=== {text} ==="));
}

/// Prints one line that must not be missed.
pub(crate) fn loud(text: &str) {
    line(&format!("\n!!! {text}"));
}

/// Prints a failure with all its causes to standard error.
pub(crate) fn failure(failure: &dyn Error) {
    let mut output = std::io::stderr().lock();
    let _ = writeln!(output, "error: {failure}");
    let mut cause = failure.source();
    while let Some(error) = cause {
        let _ = writeln!(output, "caused by: {error}");
        cause = error.source();
    }
}
