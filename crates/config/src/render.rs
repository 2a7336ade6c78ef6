//! Diagnostics as text for a terminal, in the style that compilers have made familiar.

use std::fmt::{Formatter, Result, Write};

use unicode_width::UnicodeWidthChar;

use crate::diagnostic::{Diagnostic, Place, Severity};

/// Columns of a line that are shown; a longer line is cut around what is underlined.
const SHOWN_COLUMNS: usize = 100;

/// Columns that are kept before the underlined text when a line is cut.
const COLUMNS_BEFORE: usize = 30;

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
    write!(out, "\n{:gutter$} |", "")?;
    let excerpt = Excerpt::cut_from(place);
    write!(out, "\n{line:gutter$} | {}", excerpt.text.trim_end())?;
    write!(
        out,
        "\n{:gutter$} | {:indent$}",
        "",
        "",
        indent = excerpt.indent
    )?;
    for _ in 0..excerpt.width {
        out.write_char(underline)?;
    }
    match &place.note {
        Some(note) => write!(out, " {note}"),
        None => Ok(()),
    }
}

/// The visible part of a line, in which `width` columns after `indent` are underlined.
#[derive(Debug, Default)]
struct Excerpt {
    text: String,
    indent: usize,
    width: usize,
}

impl Excerpt {
    fn cut_from(place: &Place) -> Self {
        let start = place.column - 1;
        let mut excerpt = Self::default();
        // Taken by characters, each at least one column wide, so this keeps more than it must.
        let skipped = if place.text.chars().count() > SHOWN_COLUMNS {
            start.saturating_sub(COLUMNS_BEFORE)
        } else {
            0
        };
        if skipped > 0 {
            excerpt.text.push_str("... ");
            excerpt.indent = 4;
        }
        let mut columns = 0;
        for (index, character) in place.text.chars().enumerate().skip(skipped) {
            if columns >= SHOWN_COLUMNS {
                excerpt.text.push_str(" ...");
                break;
            }
            let shown = visible_character(character);
            let width = shown.width().unwrap_or(1);
            excerpt.text.push(shown);
            columns += width;
            if index < start {
                excerpt.indent += width;
            } else if index < start + place.length {
                excerpt.width += width;
            }
        }
        excerpt.width = excerpt.width.max(1);
        excerpt
    }
}

/// Makes a file's name safe for a terminal.
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
