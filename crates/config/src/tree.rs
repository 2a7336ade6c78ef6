//! A YAML document as a tree that remembers where everything was written.

use crate::source::{Located, Span};

/// One document. Nodes refer to each other by index, so that an alias costs nothing and dropping a
/// deep tree does not recurse.
#[derive(Debug)]
pub(crate) struct Tree {
    /// The text that it was read from.
    pub(crate) source: String,
    pub(crate) nodes: Vec<Node>,
    pub(crate) root: NodeIndex,
}

/// Names a node of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NodeIndex(pub(crate) usize);

/// One value as it was written.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) content: Content,
}

/// What was written.
#[derive(Debug)]
pub(crate) enum Content {
    Scalar(Scalar),
    List(Vec<NodeIndex>),
    Mapping(Vec<(Located<String>, NodeIndex)>),
}

/// A single word or text.
#[derive(Debug, Clone)]
pub(crate) struct Scalar {
    pub(crate) text: String,
    pub(crate) kind: ScalarKind,
}

/// What YAML takes a scalar for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ScalarKind {
    Null,
    Boolean,
    Number,
    String,
}

impl ScalarKind {
    /// Resolves a scalar without quotes or tag.
    ///
    /// `yes`, `no`, `on` and `off` count as booleans although YAML 1.2 has made them strings: other
    /// programs read the same file, and so do people.
    ///
    /// **Source**: YAML 1.2.2, section 10.3.2 (core schema); YAML 1.1, type repository, `bool`.
    pub(crate) fn of_plain(text: &str) -> Self {
        match text {
            "" | "~" | "null" | "Null" | "NULL" => return Self::Null,
            ".nan" | ".NaN" | ".NAN" => return Self::Number,
            _ => {}
        }
        let lower = text.to_ascii_lowercase();
        if matches!(
            lower.as_str(),
            "true" | "false" | "yes" | "no" | "on" | "off"
        ) {
            Self::Boolean
        } else if is_number(&lower) {
            Self::Number
        } else {
            Self::String
        }
    }
}

/// Tells whether the core schema reads `text`, in lower case, as an integer or a float.
fn is_number(text: &str) -> bool {
    if let Some(digits) = text.strip_prefix("0x") {
        return !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return !digits.is_empty() && digits.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if unsigned == ".inf" {
        return true;
    }
    let (mantissa, exponent) = match unsigned.split_once('e') {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent_is_sound = exponent.is_none_or(|exponent| {
        let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        !digits.is_empty() && all_digits(digits)
    });
    !(whole.is_empty() && fraction.is_empty())
        && all_digits(whole)
        && all_digits(fraction)
        && exponent_is_sound
}

impl Tree {
    /// Returns the whole document.
    pub(crate) fn root(&self) -> Value<'_> {
        self.value(self.root)
    }

    fn value(&self, index: NodeIndex) -> Value<'_> {
        Value {
            tree: self,
            node: &self.nodes[index.0],
        }
    }
}

/// A value in its tree.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Value<'t> {
    tree: &'t Tree,
    node: &'t Node,
}

/// A key of a mapping with its value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry<'t> {
    pub(crate) key: &'t Located<String>,
    pub(crate) value: Value<'t>,
}

impl<'t> Value<'t> {
    /// Returns where the value was written.
    pub(crate) const fn span(self) -> Span {
        self.node.span
    }

    /// Finds text in what was written for the value, after as many others of it as `skipped`.
    pub(crate) fn find(self, text: &str, skipped: usize) -> Option<Span> {
        let span = self.span();
        let written = self.tree.source.get(span.start..span.end)?;
        let (offset, _) = written.match_indices(text).nth(skipped)?;
        let start = span.start + offset;
        Some(Span {
            start,
            end: start + text.len(),
            ..span
        })
    }

    /// Returns the scalar, if it is one.
    pub(crate) const fn scalar(self) -> Option<&'t Scalar> {
        match &self.node.content {
            Content::Scalar(scalar) => Some(scalar),
            Content::List(_) | Content::Mapping(_) => None,
        }
    }

    /// Returns the scalar's text, if it is one and not null.
    pub(crate) fn text(self) -> Option<&'t str> {
        self.scalar()
            .filter(|scalar| scalar.kind != ScalarKind::Null)
            .map(|scalar| scalar.text.as_str())
    }

    /// Tells whether nothing was written, or `null`.
    pub(crate) fn is_null(self) -> bool {
        self.scalar()
            .is_some_and(|scalar| scalar.kind == ScalarKind::Null)
    }

    /// Returns the items, if it is a list.
    pub(crate) fn items(self) -> Option<Vec<Self>> {
        match &self.node.content {
            Content::List(items) => Some(items.iter().map(|item| self.tree.value(*item)).collect()),
            Content::Scalar(_) | Content::Mapping(_) => None,
        }
    }

    /// Returns the entries in the order in which they were written, if it is a mapping.
    pub(crate) fn entries(self) -> Option<Vec<Entry<'t>>> {
        match &self.node.content {
            Content::Mapping(entries) => Some(
                entries
                    .iter()
                    .map(|(key, value)| Entry {
                        key,
                        value: self.tree.value(*value),
                    })
                    .collect(),
            ),
            Content::Scalar(_) | Content::List(_) => None,
        }
    }

    /// Returns the value of `key`, if it is a mapping that has it.
    pub(crate) fn get(self, key: &str) -> Option<Entry<'t>> {
        let entries = self.entries()?;
        entries.into_iter().find(|entry| entry.key.value == key)
    }

    /// Says what the value is, for "not …".
    pub(crate) fn describe(self) -> &'static str {
        match &self.node.content {
            Content::List(_) => "a list",
            Content::Mapping(_) => "a mapping",
            Content::Scalar(scalar) => match scalar.kind {
                ScalarKind::Null => "empty",
                ScalarKind::Boolean => "a boolean",
                ScalarKind::Number => "a number",
                ScalarKind::String => "a string",
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_are_resolved_as_the_core_schema_does() {
        for text in ["", "~", "null"] {
            assert_eq!(ScalarKind::of_plain(text), ScalarKind::Null, "{text}");
        }
        for text in ["true", "False", "yes", "NO", "on", "Off"] {
            assert_eq!(ScalarKind::of_plain(text), ScalarKind::Boolean, "{text}");
        }
        for text in [
            "0", "-1", "+1", "9200", "1.5", ".5", "1.", "1e3", "0x1F", "0o17", "-.inf", ".NaN",
        ] {
            assert_eq!(ScalarKind::of_plain(text), ScalarKind::Number, "{text}");
        }
        for text in [
            "a", "-", ".", "1.2.3", "1e", "e1", "0x", "0o8", "1_000", "10G", "+", "12:30", "nan",
        ] {
            assert_eq!(ScalarKind::of_plain(text), ScalarKind::String, "{text}");
        }
    }
}
