//! The keys that a mapping may have, and what the keys of other programs are here.

use crate::phrase::{enumerate, quote, quote_line};
use crate::report::{Finding, Report};
use crate::suggest::nearest;
use crate::tree::{Entry, Value};

/// The keys that a mapping may have.
pub(crate) struct KnownKeys {
    pub(crate) keys: &'static [&'static str],
    /// Keys that other programs have. None of them is ever taken for a misspelling.
    pub(crate) foreign: &'static [Foreign],
}

/// A key of another program.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Foreign {
    key: &'static str,
    here: Here,
}

/// The counterpart here of another program's key.
#[derive(Debug, Clone, Copy)]
enum Here {
    /// The same under another name.
    Key {
        name: &'static str,
        /// Writes the value as it is written here, if that can be said.
        value: fn(Value<'_>) -> Option<String>,
        /// The advice about the key.
        note: &'static str,
    },
    /// Nothing; the hint says why, or what to do.
    Nothing(&'static str),
}

impl Foreign {
    /// A key that means the same as ours called `name`, and has the same values.
    pub(crate) const fn same(key: &'static str, name: &'static str) -> Self {
        Self::converted(key, name, same_value, "")
    }

    /// A key that means the same as ours called `name`, and is written in another way; `value`
    /// converts what it can, and `note` is said in any case.
    pub(crate) const fn converted(
        key: &'static str,
        name: &'static str,
        value: fn(Value<'_>) -> Option<String>,
        note: &'static str,
    ) -> Self {
        let here = Here::Key { name, value, note };
        Self { key, here }
    }

    /// A key that has no counterpart; `hint` says why, or what to do.
    pub(crate) const fn nothing(key: &'static str, hint: &'static str) -> Self {
        let here = Here::Nothing(hint);
        Self { key, here }
    }

    /// Returns the other program's key.
    pub(crate) const fn key(&self) -> &'static str {
        self.key
    }

    /// Returns our key, if there is one, and what is said about the key in any case.
    pub(crate) const fn counterpart(&self) -> (Option<&'static str>, &'static str) {
        match self.here {
            Here::Nothing(hint) => (None, hint),
            Here::Key { name, note, .. } => (Some(name), note),
        }
    }

    /// Returns our key, and what to say about the value.
    fn describe(&self, value: Value<'_>) -> (Option<&'static str>, String) {
        match self.here {
            Here::Nothing(hint) => (None, hint.to_owned()),
            Here::Key {
                name,
                value: convert,
                note,
            } => {
                let line = match convert(value) {
                    Some(text) => format!("write {}", quote_line(&format!("{name}: {text}"))),
                    None => format!("the key is called {} here", quote(name)),
                };
                let separator = if note.is_empty() { "" } else { "; " };
                (Some(name), format!("{line}{separator}{note}"))
            }
        }
    }
}

/// Writes a scalar as it stands.
pub(crate) fn same_value(value: Value<'_>) -> Option<String> {
    value.text().map(str::to_owned)
}

/// Says nothing of the value.
pub(crate) const fn no_value(_: Value<'_>) -> Option<String> {
    None
}

impl KnownKeys {
    /// Reports the keys that are not known in the thing that is called `owner`, and returns those
    /// that were probably meant: that they are missing needs no second report.
    pub(crate) fn check(
        &self,
        entries: &[Entry<'_>],
        owner: &str,
        report: &mut Report,
    ) -> Vec<&'static str> {
        let mut meant = Vec::new();
        for entry in entries {
            let key = entry.key.value.as_str();
            if self.keys.contains(&key) {
                continue;
            }
            if key == MERGE_KEY {
                meant.extend(self.keys);
                report.error(|| merge_key(*entry, owner));
                continue;
            }
            let foreign = self.foreign.iter().find(|foreign| foreign.key() == key);
            let guess = match foreign {
                Some(foreign) => foreign.describe(entry.value).0,
                None => nearest(key, self.keys.iter().copied()),
            };
            meant.extend(guess);
            report.error(|| {
                let message = format!("{owner} has an unknown key {}", quote(key));
                Finding::at(entry.key.span, message).hint(match (foreign, guess) {
                    (Some(foreign), _) => foreign.describe(entry.value).1,
                    (None, Some(known)) => format!("did you mean {}?", quote(known)),
                    (None, None) if self.keys.len() > ENUMERATED_KEYS => {
                        "docs/configuration.md has a table of all keys".to_owned()
                    }
                    (None, None) => format!("it may have {}", enumerate(self.keys, "and")),
                })
            });
        }
        meant
    }
}

/// How many keys a hint lists.
const ENUMERATED_KEYS: usize = 12;

/// What YAML 1.1 used for taking over the keys of another mapping.
pub(crate) const MERGE_KEY: &str = "<<";

/// Says that `<<` in the thing that is called `owner` does nothing.
pub(crate) fn merge_key(entry: Entry<'_>, owner: &str) -> Finding {
    let message = format!("{owner} has a merge key {}", quote(MERGE_KEY));
    Finding::at(entry.key.span, message).hint("merge keys are not supported; write the keys out")
}
