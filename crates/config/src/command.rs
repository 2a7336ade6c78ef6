//! The words that run in a container: `command` and `entrypoint`, each a list or one text.
//!
//! No shell runs a text: it is split into words as Compose does.
//!
//! **Source**: Compose Specification, "command" and "entrypoint".

use crate::dollar::escape;
use crate::fields::Field;
use crate::phrase::{double_quoted, quote_line};
use crate::report::{Finding, Report};

/// Reads the words that are run instead of the image's own command.
pub(crate) fn read_command(
    field: &Field<'_>,
    owner: &str,
    report: &mut Report,
) -> Option<Vec<String>> {
    let words = read_words(field, (owner, "command"), report)?;
    if words.is_empty() {
        report.error(|| {
            Finding::at(field.span(), format!("{} is empty", field.what))
                .hint("leave it out to run what the image runs")
        });
        return None;
    }
    Some(words)
}

/// Reads the words that are run instead of the image's entry point; none at all is no entry point.
pub(crate) fn read_entrypoint(
    field: &Field<'_>,
    owner: &str,
    report: &mut Report,
) -> Option<Vec<String>> {
    if field.value.is_null() {
        // As in Compose: the image's.
        return None;
    }
    read_words(field, (owner, "entry point"), report)
}

fn read_words(
    field: &Field<'_>,
    (owner, name): (&str, &str),
    report: &mut Report,
) -> Option<Vec<String>> {
    if let Some(items) = field.value.items() {
        let words = items.into_iter().map(|item| {
            let word = Field::item(format!("a word of the {name} of {owner}"), item);
            word.free_text(report).map(|word| word.value)
        });
        // Each of them is read, so that each mistake is reported.
        let words: Vec<Option<String>> = words.collect();
        return words.into_iter().collect();
    }
    if field.value.text().is_none() {
        report.error(|| {
            field
                .wrong_type("a list of strings, or a string")
                .hint("leave it out to run what the image runs")
        });
        return None;
    }
    let text = field.free_text(report)?;
    let masked = report.replacements.masked(field.span());
    let has_variables = masked.is_some();
    let written = masked.or(field.value.text()).unwrap_or_default();
    match split(&text.value) {
        // Two dollars are one that was meant as it is.
        Some(words) if !needs_shell(&written.replace("$$", "")) => Some(words),
        Some(_) => {
            report.error(|| {
                let message = format!(
                    "{} has something in it that only a shell acts on",
                    field.what
                );
                // A shell would act on the values of variables, too.
                let shown = Some(text.value.as_str()).filter(|_| !has_variables);
                Finding::at(field.span(), message).hint(shell_hint(shown))
            });
            None
        }
        None => {
            let is_of_value = has_variables && split(written).is_some();
            report.error(|| {
                if is_of_value {
                    let message = format!(
                        "{}: a variable's value has a quote that is never closed",
                        field.what
                    );
                    return Finding::at(field.span(), message).hint(
                        "write the words as a list, in which each value is taken as it is: \
                         `[serve, \"--name=${NAME}\"]`",
                    );
                }
                let message = format!("{} has a quote that is never closed", field.what);
                Finding::at(field.span(), message)
                    .hint("close it, or write the words as a list: `[echo, \"it's\"]`")
            });
            None
        }
    }
}

/// Shows how a shell is asked for; `None` is a text that is not shown.
fn shell_hint(text: Option<&str>) -> String {
    let script = match text.filter(|text| !text.contains('\n')) {
        Some(text) => {
            let text = double_quoted(&escape(text));
            quote_line(&format!("[/bin/sh, -c, {text}]"))
        }
        None => quote_line("[/bin/sh, -c, TEXT]"),
    };
    format!("no shell runs it; write {script}, or put what is meant as it is in single quotes")
}

/// Tells whether there is something in a command line that only a shell acts on.
fn needs_shell(text: &str) -> bool {
    let mut open = None;
    let mut begins_word = true;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match (open, character) {
            (None, '\'' | '"') => open = Some(character),
            (Some(quote), character) if character == quote => open = None,
            (None | Some('"'), '\\') => {
                characters.next();
            }
            (None | Some('"'), '$' | '`') | (None, '|' | '&' | ';' | '<' | '>' | '(' | ')') => {
                return true;
            }
            (None, '#') if begins_word => return true,
            _ => {}
        }
        begins_word = open.is_none() && character.is_whitespace();
    }
    false
}

/// Splits a command line into words, with quoted ones kept together.
pub(crate) fn split(text: &str) -> Option<Vec<String>> {
    shlex::split(text)
}

/// Writes words as a list.
pub(crate) fn word_list(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| double_quoted(word)).collect();
    format!("[{}]", words.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_shell_acts_on_needs_one() {
        for text in [
            "a && b",
            "a | b",
            "a > b",
            "a $HOME",
            "a \"$HOME\"",
            "a `b`",
            "a; b",
            "# a",
            "a #b",
            "(a)",
        ] {
            assert!(needs_shell(text), "{text}");
        }
        for text in [
            "serve --allow=* --home ~",
            "nginx -g 'daemon off; a && b'",
            "sh -c \"a && b\"",
            "a\\ b \\$HOME",
            "a#b",
            "a\n  b",
        ] {
            assert!(!needs_shell(text), "{text}");
        }
    }
}
