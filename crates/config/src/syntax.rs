//! Words for what the YAML parser refuses.

use granit_parser::{ErrorKind, ScanError};

use crate::phrase::quote;
use crate::report::Finding;
use crate::source::{File, Span};
use crate::tree_builder::MAXIMUM_DEPTH;

/// Explains why the parser gave up.
///
/// It says where it could not go on; the mistake is often in the line before, or is a tab. The
/// mistakes that people really make are looked for first.
pub(crate) fn explain(error: &ScanError, text: &str, file: File) -> Finding {
    let offset = error.marker().byte_offset().unwrap_or(text.len());
    let (span, message, hint) = indentation_tab(error.kind(), text, offset)
        .or_else(|| missing_space(error.kind(), text, offset))
        .or_else(|| item_among_keys(error.kind(), text, offset))
        .or_else(|| variable_without_quotes(text, offset))
        .unwrap_or_else(|| {
            let (message, hint) = describe(error.kind());
            (offset..offset, message, hint)
        });
    let span = Span {
        file,
        start: span.start,
        end: span.end,
    };
    Finding::at(span, format!("not valid YAML: {message}")).maybe_hint(hint.map(str::to_owned))
}

/// What is wrong, where it is not where the parser stopped.
type Explanation = (std::ops::Range<usize>, String, Option<&'static str>);

const INDENTATION: &str = "keys of one mapping start in the same column, indented with spaces";

/// Finds a tab in the indentation of the parser's line, or of the next one if it speaks of a tab.
fn indentation_tab(kind: &ErrorKind, text: &str, offset: usize) -> Option<Explanation> {
    let lines = match kind {
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabInPlainScalar => 2,
        _ => 1,
    };
    let mut start = line_start(text, offset)?;
    for line in text.get(start..)?.split_inclusive('\n').take(lines) {
        let indentation = line.len() - line.trim_start_matches([' ', '\t']).len();
        if let Some(position) = line[..indentation].find('\t') {
            let tab = start + position;
            let message = "this line is indented with a tab".to_owned();
            return Some((tab..tab + 1, message, Some("indent with spaces")));
        }
        start += line.len();
    }
    None
}

/// Finds `key:value` in the parser's line or the last one before it.
fn missing_space(kind: &ErrorKind, text: &str, offset: usize) -> Option<Explanation> {
    if !matches!(
        kind,
        ErrorKind::MappingValueNotAllowed | ErrorKind::SimpleKeyExpected
    ) {
        return None;
    }
    let end = offset
        + text
            .get(offset..)?
            .find('\n')
            .unwrap_or(text.len() - offset);
    let mut start = end;
    for line in text.get(..end)?.rsplit('\n').take(2) {
        start -= line.len();
        if let Some(colon) = colon_without_space(line) {
            let colon = start + colon;
            let message = "a space is missing after this colon".to_owned();
            return Some((colon..colon + 1, message, Some("write `key: value`")));
        }
        start = start.saturating_sub(1);
    }
    None
}

/// Finds the first colon of a line that starts with a plain word and a colon right before a value.
fn colon_without_space(line: &str) -> Option<usize> {
    let (key, value) = line.split_once(':')?;
    let word = key.trim_start();
    let is_word = !word.is_empty()
        && word
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'));
    let has_value = value.chars().next().is_some_and(|c| !c.is_whitespace());
    (is_word && has_value && !value.starts_with("//")).then_some(key.len())
}

/// Finds a list item where a key was expected.
fn item_among_keys(kind: &ErrorKind, text: &str, offset: usize) -> Option<Explanation> {
    if *kind != ErrorKind::ExpectedBlockMappingKey {
        return None;
    }
    let start = line_start(text, offset)?;
    let line = text.get(start..)?;
    let dash = start + (line.len() - line.trim_start_matches(' ').len());
    text.get(dash..)?.starts_with("- ").then(|| {
        let message = "a list item cannot stand among keys".to_owned();
        let hint = "put the list below a key that ends with a colon";
        (dash..dash + 1, message, Some(hint))
    })
}

/// Finds `${NAME}` where brackets and braces need quotes around it.
fn variable_without_quotes(text: &str, offset: usize) -> Option<Explanation> {
    let start = offset.checked_sub(1)?;
    text.get(start..)?.starts_with("${").then(|| {
        let message = "a text with a brace in it needs quotes here".to_owned();
        let hint = "put the text in quotes";
        (start..start + 2, message, Some(hint))
    })
}

fn line_start(text: &str, offset: usize) -> Option<usize> {
    let before = text.get(..offset)?;
    Some(before.rfind('\n').map_or(0, |position| position + 1))
}

/// Says in an operator's words what the parser says in a grammar's, where it matters.
fn describe(kind: &ErrorKind) -> (String, Option<&'static str>) {
    let (message, hint) = match kind {
        ErrorKind::RecursionLimitExceeded => {
            let message = format!("nested more than {MAXIMUM_DEPTH} levels deep");
            return (message, Some("a configuration needs five levels"));
        }
        ErrorKind::UnclosedFlowCollection { open } => {
            let message = format!("{} is never closed", quote(&open.to_string()));
            return (message, Some("add the closing bracket"));
        }
        ErrorKind::UnexpectedCharacter { character } => return describe_character(*character),
        ErrorKind::ExpectedFlowSequenceSeparator | ErrorKind::UnexpectedEofFlowSequence => (
            "`,` or `]` is missing before this",
            "a list is written `[one, two]`",
        ),
        ErrorKind::ExpectedFlowMappingSeparator
        | ErrorKind::UnexpectedEofFlowMapping
        | ErrorKind::UnexpectedEofImplicitFlowMapping => (
            "`,` or `}` is missing before this",
            "a mapping is written `{key: value, key: value}`",
        ),
        ErrorKind::InvalidColonPlacement => (
            "there can be no `:` here",
            "look above for a `[` or `{` that is not closed",
        ),
        ErrorKind::MisplacedFlowCollectionEnd => (
            "this bracket closes nothing",
            "remove it, or add the opening bracket",
        ),
        ErrorKind::UnclosedQuotedScalar => (
            "a quotation mark is never closed",
            "add the closing quotation mark",
        ),
        ErrorKind::UnknownAnchor => (
            "there is no anchor of this name",
            "a text that starts with `*` must be in quotes",
        ),
        ErrorKind::SimpleKeyExpected => (
            "this line is neither a key with its value nor part of a list",
            "write `key: value`, with a space after the colon",
        ),
        ErrorKind::MappingValueNotAllowed => (
            "there can be no `:` here",
            "put a text that contains `: ` in quotes, and check the indentation",
        ),
        ErrorKind::InvalidIndentation
        | ErrorKind::ExpectedBlockMappingKey
        | ErrorKind::InvalidSimpleKey => {
            ("this line is not indented as its neighbours", INDENTATION)
        }
        ErrorKind::ExpectedBlockSequenceEntry | ErrorKind::BlockSequenceEntryNotAllowed => (
            "this line does not fit the list that it is in",
            "items of one list start with `- ` in the same column",
        ),
        ErrorKind::UnknownQuotedScalarEscape => (
            "unknown escape after `\\`",
            "in double quotes, write `\\\\` for a backslash, or use single quotes",
        ),
        other => return (other.to_string(), None),
    };
    (message.to_owned(), Some(hint))
}

fn describe_character(character: char) -> (String, Option<&'static str>) {
    if character == '\0' {
        let message = "there is a NUL character here".to_owned();
        return (message, Some("check that this is a text file"));
    }
    if character.is_ascii_graphic() {
        let message = format!("a text cannot start with {}", quote(&character.to_string()));
        return (message, Some("put the text in quotes"));
    }
    let message = format!(
        "the character U+{:04X} cannot be here",
        u32::from(character)
    );
    (
        message,
        Some("remove it, or write it as an escape in double quotes"),
    )
}
