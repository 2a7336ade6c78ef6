//! Exit codes: one for each kind of ending, documented and stable.

use std::process::ExitCode;

/// How a run of `flocker-cluster` ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything desired is true.
    Converged,
    /// Something failed that should not have.
    Internal,
    /// A configuration file has errors; nothing was touched.
    Configuration,
    /// Something stands in the way; nothing was touched.
    Blocked,
    /// A step failed, or something desired is not true at the end.
    StepFailed,
    /// A node could not be reached.
    Unreachable,
}

impl Exit {
    /// Returns the number that the shell sees. 2 is clap's own, for a wrong command line.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Converged => 0,
            Self::Internal => 1,
            Self::Configuration => 3,
            Self::Blocked => 4,
            Self::StepFailed => 5,
            Self::Unreachable => 6,
        }
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

    #[test]
    fn every_exit_code_is_in_the_help() {
        let help = Arguments::command().render_long_help().to_string();
        let (_, codes) = help.split_once("Exit codes: ").unwrap();
        for (exit, words) in [
            (Exit::Converged, "everything is as wanted"),
            (Exit::Internal, "internal error"),
            (Exit::Configuration, "configuration error"),
            (Exit::Blocked, "blocked (nothing was touched)"),
            (Exit::StepFailed, "a step failed"),
            (Exit::Unreachable, "a node cannot be reached"),
        ] {
            let documented = format!("{} {words}", exit.code());
            assert!(codes.contains(&documented), "{documented}: {codes}");
        }
    }

    #[test]
    fn only_success_exits_with_zero() {
        let failures = [
            Exit::Internal,
            Exit::Configuration,
            Exit::Blocked,
            Exit::StepFailed,
            Exit::Unreachable,
        ];
        assert!(failures.iter().all(|exit| exit.code() != 0));
        assert_eq!(Exit::Converged.code(), 0);
    }
}
