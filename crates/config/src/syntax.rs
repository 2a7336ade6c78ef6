//! Words for what makes a file unreadable as a whole.

use granit_parser::{ErrorKind, ScanError};

use crate::phrase::quote;
use crate::report::Finding;
use crate::source::{File, Span};
use crate::tree_builder::{MAXIMUM_BYTES, MAXIMUM_DEPTH, MAXIMUM_VALUES};

/// Explains why the parser gave up.
pub(crate) fn explain(error: &ScanError, text: &str, file: File) -> Finding {
    let offset = error.marker().byte_offset().unwrap_or(text.len());
    let span = Span {
        file,
        start: offset,
        end: offset,
    };
    if line_begins_with_tab(text, offset) {
        return tab(text, span);
    }
    let (message, hint) = describe(error.kind());
    Finding::at(span, format!("not valid YAML: {message}")).maybe_hint(hint.map(str::to_owned))
}

/// Says in an operator's words what the parser says in a grammar's, where it matters.
fn describe(kind: &ErrorKind) -> (String, Option<&'static str>) {
    let indentation = "keys of one mapping start in the same column, indented with spaces";
    let (message, hint) = match kind {
        ErrorKind::RecursionLimitExceeded => {
            let message = format!("nested more than {MAXIMUM_DEPTH} levels deep");
            return (message, Some("a configuration needs five levels"));
        }
        ErrorKind::UnclosedFlowCollection { open } => {
            let message = format!("`{open}` is never closed");
            return (message, Some("add the closing bracket"));
        }
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
            ("this line is not indented as its neighbours", indentation)
        }
        ErrorKind::ExpectedBlockSequenceEntry | ErrorKind::BlockSequenceEntryNotAllowed => (
            "this line does not fit the list that it is in",
            "items of one list start with `- ` in the same column",
        ),
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation => return ("tab".to_owned(), Some(indentation)),
        ErrorKind::UnexpectedCharacter { character } => {
            let message = format!("nothing can start with {}", quote(&character.to_string()));
            return (message, Some("put the text in quotes"));
        }
        ErrorKind::UnknownQuotedScalarEscape => (
            "unknown escape after `\\`",
            "in double quotes, write `\\\\` for a backslash, or use single quotes",
        ),
        other => return (other.to_string(), None),
    };
    (message.to_owned(), Some(hint))
}

/// Tells whether the line of `offset` is indented with a tab: the parser's complaint is then often
/// about something else.
fn line_begins_with_tab(text: &str, offset: usize) -> bool {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |position| position + 1);
    let line = &text[line_start..];
    line.trim_start_matches(' ').starts_with('\t')
}

fn tab(text: &str, span: Span) -> Finding {
    let before = text.get(..span.start).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |position| position + 1);
    let spaces = text[line_start..]
        .bytes()
        .take_while(|byte| *byte == b' ')
        .count();
    let start = line_start + spaces;
    let span = Span {
        start,
        end: start + 1,
        ..span
    };
    Finding::at(span, "not valid YAML: this line is indented with a tab").hint("indent with spaces")
}

/// The file has no content but comments.
pub(crate) fn empty(file: File) -> Finding {
    let hint = match file {
        File::Application => {
            "it maps names of applications to what they are: `trac: {image: clusterhq/trac}`"
        }
        File::Deployment => {
            "it maps nodes to what runs on them: `nodes: {1.1.1.1: [trac, pgsql-trac]}`"
        }
    };
    Finding::whole_file(file, format!("the {} is empty", file.title())).hint(hint)
}

/// The file is larger than any real one.
pub(crate) fn too_large(bytes: usize, file: File) -> Finding {
    let message = format!(
        "the {} has {bytes} bytes, which is more than the {MAXIMUM_BYTES} that are read",
        file.title()
    );
    Finding::whole_file(file, message).hint("check that this is the right file")
}

/// The file is not UTF-8; `span` is in its lossy rendering.
pub(crate) fn not_utf8(span: Span, bytes: &[u8], offset: usize) -> Finding {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Finding::whole_file(
            span.file,
            format!("the {} is UTF-16 text", span.file.title()),
        )
        .hint("save it as UTF-8");
    }
    let byte = bytes.get(offset).copied().unwrap_or_default();
    let message = format!("not UTF-8 text: byte 0x{byte:02x} at offset {offset}");
    Finding::at(span, message).hint("save the file as UTF-8")
}

pub(crate) fn second_document(span: Span) -> Finding {
    Finding::at(span, "a second YAML document starts here")
        .hint("the file must have one document; remove this `---` line or what follows it")
}

pub(crate) fn recursive_alias(span: Span) -> Finding {
    Finding::at(span, "this alias stands for something that it is a part of")
        .hint("write the value out")
}

pub(crate) fn too_many_values(span: Span) -> Finding {
    let message = format!("more than {MAXIMUM_VALUES} values, aliases written out");
    Finding::at(span, message).hint("write the values out instead of using aliases of aliases")
}

pub(crate) fn collection_as_key(span: Span) -> Finding {
    Finding::at(span, "a list or mapping cannot be a key")
        .hint("put the key in quotes if it is meant to be text")
}

pub(crate) fn foreign_tag(tag: &str, span: Span) -> Finding {
    Finding::at(
        span,
        format!("the YAML tag {} is not supported", quote(tag)),
    )
    .hint("remove the tag")
}
