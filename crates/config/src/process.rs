//! What the container's process is given, and how it is asked to end.

use std::collections::BTreeMap;

use flocker_model::{Secret, StopGracePeriod, StopSignal};

use crate::duration::parse_grace_period;
use crate::fields::Field;
use crate::keys::{MERGE_KEY, merge_key};
use crate::outside::{read_outside, variable_text};
use crate::phrase::quote;
use crate::quantity::Refusal;
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
            let text = text.filter(|text| check_size(name, text, (&value, owner), report));
            environment.extend(text.map(|text| (name.clone(), text.into())));
        } else if let Some(text) = value.free_text(report)
            && check_size(name, &text.value, (&value, owner), report)
        {
            environment.insert(name.clone(), text.value.into());
        }
    }
    environment
}

/// The bytes of `NAME=VALUE` that Linux does not take any more, the NUL byte at its end left out.
///
/// **Source**: `execve(2)`, `MAX_ARG_STRLEN`.
const TOO_LARGE: usize = 128 * 1024;

/// Checks that a process can be given a variable; `place` is where its value comes from.
pub(crate) fn check_size(
    name: &str,
    value: &str,
    (place, owner): (&Field<'_>, &str),
    report: &mut Report,
) -> bool {
    let size = name.len() + "=".len() + value.len();
    if size < TOO_LARGE {
        return true;
    }
    report.error(|| {
        let message = format!(
            "environment variable {} of {owner} has {size} bytes with its name, and Linux takes less \
             than 128 KiB",
            quote(name)
        );
        Finding::at(place.span(), message).hint(
            "put the value into a file of the container: `files: [{source: ./value, target: \
             /run/value}]`",
        )
    });
    false
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
