//! The long forms of Compose: the types of their values, and the keys that each of them has.

use crate::adopt::adoption::Adoption;
use crate::adopt::yaml::{Pair, Yaml};
use crate::phrase::quote;
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
