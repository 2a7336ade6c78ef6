//! Reads the values of keys, with words for those that are of the wrong type.

use std::ops::Range;

use flocker_model::Port;

use crate::phrase::{double_quoted, enumerate, quote};
use crate::quantity::{Refusal, parse_port};
use crate::report::{Finding, Report};
use crate::source::{Located, Span};
use crate::suggest::nearest;
use crate::tree::{Entry, ScalarKind, Value};

/// A value and what messages call it: "`routes` of `trac`".
#[derive(Debug, Clone)]
pub(crate) struct Field<'t> {
    pub(crate) what: String,
    pub(crate) value: Value<'t>,
    /// Where to point when there is no value: its key.
    key_span: Span,
    /// The key as it stands in the file, for hints that show the whole line.
    key: Option<&'t str>,
}

impl<'t> Field<'t> {
    /// Names the value of `entry` in the thing that is called `owner`.
    pub(crate) fn of(entry: Entry<'t>, owner: &str) -> Self {
        Self {
            what: format!("{} of {owner}", quote(&entry.key.value)),
            value: entry.value,
            key_span: entry.key.span,
            key: Some(&entry.key.value),
        }
    }

    /// Names an item of a list.
    pub(crate) fn item(what: impl Into<String>, value: Value<'t>) -> Self {
        Self {
            what: what.into(),
            value,
            key_span: value.span(),
            key: None,
        }
    }

    /// Calls the value something else.
    pub(crate) fn called(self, what: String) -> Self {
        Self { what, ..self }
    }

    /// Returns where the value is, or its key if nothing was written.
    pub(crate) fn span(&self) -> Span {
        if self.value.is_null() {
            self.key_span
        } else {
            self.value.span()
        }
    }

    /// Returns where a part of the value's text is, or the whole value if it is not written there
    /// as it is read: escaped, folded or empty.
    pub(crate) fn span_of(&self, text: &str, part: Range<usize>) -> Span {
        let found = text
            .get(part.clone())
            .filter(|piece| !piece.is_empty())
            .and_then(|piece| {
                let before = text[..part.start].matches(piece).count();
                self.value.find(piece, before)
            });
        found.unwrap_or_else(|| self.span())
    }

    /// Says that the value is of the wrong type.
    pub(crate) fn wrong_type(&self, expected: &str) -> Finding {
        let message = if self.value.is_null() {
            format!("{} has no value", self.what)
        } else {
            let found = self.value.describe();
            format!("{} must be {expected}, not {found}", self.what)
        };
        Finding::at(self.span(), message)
    }

    /// Shows how the line would look with `value`.
    pub(crate) fn line(&self, value: &str) -> String {
        match self.key {
            Some(key) => format!("write {}", quote(&format!("{key}: {value}"))),
            None => format!("write {}", quote(value)),
        }
    }

    /// Reads a string; a number or boolean without quotes is none.
    pub(crate) fn string(&self, report: &mut Report) -> Option<Located<String>> {
        match self.value.scalar() {
            Some(scalar) if scalar.kind == ScalarKind::String => {
                if scalar.text.contains('\0') {
                    report.error(|| {
                        Finding::at(self.span(), format!("{} has a NUL byte in it", self.what))
                    });
                    return None;
                }
                Some(Located {
                    value: scalar.text.clone(),
                    span: self.span(),
                })
            }
            scalar => {
                report.error(|| {
                    let finding = self.wrong_type("a string");
                    match scalar {
                        Some(scalar) if scalar.kind != ScalarKind::Null => {
                            finding.hint(self.line(&double_quoted(&scalar.text)))
                        }
                        _ => finding,
                    }
                });
                None
            }
        }
    }

    /// Reads the text of a single word, whatever YAML takes it for: where only a name can stand,
    /// `123` and `"123"` are the same name.
    pub(crate) fn name(&self, report: &mut Report) -> Option<Located<String>> {
        let text = self.value.text();
        if text.is_none() {
            report.error(|| self.wrong_type("a name"));
        }
        text.map(|text| Located {
            value: text.to_owned(),
            span: self.span(),
        })
    }

    /// Reads a TCP port.
    pub(crate) fn port(&self, report: &mut Report) -> Option<Located<Port>> {
        let Some(scalar) = self.value.scalar() else {
            report.error(|| self.wrong_type("a port number"));
            return None;
        };
        if scalar.kind != ScalarKind::Number {
            report.error(|| {
                let finding = self.wrong_type("a port number");
                match parse_port(&scalar.text) {
                    Ok(port) => finding.hint(format!("write `{port}` without quotes")),
                    Err(_) => finding.maybe_hint(port_pair_hint(&scalar.text)),
                }
            });
            return None;
        }
        self.parsed("a port number", parse_port, report)
    }

    /// Reads a scalar with `parse`, whatever YAML takes it for; `expected` says what it is.
    pub(crate) fn parsed<T>(
        &self,
        expected: &str,
        parse: impl FnOnce(&str) -> Result<T, Refusal>,
        report: &mut Report,
    ) -> Option<Located<T>> {
        let Some(text) = self.value.text() else {
            report.error(|| self.wrong_type(expected));
            return None;
        };
        match parse(text) {
            Ok(value) => Some(Located {
                value,
                span: self.span(),
            }),
            Err(refusal) => {
                report.error(|| {
                    let message = format!("{}: {} {}", self.what, quote(text), refusal.problem);
                    Finding::at(self.span(), message).maybe_hint(refusal.hint)
                });
                None
            }
        }
    }

    /// Reads a list; nothing at all is an empty one, as when its last item was commented out.
    pub(crate) fn list(
        &self,
        expected: &str,
        report: &mut Report,
        hint: impl FnOnce() -> Option<String>,
    ) -> Option<Vec<Value<'t>>> {
        if self.value.is_null() {
            return Some(Vec::new());
        }
        let items = self.value.items();
        if items.is_none() {
            report.error(|| self.wrong_type(expected).maybe_hint(hint()));
        }
        items
    }
}

/// Answers Docker's way of writing a route.
fn port_pair_hint(text: &str) -> Option<String> {
    let (external, internal) = text.split_once(':')?;
    let (external, internal) = (parse_port(external).ok()?, parse_port(internal).ok()?);
    Some(format!(
        "write `{{external: {external}, internal: {internal}}}`"
    ))
}

/// The keys that a mapping may have.
pub(crate) struct KnownKeys {
    pub(crate) keys: &'static [&'static str],
    /// What other programs call them.
    pub(crate) synonyms: &'static [(&'static str, &'static str)],
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
            let guess = self.guess(key);
            meant.extend(guess);
            if key == MERGE_KEY {
                meant.extend(self.keys);
            }
            report.error(|| {
                let message = format!("{owner} has an unknown key {}", quote(key));
                Finding::at(entry.key.span, message).hint(match guess {
                    _ if key == MERGE_KEY => {
                        "merge keys are not supported; write the keys out".to_owned()
                    }
                    Some(known) => format!("did you mean {}?", quote(known)),
                    None => format!("it may have {}", enumerate(self.keys, "and")),
                })
            });
        }
        meant
    }

    fn guess(&self, key: &str) -> Option<&'static str> {
        let synonym = self.synonyms.iter().find(|(other, _)| *other == key);
        synonym
            .map(|(_, known)| *known)
            .or_else(|| nearest(key, self.keys.iter().copied()))
    }
}

/// What YAML 1.1 used for taking over the keys of another mapping.
const MERGE_KEY: &str = "<<";
