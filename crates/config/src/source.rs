//! Source files, positions in them, and the lines around a position.

use crate::diagnostic::Place;

/// One configuration file, as it was read.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// What diagnostics call it: the path as the operator typed it.
    pub name: &'a str,
    /// Its content.
    pub bytes: &'a [u8],
}

/// Which of the two files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum File {
    Application,
    Deployment,
}

impl File {
    /// Returns the seed's name for the file's content.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Application => "application configuration",
            Self::Deployment => "deployment configuration",
        }
    }
}

/// A stretch of one file, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span {
    pub(crate) file: File,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// A value and where it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Located<T> {
    pub(crate) value: T,
    pub(crate) span: Span,
}

/// A file's name and its text, for showing lines of it.
#[derive(Debug, Default)]
pub(crate) struct Text {
    pub(crate) name: String,
    /// The content without a byte order mark; what is not UTF-8 is replaced, for display only.
    pub(crate) content: String,
}

impl Place {
    /// Makes a place in a file whose lines are not shown, because they may be passwords.
    pub(crate) const fn hidden(file: String, (line, column): (usize, usize)) -> Self {
        Self {
            file,
            line,
            column,
            text: String::new(),
            start: 0,
            length: 0,
            note: None,
        }
    }
}

impl Text {
    /// Finds the line of `span` and what to underline in it: the part on the span's first line,
    /// one character at least.
    pub(crate) fn place(&self, span: Span, note: Option<String>) -> Place {
        let start = self.boundary_at(span.start);
        let end = self.boundary_at(span.end.max(start));
        let before = &self.content[..start];
        let line_start = before
            .rfind(['\n', '\r'])
            .map_or(0, |position| position + 1);
        let rest = &self.content[start..];
        let line_end = start + rest.find(['\n', '\r']).unwrap_or(rest.len());
        let excerpt = Excerpt::cut(
            &self.content[line_start..start],
            self.content[start..end.min(line_end)].trim_end(),
            &self.content[start..line_end],
        );
        Place {
            file: self.name.clone(),
            line: line_count(before),
            column: self.content[line_start..start].chars().count() + 1,
            text: excerpt.text,
            start: excerpt.start,
            length: excerpt.length,
            note,
        }
    }

    /// Returns line and column of a byte, from 1.
    pub(crate) fn position(&self, offset: usize) -> (usize, usize) {
        let start = self.boundary_at(offset);
        let before = &self.content[..start];
        let line_start = before
            .rfind(['\n', '\r'])
            .map_or(0, |position| position + 1);
        let column = before[line_start..].chars().count() + 1;
        (line_count(before), column)
    }

    /// Moves `offset` back into the text and onto the start of a character.
    fn boundary_at(&self, offset: usize) -> usize {
        let mut offset = offset.min(self.content.len());
        while !self.content.is_char_boundary(offset) {
            offset -= 1;
        }
        offset
    }
}

/// Characters that are kept of a line before what is underlined, if the line is cut.
const KEPT_BEFORE: usize = 30;

/// Characters that are kept of a line from the underlined ones on.
const KEPT_AFTER: usize = 70;

/// A line, or the part of a long one around what is underlined. Files made by programs can be one
/// line of a megabyte, which helps nobody in each of fifty diagnostics.
struct Excerpt {
    text: String,
    start: usize,
    length: usize,
}

impl Excerpt {
    /// Cuts the line that consists of `before` and `rest`, in which `selected` starts the rest.
    fn cut(before: &str, selected: &str, rest: &str) -> Self {
        let fits = before.len() + rest.len() <= KEPT_BEFORE + KEPT_AFTER;
        let kept_start = match before.char_indices().rev().nth(KEPT_BEFORE - 1) {
            Some((position, _)) if !fits => position,
            _ => 0,
        };
        let kept_end = match rest.char_indices().nth(KEPT_AFTER) {
            Some((position, _)) if !fits => position,
            _ => rest.len(),
        };
        let dots_before = if kept_start > 0 { "... " } else { "" };
        let dots_after = if kept_end < rest.len() { " ..." } else { "" };
        let before = format!("{dots_before}{}", &before[kept_start..]);
        let selected = selected.get(..kept_end).unwrap_or(selected);
        Self {
            start: before.chars().count(),
            length: selected.chars().count().max(1),
            text: format!("{before}{}{dots_after}", &rest[..kept_end]),
        }
    }
}

/// Counts lines, the last one included; a line ends with LF, CR LF or a lone CR.
fn line_count(text: &str) -> usize {
    let line_feeds = text.matches('\n').count();
    let carriage_returns = text.matches('\r').count();
    let both = text.matches("\r\n").count();
    // A position between CR and LF has an unpaired CR before it; nothing is ever reported there.
    1 + line_feeds + carriage_returns - both
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(content: &str, start: usize, end: usize) -> Place {
        let text = Text {
            name: "file".to_owned(),
            content: content.to_owned(),
        };
        let file = File::Application;
        text.place(Span { file, start, end }, None)
    }

    #[test]
    fn places_count_characters_and_every_kind_of_line_end() {
        let content = "a\nb\r\nc\rä: öx\n";
        let found = place(content, 11, 14);
        assert_eq!((found.line, found.column, found.length), (4, 4, 2));
        assert_eq!(found.text, "ä: öx");
    }

    #[test]
    fn a_span_of_several_lines_is_cut_at_the_first_and_an_empty_one_is_one_wide() {
        assert_eq!(place("ab: c  \nd", 4, 9).length, 1);
        assert_eq!(place("ab:", 3, 3).length, 1);
    }

    #[test]
    fn a_long_line_is_cut_around_what_is_meant() {
        let content = format!("{}{}{}", "a".repeat(100), "é".repeat(100), "z".repeat(100));
        let found = place(&content, 100, 300);
        assert_eq!((found.column, found.start, found.length), (101, 34, 70));
        let (kept, cut) = ("a".repeat(30), "é".repeat(70));
        assert_eq!(found.text, format!("... {kept}{cut} ..."));
        let whole = place(&content[..100], 50, 51);
        assert_eq!((whole.start, whole.text.len()), (50, 100));
    }

    #[test]
    fn positions_beyond_the_end_or_inside_a_character_are_moved_not_panicked_on() {
        assert_eq!(place("ä", 1, 1).column, 1);
        assert_eq!(place("ä", 99, 200).column, 2);
    }
}
