//! Exit codes: one for each kind of ending, documented and stable.

use std::process::ExitCode;

/// How a run of `flocker-cluster` ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything desired is true.
    Converged,
    /// Something failed that should not have.
    Internal,
    /// The command line cannot be carried out as it stands.
    CommandLine,
    /// A configuration file has errors; nothing was touched.
    Configuration,
    /// Something stands in the way; nothing was touched.
    Blocked,
    /// A step failed, or something desired is not true at the end.
    StepFailed,
    /// A node could not be reached: nothing was done, or it may still run what was removed.
    Unreachable,
}

impl Exit {
    /// Every ending, in the order of its number.
    pub(crate) const ALL: [Self; 7] = [
        Self::Converged,
        Self::Internal,
        Self::CommandLine,
        Self::Configuration,
        Self::Blocked,
        Self::StepFailed,
        Self::Unreachable,
    ];

    /// The endings of `plan`, which carries nothing out.
    pub(crate) const OF_PLAN: [Self; 6] = [
        Self::Converged,
        Self::Internal,
        Self::CommandLine,
        Self::Configuration,
        Self::Blocked,
        Self::Unreachable,
    ];

    /// The endings of `convert`, which speaks to no node.
    pub(crate) const OF_CONVERT: [Self; 5] = [
        Self::Converged,
        Self::Internal,
        Self::CommandLine,
        Self::Configuration,
        Self::Blocked,
    ];

    /// Returns the number that the shell sees. 2 is also clap's own, for a wrong command line.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Converged => 0,
            Self::Internal => 1,
            Self::CommandLine => 2,
            Self::Configuration => 3,
            Self::Blocked => 4,
            Self::StepFailed => 5,
            Self::Unreachable => 6,
        }
    }

    /// Describes the ending, for help.
    const fn words(self) -> &'static str {
        match self {
            Self::Converged => "everything is as wanted",
            Self::Internal => "internal error",
            Self::CommandLine => "wrong command line",
            Self::Configuration => "configuration error",
            Self::Blocked => "blocked (nothing was touched)",
            Self::StepFailed => "a step failed, or an application does not stay up",
            Self::Unreachable => "a node cannot be reached, or may still run what was removed",
        }
    }

    /// Lists exit codes, for help.
    pub(crate) fn help(endings: &[Self]) -> String {
        let codes: Vec<String> = endings
            .iter()
            .map(|exit| format!("{} {}", exit.code(), exit.words()))
            .collect();
        format!("Exit codes: {}.", codes.join(", "))
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::Exit;
    use crate::arguments::Arguments;

    /// Returns the exit codes in the help of a command.
    fn documented(words: &[&str]) -> String {
        let mut command = Arguments::command();
        for word in words {
            command = command.find_subcommand(word).unwrap().clone();
        }
        let help = command.render_long_help().to_string();
        let (_, codes) = help.split_once("Exit codes: ").unwrap();
        codes.trim_end().to_owned()
    }

    #[test]
    fn the_help_of_each_command_has_its_exit_codes() {
        let all = "0 everything is as wanted, 1 internal error, 2 wrong command line, 3 configuration \
                   error, 4 blocked (nothing was touched), 5 a step failed, or an application does not stay \
                   up, 6 a node cannot be reached, or may still run what was removed.";
        for words in [
            &[][..],
            &["deploy"],
            &["volume"],
            &["volume", "promote"],
            &["volume", "resolve"],
            &["volume", "import"],
            &["volume", "export"],
            &["node"],
            &["node", "forget"],
        ] {
            assert_eq!(documented(words), all, "{words:?}");
        }
        assert!(!documented(&["plan"]).contains("a step failed"));
        assert!(documented(&["convert"]).ends_with("4 blocked (nothing was touched)."));
    }

    #[test]
    fn only_success_exits_with_zero() {
        let zero: Vec<Exit> = Exit::ALL
            .into_iter()
            .filter(|exit| exit.code() == 0)
            .collect();
        assert_eq!(zero, [Exit::Converged]);
    }
}
