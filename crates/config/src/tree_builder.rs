//! Builds the tree from the parser's events, within limits that a real file never meets.

use std::collections::BTreeMap;

use granit_parser::{Event, Options, Parser, ScalarStyle, Tag};

use crate::phrase::quote;
use crate::report::{Finding, Report};
use crate::source::{File, Located, Span};
use crate::syntax;
use crate::tree::{Content, Node, NodeIndex, Scalar, ScalarKind, Tree};
use crate::unreadable;

/// The largest file that is parsed: thousands of applications fit into a tenth of it.
pub(crate) const MAXIMUM_BYTES: usize = 1 << 20;

/// The most values in one file, each alias counted as all that it stands for.
pub(crate) const MAXIMUM_VALUES: usize = 250_000;

/// The deepest nesting of brackets, and of indented blocks.
///
/// A configuration needs five levels. Recursion is not the concern here (there is none), but a
/// message that says so is better than one about the millionth bracket.
pub(crate) const MAXIMUM_DEPTH: usize = 32;

/// Reads one document.
///
/// `None` if it cannot be read at all; duplicate and impossible keys are reported, too, but the
/// rest of the tree is good for finding more. There is at least one report for every `None`.
pub(crate) fn parse_tree(text: &str, file: File, report: &mut Report) -> Option<Tree> {
    let mut options = Options::default();
    options.flow_nesting_limit = MAXIMUM_DEPTH;
    options.block_nesting_limit = MAXIMUM_DEPTH;
    options.emit_comments = false;
    let mut builder = Builder {
        report,
        nodes: Vec::new(),
        open: Vec::new(),
        anchors: BTreeMap::new(),
        values: 0,
        root: None,
        documents: 0,
    };
    for event in Parser::new_from_str_with_options(text, options) {
        let outcome = match event {
            Err(error) => Err(syntax::explain(&error, text, file)),
            Ok((event, span)) => {
                let (start, end) = (span.start.byte_offset(), span.end.byte_offset());
                let span = Span {
                    file,
                    start: start.unwrap_or_default(),
                    end: end.unwrap_or_default(),
                };
                builder.take(event, span)
            }
        };
        if let Err(finding) = outcome {
            builder.report.error(|| finding);
            return None;
        }
    }
    let Some(root) = builder.root else {
        builder.report.error(|| unreadable::empty(file));
        return None;
    };
    Some(Tree {
        source: text.to_owned(),
        nodes: builder.nodes,
        root,
    })
}

/// The part of the tree that is known so far.
struct Builder<'r> {
    report: &'r mut Report,
    nodes: Vec<Node>,
    open: Vec<Collection>,
    /// Finished anchored nodes, with the number of values that they stand for.
    anchors: BTreeMap<usize, (NodeIndex, usize)>,
    values: usize,
    root: Option<NodeIndex>,
    documents: usize,
}

/// A list or mapping whose end has not been seen.
struct Collection {
    start: Span,
    anchor: usize,
    /// `values` of the builder at its start.
    values_before: usize,
    kind: CollectionKind,
}

enum CollectionKind {
    List(Vec<NodeIndex>),
    Mapping {
        entries: Vec<(Located<String>, NodeIndex)>,
        keys: BTreeMap<String, Span>,
        pending: Pending,
    },
}

/// What a mapping waits for.
enum Pending {
    Key,
    Value(Located<String>),
    /// A value that is dropped, because its key was reported.
    IgnoredValue,
}

impl Builder<'_> {
    /// Adds one event; an error ends the document.
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Finding> {
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(unreadable::second_document(span));
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_tag(tag.as_deref(), "str", span);
                let kind = if style == ScalarStyle::Plain && tag.is_none() {
                    ScalarKind::of_plain(&text)
                } else {
                    ScalarKind::String
                };
                let text = text.into_owned();
                let content = Content::Scalar(Scalar { text, kind });
                return self.finish(Node { span, content }, (anchor, 1));
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.refuse_tag(tag.as_deref(), "seq", span);
                self.begin(span, anchor, CollectionKind::List(Vec::new()));
            }
            Event::MappingStart(_, anchor, tag) => {
                self.refuse_tag(tag.as_deref(), "map", span);
                let kind = CollectionKind::Mapping {
                    entries: Vec::new(),
                    keys: BTreeMap::new(),
                    pending: Pending::Key,
                };
                self.begin(span, anchor, kind);
            }
            Event::SequenceEnd | Event::MappingEnd => return self.end(span),
            Event::Alias(anchor) => return self.alias(anchor, span),
            _ => {}
        }
        Ok(())
    }

    fn begin(&mut self, start: Span, anchor: usize, kind: CollectionKind) {
        self.open.push(Collection {
            start,
            anchor,
            values_before: self.values,
            kind,
        });
    }

    fn end(&mut self, span: Span) -> Result<(), Finding> {
        let Some(collection) = self.open.pop() else {
            return Ok(());
        };
        let content = match collection.kind {
            CollectionKind::List(items) => Content::List(items),
            CollectionKind::Mapping { entries, .. } => Content::Mapping(entries),
        };
        let node = Node {
            span: Span {
                end: span.end,
                ..collection.start
            },
            content,
        };
        let size = 1 + self.values - collection.values_before;
        // Its parts are counted already; what is left is the collection itself.
        self.values = collection.values_before;
        self.finish(node, (collection.anchor, size))
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<(), Finding> {
        // An anchor that is not finished is one that this alias is inside of.
        let Some(&(node, size)) = self.anchors.get(&anchor) else {
            return Err(unreadable::recursive_alias(span));
        };
        self.count(size, span)?;
        self.attach(node, span);
        Ok(())
    }

    /// Adds a whole node that stands for `size` values.
    fn finish(&mut self, node: Node, (anchor, size): (usize, usize)) -> Result<(), Finding> {
        let span = node.span;
        self.count(size, span)?;
        let index = NodeIndex(self.nodes.len());
        self.nodes.push(node);
        if anchor != 0 {
            self.anchors.insert(anchor, (index, size));
        }
        self.attach(index, span);
        Ok(())
    }

    fn count(&mut self, size: usize, span: Span) -> Result<(), Finding> {
        self.values = self.values.saturating_add(size);
        if self.values > MAXIMUM_VALUES {
            return Err(unreadable::too_many_values(span));
        }
        Ok(())
    }

    /// Puts a node into the innermost open collection, or makes it the root.
    fn attach(&mut self, node: NodeIndex, span: Span) {
        let Some(collection) = self.open.last_mut() else {
            self.root = Some(node);
            return;
        };
        match &mut collection.kind {
            CollectionKind::List(items) => items.push(node),
            CollectionKind::Mapping {
                entries,
                keys,
                pending,
            } => match std::mem::replace(pending, Pending::Key) {
                Pending::IgnoredValue => {}
                Pending::Value(key) => entries.push((key, node)),
                Pending::Key => {
                    *pending = match &self.nodes[node.0].content {
                        Content::Scalar(key) => accept_key(&key.text, span, keys, self.report),
                        Content::List(_) | Content::Mapping(_) => {
                            self.report.error(|| unreadable::collection_as_key(span));
                            Pending::IgnoredValue
                        }
                    };
                }
            },
        }
    }

    /// Reports every tag but the one that says what a node is anyway.
    fn refuse_tag(&mut self, tag: Option<&Tag>, allowed: &str, span: Span) {
        if let Some(tag) = tag
            && tag.core_suffix() != Some(allowed)
            && tag.original() != "!"
        {
            self.report
                .error(|| unreadable::foreign_tag(&tag.original(), span));
        }
    }
}

/// Takes a key that the mapping does not have yet; any other is reported with both places.
fn accept_key(
    key: &str,
    span: Span,
    keys: &mut BTreeMap<String, Span>,
    report: &mut Report,
) -> Pending {
    if let Some(first) = keys.get(key) {
        report.error(|| {
            Finding::at(span, format!("the key {} is here twice", quote(key)))
                .also(*first, "first used here")
                .hint("remove one of the two, or rename it")
        });
        return Pending::IgnoredValue;
    }
    keys.insert(key.to_owned(), span);
    Pending::Value(Located {
        value: key.to_owned(),
        span,
    })
}
