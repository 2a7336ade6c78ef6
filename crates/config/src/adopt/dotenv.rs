//! Files of variables, as Compose reads `.env` and `env_file`.
//!
//! **Source**: Docker's documentation, "Set environment variables": syntax for `.env` files.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::adopt::template::{Fault, Lookup, Problem, substitute};

/// A mistake in such a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mistake {
    /// Its place, in bytes.
    pub(crate) range: Range<usize>,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

/// Reads the variables of a file. `outside` has the values of variables that the file refers to and
/// does not set itself; it wins over the file, as the operator's environment does.
///
/// # Errors
/// Returns the first mistake.
pub(crate) fn read_variables(
    text: &str,
    outside: Lookup<'_>,
) -> Result<BTreeMap<String, String>, Mistake> {
    let mut reader = Reader {
        text,
        position: 0,
        variables: BTreeMap::new(),
    };
    while let Some((name, place)) = reader.next_name()? {
        let value = reader.value(&name, place, outside)?;
        if let Some(value) = value {
            reader.variables.insert(name, value);
        }
    }
    Ok(reader.variables)
}

struct Reader<'t> {
    text: &'t str,
    position: usize,
    variables: BTreeMap<String, String>,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        &self.text[self.position..]
    }

    /// Returns where the current line ends.
    fn line_end(&self) -> usize {
        let length = self.rest().find(['\n', '\r']);
        length.map_or(self.text.len(), |length| self.position + length)
    }

    fn skip(&mut self, is_skipped: impl Fn(char) -> bool) {
        let rest = self.rest();
        self.position += rest.len() - rest.trim_start_matches(is_skipped).len();
    }

    /// Finds the next name, past empty lines and comments.
    fn next_name(&mut self) -> Result<Option<(String, Range<usize>)>, Mistake> {
        loop {
            self.skip(char::is_whitespace);
            if self.rest().is_empty() {
                return Ok(None);
            }
            if !self.rest().starts_with('#') {
                break;
            }
            self.position = self.line_end();
        }
        if let Some(after) = self.rest().strip_prefix("export")
            && after.starts_with([' ', '\t'])
        {
            self.position += "export".len();
            self.skip(is_blank);
        }
        let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-');
        let start = self.position;
        self.skip(is_part);
        let place = start..self.position;
        if place.is_empty() {
            return Err(Mistake {
                range: place.start..place.start + 1,
                message: "this line is no `NAME=value`".to_owned(),
                hint: Some("put `#` before a comment".to_owned()),
            });
        }
        Ok(Some((self.text[place.clone()].to_owned(), place)))
    }

    /// Reads what follows a name; `None` for a name that stands alone and has no value outside.
    fn value(
        &mut self,
        name: &str,
        place: Range<usize>,
        outside: Lookup<'_>,
    ) -> Result<Option<String>, Mistake> {
        self.skip(is_blank);
        let rest = self.rest();
        if rest.is_empty() || rest.starts_with(['\n', '\r', '#']) {
            self.position = self.line_end();
            return Ok(outside(name));
        }
        if !rest.starts_with(['=', ':']) {
            return Err(Mistake {
                range: place,
                message: "this line is no `NAME=value`".to_owned(),
                hint: Some("write a `=` after the name".to_owned()),
            });
        }
        self.position += 1;
        self.skip(is_blank);
        match self.rest().chars().next() {
            Some('\'') => self.quoted('\'').map(|(text, _)| Some(text)),
            Some('"') => {
                let (text, start) = self.quoted('"')?;
                self.replace(&unescape(&text), start, outside).map(Some)
            }
            _ => {
                let (start, end) = (self.position, self.line_end());
                self.position = end;
                let line = &self.text[start..end];
                let value = match comment_start(line) {
                    Some(comment) => &line[..comment],
                    None => line,
                };
                self.replace(value.trim_end(), start, outside).map(Some)
            }
        }
    }

    /// Reads a text in quotes, which may have several lines; escapes are left in it.
    fn quoted(&mut self, quote: char) -> Result<(String, usize), Mistake> {
        let opening = self.position;
        let start = opening + 1;
        let mut is_escaped = false;
        let mut end = None;
        for (offset, character) in self.text[start..].char_indices() {
            match character {
                _ if is_escaped => is_escaped = false,
                '\\' => is_escaped = true,
                character if character == quote => {
                    end = Some(start + offset);
                    break;
                }
                _ => {}
            }
        }
        let Some(end) = end else {
            return Err(Mistake {
                range: opening..start,
                message: "this quotation mark is never closed".to_owned(),
                hint: None,
            });
        };
        let text = self.text[start..end].to_owned();
        self.position = end + 1;
        self.skip(is_blank);
        if !self.rest().is_empty() && !self.rest().starts_with(['\n', '\r', '#']) {
            return Err(Mistake {
                range: self.position..self.line_end(),
                message: "this text stands behind the closing quotation mark".to_owned(),
                hint: Some("put the whole value in quotes".to_owned()),
            });
        }
        self.position = self.line_end();
        Ok((text, start))
    }

    fn replace(&self, text: &str, start: usize, outside: Lookup<'_>) -> Result<String, Mistake> {
        let lookup = |name: &str| outside(name).or_else(|| self.variables.get(name).cloned());
        substitute(text, &lookup)
            .map(|found| found.text)
            .map_err(|faults| explain(faults, start, self.text))
    }
}

/// Words for the first variable that cannot be replaced.
fn explain(faults: Vec<Fault>, start: usize, text: &str) -> Mistake {
    let literal = "put a value with a dollar in it between single quotes";
    let Some(fault) = faults.into_iter().next() else {
        return Mistake {
            range: start..start,
            message: "not a value".to_owned(),
            hint: None,
        };
    };
    let (message, hint) = match fault.problem {
        Problem::Unset(name) => (
            format!("the variable `{name}` is not set"),
            format!("set it above, or write `${{{name}:-}}` for nothing; {literal}"),
        ),
        Problem::Required { name, message } => (
            format!("the variable `{name}` is not set: {message}"),
            "set it above or in the environment".to_owned(),
        ),
        Problem::Open => ("a `${` is never closed".to_owned(), literal.to_owned()),
        Problem::Malformed => ("this `$` begins no variable".to_owned(), literal.to_owned()),
    };
    // Escapes shift what is behind them by a little.
    let limit = text.len();
    Mistake {
        range: (start + fault.range.start).min(limit)..(start + fault.range.end).min(limit),
        message,
        hint: Some(hint),
    }
}

const fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t')
}

/// Finds a comment behind a value without quotes: a `#` with a space before it.
fn comment_start(line: &str) -> Option<usize> {
    if line.starts_with('#') {
        return Some(0);
    }
    let hash = |mark: &str| line.find(mark);
    [hash(" #"), hash("\t#")].into_iter().flatten().min()
}

/// Reads the escapes of a text in double quotes. A dollar with a backslash before it is doubled, which
/// makes it one dollar later.
fn unescape(text: &str) -> String {
    let mut read = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            read.push(character);
            continue;
        }
        match characters.next() {
            Some('n') => read.push('\n'),
            Some('r') => read.push('\r'),
            Some('t') => read.push('\t'),
            Some('$') => read.push_str("$$"),
            Some(sign @ ('"' | '\\' | '\'')) => read.push(sign),
            Some(other) => read.extend(['\\', other]),
            None => read.push('\\'),
        }
    }
    read
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outside(name: &str) -> Option<String> {
        (name == "HOME").then(|| "/root".to_owned())
    }

    fn read(text: &str) -> Vec<(String, String)> {
        let variables = read_variables(text, &outside);
        let variables = variables.unwrap_or_else(|mistake| panic!("{text}: {mistake:?}"));
        variables.into_iter().collect()
    }

    fn one(text: &str) -> String {
        read(text).remove(0).1
    }

    #[test]
    fn every_form_of_a_line_is_read() {
        let text = "\u{20}# comment\n\nA=1\r\nexport B = two words # not this\nC: yaml\nD=\nHOME\nUNKNOWN\n\
                    E=a#b\nF=#none\n_G.h-i=x";
        let pairs = [
            ("A", "1"),
            ("B", "two words"),
            ("C", "yaml"),
            ("D", ""),
            ("E", "a#b"),
            ("F", ""),
            ("HOME", "/root"),
            ("_G.h-i", "x"),
        ];
        let expected = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(read(text), expected);
    }

    #[test]
    fn quotes_keep_what_is_in_them() {
        assert_eq!(one("A='$x \\n # \"'"), "$x \\n # \"");
        assert_eq!(one(r#"A="a\n\t\"\$x\\ # 'b'" # c"#), "a\n\t\"$x\\ # 'b'");
        assert_eq!(one("A=\"two\nlines\"\nB=1"), "two\nlines");
        assert_eq!(one("A='two\nlines'"), "two\nlines");
    }

    #[test]
    fn variables_are_replaced_by_earlier_ones() {
        assert_eq!(one("A=x\nAB=1"), "x");
        assert_eq!(read("A=x\nB=$A/${NO:-d}\nC=\"${HOME}\"")[1].1, "x/d");
        assert_eq!(one("A=${HOME}/a$$b"), "/root/a$b");
    }

    #[test]
    fn mistakes_have_their_place() {
        let mistake = |text| read_variables(text, &outside).unwrap_err();
        for (text, range) in [
            ("A=1\n=x", 4..5),
            ("two words", 0..3),
            ("A='x", 2..3),
            ("A='x' y", 6..7),
            ("A=pa$$w$1", 7..8),
            ("A=$NO", 2..5),
            ("A=${X", 2..4),
        ] {
            assert_eq!(mistake(text).range, range, "{text}");
        }
    }
}
