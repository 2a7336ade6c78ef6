//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use flocker_model::{ApplicationName, ImportPart, NodeName, parse_utc};

use crate::export_file::ExportFile;

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
    /// Brings volumes in and out, and resolves what no deploy may decide: a lost owner, and copies that
    /// contradict each other.
    Volume {
        /// What to do.
        #[command(subcommand)]
        command: Volume,
    },
    /// Writes files of Compose, Fig or an earlier release of Flocker as our two files.
    Convert(Convert),
    /// Writes completions for a shell to standard output.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Writes the manual page to standard output.
    Manual,
}

/// What only the operator can decide about a volume. Nothing is ever destroyed or rolled back.
#[derive(Debug, Subcommand)]
pub(crate) enum Volume {
    /// Makes a node's replica the volume, because the owner is lost and what it alone had with it.
    ///
    /// Refused while the owner can be reached (`deploy` moves the volume without loss), while
    /// another node has a newer replica, and when the replica is older than the given time. Switch
    /// the lost machine off first if it may still run where it cannot be reached. Deploy again
    /// afterwards, with the application placed on that node.
    Promote(Promote),
    /// Sets a copy aside that stands in the way: it is renamed and kept, and used no more.
    ///
    /// For a second owner, a replica that was written to or has no snapshot in common with the
    /// volume, a dataset that is not Flocker's, part of a copy, and an imported volume whose
    /// application is on no node, to import anew. The application is stopped on
    /// that node first. Refused when it may be the copy that has everything. `flocker-node observe`
    /// on the node lists what was set aside.
    Resolve(Resolve),
    /// Brings data in as an application's volume, which the node owns from then on.
    ///
    /// Run it for an application that has no volume yet; the next deploy moves the volume to where
    /// the application is placed. The data keeps owners, modes, times, links, extended attributes and
    /// access control lists. An import that was interrupted is continued by the same command; one that
    /// has made the volume is repeated once `volume resolve` has set that aside. Refused where any node
    /// has a copy of the volume or cannot be looked at, and while a container runs that may write to
    /// the data.
    Import(Import),
    /// Writes an application's volume to a file on this machine, as a full `zfs send` stream.
    ///
    /// The application may run: the stream is of one moment, and looks to it like a disk after a power
    /// cut. `volume import` with `stream:FILE`, or `zfs receive`, reads it.
    Export(Export),
}

/// The options of `volume promote`.
#[derive(Debug, Args)]
pub(crate) struct Promote {
    /// The application whose volume it is.
    pub(crate) application: ApplicationName,
    /// The node whose replica becomes the volume.
    #[arg(long = "on", value_name = "NODE")]
    pub(crate) node: NodeName,
    /// Accepts that what was written from this time on is lost; in UTC, as 2026-11-23T02:56:30Z or
    /// '2026-11-23 02:56'. It must not be later than the replica's newest snapshot; a refusal shows
    /// that time.
    #[arg(long, value_name = "TIME", value_parser = parse_utc)]
    pub(crate) accept_loss_since: u64,
    /// How to report and to reach the nodes.
    #[command(flatten)]
    pub(crate) common: Common,
}

/// The options of `volume resolve`.
#[derive(Debug, Args)]
pub(crate) struct Resolve {
    /// The application whose volume it is.
    pub(crate) application: ApplicationName,
    /// The node whose copy is set aside.
    #[arg(long = "set-aside", value_name = "NODE")]
    pub(crate) node: NodeName,
    /// How to report and to reach the nodes.
    #[command(flatten)]
    pub(crate) common: Common,
}

/// The options of `volume import`.
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The application whose volume it becomes.
    pub(crate) application: ApplicationName,
    /// Where the data is: a directory of the node by its absolute path, docker-volume:NAME for a Docker
    /// volume of the node, or stream:FILE for a full `zfs send` stream on this machine (stream:- for
    /// standard input). DIRECTORY=/PATH and DIRECTORY=docker-volume:NAME, which may be given several
    /// times, put it into a directory of a volume with several mount points.
    #[arg(long = "from", value_name = "SOURCE", required = true)]
    pub(crate) from: Vec<ImportPart>,
    /// The node that has the data, and owns the volume then.
    #[arg(long = "on", value_name = "NODE")]
    pub(crate) node: NodeName,
    /// Accepts that this machine does not answer, because it is lost for good, and its copy of the
    /// volume with it. May be given several times. A machine that answers is not lost: switch it off
    /// first. Should it come back, its copy is not started.
    #[arg(long, value_name = "NODE")]
    pub(crate) lost: Vec<NodeName>,
    /// How to report and to reach the nodes.
    #[command(flatten)]
    pub(crate) common: Common,
}

/// The options of `volume export`.
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// The application whose volume it is.
    pub(crate) application: ApplicationName,
    /// The node that owns it.
    #[arg(long = "from", value_name = "NODE")]
    pub(crate) node: NodeName,
    /// A file of this machine that does not exist yet; `-` for standard output.
    #[arg(long = "to", value_name = "FILE")]
    pub(crate) to: ExportFile,
    /// How to report and to reach the nodes.
    #[command(flatten)]
    pub(crate) common: Common,
}

/// The options of commands that speak to nodes.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// Prints the result as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Tells more on standard error; twice for the SSH transport's log.
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// How the nodes are reached.
    #[command(flatten)]
    pub(crate) ssh: Ssh,
}

/// The options of `convert`.
///
/// Each decision that the files leave open is explained in a comment. Variables of the
/// environment and files of variables are named. Other values are written out, those of passwords too.
#[derive(Debug, Args)]
pub(crate) struct Convert {
    /// The files: one that says what to run, one that says where, or both, in any order.
    #[arg(required = true, num_args = 1..=2, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Writes `application.yml` and `deployment.yml` into this directory, and replaces no file there.
    /// Otherwise both go to standard output.
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) output: Option<PathBuf>,
}

/// The options of `deploy` and `plan`.
#[derive(Debug, Args)]
pub(crate) struct Deploy {
    /// The file that says what to run: images, volumes, routes and links of each application. A
    /// Compose file or a file of an earlier release is taken, too, and the two files may come in
    /// either order.
    pub(crate) application_config: PathBuf,
    /// The file that says where to run it: the applications of each node.
    pub(crate) deployment_config: PathBuf,
    /// Streams images from this archive, made by `docker save`, to nodes that lack them. May be
    /// given several times. This machine's own Docker needs no option: it gives the images that
    /// no node has and no registry gives.
    #[arg(long = "image-archive", value_name = "FILE")]
    pub(crate) image_archives: Vec<PathBuf>,
    /// How to report and to reach the nodes.
    #[command(flatten)]
    pub(crate) common: Common,
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

#[cfg(test)]
mod documented;

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::{Arguments, Command, Volume, documented};

    fn parse(words: &str) -> Result<Command, String> {
        let words = words.split('|').map(str::trim);
        Arguments::try_parse_from(std::iter::once("flocker-cluster").chain(words))
            .map(|arguments| arguments.command)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_command_line_in_the_documents_is_understood() {
        let checked = documented::check::<Arguments>("flocker-cluster");
        assert!(checked >= 12, "only {checked} were found");
    }

    #[test]
    fn a_promotion_names_everything() {
        let command = parse(
            "volume | promote | db | --on | 10.0.0.2 | --accept-loss-since | 2026-11-23 02:56 | -l | me",
        );
        let Ok(Command::Volume {
            command: Volume::Promote(promote),
        }) = command
        else {
            panic!("{command:?}");
        };
        assert_eq!(promote.application.as_str(), "db");
        assert_eq!(promote.node.as_str(), "10.0.0.2");
        assert_eq!(promote.accept_loss_since, 1_795_402_560);
        assert_eq!(promote.common.ssh.user.as_deref(), Some("me"));
    }

    #[test]
    fn setting_aside_names_the_node() {
        let command = parse("volume | resolve | db | --set-aside | node2 | --json");
        let Ok(Command::Volume {
            command: Volume::Resolve(resolve),
        }) = command
        else {
            panic!("{command:?}");
        };
        assert_eq!(resolve.node.as_str(), "node2");
        assert!(resolve.common.json);
    }

    #[test]
    fn an_import_names_every_source() {
        let command = parse(
            "volume | import | git | --from | etc=/srv/etc | --from | data=docker-volume:d | --on | n1 \
             | --lost | n2 | --lost | n3",
        );
        let Ok(Command::Volume {
            command: Volume::Import(import),
        }) = command
        else {
            panic!("{command:?}");
        };
        assert_eq!((import.from.len(), import.lost.len()), (2, 2));
        let command = parse("volume | export | git | --from | n1 | --to | git.zfs");
        assert!(command.is_ok(), "{command:?}");
    }

    #[test]
    fn nothing_is_implied() {
        for words in [
            "volume",
            "volume | promote | db",
            "volume | promote | db | --on | node2",
            "volume | promote | db | --accept-loss-since | 2026-11-23 02:56",
            "volume | promote | db | --on | node2 | --accept-loss-since | now",
            "volume | import | db | --on | node1",
            "volume | import | db | --from | /srv/db",
            "volume | import | db | --from | srv/db | --on | node1",
            "volume | export | db | --to | db.zfs",
            "volume | export | db | --from | node1",
            "volume | resolve | db",
            "volume | resolve | --set-aside | node2",
            "volume | resolve | a/b | --set-aside | node2",
        ] {
            assert!(parse(words).is_err(), "{words}");
        }
        let error = parse("volume | promote | db | --on | n | --accept-loss-since | 2026-11-23");
        assert!(
            error
                .as_ref()
                .is_err_and(|text| text.contains("as `2026-11-23T02:56:30Z`")),
            "{error:?}"
        );
    }
}
