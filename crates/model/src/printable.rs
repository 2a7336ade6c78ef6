//! Text that somebody else wrote, made safe for a terminal.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Writes what a terminal would act on as an escape that can be read.
///
/// Messages of nodes and of the programs on them end on the operator's terminal, where an escape
/// sequence could hide what a line says, change the window's title or type answers; and a mark that
/// reorders text makes a line look other than it is. Line breaks stay: what has to be on one line is
/// for [`one_line`].
///
/// **Source**: ECMA-48 section 5.2 (C0), 5.3 (C1); Unicode Annex 9 (bidirectional formatting).
pub fn printable(text: &str) -> Cow<'_, str> {
    escape(text, |character| {
        character != '\n' && acts_on_terminal(character)
    })
}

/// As [`printable`], with line breaks written as `\n`, so that no text can pass for another line.
pub fn one_line(text: &str) -> Cow<'_, str> {
    escape(text, acts_on_terminal)
}

fn escape(text: &str, is_escaped: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.chars().any(&is_escaped) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if is_escaped(character) {
            // Writing to a string cannot fail.
            let _ = write!(escaped, "{}", character.escape_default());
        } else {
            escaped.push(character);
        }
    }
    Cow::Owned(escaped)
}

/// Tells whether a terminal does anything but show the character.
fn acts_on_terminal(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{061c}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{2069}'
                | '\u{feff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_acts_on_is_written_out() {
        for (text, shown) in [
            ("plain ä 名前 `x`", "plain ä 名前 `x`"),
            ("\u{1b}[2Jgone", "\\u{1b}[2Jgone"),
            ("\u{1b}]0;title\u{7}", "\\u{1b}]0;title\\u{7}"),
            ("\u{9b}31mred", "\\u{9b}31mred"),
            ("all well\rerror: no", "all well\\rerror: no"),
            ("a\u{8}b\0c\u{7f}", "a\\u{8}b\\u{0}c\\u{7f}"),
            ("\u{202e}evil\u{2066}", "\\u{202e}evil\\u{2066}"),
            ("two\nlines", "two\nlines"),
        ] {
            assert_eq!(printable(text), shown);
        }
        assert_eq!(one_line("two\nlines\u{2028}!"), "two\\nlines\\u{2028}!");
    }

    #[test]
    fn what_is_printable_is_not_copied() {
        assert!(matches!(printable("two\nlines"), Cow::Borrowed(_)));
        assert!(matches!(one_line("one line"), Cow::Borrowed(_)));
    }
}
