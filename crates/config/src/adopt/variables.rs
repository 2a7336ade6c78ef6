//! The variables that a Compose file refers to.

use std::collections::BTreeMap;

use crate::adopt::dotenv::{Mistake, read_variables};
use crate::adopt::surroundings::Surroundings;
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
            Ok(Some(bytes)) => {
                let text = String::from_utf8_lossy(&bytes);
                read_variables(&text, &outside).unwrap_or_else(|mistake| {
                    report.error(|| {
                        let (message, hint) = describe(".env", &text, &mistake);
                        Finding::whole_file(File::Application, message).maybe_hint(hint)
                    });
                    BTreeMap::new()
                })
            }
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

/// Says what is wrong with a file of variables, and where. Its lines are not shown: they are passwords.
pub(crate) fn describe(name: &str, text: &str, mistake: &Mistake) -> (String, Option<String>) {
    let text = Text {
        name: name.to_owned(),
        content: text.to_owned(),
    };
    let (line, column) = text.position(mistake.range.start);
    let message = format!("{name}:{line}:{column}: {}", mistake.message);
    (message, mistake.hint.clone())
}
