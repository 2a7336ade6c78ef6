//! Writes a document as YAML that people go on with.

use std::fmt::Write as _;

use crate::adopt::yaml::{Pair, Shape, Yaml};
use crate::phrase::double_quoted;
use crate::render::visible_character;
use crate::tree::{Scalar, ScalarKind};

/// The column up to which a list of words stays in its line.
const WIDTH: usize = 80;

/// Writes a mapping; `comments` returns the lines above each of its entries.
pub(crate) fn write_document(
    root: &Yaml,
    mut comments: impl FnMut(&Pair) -> Vec<String>,
) -> String {
    let mut text = String::new();
    for (index, entry) in root.entries().into_iter().flatten().enumerate() {
        if index > 0 {
            text.push('\n');
        }
        for line in comments(entry) {
            text.push_str(&comment(&line));
        }
        write_entry(&mut text, entry, 0);
    }
    if text.is_empty() {
        text.push_str("{}\n");
    }
    text
}

/// Writes a comment, one line for each of the text.
pub(crate) fn comment(text: &str) -> String {
    let mut written = String::new();
    for line in text.split(['\n', '\r']) {
        written.push_str("# ");
        written.extend(line.chars().map(visible_character));
        written.push('\n');
    }
    written
}

fn write_entry(text: &mut String, (key, value): &Pair, depth: usize) {
    let indent = "  ".repeat(depth);
    let key = string(&key.value);
    if let Some(line) = in_one_line(value).filter(|line| line.len() + key.len() < WIDTH) {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{indent}{key}: {line}");
        return;
    }
    let _ = writeln!(text, "{indent}{key}:");
    write_block(text, value, depth + 1);
}

fn write_block(text: &mut String, value: &Yaml, depth: usize) {
    let indent = "  ".repeat(depth);
    match &value.shape {
        Shape::Mapping(entries) => {
            for entry in entries {
                write_entry(text, entry, depth);
            }
        }
        Shape::List(items) => {
            for item in items {
                let line = in_one_line(item).unwrap_or_else(|| flow(item));
                let _ = writeln!(text, "{indent}- {line}");
            }
        }
        Shape::Scalar(value) => {
            let _ = writeln!(text, "{indent}{}", scalar(value));
        }
    }
}

/// Writes a scalar, or a collection that reads well in a line.
fn in_one_line(value: &Yaml) -> Option<String> {
    match &value.shape {
        Shape::Scalar(value) => Some(scalar(value)),
        Shape::List(items) => {
            let is_flat = items
                .iter()
                .all(|item| matches!(item.shape, Shape::Scalar(_)));
            is_flat
                .then(|| flow(value))
                .filter(|line| line.len() < WIDTH)
        }
        Shape::Mapping(entries) if entries.is_empty() => Some("{}".to_owned()),
        Shape::Mapping(_) => None,
    }
}

/// Writes a value between brackets, whatever it is.
fn flow(value: &Yaml) -> String {
    match &value.shape {
        Shape::Scalar(value) => scalar(value),
        Shape::List(items) => {
            let items: Vec<String> = items.iter().map(flow).collect();
            format!("[{}]", items.join(", "))
        }
        Shape::Mapping(entries) => {
            let entry = |(key, value): &Pair| format!("{}: {}", string(&key.value), flow(value));
            let entries: Vec<String> = entries.iter().map(entry).collect();
            format!("{{{}}}", entries.join(", "))
        }
    }
}

fn scalar(scalar: &Scalar) -> String {
    match scalar.kind {
        ScalarKind::String => string(&scalar.text),
        ScalarKind::Null => "null".to_owned(),
        ScalarKind::Boolean | ScalarKind::Number => scalar.text.clone(),
    }
}

/// Writes a string, with quotes where it would be something else without.
fn string(text: &str) -> String {
    let is_harmless = |c: char| {
        c.is_ascii_alphanumeric()
            || matches!(c, '_' | '-' | '.' | '/' | ' ' | '@' | '+' | '=' | ';')
    };
    let colons_are_inside = !text.contains(": ") && !text.ends_with(':');
    let is_plain = text
        .starts_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_'))
        && text.chars().all(|c| is_harmless(c) || c == ':')
        && !text.ends_with(' ')
        && colons_are_inside
        && ScalarKind::of_plain(text) == ScalarKind::String
        && !is_number_elsewhere(text);
    if is_plain {
        return text.to_owned();
    }
    let mut written = String::new();
    for character in double_quoted(text).chars() {
        match character {
            '\n' => written.push_str("\\n"),
            '\r' => written.push_str("\\r"),
            '\t' => written.push_str("\\t"),
            other if other.is_control() || !is_printable(other) => {
                let _ = write!(written, "\\U{:08X}", u32::from(other));
            }
            other => written.push(other),
        }
    }
    written
}

/// Tells what YAML 1.1 reads as a number, such as `22:22`, which is one to the base of 60.
fn is_number_elsewhere(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_digit() || matches!(c, ':' | '_' | '.');
    text.chars().all(is_part) && text.contains([':', '_'])
}

/// Tells whether a character may stand in a file as it is.
const fn is_printable(character: char) -> bool {
    !matches!(
        character,
        '\u{85}' | '\u{a0}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
    )
}
