//! Reads the values of keys, with words for those that are of the wrong type.

use std::ops::Range;

use flocker_model::Port;

use crate::dollar::Purpose;
use crate::phrase::{double_quoted, quote, quote_line};
use crate::port_form::{refuse_form, unquoted};
use crate::quantity::{Refusal, parse_port};
use crate::report::{Finding, Report};
use crate::source::{Located, Span};
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
            Some(key) => format!("write {}", quote_line(&format!("{key}: {value}"))),
            None => format!("write {}", quote_line(value)),
        }
    }

    /// Reads a string that Flocker understands; a number or boolean without quotes is refused.
    pub(crate) fn string(&self, report: &mut Report) -> Option<Located<String>> {
        self.string_for(Purpose::Flocker, report)
    }

    /// Reads a string that a program is given as it is.
    pub(crate) fn free_text(&self, report: &mut Report) -> Option<Located<String>> {
        self.string_for(Purpose::Program, report)
    }

    fn string_for(&self, purpose: Purpose, report: &mut Report) -> Option<Located<String>> {
        match self.value.scalar() {
            Some(scalar) if scalar.kind == ScalarKind::String => {
                if scalar.text.contains('\0') {
                    report.error(|| {
                        Finding::at(self.span(), format!("{} has a NUL byte in it", self.what))
                    });
                    return None;
                }
                let value = self.read_dollars(&scalar.text, purpose, report)?;
                Some(Located {
                    value,
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
        let Some(text) = self.value.text() else {
            report.error(|| self.wrong_type("a name"));
            return None;
        };
        let value = self.read_dollars(text, Purpose::Flocker, report)?;
        Some(Located {
            value,
            span: self.span(),
        })
    }

    /// Reads a port without a protocol.
    pub(crate) fn port(&self, report: &mut Report) -> Option<Located<Port>> {
        let Some(scalar) = self.value.scalar() else {
            report.error(|| self.wrong_type("a port number"));
            return None;
        };
        self.read_dollars(&scalar.text, Purpose::Flocker, report)?;
        if scalar.kind != ScalarKind::Number {
            let text = &scalar.text;
            report.error(
                || match unquoted(scalar.kind, text).or_else(|| refuse_form(text)) {
                    Some(refusal) => self.refused(text, refusal),
                    None => self.wrong_type("a port number"),
                },
            );
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
        self.read_dollars(text, Purpose::Flocker, report)?;
        match parse(text) {
            Ok(value) => Some(Located {
                value,
                span: self.span(),
            }),
            Err(refusal) => {
                report.error(|| self.refused(text, refusal));
                None
            }
        }
    }

    /// Says why the value's text is refused.
    pub(crate) fn refused(&self, text: &str, refusal: Refusal) -> Finding {
        let message = format!("{}: {} {}", self.what, quote(text), refusal.problem);
        Finding::at(self.span(), message).maybe_hint(refusal.hint)
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
