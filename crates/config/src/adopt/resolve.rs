//! The first step with a Compose file: variables are replaced, and merge keys are followed.

use std::collections::BTreeSet;

use crate::adopt::template::{Fault, Problem, escape_dollars, substitute};
use crate::adopt::variables::{PLACEHOLDER, Variables};
use crate::adopt::yaml::{Yaml, of_tree};
use crate::keys::MERGE_KEY;
use crate::phrase::quote;
use crate::replaced::Replacement;
use crate::report::{Finding, Report};
use crate::source::{Located, Span};
use crate::tree::{Content, NodeIndex, Scalar, ScalarKind, Tree};

/// A variable that was replaced, and where.
pub(crate) type Replaced = (Span, String);

/// Resolves a whole file; `None` if a merge key was refused. The dollars of the result are doubled, as in
/// a file of our own. A placeholder stands for the value of a variable that has none, once that is
/// reported, so that the rest of the file can be checked.
pub(crate) fn resolve(
    mut tree: Tree,
    variables: &Variables<'_>,
    report: &mut Report,
) -> Option<(Yaml, Vec<Replaced>)> {
    let mut resolver = Resolver {
        variables,
        report,
        replaced: Vec::new(),
        is_sound: true,
    };
    // Parts of a node have a smaller index than the node itself.
    for index in 0..tree.nodes.len() {
        resolver.node(&mut tree, index);
    }
    let (is_sound, replaced) = (resolver.is_sound, resolver.replaced);
    let root = of_tree(&tree, report)?;
    is_sound.then_some((root, replaced))
}

struct Resolver<'r, 'v> {
    variables: &'r Variables<'v>,
    report: &'r mut Report,
    replaced: Vec<Replaced>,
    is_sound: bool,
}

impl Resolver<'_, '_> {
    /// Resolves one node, whose parts are resolved.
    fn node(&mut self, tree: &mut Tree, index: usize) {
        let span = tree.nodes[index].span;
        let resolved = match &tree.nodes[index].content {
            Content::Scalar(scalar) if scalar.text.contains('$') => {
                Some(self.scalar(scalar, span, &tree.source))
            }
            Content::Mapping(entries) if entries.iter().any(|(key, _)| key.value == MERGE_KEY) => {
                Some(self.merge(tree, entries))
            }
            _ => None,
        };
        if let Some(content) = resolved {
            tree.nodes[index].content = content;
        }
    }

    fn scalar(&mut self, scalar: &Scalar, span: Span, source: &str) -> Content {
        let lookup = |name: &str| self.variables.get(name);
        match substitute(&scalar.text, &lookup) {
            Ok(found) => {
                self.note(scalar, span, &found.used);
                if found
                    .used
                    .iter()
                    .any(|it| self.variables.is_placeholder(it))
                {
                    self.report.unknown(span);
                }
                let used = found.used.into_iter().map(|name| (span, name));
                self.replaced.extend(used);
                Content::Scalar(Scalar {
                    text: escape_dollars(&found.text),
                    kind: ScalarKind::String,
                })
            }
            Err(faults) => {
                for fault in faults {
                    self.report
                        .error(|| describe(&fault, &scalar.text, span, source));
                }
                self.report.unknown(span);
                let text = self.with_placeholders(scalar, span);
                let kind = ScalarKind::String;
                Content::Scalar(Scalar { text, kind })
            }
        }
    }

    /// Replaces the variables of a text of which some have no value.
    fn with_placeholders(&mut self, scalar: &Scalar, span: Span) -> String {
        let lookup = |name: &str| {
            let value = self.variables.get(name);
            Some(value.unwrap_or_else(|| PLACEHOLDER.to_owned()))
        };
        match substitute(&scalar.text, &lookup) {
            Ok(found) => {
                self.note(scalar, span, &found.used);
                escape_dollars(&found.text)
            }
            Err(_) => PLACEHOLDER.to_owned(),
        }
    }

    /// Notes which values stand in a text now: a shell or a message does not see them.
    fn note(&mut self, scalar: &Scalar, span: Span, used: &[String]) {
        let mask = |name: &str| {
            let value = self.variables.get(name)?;
            let letter = if value.is_empty() { "" } else { "x" };
            Some(letter.to_owned())
        };
        let masked = substitute(&scalar.text, &mask).map(|found| found.text);
        let values = used
            .iter()
            .filter_map(|name| Some((name.clone(), self.variables.get(name)?)));
        if !used.is_empty() {
            let values = values.collect();
            self.report.replacements.add(Replacement {
                span,
                masked: escape_dollars(&masked.unwrap_or_default()),
                values,
            });
        }
    }

    /// Gives a mapping the keys that it takes over from others and does not have itself. Of several
    /// others, earlier ones win.
    fn merge(&mut self, tree: &Tree, entries: &[(Located<String>, NodeIndex)]) -> Content {
        let mut merged = Vec::new();
        let mut taken_over = Vec::new();
        for (key, value) in entries {
            if key.value != MERGE_KEY {
                merged.push((key.clone(), *value));
                continue;
            }
            let sources = match &tree.nodes[value.0].content {
                Content::List(items) => items.clone(),
                _ => vec![*value],
            };
            for source in sources {
                if let Content::Mapping(others) = &tree.nodes[source.0].content {
                    taken_over.extend(others.iter().cloned());
                } else {
                    self.is_sound = false;
                    self.report.error(|| {
                        Finding::at(key.span, "`<<` takes over the keys of mappings only")
                            .hint("write `<<: *anchor`, or `<<: [*one, *other]`")
                    });
                }
            }
        }
        let mut names: BTreeSet<String> = merged.iter().map(|(key, _)| key.value.clone()).collect();
        for (key, value) in taken_over {
            if names.insert(key.value.clone()) {
                merged.push((key, value));
            }
        }
        Content::Mapping(merged)
    }
}

/// Words for a variable that cannot be replaced.
fn describe(fault: &Fault, text: &str, span: Span, source: &str) -> Finding {
    let piece = text.get(fault.range.clone()).unwrap_or_default();
    let skipped = text[..fault.range.start].matches(piece).count();
    let written = source.get(span.start..span.end).unwrap_or_default();
    let found = written.match_indices(piece).nth(skipped);
    let place = match found {
        Some((offset, _)) if !piece.is_empty() => Span {
            start: span.start + offset,
            end: span.start + offset + piece.len(),
            ..span
        },
        _ => span,
    };
    let (message, hint) = match &fault.problem {
        Problem::Unset(name) => unset(name),
        Problem::Required { name, message } if message.is_empty() => unset(name),
        Problem::Required { name, message } => {
            let (problem, _) = unset(name);
            let hint = "set it in the file `.env` beside this one or in the environment";
            (format!("{problem}: {message}"), hint.to_owned())
        }
        Problem::Open => (
            "a `${` is never closed".to_owned(),
            "write `$${` for the two characters `${`".to_owned(),
        ),
        Problem::Malformed => (
            format!("{} begins no variable", quote(piece)),
            "write `$$` for a dollar".to_owned(),
        ),
    };
    Finding::at(place, message).hint(hint)
}

/// Words for a variable without a value.
pub(crate) fn unset(name: &str) -> (String, String) {
    let message = format!("the variable {} is not set", quote(name));
    let hint = format!(
        "set it in the file `.env` beside this one or in the environment, or write {} for nothing",
        quote(&format!("${{{name}:-}}"))
    );
    (message, hint)
}
