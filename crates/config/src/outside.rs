//! Values that are not in the configuration files: the operator's machine has them.
//!
//! Nothing is opened or run here. A first reading lists what is wanted, the program gets it, and a
//! second reading uses it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use flocker_model::FileContents;

use crate::command::{split, word_list};
use crate::fields::Field;
use crate::keys::{Foreign, KnownKeys};
use crate::phrase::quote;
use crate::report::{Finding, Report};
use crate::tree::Value;

/// Where the operator's machine has a value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ValueSource {
    /// In a file; the path is relative to the directory of the application configuration.
    File(String),
    /// In an environment variable.
    Variable(String),
    /// In what a command prints; there is at least its program.
    Command(Vec<String>),
}

impl fmt::Display for ValueSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, name) = match self {
            Self::File(path) => ("the file", quote(path)),
            Self::Variable(name) => ("the variable", quote(name)),
            Self::Command(words) => {
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                ("the command", quote(&words.join(" ")))
            }
        };
        write!(formatter, "{what} {name}")
    }
}

/// Why the operator's machine does not give a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoValue {
    /// What is wrong, as the end of a sentence that begins with the source.
    pub problem: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// What the operator's machine has, for each source that was wanted.
pub type Values = BTreeMap<ValueSource, Result<FileContents, NoValue>>;

/// What is known of the values outside of the files.
#[derive(Debug, Default)]
pub(crate) enum Outside {
    /// The program that reads is not on the operator's machine.
    #[default]
    OutOfReach,
    /// They are listed to be got.
    Wanted(BTreeSet<ValueSource>),
    /// They were got.
    Known(Values),
}

/// The keys of a mapping in the place of a value.
const KEYS: KnownKeys = KnownKeys {
    keys: &["from_file", "from_env", "from_command"],
    foreign: &[
        Foreign::same("file", "from_file"),
        Foreign::same("environment", "from_env"),
        Foreign::same("env", "from_env"),
        Foreign::same("command", "from_command"),
    ],
};

/// How each of them is written.
const FORMS: &str = "write one of `{from_file: ./password.txt}`, `{from_env: NAME}` and \
                     `{from_command: [pass, show, db]}`";

/// Reads a mapping that says where a value is, and gets it.
pub(crate) fn read_outside(field: &Field<'_>, report: &mut Report) -> Option<FileContents> {
    let entries = field.value.entries().unwrap_or_default();
    let meant = KEYS.check(&entries, &field.what, report);
    let known: Vec<&str> = entries
        .iter()
        .map(|entry| entry.key.value.as_str())
        .filter(|key| KEYS.keys.contains(key))
        .collect();
    let [key] = known.as_slice() else {
        if known.len() > 1 || (meant.is_empty() && entries.is_empty()) {
            report.error(|| {
                let message = format!("{} must come from one place", field.what);
                Finding::at(field.span(), message).hint(FORMS)
            });
        }
        return None;
    };
    let source = read_source(field.value, key, &field.what, report)?;
    report.outside_value(source, field)
}

/// Reads the place that one of the keys of a mapping names.
pub(crate) fn read_source(
    mapping: Value<'_>,
    key: &str,
    what: &str,
    report: &mut Report,
) -> Option<ValueSource> {
    let entry = mapping.get(key)?;
    let place = Field::of(entry, what).called(format!("{} of {what}", quote(key)));
    match key {
        "from_env" => read_variable(&place, report).map(ValueSource::Variable),
        "from_command" => read_command(&place, report).map(ValueSource::Command),
        _ => read_path(&place, report).map(ValueSource::File),
    }
}

/// Reads the path of a file of the operator's machine.
pub(crate) fn read_path(place: &Field<'_>, report: &mut Report) -> Option<String> {
    let path = place.string(report)?.value;
    if path.is_empty() {
        report.error(|| {
            Finding::at(place.span(), format!("{} is empty", place.what))
                .hint("write a path, relative to the directory of this file")
        });
        return None;
    }
    Some(path)
}

fn read_variable(place: &Field<'_>, report: &mut Report) -> Option<String> {
    let name = place.name(report)?.value;
    if name.is_empty() || name.contains(['=', '\0']) {
        report.error(|| {
            let message = format!(
                "{}: {} is not the name of a variable",
                place.what,
                quote(&name)
            );
            Finding::at(place.span(), message)
        });
        return None;
    }
    Some(name)
}

fn read_command(place: &Field<'_>, report: &mut Report) -> Option<Vec<String>> {
    let items = place.value.items().unwrap_or_default();
    if items.is_empty() {
        report.error(|| {
            let text = place.value.text();
            let list = text.and_then(split).map(|words| word_list(&words));
            let list = list.unwrap_or_else(|| "[pass, show, db]".to_owned());
            let finding = place.wrong_type("a list of a program and its arguments");
            finding.hint(format!("no shell runs it; {}", place.line(&list)))
        });
        return None;
    }
    let mut words = Vec::with_capacity(items.len());
    for item in items {
        let word = Field::item(format!("a word of {}", place.what), item);
        words.push(word.free_text(report)?.value);
    }
    Some(words)
}

impl Report {
    /// Gets a value that the operator's machine has; `field` is where it is wanted.
    pub(crate) fn outside_value(
        &mut self,
        source: ValueSource,
        field: &Field<'_>,
    ) -> Option<FileContents> {
        match &mut self.outside {
            Outside::Wanted(wanted) => {
                wanted.insert(source);
                Some(FileContents::from(Vec::new()))
            }
            Outside::Known(values) => match values.get(&source).cloned() {
                Some(Ok(contents)) => Some(contents),
                found => {
                    let refusal = found.and_then(Result::err);
                    self.error(|| no_value(&source, refusal, field));
                    None
                }
            },
            Outside::OutOfReach => {
                self.error(|| {
                    let message = format!("{} needs {source}", field.what);
                    Finding::at(field.span(), message).hint(
                        "flocker-cluster alone reads what the operator's machine has; deploy with \
                         it, or write the value itself into a copy of this file",
                    )
                });
                None
            }
        }
    }

    /// Tells whether values are only listed so far: nothing can be said of them.
    pub(crate) const fn lists_values(&self) -> bool {
        matches!(self.outside, Outside::Wanted(_))
    }
}

fn no_value(source: &ValueSource, refusal: Option<NoValue>, field: &Field<'_>) -> Finding {
    let (problem, hint) = match refusal {
        Some(refusal) => (refusal.problem, refusal.hint),
        None => ("was not read".to_owned(), None),
    };
    let message = format!("{}: {source} {problem}", field.what);
    Finding::at(field.span(), message).maybe_hint(hint)
}

/// Reads a value as the text that a variable of an environment can have. The newline at its end is
/// not a part of it: editors and most commands write one.
pub(crate) fn variable_text(
    contents: &FileContents,
    field: &Field<'_>,
    report: &mut Report,
) -> Option<String> {
    if report.lists_values() {
        return Some(String::new());
    }
    let problem = match std::str::from_utf8(contents.reveal()) {
        Err(_) => "is not UTF-8",
        Ok(text) if text.contains('\0') => "has a NUL byte in it",
        Ok(text) => {
            let text = text.strip_suffix('\n').unwrap_or(text);
            let text = text.strip_suffix('\r').unwrap_or(text);
            if !text.is_empty() {
                return Some(text.to_owned());
            }
            "is empty"
        }
    };
    report.error(|| {
        let finding = Finding::at(field.span(), format!("{} {problem}", field.what));
        match problem {
            "is empty" => finding.hint(format!("{} if it is to be empty", field.line("\"\""))),
            "is not UTF-8" => finding.hint("`files` takes values of any kind"),
            _ => finding,
        }
    });
    None
}
