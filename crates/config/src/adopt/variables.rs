//! The variables that a Compose file refers to.

use std::collections::BTreeMap;

use crate::adopt::dotenv::{Mistake, read_variables};
use crate::adopt::surroundings::Surroundings;
use crate::adopt::template::Lookup;
use crate::report::{Finding, Report};
use crate::source::{File, Text};

/// The operator's environment, and below it the file `.env`.
pub(crate) struct Variables<'a> {
    surroundings: &'a dyn Surroundings,
    file: BTreeMap<String, String>,
}

impl<'a> Variables<'a> {
    /// The environment alone, for files that have no variables.
    pub(crate) const fn none(surroundings: &'a dyn Surroundings) -> Self {
        Self {
            surroundings,
            file: BTreeMap::new(),
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
            Ok(None) => BTreeMap::new(),
            Ok(Some(bytes)) => read_file((".env", &bytes), &outside).unwrap_or_else(|wrong| {
                report.error(|| {
                    let (message, hint) = wrong;
                    Finding::whole_file(File::Application, message).maybe_hint(hint)
                });
                BTreeMap::new()
            }),
            Err(reason) => {
                report.error(|| {
                    let message = format!("the file `.env` beside this one: {reason}");
                    Finding::whole_file(File::Application, message)
                });
                BTreeMap::new()
            }
        };
        Self { surroundings, file }
    }

    /// Returns a variable's value.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        let outside = self.surroundings.variable(name);
        outside.or_else(|| self.file.get(name).cloned())
    }
}

/// Words for what is wrong with a file of variables, and what to do about it.
type Wrong = (String, Option<String>);

/// Reads the variables of a file.
///
/// # Errors
/// Returns the first mistake.
pub(crate) fn read_file(
    (name, bytes): (&str, &[u8]),
    outside: Lookup<'_>,
) -> Result<BTreeMap<String, String>, Wrong> {
    let text = text_of(name, bytes)?;
    read_variables(text, outside).map_err(|mistake| describe(name, text, &mistake))
}

/// Returns the text of a file of variables.
///
/// # Errors
/// Refuses one that is not UTF-8: a part of a password would be replaced.
pub(crate) fn text_of<'b>(name: &str, bytes: &'b [u8]) -> Result<&'b str, Wrong> {
    std::str::from_utf8(bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        let line = before.split(|byte| *byte == b'\n').count();
        let message = format!("{name}:{line}: this line is not UTF-8");
        (message, Some("save the file as UTF-8".to_owned()))
    })
}

/// Says what is wrong with a file of variables, and where. Its lines are not shown: they are passwords.
fn describe(name: &str, text: &str, mistake: &Mistake) -> Wrong {
    let text = Text {
        name: name.to_owned(),
        content: text.to_owned(),
    };
    let (line, column) = text.position(mistake.range.start);
    let message = format!("{name}:{line}:{column}: {}", mistake.message);
    (message, mistake.hint.clone())
}
