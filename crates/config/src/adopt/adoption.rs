//! The tools of those that rewrite a file: reports, decisions, and the operator's machine.

use std::collections::BTreeSet;

use crate::adopt::counterpart::Counterparts;
use crate::adopt::earlier::Earlier;
use crate::adopt::surroundings::{PathKind, Surroundings};
use crate::adopt::template::escape_dollars;
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
    /// Data that other programs keep, which new volumes begin without.
    pub(crate) earlier: Vec<Earlier>,
    /// Where values of the operator's machine are.
    pub(crate) counterparts: Counterparts,
    /// The texts in which the variable `HOME` was replaced.
    pub(crate) with_home: BTreeSet<Span>,
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

    /// Notes that a value of the operator's machine stands in the file, and where it comes from.
    pub(crate) fn write_out(&mut self, span: Span, text: impl Into<String>) {
        self.counterparts.are_written_out = true;
        self.decide(span, text);
    }

    /// Notes a decision.
    pub(crate) fn decide(&mut self, span: Span, text: impl Into<String>) {
        let text = text.into();
        self.decisions.push(Decision { span, text });
    }

    /// Tells what is at a path beside the file.
    pub(crate) fn kind(&self, path: &str) -> PathKind {
        let path = self.expanded(path);
        self.surroundings.kind(self.beside, &unescaped(&path))
    }

    /// Returns the operator's home directory, its dollars doubled.
    fn home(&self) -> Option<String> {
        let home = self.variables.get("HOME")?;
        let home = home.trim_end_matches('/');
        Some(escape_dollars(home))
    }

    /// Writes a path of the operator's home directory with `~`, which is the same for each operator:
    /// `~/x` as it is, and `$HOME/x` of the text at `span`. Other paths are none.
    pub(crate) fn below_home(&self, path: &str, span: Span) -> Option<String> {
        let rest = match path.strip_prefix('~') {
            Some(rest) => rest.to_owned(),
            None if self.with_home.contains(&span) => {
                path.strip_prefix(self.home()?.as_str())?.to_owned()
            }
            None => return None,
        };
        (rest.is_empty() || rest.starts_with('/')).then(|| format!("~{rest}"))
    }

    /// Writes the home directory in the place of `~`, as Compose does.
    pub(crate) fn expanded(&self, path: &str) -> String {
        let rest = path.strip_prefix('~');
        let rest = rest.filter(|rest| rest.is_empty() || rest.starts_with('/'));
        match (rest, self.home()) {
            (Some(rest), Some(home)) => format!("{home}{rest}"),
            _ => path.to_owned(),
        }
    }
}

/// Reads the doubled dollars of a resolved text.
pub(crate) fn unescaped(text: &str) -> String {
    text.replace("$$", "$")
}
