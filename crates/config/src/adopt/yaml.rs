//! A document that is being rewritten: values that own their parts, each with the place where the
//! original was written.

use crate::report::{Finding, Report};
use crate::source::{Located, Span};
use crate::tree::{Content, Node, NodeIndex, Scalar, ScalarKind, Tree};
use crate::tree_builder::MAXIMUM_VALUES;

/// The deepest nesting, aliases written out: everything here recurses.
const MAXIMUM_DEPTH: usize = 64;

/// A value with its place in the original file.
#[derive(Debug, Clone)]
pub(crate) struct Yaml {
    pub(crate) span: Span,
    pub(crate) shape: Shape,
}

/// The content of a value.
#[derive(Debug, Clone)]
pub(crate) enum Shape {
    Scalar(Scalar),
    List(Vec<Yaml>),
    Mapping(Vec<Pair>),
}

/// A key of a mapping with its value.
pub(crate) type Pair = (Located<String>, Yaml);

impl Yaml {
    /// Makes a text.
    pub(crate) fn string(span: Span, text: impl Into<String>) -> Self {
        Self::scalar(span, text, ScalarKind::String)
    }

    /// Makes a value of the type that YAML gives to the text without quotes.
    pub(crate) fn plain(span: Span, text: impl Into<String>) -> Self {
        let text = text.into();
        let kind = ScalarKind::of_plain(&text);
        Self::scalar(span, text, kind)
    }

    fn scalar(span: Span, text: impl Into<String>, kind: ScalarKind) -> Self {
        let text = text.into();
        let shape = Shape::Scalar(Scalar { text, kind });
        Self { span, shape }
    }

    /// Makes a list.
    pub(crate) const fn list(span: Span, items: Vec<Self>) -> Self {
        let shape = Shape::List(items);
        Self { span, shape }
    }

    /// Makes a mapping.
    pub(crate) const fn mapping(span: Span, entries: Vec<Pair>) -> Self {
        let shape = Shape::Mapping(entries);
        Self { span, shape }
    }

    /// Returns the text of a scalar that is not null.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.shape {
            Shape::Scalar(scalar) if scalar.kind != ScalarKind::Null => Some(&scalar.text),
            _ => None,
        }
    }

    /// Tells whether nothing was written, or `null`.
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.shape, Shape::Scalar(scalar) if scalar.kind == ScalarKind::Null)
    }

    /// Returns the items, if it is a list.
    pub(crate) const fn items(&self) -> Option<&Vec<Self>> {
        match &self.shape {
            Shape::List(items) => Some(items),
            _ => None,
        }
    }

    /// Returns the entries, if it is a mapping.
    pub(crate) const fn entries(&self) -> Option<&Vec<Pair>> {
        match &self.shape {
            Shape::Mapping(entries) => Some(entries),
            _ => None,
        }
    }

    /// Returns the entry of `key`, if it is a mapping that has it.
    pub(crate) fn entry(&self, key: &str) -> Option<&Pair> {
        self.entries()?.iter().find(|(name, _)| name.value == key)
    }

    /// Returns the value of `key`, if it is a mapping that has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.entry(key).map(|(_, value)| value)
    }

    /// Returns the text of `key`, if it is a mapping that has one.
    pub(crate) fn text_of(&self, key: &str) -> Option<&str> {
        self.get(key)?.text()
    }

    /// Returns the items of a list, or a value that stands alone as the only one.
    pub(crate) fn one_or_many(&self) -> Vec<&Self> {
        match &self.shape {
            Shape::List(items) => items.iter().collect(),
            Shape::Scalar(scalar) if scalar.kind == ScalarKind::Null => Vec::new(),
            _ => vec![self],
        }
    }

    /// Describes the value, for "not …".
    pub(crate) const fn describe(&self) -> &'static str {
        match &self.shape {
            Shape::List(_) => "a list",
            Shape::Mapping(_) => "a mapping",
            Shape::Scalar(scalar) => match scalar.kind {
                ScalarKind::Null => "empty",
                ScalarKind::Boolean => "a boolean",
                ScalarKind::Number => "a number",
                ScalarKind::String => "a string",
            },
        }
    }

    /// Returns every text in the value, those of keys left out.
    pub(crate) fn texts(&self) -> Vec<(&str, Span)> {
        match &self.shape {
            Shape::Scalar(scalar) => vec![(scalar.text.as_str(), self.span)],
            Shape::List(items) => items.iter().flat_map(Self::texts).collect(),
            Shape::Mapping(entries) => entries.iter().flat_map(|(_, one)| one.texts()).collect(),
        }
    }

    /// Copies a tree, aliases written out. The tree is no deeper than the caller can bear.
    fn of(tree: &Tree, index: NodeIndex) -> Self {
        let node = &tree.nodes[index.0];
        let shape = match &node.content {
            Content::Scalar(scalar) => Shape::Scalar(scalar.clone()),
            Content::List(items) => {
                Shape::List(items.iter().map(|item| Self::of(tree, *item)).collect())
            }
            Content::Mapping(entries) => {
                let copy = |(key, value): &(Located<String>, NodeIndex)| {
                    (key.clone(), Self::of(tree, *value))
                };
                Shape::Mapping(entries.iter().map(copy).collect())
            }
        };
        Self {
            span: node.span,
            shape,
        }
    }

    /// Makes the tree that the readers read; `source` is the text of the original.
    pub(crate) fn into_tree(self, source: String) -> Tree {
        let mut nodes = Vec::new();
        let root = self.flatten(&mut nodes);
        Tree {
            source,
            nodes,
            root,
        }
    }

    fn flatten(self, nodes: &mut Vec<Node>) -> NodeIndex {
        let content = match self.shape {
            Shape::Scalar(scalar) => Content::Scalar(scalar),
            Shape::List(items) => {
                Content::List(items.into_iter().map(|item| item.flatten(nodes)).collect())
            }
            Shape::Mapping(entries) => Content::Mapping(
                entries
                    .into_iter()
                    .map(|(key, value)| (key, value.flatten(nodes)))
                    .collect(),
            ),
        };
        nodes.push(Node {
            span: self.span,
            content,
        });
        NodeIndex(nodes.len() - 1)
    }
}

/// Makes a key that stands at `span`.
pub(crate) fn key(span: Span, name: &str) -> Located<String> {
    Located {
        value: name.to_owned(),
        span,
    }
}

/// Copies a whole tree, aliases written out; one that is too large or too deep for that is reported.
pub(crate) fn of_tree(tree: &Tree, report: &mut Report) -> Option<Yaml> {
    let mut depths: Vec<usize> = Vec::with_capacity(tree.nodes.len());
    let mut sizes: Vec<usize> = Vec::with_capacity(tree.nodes.len());
    // Parts of a node have a smaller index than the node itself.
    for node in &tree.nodes {
        let parts: Vec<NodeIndex> = match &node.content {
            Content::Scalar(_) => Vec::new(),
            Content::List(items) => items.clone(),
            Content::Mapping(entries) => entries.iter().map(|(_, value)| *value).collect(),
        };
        let depth = parts.iter().map(|part| depths[part.0] + 1).max();
        depths.push(depth.unwrap_or(0));
        let sizes_of_parts = parts.iter().map(|part| sizes[part.0]);
        sizes.push(sizes_of_parts.fold(1, usize::saturating_add));
    }
    let root = tree.root.0;
    if depths[root] > MAXIMUM_DEPTH || sizes[root] > MAXIMUM_VALUES {
        report.error(|| {
            Finding::at(
                tree.nodes[root].span,
                "too many aliases inside of each other",
            )
            .hint("write the values out instead of using aliases of aliases")
        });
        return None;
    }
    Some(Yaml::of(tree, tree.root))
}
