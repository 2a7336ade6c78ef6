//! Commands, and how they survive the login shell on the other side.

use std::fmt;

/// A command for a node: a program and its arguments.
///
/// SSH carries one string, which the remote user's login shell takes apart
/// again, so every argument is quoted.
///
/// Source: RFC 4254 section 6.5; `ssh(1)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteCommand {
    argv: Vec<String>,
}

impl RemoteCommand {
    /// Starts a command without arguments.
    pub fn new(program: impl Into<String>) -> Self {
        Self {
            argv: vec![program.into()],
        }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<String>) -> Self {
        self.argv.push(argument.into());
        self
    }

    /// Adds several arguments.
    #[must_use]
    pub fn args<A: Into<String>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.argv.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// The program and its arguments.
    pub fn argv(&self) -> &[String] {
        &self.argv
    }
}

impl fmt::Display for RemoteCommand {
    /// The command as a shell would have to be given it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&shell_quote(&self.argv))
    }
}

/// Quotes arguments so that a POSIX shell reads back exactly them.
///
/// Source: POSIX.1-2024, Shell Command Language, section 2.2.2.
pub fn shell_quote<A: AsRef<str>>(argv: &[A]) -> String {
    let quoted: Vec<String> = argv
        .iter()
        .enumerate()
        .map(|(position, argument)| quote_one(argument.as_ref(), position == 0))
        .collect();
    quoted.join(" ")
}

fn quote_one(argument: &str, is_program: bool) -> String {
    let plain = |character: char| {
        character.is_ascii_alphanumeric()
            || "_-./:,@+".contains(character)
            // A first word with = would be an assignment.
            || character == '=' && !is_program
    };
    if !argument.is_empty() && argument.chars().all(plain) {
        return argument.to_owned();
    }
    // Nothing is special between single quotes, so only they need care.
    format!("'{}'", argument.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::{RemoteCommand, shell_quote};

    #[test]
    fn ordinary_words_stay_readable() {
        let command = RemoteCommand::new("flocker-node").args(["serve", "--wait=5", "a b", ""]);
        assert_eq!(command.to_string(), "flocker-node serve --wait=5 'a b' ''");
        assert_eq!(
            shell_quote(&["a=b", "a=b", "it's", "~", "$HOME"]),
            r"'a=b' a=b 'it'\''s' '~' '$HOME'"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_shell_reads_back_what_was_quoted(
            arguments in proptest::collection::vec("[^\u{0}]{0,12}", 1..5)
        ) {
            let script = format!("printf '%s\\0' {}", shell_quote(&arguments));
            let output = Command::new("sh").arg("-c").arg(&script).output().unwrap();
            let expected: String = arguments.iter().flat_map(|one| [one.as_str(), "\0"]).collect();
            prop_assert_eq!(output.stdout, expected.into_bytes());
        }
    }
}
