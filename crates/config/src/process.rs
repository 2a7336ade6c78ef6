//! What the container's process is given, and how it is asked to end.

use std::collections::BTreeMap;

use flocker_model::{Secret, StopGracePeriod, StopSignal};

use crate::fields::Field;
use crate::keys::{MERGE_KEY, merge_key};
use crate::outside::{read_outside, variable_text};
use crate::phrase::quote_line;
use crate::phrase::{double_quoted, quote};
use crate::quantity::{Refusal, parse_grace_period};
use crate::report::{Finding, Report};

/// Reads the variables of the application that messages call `owner`.
pub(crate) fn read_environment(
    field: &Field<'_>,
    owner: &str,
    report: &mut Report,
) -> BTreeMap<String, Secret> {
    if field.value.is_null() {
        return BTreeMap::new();
    }
    let Some(entries) = field.value.entries() else {
        report.error(|| {
            let items = field.value.items().unwrap_or_default();
            let first = items.first().and_then(|item| item.text());
            let name = first.and_then(|item| item.split(['=', ':']).next());
            let name = name.filter(|name| variable_name_problem(name).is_none());
            let line = field.line(&format!("{{{}: \"value\"}}", name.unwrap_or("NAME")));
            field.wrong_type("a mapping of names to strings").hint(line)
        });
        return BTreeMap::new();
    };
    let mut environment = BTreeMap::new();
    for entry in entries {
        let name = &entry.key.value;
        if name == MERGE_KEY {
            report.error(|| merge_key(entry, &field.what));
            continue;
        }
        if let Some(problem) = variable_name_problem(name) {
            report.error(|| {
                let message = format!("the environment variable name {} {problem}", quote(name));
                Finding::at(entry.key.span, message)
            });
        }
        let what = format!("environment variable {} of {owner}", quote(name));
        let value = Field::of(entry, owner).called(what);
        if value.value.is_null() {
            report.error(|| {
                value
                    .wrong_type("a string")
                    .hint(format!("{} if it is to be empty", value.line("\"\"")))
            });
        } else if value.value.entries().is_some() {
            let contents = read_outside(&value, report);
            let text = contents.and_then(|contents| variable_text(&contents, &value, report));
            environment.extend(text.map(|text| (name.clone(), text.into())));
        } else if let Some(text) = value.free_text(report) {
            environment.insert(name.clone(), text.value.into());
        }
    }
    environment
}

/// Tells what a process could not have as the name of a variable.
///
/// **Source**: `environ(7)`.
fn variable_name_problem(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        Some("is empty")
    } else if name.contains('=') {
        Some("has a `=` in it")
    } else if name.contains('\0') {
        Some("has a NUL byte in it")
    } else {
        None
    }
}

/// Reads the words that are run instead of the image's own command.
pub(crate) fn read_command(
    field: &Field<'_>,
    owner: &str,
    report: &mut Report,
) -> Option<Vec<String>> {
    let items = field.value.items();
    let Some(items) = items.filter(|items| !items.is_empty()) else {
        report.error(|| {
            let finding = match field.value.items() {
                Some(_) => Finding::at(field.span(), format!("{} is an empty list", field.what)),
                None => field.wrong_type("a list of strings"),
            };
            match field.value.text() {
                Some(text) => finding.hint(command_hint(text)),
                None => finding.hint("leave it out to run what the image runs"),
            }
        });
        return None;
    };
    let mut words = Vec::with_capacity(items.len());
    for item in items {
        let word = Field::item(format!("a word of the command of {owner}"), item);
        words.extend(word.free_text(report).map(|word| word.value));
    }
    Some(words)
}

/// Shows a command line as the list that a shell would make of it.
fn command_hint(text: &str) -> String {
    let Some(words) = word_list(text) else {
        return "no shell runs it; write its words as a list: `[sleep, \"10\"]`".to_owned();
    };
    let words = quote_line(&words);
    if needs_shell(text) {
        let script = quote_line(&format!("[/bin/sh, -c, {}]", double_quoted(text)));
        format!("no shell runs it; write {words}, or {script} if a shell is needed")
    } else {
        format!("no shell runs it; write {words}")
    }
}

/// Tells whether there is something in a command line that only a shell acts on.
fn needs_shell(text: &str) -> bool {
    let mut open = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match (open, character) {
            (None, '\'' | '"') => open = Some(character),
            (Some(quote), character) if character == quote => open = None,
            (None | Some('"'), '\\') => {
                characters.next();
            }
            (None | Some('"'), '$' | '`')
            | (None, '|' | '&' | ';' | '<' | '>' | '(' | ')' | '*' | '?' | '~' | '#' | '\n') => {
                return true;
            }
            _ => {}
        }
    }
    false
}

/// Writes a command line as a list, with quoted words kept together.
pub(crate) fn word_list(text: &str) -> Option<String> {
    let words = shlex::split(text).filter(|words| !words.is_empty())?;
    let words: Vec<String> = words.iter().map(|word| double_quoted(word)).collect();
    Some(format!("[{}]", words.join(", ")))
}

/// Reads the signal that asks the process to end.
pub(crate) fn read_stop_signal(field: &Field<'_>, report: &mut Report) -> Option<StopSignal> {
    let parse = |text: &str| {
        text.parse::<StopSignal>()
            .map_err(|invalid| Refusal::new(invalid.problem, "write a name such as `SIGINT`"))
    };
    let signal = field.parsed("a signal", parse, report);
    signal.map(|signal| signal.value)
}

/// Reads how long the process may take to end.
pub(crate) fn read_stop_grace_period(
    field: &Field<'_>,
    report: &mut Report,
) -> Option<StopGracePeriod> {
    let period = field.parsed("a length of time", parse_grace_period, report);
    period.map(|period| period.value)
}
