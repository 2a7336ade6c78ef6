//! Values that stand in the place of variables: messages show `${NAME}`, because they may be passwords.

use std::collections::{BTreeMap, BTreeSet};

use crate::phrase::double_quoted;
use crate::render::visible_character;
use crate::source::{File, Span};

/// A text in which variables were replaced.
#[derive(Debug)]
pub(crate) struct Replacement {
    pub(crate) span: Span,
    /// The text with a letter in the place of each value.
    pub(crate) masked: String,
    /// The variables that were replaced, and their values.
    pub(crate) values: Vec<(String, String)>,
}

/// Everything in the application configuration that was replaced.
#[derive(Debug, Default)]
pub(crate) struct Replacements {
    /// By where each text begins.
    list: BTreeMap<usize, Replacement>,
    /// Names of services, which are shown: the file has them, too.
    shown: BTreeSet<String>,
}

impl Replacements {
    /// Notes that variables of a text were replaced.
    pub(crate) fn add(&mut self, replacement: Replacement) {
        self.list.insert(replacement.span.start, replacement);
    }

    /// Notes a name that messages show.
    pub(crate) fn show(&mut self, name: &str) {
        self.shown.insert(name.to_owned());
    }

    /// Returns the text at a place with a letter for each value, if variables of it were replaced.
    pub(crate) fn masked(&self, span: Span) -> Option<&str> {
        let found = self.list.get(&span.start);
        found
            .filter(|found| found.span == span)
            .map(|found| found.masked.as_str())
    }

    /// Writes the names of variables in the place of their values, wherever a message about `span`
    /// quotes them.
    pub(crate) fn hide(&self, span: Span, message: &mut String) {
        if span.file != File::Application || !message.contains('`') {
            return;
        }
        let around = self.list.range(..span.start).next_back();
        let around = around.filter(|(_, one)| one.span.end >= span.end);
        let inside = self.list.range(span.start..span.end.max(span.start + 1));
        for (_, replacement) in around.into_iter().chain(inside) {
            for (name, value) in &replacement.values {
                if !value.is_empty() && !self.shown.contains(value) {
                    *message = hidden(message, value, &format!("${{{name}}}"));
                }
            }
        }
    }
}

/// Replaces a value in the quotations of a message.
fn hidden(message: &str, value: &str, name: &str) -> String {
    let visible: String = value.chars().map(visible_character).collect();
    let escaped = double_quoted(&visible);
    let escaped = &escaped[1..escaped.len() - 1];
    let mut parts = Vec::new();
    for (number, part) in message.split('`').enumerate() {
        let is_quotation = number % 2 == 1;
        if !is_quotation {
            parts.push(part.to_owned());
            continue;
        }
        let part = part.replace(escaped, name).replace(&visible, name);
        parts.push(match part.strip_suffix("...") {
            Some(cut) => without_beginning(cut, &[escaped, &visible], name),
            None => part,
        });
    }
    parts.join("`")
}

/// Replaces the beginning of a value at the end of a quotation that was cut.
fn without_beginning(cut: &str, values: &[&str], name: &str) -> String {
    let starts = cut.char_indices().map(|(at, _)| at);
    let found = starts
        .filter(|at| values.iter().any(|value| value.starts_with(&cut[*at..])))
        .min();
    match found {
        Some(at) => format!("{}{name}...", &cut[..at]),
        None => format!("{cut}..."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_hidden_in_quotations_only() {
        let hide = |message: &str, value: &str| hidden(message, value, "${A}");
        assert_eq!(hide("b: `ab c` is no b", "b"), "b: `a${A} c` is no b");
        assert_eq!(
            hide(r#"write `[-c, "x\\y\""]`"#, r#"x\y""#),
            "write `[-c, \"${A}\"]`"
        );
        assert_eq!(
            hide("`a pass...` is wrong", "password"),
            "`a ${A}...` is wrong"
        );
        assert_eq!(hide("`two?lines`", "other"), "`two?lines`");
    }
}
