//! Dollars in text: `$$` is one, and `${NAME}` and `$NAME` are refused.
//!
//! Compose replaces both. Taken literally, a value from a Compose file would be the same public
//! password on every installation.

use std::ops::Range;

use crate::fields::Field;
use crate::phrase::{QUOTED_CHARACTERS, quote};
use crate::report::{Finding, Report};

/// A variable in a text, and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Variable {
    /// `${NAME}`.
    Whole(Range<usize>),
    /// `$NAME`.
    Bare(Range<usize>),
    /// The closing brace is missing.
    Open(Range<usize>),
}

/// Reads text: two dollars are one, and any other dollar stays, unless it begins a variable.
pub(crate) fn unescape(text: &str) -> Result<String, Vec<Variable>> {
    let mut read = String::with_capacity(text.len());
    let mut variables = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        read.push_str(before);
        let start = text.len() - after.len() - 1;
        rest = if let Some(after_both) = after.strip_prefix('$') {
            read.push('$');
            after_both
        } else if after.starts_with('{') {
            let Some(end) = closing_brace(after) else {
                variables.push(Variable::Open(start..start + 2));
                break;
            };
            variables.push(Variable::Whole(start..start + 1 + end));
            &after[end..]
        } else if begins_variable(after) {
            let end = after.find(|c| !is_sign(c)).unwrap_or(after.len());
            variables.push(Variable::Bare(start..start + 1 + end));
            &after[end..]
        } else {
            read.push('$');
            after
        };
    }
    read.push_str(rest);
    if variables.is_empty() {
        Ok(read)
    } else {
        Err(variables)
    }
}

/// Tells whether a variable begins at a dollar, by what follows the dollar.
pub(crate) fn begins_variable(after: &str) -> bool {
    after.starts_with(|c: char| c == '{' || c == '_' || c.is_ascii_alphabetic())
}

/// Tells whether a name of a variable goes on with a character.
const fn is_sign(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}

/// Writes text so that [`Field::read_dollars`] returns it as it is.
pub(crate) fn escape(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        written.push_str(before);
        let is_special = after.starts_with('$') || begins_variable(after);
        written.push_str(if is_special { "$$" } else { "$" });
        rest = after;
    }
    written + rest
}

/// Finds the end of `{…}`, in which there may be other `${…}`.
fn closing_brace(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (position, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(position + 1);
        }
    }
    None
}

/// The use of a value, which decides what to write in the place of a variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A program reads it, which may know `${NAME}` itself.
    Program,
    /// Flocker reads it.
    Flocker,
}

impl Field<'_> {
    /// Reads the dollars of the value's text; variables are reported, each at its place.
    pub(crate) fn read_dollars(
        &self,
        text: &str,
        purpose: Purpose,
        report: &mut Report,
    ) -> Option<String> {
        let variables = match unescape(text) {
            Ok(read) => return Some(read),
            Err(variables) => variables,
        };
        let mut has_bare = false;
        for variable in variables {
            // A hash has several, and one answer.
            if matches!(variable, Variable::Bare(_)) && std::mem::replace(&mut has_bare, true) {
                continue;
            }
            report.error(|| {
                let (Variable::Whole(range) | Variable::Bare(range) | Variable::Open(range)) =
                    &variable;
                let span = self.span_of(text, range.clone());
                let piece = &text[range.clone()];
                let (message, hint) = match variable {
                    Variable::Whole(_) => describe(&self.what, piece, purpose),
                    Variable::Bare(_) => describe_bare(&self.what),
                    Variable::Open(_) => {
                        let message = format!("{} has a `${{` that is never closed", self.what);
                        (
                            message,
                            "write `$${` for the two characters `${`".to_owned(),
                        )
                    }
                };
                Finding::at(span, message).hint(hint)
            });
        }
        None
    }
}

/// Says that a variable is not replaced, and what to write.
fn describe(what: &str, piece: &str, purpose: Purpose) -> (String, String) {
    let inner = &piece[2..piece.len() - 1];
    let end = inner.find(|c| !is_sign(c)).unwrap_or(inner.len());
    let (name, rest) = inner.split_at(end);
    let shown = quote(piece);
    let value = if name.is_empty() {
        "the value itself".to_owned()
    } else {
        format!("the value of {} itself", quote(name))
    };
    let default = rest.strip_prefix(":-").or_else(|| rest.strip_prefix('-'));
    let default = default
        .filter(|default| !default.is_empty() && !default.contains('$'))
        .map_or_else(String::new, |default| {
            format!(" (its default is {})", quote(default))
        });
    let other = if purpose == Purpose::Program && piece.len() < QUOTED_CHARACTERS {
        format!(
            ", or {} if the program is to see {shown}",
            quote(&format!("${piece}"))
        )
    } else {
        String::new()
    };
    (
        format!("{what}: Flocker does not replace {shown}"),
        format!("this file takes values literally; write {value}{default}{other}"),
    )
}

/// Says the same of a variable without braces. Its name is not quoted: it may be a part of a password.
fn describe_bare(what: &str) -> (String, String) {
    (
        format!("{what} has a `$` before a letter or `_`: Flocker does not replace variables"),
        "this file takes values literally; write `$$` for each dollar that is meant as it is, or the \
         variable's value itself"
            .to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_dollars_are_one_and_a_lone_dollar_stays() {
        for (text, read) in [
            ("a$$b", "a$b"),
            ("$", "$"),
            ("$$HOME", "$HOME"),
            ("^foo$ $.* $-", "^foo$ $.* $-"),
            ("5$ $(date) $1", "5$ $(date) $1"),
            ("$${NAME}", "${NAME}"),
            ("$$$${NAME}", "$${NAME}"),
            ("$$$", "$$"),
            ("{NAME}$", "{NAME}$"),
        ] {
            assert_eq!(unescape(text).as_deref(), Ok(read), "{text}");
        }
    }

    #[test]
    fn each_variable_is_found_where_it_is() {
        assert_eq!(
            unescape("ä${A}$$${B:-${C}}$D"),
            Err(vec![
                Variable::Whole(2..6),
                Variable::Whole(8..18),
                Variable::Bare(18..20)
            ])
        );
        assert_eq!(
            unescape("u:$PW@h $_x"),
            Err(vec![Variable::Bare(2..5), Variable::Bare(8..11)])
        );
        assert_eq!(unescape("$2y$10$N9qo8.x"), Err(vec![Variable::Bare(6..12)]));
        assert_eq!(unescape("x${A"), Err(vec![Variable::Open(1..3)]));
        assert_eq!(unescape("${A:-${B}"), Err(vec![Variable::Open(0..2)]));
    }

    #[test]
    fn escaped_text_is_read_as_it_was() {
        for text in [
            "",
            "$",
            "$$",
            "$$$",
            "a$b",
            "$$A",
            "$$1",
            "${A}",
            "$1 $",
            "$_",
            "$2y$10$N9q",
            "$${",
            "ä$ö",
        ] {
            let written = escape(text);
            assert_eq!(unescape(&written).as_deref(), Ok(text), "{written}");
        }
        assert_eq!(escape("^a$ $1"), "^a$ $1");
    }
}
