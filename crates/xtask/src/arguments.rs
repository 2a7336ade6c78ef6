//! The command line of `cargo xtask`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::simulate::Seeds;
use crate::test::TierName;

/// What every command answers: an exit code, or a failure to explain.
pub(crate) type CommandResult = Result<std::process::ExitCode, Box<dyn std::error::Error>>;

/// Development commands of Flocker.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// One development command.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Compare the repository with what ARCHITECTURE.md and README.md say about it.
    Check,
    /// Install what is missing and run the tests.
    Test(TierSelection),
    /// Install what the tests need, and run nothing.
    Install(TierSelection),
    /// Build `target/debian/flocker-node_VERSION_ARCHITECTURE.deb`.
    Deb {
        /// Package this program instead of building flocker-node in release.
        #[arg(long)]
        program: Option<PathBuf>,
    },
    /// Work with the virtual nodes; everything after `lab` goes to `flocker-lab`.
    #[command(disable_help_flag = true)]
    Lab {
        /// Arguments of `flocker-lab`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Disturb moves in every way, at every moment, and see that nothing is lost.
    #[command(disable_help_flag = true)]
    Faults {
        /// Arguments of `flocker-lab faults`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Take out what mended faults of the past, and see that their tests find them.
    Reproduce {
        /// Names of the table in docs/faults; all when there is none.
        names: Vec<String>,
    },
    /// Disturb deploys on a simulated network, and see that every promise is kept.
    Simulate(Seeds),
    /// Install what is missing, build, bring up two nodes and move a database between them.
    Demo {
        /// Arguments of `flocker-lab demo`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

/// Which tiers to run.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct TierSelection {
    /// Leave out the virtual machines.
    #[arg(long)]
    pub(crate) fast: bool,
    /// Tiers to run; all when none is named.
    #[arg(value_enum)]
    pub(crate) tiers: Vec<TierName>,
}
