//! Diagnostics as text for a terminal, in the style that compilers have made familiar.

use std::fmt::{Formatter, Result, Write};

use unicode_width::UnicodeWidthChar;

use crate::diagnostic::{Diagnostic, Place, Severity};

/// Writes one diagnostic, without a line end after its last line.
pub(crate) fn render_diagnostic(diagnostic: &Diagnostic, out: &mut Formatter<'_>) -> Result {
    let severity = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    write!(out, "{severity}: {}", diagnostic.message)?;
    let places = || diagnostic.place.iter().chain(&diagnostic.related);
    let gutter = places()
        .map(|place| place.line.to_string().len())
        .max()
        .unwrap_or(1);
    match &diagnostic.place {
        None => write!(out, "\n{:gutter$}--> {}", "", visible(&diagnostic.file))?,
        Some(place) => render_place(place, ("-->", '^'), gutter, out)?,
    }
    for place in &diagnostic.related {
        write!(out, "\n{:gutter$} |", "")?;
        render_place(place, (":::", '-'), gutter, out)?;
    }
    if let Some(hint) = &diagnostic.hint {
        write!(out, "\nhint: {hint}")?;
    }
    Ok(())
}

/// Writes a place: its position, its line, and the underline with its note.
fn render_place(
    place: &Place,
    (arrow, underline): (&str, char),
    gutter: usize,
    out: &mut Formatter<'_>,
) -> Result {
    let Place { line, column, .. } = place;
    let file = visible(&place.file);
    write!(out, "\n{:gutter$}{arrow} {file}:{line}:{column}", "")?;
    if place.length == 0 {
        return Ok(());
    }
    write!(out, "\n{:gutter$} |", "")?;
    let text: String = visible(&place.text);
    let width = |from: usize, count: usize| -> usize {
        let characters = text.chars().skip(from).take(count);
        characters.map(|c| c.width().unwrap_or(1)).sum()
    };
    let (indent, width) = (width(0, place.start), width(place.start, place.length));
    write!(out, "\n{line:gutter$} | {}", text.trim_end())?;
    write!(out, "\n{:gutter$} | {:indent$}", "", "")?;
    for _ in 0..width.max(1) {
        out.write_char(underline)?;
    }
    match &place.note {
        Some(note) => write!(out, " {note}"),
        None => Ok(()),
    }
}

/// Makes text safe for a terminal.
fn visible(text: &str) -> String {
    text.chars().map(visible_character).collect()
}

/// Replaces what a terminal would act on, or would not show: a configuration file must not be
/// able to move the cursor or to hide what it says. A tab becomes one space.
pub(crate) fn visible_character(character: char) -> char {
    match character {
        '\t' => ' ',
        // Marks that reorder the text after them.
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        character if character.is_control() => '\u{fffd}',
        character => character,
    }
}
