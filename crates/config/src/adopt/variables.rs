//! The variables that a Compose file refers to.

use std::collections::BTreeMap;
use std::path::Path;

use crate::adopt::dotenv::read_variables;
use crate::adopt::surroundings::Surroundings;
use crate::adopt::template::Lookup;
use crate::diagnostic::Place;
use crate::report::{Finding, Report};
use crate::source::{File, Text};

/// The text that stands for the value of a variable that has none, so that the rest can be checked.
pub(crate) const PLACEHOLDER: &str = "x";

/// The operator's environment, and below it the file `.env`.
pub(crate) struct Variables<'a> {
    surroundings: &'a dyn Surroundings,
    /// `None` if the file cannot be read, which was reported.
    file: Option<BTreeMap<String, String>>,
}

impl<'a> Variables<'a> {
    /// The environment alone, for files that have no variables.
    pub(crate) const fn none(surroundings: &'a dyn Surroundings) -> Self {
        Self {
            surroundings,
            file: Some(BTreeMap::new()),
        }
    }

    /// Reads the file `.env` beside the application configuration called `beside`.
    pub(crate) fn read(
        surroundings: &'a dyn Surroundings,
        beside: &str,
        report: &mut Report,
    ) -> Self {
        let outside = |name: &str| surroundings.variable(name);
        let file = match surroundings.read(beside, ".env") {
            Ok(None) => Some(BTreeMap::new()),
            Ok(Some(bytes)) => read_file(&bytes, &outside)
                .map_err(|wrong| {
                    report.error(|| {
                        let path = Path::new(beside).with_file_name(".env");
                        let place = Place::hidden(path.display().to_string(), wrong.position);
                        Finding::elsewhere(place, wrong.message).maybe_hint(wrong.hint)
                    });
                })
                .ok(),
            Err(reason) => {
                report.error(|| {
                    let message = format!("the file `.env` beside this one: {reason}");
                    Finding::whole_file(File::Application, message)
                });
                None
            }
        };
        Self { surroundings, file }
    }

    /// Returns a variable's value; a placeholder for one that may be in a file that cannot be read.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        let outside = self.surroundings.variable(name);
        outside.or_else(|| match &self.file {
            Some(file) => file.get(name).cloned(),
            None => Some(PLACEHOLDER.to_owned()),
        })
    }

    /// Tells whether the value is a placeholder.
    pub(crate) fn is_placeholder(&self, name: &str) -> bool {
        self.file.is_none() && self.surroundings.variable(name).is_none()
    }
}

/// The first mistake in a file of variables. Its lines are not shown: they are passwords.
#[derive(Debug)]
pub(crate) struct Wrong {
    /// Line and column.
    position: (usize, usize),
    message: String,
    pub(crate) hint: Option<String>,
}

impl Wrong {
    /// Says what is wrong in the file called `name`, and where.
    pub(crate) fn describe(&self, name: &str) -> String {
        let (line, column) = self.position;
        format!("{name}:{line}:{column}: {}", self.message)
    }
}

/// Reads the variables of a file.
///
/// # Errors
/// Returns the first mistake.
pub(crate) fn read_file(
    bytes: &[u8],
    outside: Lookup<'_>,
) -> Result<BTreeMap<String, String>, Wrong> {
    let text = text_of(bytes)?;
    read_variables(text, outside).map_err(|mistake| Wrong {
        position: position(text, mistake.range.start),
        message: mistake.message,
        hint: mistake.hint,
    })
}

/// Returns the text of a file of variables.
///
/// # Errors
/// Refuses one that is not UTF-8: a part of a password would be replaced.
pub(crate) fn text_of(bytes: &[u8]) -> Result<&str, Wrong> {
    std::str::from_utf8(bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        Wrong {
            position: position(&String::from_utf8_lossy(before), before.len()),
            message: "this line is not UTF-8".to_owned(),
            hint: Some("save the file as UTF-8".to_owned()),
        }
    })
}

fn position(text: &str, offset: usize) -> (usize, usize) {
    let text = Text {
        name: String::new(),
        content: text.to_owned(),
    };
    text.position(offset)
}
