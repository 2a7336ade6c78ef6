//! The long forms of Compose: the types of their values, and the keys that each of them has.

use crate::adopt::adoption::Adoption;
use crate::adopt::yaml::{Pair, Yaml};
use crate::phrase::quote;
use crate::source::Span;
use crate::suggest::nearest;

/// Returns the entries of a mapping, which may be empty; any other value is refused.
pub(crate) fn mapping<'y>(value: &'y Yaml, what: &str, adoption: &mut Adoption<'_>) -> &'y [Pair] {
    if let Some(entries) = value.entries() {
        return entries;
    }
    if !value.is_null() {
        adoption.error(
            value.span,
            format!("{what} must be a mapping, not {}", value.describe()),
            "write its keys below it, each as `key: value`",
        );
    }
    &[]
}

/// Returns the texts of a list; other values are refused. `noun` is the word for an item of it.
pub(crate) fn texts<'y>(
    value: &'y Yaml,
    (name, noun, owner): (&str, &str, &str),
    adoption: &mut Adoption<'_>,
) -> Vec<(&'y str, Span)> {
    if value.is_null() {
        return Vec::new();
    }
    let shown = quote(name);
    let hint = format!("write `{name}: [{}]`", noun.to_uppercase());
    let Some(items) = value.items() else {
        let message = format!(
            "{shown} of {owner} must be a list, not {}",
            value.describe()
        );
        adoption.error(value.span, message, hint);
        return Vec::new();
    };
    let mut found = Vec::new();
    for item in items {
        if let Some(text) = item.text() {
            found.push((text, item.span));
        } else {
            let message = format!(
                "an item of {shown} of {owner} must be a {noun}, not {}",
                item.describe()
            );
            adoption.error(item.span, message, hint.as_str());
        }
    }
    found
}

/// Refuses a key that a form of Compose does not have: Compose itself does not start then. The known
/// keys are in several lists.
pub(crate) fn check_keys(
    value: &Yaml,
    (what, known): (&str, &[&[&str]]),
    adoption: &mut Adoption<'_>,
) {
    for (name, _) in mapping(value, what, adoption) {
        let known = || known.iter().copied().flatten().copied();
        if known().any(|key| key == name.value) || name.value.starts_with("x-") {
            continue;
        }
        let hint = nearest(&name.value, known()).map_or_else(
            || "leave it out: Compose has no such key here".to_owned(),
            |guess| format!("did you mean {}?", quote(guess)),
        );
        let message = format!("{what} has the unknown key {}", quote(&name.value));
        adoption.error(name.span, message, hint);
    }
}

/// Reads `true` or `false`, also where a variable or quotes made it a text, and in the words that
/// Compose takes.
pub(crate) fn is_true(value: Option<&Yaml>, what: &str, adoption: &mut Adoption<'_>) -> bool {
    let Some(value) = value.filter(|value| !value.is_null()) else {
        return false;
    };
    let text = value.text().map(str::to_ascii_lowercase);
    match text.as_deref() {
        Some("true" | "yes" | "y" | "on" | "1") => true,
        Some("false" | "no" | "n" | "off" | "0") => false,
        _ => {
            adoption.error(
                value.span,
                format!("{what} must be `true` or `false`"),
                "write `true`, or leave it out for `false`",
            );
            false
        }
    }
}

/// Tells whether a value is as if its key was left out.
pub(crate) fn says_nothing(value: &Yaml) -> bool {
    value.is_null()
        || value.text() == Some("false")
        || value.entries().is_some_and(Vec::is_empty)
        || value.items().is_some_and(Vec::is_empty)
}

/// Warns of keys that are left out, each with the reason.
pub(crate) fn warn_of_keys(
    value: &Yaml,
    (what, left_out): (&str, &[(&str, &str)]),
    adoption: &mut Adoption<'_>,
) {
    for (name, value) in value.entries().into_iter().flatten() {
        let found = left_out.iter().find(|(key, _)| *key == name.value);
        if let Some((key, reason)) = found
            && !says_nothing(value)
        {
            let message = format!("{} of {what} is left out", quote(key));
            adoption.warn(name.span, message, *reason);
        }
    }
}
