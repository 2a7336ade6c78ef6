//! What is wrong with the configuration, as data.

use std::error::Error;
use std::fmt;

use serde::Serialize;

use crate::render;

/// Whether a deployment can be made in spite of a diagnostic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// It cannot.
    Error,
    /// It can, but probably not the one that was meant.
    Warning,
}

/// A place in a configuration file, with the line it is on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The file, as the operator named it.
    pub file: String,
    /// The line's number, from 1.
    pub line: usize,
    /// Where the offending text starts, in characters from 1.
    pub column: usize,
    /// The line; of a long one the part around the offending text, between `...`. Empty for a file whose
    /// lines are not shown.
    pub text: String,
    /// How many characters of `text` are before the offending ones.
    pub start: usize,
    /// How many characters of `text` are the offending ones; 0 for a file whose lines are not shown.
    pub length: usize,
    /// What is to be seen here, if the message does not say it.
    pub note: Option<String>,
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// The file that it is in, as the operator named it.
    pub file: String,
    /// Where it is; `None` if it is the file as a whole.
    pub place: Option<Place>,
    /// Other places that have to do with it.
    pub related: Vec<Place>,
    /// What to do about it.
    pub hint: Option<String>,
}

impl fmt::Display for Diagnostic {
    /// Writes the message, the lines with their places underlined, and the hint; no colour, and
    /// no line end after the last line.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        render::render_diagnostic(self, formatter)
    }
}

/// All that was found in one run, in the order of the files; never without content as an error.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Diagnostics {
    /// The mistakes, at most [`Diagnostics::LIMIT`].
    pub list: Vec<Diagnostic>,
    /// How many more were found and not kept.
    pub omitted: usize,
}

impl Diagnostics {
    /// The most that are reported in one run: nobody reads more before editing the file.
    pub const LIMIT: usize = 50;

    /// Tells whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

impl fmt::Display for Diagnostics {
    /// Writes every diagnostic, with an empty line between two.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.list.iter().enumerate() {
            if index > 0 {
                formatter.write_str("\n\n")?;
            }
            diagnostic.fmt(formatter)?;
        }
        if self.omitted > 0 {
            write!(formatter, "\n\n... and {} more", self.omitted)?;
        }
        Ok(())
    }
}

impl Error for Diagnostics {}
