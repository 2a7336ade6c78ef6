//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

/// Runs applications on the nodes of a cluster, and moves them together with their data.
#[derive(Debug, Parser)]
#[command(name = "flocker-cluster", version, arg_required_else_help = true)]
#[command(
    after_help = "Exit codes: 0 everything is as wanted, 1 internal error, 2 wrong command \
line, 3 configuration error, 4 blocked (nothing was touched), 5 a step failed, 6 a node cannot be \
reached."
)]
pub(crate) struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Makes the cluster be as the two files say.
    Deploy(Deploy),
    /// Shows what `deploy` would do, and does nothing.
    Plan(Deploy),
    /// Writes completions for a shell to standard output.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Writes the manual page to standard output.
    Manual,
}

/// The options of `deploy` and `plan`.
#[derive(Debug, Args)]
pub(crate) struct Deploy {
    /// What to run: images, volumes, routes and links of each application.
    pub(crate) application_config: PathBuf,
    /// Where to run it: the applications of each node.
    pub(crate) deployment_config: PathBuf,
    /// Prints the result as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Tells more on standard error; twice for the SSH transport's log.
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Streams images from this archive, made by `docker save`, to nodes that lack them. May be
    /// given several times. Images of this machine's own Docker are offered without asking.
    #[arg(long = "image-archive", value_name = "FILE")]
    pub(crate) image_archives: Vec<PathBuf>,
    /// How the nodes are reached.
    #[command(flatten)]
    pub(crate) ssh: Ssh,
}

/// How the nodes are reached; what is not given here is taken from `ssh`'s own configuration.
#[derive(Debug, Args)]
#[command(next_help_heading = "SSH")]
pub(crate) struct Ssh {
    /// Reads this instead of `~/.ssh/config` and `/etc/ssh/ssh_config`.
    #[arg(short = 'F', long = "ssh-config", value_name = "FILE")]
    pub(crate) config_file: Option<PathBuf>,
    /// Offers this key before any other. May be given several times.
    #[arg(short = 'i', long = "identity", value_name = "FILE")]
    pub(crate) identity_files: Vec<PathBuf>,
    /// Reads and extends this instead of `~/.ssh/known_hosts`.
    #[arg(long, value_name = "FILE")]
    pub(crate) known_hosts: Option<PathBuf>,
    /// Logs in as this user; one other than root needs `sudo` without a password.
    #[arg(short = 'l', long, value_name = "NAME")]
    pub(crate) user: Option<String>,
    /// Connects to this port.
    #[arg(short = 'p', long, value_name = "PORT")]
    pub(crate) port: Option<u16>,
}
