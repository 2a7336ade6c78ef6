//! Reads the text of an `ssh_config` file into entries, with their places.

use std::fmt;
use std::path::{Path, PathBuf};

/// A line of a configuration file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Location {
    /// The file.
    pub(super) file: PathBuf,
    /// The line in it, from 1.
    pub(super) line: usize,
}

impl fmt::Display for Location {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.file.display(), self.line)
    }
}

/// Where an entry was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// In a file.
    Line(Location),
    /// In the output of this command.
    Output(String),
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(location) => location.fmt(formatter),
            Self::Output(command) => write!(formatter, "`{command}`"),
        }
    }
}

/// What one line of an `ssh_config` file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entry {
    /// `Host`: what follows holds for names matching these patterns.
    Host(Vec<String>),
    /// `Match`: what follows holds under conditions that only `ssh` evaluates,
    /// unless they are just `all`.
    Match { always: bool },
    /// `Include`: other files stand here. Resolved by the reader of files.
    Include(Vec<String>),
    /// An included file begins.
    IncludeBegin,
    /// An included file ends.
    IncludeEnd,
    /// Any other keyword, in lower case, with its arguments.
    Setting {
        keyword: String,
        arguments: Vec<String>,
    },
}

/// An entry and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) place: Place,
    pub(super) entry: Entry,
}

/// Parses the text of one file. Every text parses: what makes no sense here
/// becomes a setting nobody asks for, as it may make sense to a newer `ssh`.
///
/// Source: `ssh_config(5)`.
pub(super) fn parse_client_config(file: &Path, text: &str) -> Vec<Placed> {
    let mut entries = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let mut words = split_words(line).into_iter();
        let Some(keyword) = words.next() else {
            continue;
        };
        let keyword = keyword.to_ascii_lowercase();
        let arguments: Vec<String> = words.collect();
        let entry = match keyword.as_str() {
            "host" => Entry::Host(arguments),
            "match" => Entry::Match {
                always: arguments.len() == 1 && arguments[0].eq_ignore_ascii_case("all"),
            },
            "include" => Entry::Include(arguments),
            // A shell takes it apart.
            "proxycommand" => Entry::Setting {
                keyword,
                arguments: vec![after_keyword(line).to_owned()],
            },
            _ => Entry::Setting { keyword, arguments },
        };
        entries.push(Placed {
            place: Place::Line(Location {
                file: file.to_owned(),
                line: index + 1,
            }),
            entry,
        });
    }
    entries
}

fn keyword_end(line: &str) -> usize {
    line.find(|character: char| character.is_whitespace() || character == '=')
        .unwrap_or(line.len())
}

/// Returns what follows the keyword of a line as it is written.
fn after_keyword(line: &str) -> &str {
    let line = line.trim();
    let rest = line[keyword_end(line)..].trim_start();
    rest.strip_prefix('=').unwrap_or(rest).trim_start()
}

/// Splits a line into its keyword and arguments. The keyword may be followed
/// by `=`, arguments may stand in double quotes, and `#` begins a comment.
fn split_words(line: &str) -> Vec<String> {
    let line = line.trim();
    if line.starts_with('#') {
        return Vec::new();
    }
    let keyword = &line[..keyword_end(line)];
    if keyword.is_empty() {
        return Vec::new();
    }
    let rest = after_keyword(line);

    let mut words = vec![keyword.to_owned()];
    let mut word: Option<String> = None;
    let mut quoted = false;
    for character in rest.chars() {
        match character {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            '#' if !quoted && word.is_none() => break,
            _ if character.is_whitespace() && !quoted => words.extend(word.take()),
            _ => word.get_or_insert_default().push(character),
        }
    }
    words.extend(word);
    words
}
