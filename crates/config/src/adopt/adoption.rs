//! The tools of those that rewrite a file: reports, decisions, and the operator's machine.

use crate::adopt::surroundings::{PathKind, Surroundings};
use crate::adopt::variables::Variables;
use crate::report::{Finding, Report};
use crate::source::Span;

/// One file on its way to an application configuration of ours.
pub(crate) struct Adoption<'a> {
    /// The name of the file.
    pub(crate) beside: &'a str,
    pub(crate) surroundings: &'a dyn Surroundings,
    pub(crate) variables: &'a Variables<'a>,
    pub(crate) report: &'a mut Report,
    pub(crate) decisions: Vec<Decision>,
}

/// A decision that needs no warning, for those who convert the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decision {
    /// The place of what it was about.
    pub(crate) span: Span,
    pub(crate) text: String,
}

impl Adoption<'_> {
    /// Refuses a part of the file.
    pub(crate) fn error(
        &mut self,
        span: Span,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.report.error(|| Finding::at(span, message).hint(hint));
    }

    /// Says what is taken in another way, or left out.
    pub(crate) fn warn(&mut self, span: Span, message: impl Into<String>, hint: impl Into<String>) {
        self.report
            .warning(|| Finding::at(span, message).hint(hint));
    }

    /// Notes a decision.
    pub(crate) fn decide(&mut self, span: Span, text: impl Into<String>) {
        let text = text.into();
        self.decisions.push(Decision { span, text });
    }

    /// Tells what is at a path beside the file.
    pub(crate) fn kind(&self, path: &str) -> PathKind {
        self.surroundings.kind(self.beside, &unescaped(path))
    }
}

/// Reads the doubled dollars of a resolved text.
pub(crate) fn unescaped(text: &str) -> String {
    text.replace("$$", "$")
}
