//! The forms that values of Compose have: one or several, a mapping or a list of pairs.

use std::str::FromStr;

use flocker_model::InvalidName;

use crate::dollar::Purpose;
use crate::fields::Field;
use crate::keys::{MERGE_KEY, merge_key};
use crate::phrase::quote;
use crate::quantity::Refusal;
use crate::report::{Finding, Report};
use crate::source::{Located, Span};
use crate::tree::{ScalarKind, Value};

/// Reads `true` or `false`; a boolean may be in quotes, as in Compose.
pub(super) fn boolean(field: &Field<'_>, report: &mut Report) -> Option<bool> {
    let parse = |text: &str| match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" => Ok(true),
        "false" | "no" | "off" => Ok(false),
        _ => Err(Refusal::new(
            "is neither `true` nor `false`",
            "write `true` or `false`",
        )),
    };
    field
        .parsed("`true` or `false`", parse, report)
        .map(|boolean| boolean.value)
}

/// Reads a whole number between two others, both included.
pub(super) fn integer(
    field: &Field<'_>,
    (least, most): (i64, i64),
    report: &mut Report,
) -> Option<i64> {
    let parse = |text: &str| match text.parse::<i64>() {
        // A `+`, or a zero in front, is read differently by different programs.
        Ok(number) if number.to_string() == text && (least..=most).contains(&number) => Ok(number),
        _ => Err(Refusal::new(
            &format!("is not a whole number from {least} to {most}"),
            format!("write a number from {least} to {most}"),
        )),
    };
    field
        .parsed("a whole number", parse, report)
        .map(|number| number.value)
}

/// Reads a text that has a grammar of its own.
pub(super) fn checked<T: FromStr<Err = InvalidName>>(
    field: &Field<'_>,
    (expected, hint): (&str, &str),
    report: &mut Report,
) -> Option<T> {
    let parse = |text: &str| {
        text.parse::<T>()
            .map_err(|invalid| Refusal::new(invalid.problem, hint))
    };
    field
        .parsed(expected, parse, report)
        .map(|located| located.value)
}

/// Reads one of a few words.
pub(super) fn choice<T: Copy>(
    field: &Field<'_>,
    choices: &[(&str, T)],
    hint: &str,
    report: &mut Report,
) -> Option<T> {
    let parse = |text: &str| {
        let found = choices.iter().find(|(word, _)| *word == text);
        found
            .map(|(_, choice)| *choice)
            .ok_or_else(|| Refusal::new("cannot be chosen here", hint))
    };
    field
        .parsed("a word", parse, report)
        .map(|choice| choice.value)
}

/// Lists the items of a list, or the one value that stands in its place; nothing is an empty list.
pub(super) fn one_or_more<'t>(field: &Field<'t>, report: &mut Report) -> Vec<Value<'t>> {
    if field.value.text().is_some() {
        return vec![field.value];
    }
    list(field, report)
}

/// Lists the items of a list; nothing is an empty one.
pub(super) fn list<'t>(field: &Field<'t>, report: &mut Report) -> Vec<Value<'t>> {
    let hint = || {
        field
            .value
            .text()
            .map(|text| field.line(&format!("[{text}]")))
    };
    field.list("a list", report, hint).unwrap_or_default()
}

/// Reads the items of a list, each with a grammar of its own; messages call an item `what`.
pub(super) fn checked_items<T: FromStr<Err = InvalidName>>(
    (values, what): (Vec<Value<'_>>, &str),
    (expected, hint): (&str, &str),
    report: &mut Report,
) -> Vec<T> {
    let items = values.into_iter();
    items
        .filter_map(|value| checked(&Field::item(what, value), (expected, hint), report))
        .collect()
}

/// A name and its text, from `name: text` in a mapping or `name=text` in a list.
pub(super) struct Pair {
    pub(super) key: Located<String>,
    pub(super) value: String,
}

impl Pair {
    /// Reads the name by a grammar of its own.
    pub(super) fn name<T: FromStr<Err = InvalidName>>(
        &self,
        field: &Field<'_>,
        hint: &str,
        report: &mut Report,
    ) -> Option<T> {
        match self.key.value.parse() {
            Ok(name) => Some(name),
            Err(invalid) => {
                report.error(|| {
                    let name = quote(&self.key.value);
                    let message = format!("{}: {name} {}", field.what, invalid.problem);
                    Finding::at(self.key.span, message).hint(hint)
                });
                None
            }
        }
    }
}

/// Reads a mapping of names to texts, or a list of `name=text`.
pub(super) fn pairs(field: &Field<'_>, purpose: Purpose, report: &mut Report) -> Vec<Pair> {
    let mut pairs = Vec::new();
    if field.value.is_null() {
        return pairs;
    }
    if let Some(items) = field.value.items() {
        for item in items {
            let item = Field::item(format!("an item of {}", field.what), item);
            pairs.extend(listed_pair(&item, purpose, report));
        }
    } else if let Some(entries) = field.value.entries() {
        for entry in entries {
            if entry.key.value == MERGE_KEY {
                report.error(|| merge_key(entry, &field.what));
                continue;
            }
            let value = Field::of(entry, &field.what);
            pairs.extend(text(&value, purpose, report).map(|value| Pair {
                key: entry.key.clone(),
                value,
            }));
        }
    } else {
        report.error(|| {
            field
                .wrong_type("a mapping, or a list of `name=text`")
                .hint(field.line("{name: text}"))
        });
    }
    refuse_twice(field, &pairs, report);
    pairs
}

fn listed_pair(item: &Field<'_>, purpose: Purpose, report: &mut Report) -> Option<Pair> {
    let text = text(item, purpose, report)?;
    let (name, value) = text.split_once('=').unwrap_or((&text, ""));
    let span = item.span_of(&text, 0..name.len());
    Some(Pair {
        key: Located {
            value: name.to_owned(),
            span,
        },
        value: value.to_owned(),
    })
}

/// A mapping has each key once; a list may have a name twice.
fn refuse_twice(field: &Field<'_>, pairs: &[Pair], report: &mut Report) {
    let mut first: std::collections::BTreeMap<&str, Span> = std::collections::BTreeMap::new();
    for pair in pairs {
        let key = &pair.key;
        if let Some(earlier) = first.insert(&key.value, key.span) {
            report.error(|| {
                let message = format!("{} has {} twice", field.what, quote(&key.value));
                Finding::at(key.span, message).also(earlier, "first written here")
            });
        }
    }
}

/// Reads a text. A number or boolean that can be read in one way only is one, too; nothing is an
/// empty one.
fn text(field: &Field<'_>, purpose: Purpose, report: &mut Report) -> Option<String> {
    let is_plain = |text: &str| {
        let digits = text.strip_prefix('-').unwrap_or(text);
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    match field.value.scalar() {
        Some(scalar) if scalar.kind == ScalarKind::Null => Some(String::new()),
        Some(scalar)
            if matches!(scalar.text.as_str(), "true" | "false") || is_plain(&scalar.text) =>
        {
            Some(scalar.text.clone())
        }
        _ => {
            let text = match purpose {
                Purpose::Program => field.free_text(report),
                Purpose::Flocker => field.string(report),
            };
            text.map(|text| text.value)
        }
    }
}
