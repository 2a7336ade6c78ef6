//! One renderer for everything that goes wrong: what, why, and what to do next.

use std::error::Error;
use std::fmt;

use flocker_model::printable;
use flocker_remote::protocol::StepFailure;

use crate::exit::Exit;

/// Something that went wrong, in the words that the operator reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The kind, which decides the exit code.
    pub(crate) exit: Exit,
    /// What failed, node and step included.
    pub(crate) message: String,
    /// Its causes, outermost first.
    pub(crate) causes: Vec<String>,
    /// What to do next.
    pub(crate) hint: Option<String>,
}

impl Failure {
    /// Makes a failure without causes.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            causes: Vec::new(),
            hint: None,
        }
    }

    /// Adds `error` and everything below it as causes.
    #[must_use]
    pub(crate) fn caused_by(mut self, error: &(dyn Error + 'static)) -> Self {
        let mut next = Some(error);
        while let Some(error) = next {
            self.causes.push(error.to_string());
            next = error.source();
        }
        self
    }

    /// Adds what to do next.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Takes over what a node said of a step.
    pub(crate) fn of_step(message: impl Into<String>, failure: StepFailure) -> Self {
        let mut causes = vec![failure.message];
        causes.extend(failure.causes);
        Self {
            exit: Exit::StepFailed,
            message: message.into(),
            causes,
            hint: failure.hint,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "error: {}", indented(&self.message))?;
        for cause in &self.causes {
            write!(formatter, "\n  caused by: {}", indented(cause))?;
        }
        if let Some(hint) = &self.hint {
            write!(formatter, "\n  hint: {}", indented(hint))?;
        }
        Ok(())
    }
}

/// Sets off further lines, so that none of them can pass for one of ours. What terminals act on is
/// written out.
fn indented(text: &str) -> String {
    printable(text).trim_end().replace('\n', "\n    | ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_node_says_is_shown_and_not_obeyed() {
        let hostile = StepFailure {
            message: "\u{1b}[2J\u{1b}[Hall is well\r".to_owned(),
            causes: vec!["it wrote: oops\nerror: trust me\n  hint: run rm -rf /".to_owned()],
            hint: Some("\u{1b}]52;c;cm0gLXJm\u{7}\u{202e}look".to_owned()),
            stale: false,
        };
        let failure = Failure::of_step("node1: cannot stop web", hostile);
        insta::assert_snapshot!(failure, @r"
        error: node1: cannot stop web
          caused by: \u{1b}[2J\u{1b}[Hall is well\r
          caused by: it wrote: oops
            | error: trust me
            |   hint: run rm -rf /
          hint: \u{1b}]52;c;cm0gLXJm\u{7}\u{202e}look
        ");
    }
}
