//! Files of variables on the operator's machine: the key `env_file`.
//!
//! **Source**: Compose's documentation, "Environment files syntax".

use std::collections::BTreeMap;

use flocker_model::Secret;

use crate::dollar::{begins_variable, unescape};
use crate::fields::Field;
use crate::outside::{ValueSource, read_path};
use crate::phrase::quote;
use crate::process::check_size;
use crate::report::{Finding, Report};

/// Reads the variables of every file; those of later files win.
pub(crate) fn read_env_files(
    field: &Field<'_>,
    owner: &str,
    report: &mut Report,
) -> BTreeMap<String, Secret> {
    let paths = match field.value.items() {
        Some(items) => items
            .into_iter()
            .map(|item| Field::item(format!("an `env_file` of {owner}"), item))
            .collect(),
        None => vec![field.clone()],
    };
    let mut variables = BTreeMap::new();
    for place in paths {
        if place.value.scalar().is_none() {
            report.error(|| {
                let finding = place.wrong_type("the path of a file");
                let path = place.value.get("path");
                let path = path.and_then(|entry| entry.value.text());
                finding.hint(field.line(&format!("[{}]", path.unwrap_or("./app.env"))))
            });
            continue;
        }
        let Some(path) = read_path(&place, report) else {
            continue;
        };
        let source = ValueSource::File(path.clone());
        let Some(contents) = report.outside_value(source, &place) else {
            continue;
        };
        match parse(contents.reveal()) {
            Ok(read) => {
                for (name, value) in read {
                    if check_size(&name, &value, (&place, owner), report) {
                        variables.insert(name, value.into());
                    }
                }
            }
            Err(mistake) => report.error(|| {
                let Mistake {
                    line,
                    problem,
                    hint,
                } = mistake;
                let message = format!("line {line} of {} {problem}", quote(&path));
                Finding::at(place.span(), message).maybe_hint(hint.map(str::to_owned))
            }),
        }
    }
    variables
}

/// Tells whether a file is read as these variables, and no others.
pub(crate) fn is_read_as(bytes: &[u8], variables: &BTreeMap<String, String>) -> bool {
    let read = parse(bytes).map(BTreeMap::from_iter);
    read.is_ok_and(|read| read == *variables)
}

/// A line that cannot be read. Nothing of it is quoted: it may be a password.
#[derive(Debug, PartialEq, Eq)]
struct Mistake {
    line: usize,
    problem: &'static str,
    hint: Option<&'static str>,
}

const VARIABLE: &str = "write the value itself, and `$$` or single quotes for a dollar";

/// Reads `NAME=VALUE` lines.
fn parse(bytes: &[u8]) -> Result<Vec<(String, String)>, Mistake> {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Err(Mistake {
            line: 1 + bytes
                .iter()
                .take_while(|byte| byte.is_ascii())
                .filter(|byte| **byte == b'\n')
                .count(),
            problem: "is not UTF-8",
            hint: None,
        });
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut variables = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let line = 1 + text[..text.len() - rest.len()].matches('\n').count();
        let mistake = |(problem, hint)| Mistake {
            line,
            problem,
            hint,
        };
        let (first, after) = rest.split_once('\n').unwrap_or((rest, ""));
        let trimmed = first.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            rest = after;
            continue;
        }
        let (name, _) = first
            .split_once('=')
            .ok_or(mistake(("has no `=`", Some("write `NAME=VALUE`"))))?;
        let value_at = &rest[name.len() + 1..];
        let name = name.trim();
        let name = name.strip_prefix("export ").map_or(name, str::trim);
        if name.is_empty() || name.contains(['\0', ' ', '\t', '"', '\'']) {
            return Err(mistake(("has no name of a variable before its `=`", None)));
        }
        let (value, left) = read_value(value_at).map_err(mistake)?;
        if value.contains('\0') {
            return Err(mistake(("has a NUL byte in it", None)));
        }
        variables.push((name.to_owned(), value));
        rest = left;
    }
    Ok(variables)
}

/// What is wrong with a value, and what to do about it.
type Problem = (&'static str, Option<&'static str>);

/// Reads the value at the beginning of a text, and returns what is behind its last line.
fn read_value(text: &str) -> Result<(String, &str), Problem> {
    let text = text.trim_start_matches([' ', '\t']);
    let Some(quote @ ('\'' | '"')) = text.chars().next() else {
        let (line, rest) = text.split_once('\n').unwrap_or((text, ""));
        return Ok((read_dollars(without_comment(line))?, rest));
    };
    let (value, rest) = read_quoted(&text[1..], quote)?;
    let (line, rest) = rest.split_once('\n').unwrap_or((rest, ""));
    let line = line.trim();
    if !line.is_empty() && !line.starts_with('#') {
        return Err(("has something behind its closing quote", None));
    }
    Ok((value, rest))
}

/// Leaves out a comment, which has a space before it.
fn without_comment(line: &str) -> &str {
    let comment = line
        .match_indices('#')
        .find(|(at, _)| *at == 0 || line[..*at].ends_with([' ', '\t']));
    let end = comment.map_or(line.len(), |(at, _)| at);
    line[..end].trim_end()
}

/// Reads up to the closing quote, and returns what is behind it.
fn read_quoted(text: &str, quote: char) -> Result<(String, &str), Problem> {
    let mut raw = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        if character == quote {
            let value = if quote == '"' {
                raw
            } else {
                text[..at].to_owned()
            };
            return Ok((value, &text[at + 1..]));
        }
        match character {
            '\\' if quote == '"' => match characters.next() {
                Some((_, 'n')) => raw.push('\n'),
                Some((_, 'r')) => raw.push('\r'),
                Some((_, 't')) => raw.push('\t'),
                Some((_, escaped @ ('\\' | '"' | '$'))) => raw.push(escaped),
                Some((_, other)) => raw.extend(['\\', other]),
                None => {}
            },
            '$' if quote == '"' => {
                let after = &text[at + 1..];
                if after.starts_with('$') {
                    characters.next();
                } else if begins_variable(after) {
                    return Err((
                        "has a variable in its value, which Flocker does not replace",
                        Some(VARIABLE),
                    ));
                }
                raw.push('$');
            }
            _ => raw.push(character),
        }
    }
    Err(("has a quote that is never closed", None))
}

/// Reads the dollars of a value without quotes.
fn read_dollars(text: &str) -> Result<String, Problem> {
    unescape(text).map_err(|_| {
        (
            "has a variable in its value, which Flocker does not replace",
            Some(VARIABLE),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_of_a_line_is_read() {
        let text = "\u{feff}# comment\n\nA=plain value  # comment\nexport B = b\nC='si$ngle # \"'\n\
                    D=\"two\nlines\\t\\\"$$x \\$HOME\" # comment\nE=\nF=a#b\nG=p$$w$1\r\nH='x'";
        let read = parse(text.as_bytes()).unwrap();
        let lines: Vec<String> = read
            .iter()
            .map(|(name, value)| format!("{name}={value:?}"))
            .collect();
        insta::assert_snapshot!(lines.join("\n"), @r##"
        A="plain value"
        B="b"
        C="si$ngle # \""
        D="two\nlines\t\"$x $HOME"
        E=""
        F="a#b"
        G="p$w$1"
        H="x"
        "##);
    }

    #[test]
    fn a_line_that_cannot_be_read_is_named_and_not_quoted() {
        for (text, line, problem) in [
            ("A=b\nxyzzy\n", 2, "has no `=`"),
            ("\n\n=xyzzy", 3, "has no name of a variable before its `=`"),
            (
                "A=\"b\nc\"\nB='xyzzy",
                3,
                "has a quote that is never closed",
            ),
            ("A='b' xyzzy", 1, "has something behind its closing quote"),
            (
                "A=${B}",
                1,
                "has a variable in its value, which Flocker does not replace",
            ),
            (
                "A=\"x$B\"",
                1,
                "has a variable in its value, which Flocker does not replace",
            ),
            ("A=b\0", 1, "has a NUL byte in it"),
        ] {
            let mistake = parse(text.as_bytes()).unwrap_err();
            assert_eq!((mistake.line, mistake.problem), (line, problem), "{text:?}");
        }
        assert_eq!(parse(b"A=b\nB=\xff\n").unwrap_err().line, 2);
    }
}
