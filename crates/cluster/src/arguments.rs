//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use flocker_model::{ApplicationName, ImportPart, NodeName, parse_utc};

use crate::exit::Exit;
use crate::export_file::ExportFile;

/// Runs applications on the nodes of a cluster, and moves them together with their data.
#[derive(Debug, Parser)]
#[command(name = "flocker-cluster", version, arg_required_else_help = true)]
#[command(after_help = Exit::help(&Exit::ALL))]
pub(crate) struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Brings the cluster into the state that the two files describe.
    #[command(after_help = Exit::help(&Exit::ALL))]
    Deploy(Deploy),
    /// Shows the steps that `deploy` would take, and changes nothing.
    #[command(after_help = Exit::help(&Exit::OF_PLAN))]
    Plan(Deploy),
    /// Imports and exports volumes, and carries out decisions that `deploy` leaves to you: about a lost
    /// owner, and about copies that contradict each other.
    #[command(after_help = Exit::help(&Exit::ALL))]
    Volume {
        /// The command for volumes.
        #[command(subcommand)]
        command: Volume,
    },
    /// Carries out decisions about machines of the cluster.
    #[command(after_help = Exit::help(&Exit::ALL))]
    Node {
        /// The command for machines.
        #[command(subcommand)]
        command: Node,
    },
    /// Converts files of Compose, Fig or an earlier release of Flocker into Flocker's two files.
    ///
    /// A comment explains each decision that the files leave open. Variables of the environment and files
    /// of variables are named; other values are written out, passwords included.
    #[command(after_help = Exit::help(&Exit::OF_CONVERT))]
    Convert(Convert),
    /// Writes completions for a shell to standard output.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Writes the manual page to standard output.
    Manual,
}

/// The commands for volumes. They never destroy data and never roll it back.
#[derive(Debug, Subcommand)]
pub(crate) enum Volume {
    /// Makes a node's replica the owner after the old owner is lost.
    ///
    /// Writes that only the old owner had are lost. Refused while the owner answers (`deploy` moves the
    /// volume without loss), while another node has a newer replica, and when the replica is older than
    /// the given time. A lost machine may still run where you cannot reach it: switch it off first.
    /// Afterwards, deploy again with the application placed on this node.
    #[command(after_help = Exit::help(&Exit::ALL))]
    Promote(Promote),
    /// Sets aside a copy that blocks a deploy: Flocker renames and keeps it, and no longer uses it.
    ///
    /// The copy may be a second owner, a replica that was written to or that shares no snapshot with the
    /// volume, a dataset that Flocker did not make, or part of a copy. It may also be an imported volume
    /// that is to be imported again, while its application is on no node. Flocker stops the application
    /// on this node first. Refused when this copy may be the only complete one, unless `--only-copy` says
    /// so. `flocker-node observe` on the node lists the copies that were set aside.
    #[command(after_help = Exit::help(&Exit::ALL))]
    Resolve(Resolve),
    /// Imports data as an application's volume, which the node then owns.
    ///
    /// Run it for an application that has no volume yet. The next deploy moves the volume to the node
    /// where the application is placed. Owners, modes, times, links, extended attributes and access
    /// control lists are kept. If an import is interrupted, run the same command again to continue it. To
    /// repeat an import that has made the volume, or to replace a volume that a deploy made, set that
    /// volume aside with `volume resolve` first.
    /// Refused while any node has a copy of the volume or cannot be looked at, and while a running
    /// container may write to the data.
    #[command(after_help = Exit::help(&Exit::ALL))]
    Import(Import),
    /// Exports an application's volume to a file on this machine, as a full `zfs send` stream.
    ///
    /// The application may run meanwhile. The stream shows one moment, as a disk does after a power cut.
    /// `volume import` with `stream:FILE`, or `zfs receive`, reads it.
    #[command(after_help = Exit::help(&Exit::ALL))]
    Export(Export),
}

/// The commands for machines of the cluster.
#[derive(Debug, Subcommand)]
pub(crate) enum Node {
    /// Gives up machines that are gone for good, so that nothing waits for them any more.
    ///
    /// Switch them off first. Every node then forgets them: new volumes are made again, old snapshots
    /// are destroyed, and deploys no longer exit with 6 because of them. Their keys are revoked, and
    /// should one come back, all nodes refuse it. Refused while one of them answers, while another
    /// machine cannot be looked at, and while one of them may have the only copy of a volume that
    /// `--give-up` does not name.
    #[command(after_help = Exit::help(&Exit::ALL))]
    Forget(Forget),
}

/// The options of `node forget`.
#[derive(Debug, Args)]
pub(crate) struct Forget {
    /// The machines, by the names that the deployment had for them, or by their ids.
    #[arg(required = true, value_name = "NAME")]
    pub(crate) machines: Vec<String>,
    /// A node of the same cluster that answers. The command asks it for the others.
    #[arg(long, value_name = "NODE")]
    pub(crate) via: NodeName,
    /// Accepts that the volume of this application, or what was last written to it, is lost. May be
    /// given several times; a refusal shows what for.
    #[arg(long = "give-up", value_name = "APP")]
    pub(crate) give_up: Vec<ApplicationName>,
    /// How to report and to reach the nodes.
    #[command(flatten)]
    pub(crate) common: Common,
}

/// The options of `volume promote`.
#[derive(Debug, Args)]
pub(crate) struct Promote {
    /// The application that the volume belongs to.
    pub(crate) application: ApplicationName,
    /// The node whose replica becomes the owner.
    #[arg(long = "on", value_name = "NODE")]
    pub(crate) node: NodeName,
    /// Accepts the loss of everything that was written from this time on; in UTC, as
    /// 2026-11-23T02:56:30Z or '2026-11-23 02:56'. It must not be later than the replica's newest
    /// snapshot; a refusal shows the snapshot's time.
    #[arg(long, value_name = "TIME", value_parser = parse_utc)]
    pub(crate) accept_loss_since: u64,
    /// How to report and to reach the nodes.
    #[command(flatten)]
    pub(crate) common: Common,
}

/// The options of `volume resolve`.
#[derive(Debug, Args)]
pub(crate) struct Resolve {
    /// The application that the volume belongs to.
    pub(crate) application: ApplicationName,
    /// The node whose copy is set aside.
    #[arg(long = "set-aside", value_name = "NODE")]
    pub(crate) node: NodeName,
    /// Also sets aside a copy that no other node has as much as, such as the volume itself. Use it to
    /// import data in the place of a volume that a deploy made. The copy is kept; the application has
    /// no volume then, and its container on this node is removed. Refused while the application runs
    /// on this node, and while any node cannot be looked at.
    #[arg(long)]
    pub(crate) only_copy: bool,
    /// How to report and to reach the nodes.
    #[command(flatten)]
    pub(crate) common: Common,
}

/// The options of `volume import`.
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The application that the new volume belongs to.
    pub(crate) application: ApplicationName,
    /// Where the data is: the absolute path of a directory on the node, docker-volume:NAME for a Docker
    /// volume of the node, or stream:FILE for a full `zfs send` stream on this machine (stream:- for
    /// standard input). For a volume with several mount points, give DIRECTORY=/PATH or
    /// DIRECTORY=docker-volume:NAME once for each directory.
    #[arg(long = "from", value_name = "SOURCE", required = true)]
    pub(crate) from: Vec<ImportPart>,
    /// The node that has the data, and then owns the volume.
    #[arg(long = "on", value_name = "NODE")]
    pub(crate) node: NodeName,
    /// Accepts that this node is lost for good, together with its copy of the volume. May be given
    /// several times. A node that answers is not lost: switch it off first. If it comes back, its copy
    /// is not started.
    #[arg(long, value_name = "NODE")]
    pub(crate) lost: Vec<NodeName>,
    /// How to report and to reach the nodes.
    #[command(flatten)]
    pub(crate) common: Common,
}

/// The options of `volume export`.
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// The application that the volume belongs to.
    pub(crate) application: ApplicationName,
    /// The node that owns the volume.
    #[arg(long = "from", value_name = "NODE")]
    pub(crate) node: NodeName,
    /// A file on this machine that does not exist yet; `-` for standard output.
    #[arg(long = "to", value_name = "FILE")]
    pub(crate) to: ExportFile,
    /// How to report and to reach the nodes.
    #[command(flatten)]
    pub(crate) common: Common,
}

/// The options of commands that speak to nodes.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// Prints results and errors as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Prints more on standard error; give it twice for the log of the SSH transport.
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// How the nodes are reached.
    #[command(flatten)]
    pub(crate) ssh: Ssh,
}

/// The options of `convert`.
#[derive(Debug, Args)]
pub(crate) struct Convert {
    /// A file that says what to run, a file that says where, or both in any order.
    #[arg(required = true, num_args = 1..=2, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Writes `application.yml` and `deployment.yml` into this directory, and overwrites no file there.
    /// Makes the directory if its parent exists. Without this option, both go to standard output.
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) output: Option<PathBuf>,
}

/// The options of `deploy` and `plan`.
#[derive(Debug, Args)]
pub(crate) struct Deploy {
    /// The file that says what to run: images, volumes, routes and links of each application. A
    /// Compose file, or a file of an earlier release, works as well. The two files may come in either
    /// order.
    pub(crate) application_config: PathBuf,
    /// The file that says where to run it: the applications of each node.
    pub(crate) deployment_config: PathBuf,
    /// Streams images from this archive, made by `docker save`, to nodes that lack them. May be
    /// given several times. Images of this machine's own Docker need no option: Flocker streams those
    /// that neither a node nor a registry has.
    #[arg(long = "image-archive", value_name = "FILE")]
    pub(crate) image_archives: Vec<PathBuf>,
    /// Makes new volumes although a node has forgotten what it had, or a machine with volumes is
    /// missing. Without this option, such a deploy is refused and names the node or the machine.
    #[arg(long)]
    pub(crate) new_volumes: bool,
    /// How to report and to reach the nodes.
    #[command(flatten)]
    pub(crate) common: Common,
}

/// How the nodes are reached. The configuration of `ssh` supplies everything that is not given here.
#[derive(Debug, Args)]
#[command(next_help_heading = "SSH")]
pub(crate) struct Ssh {
    /// Reads this file instead of `~/.ssh/config` and `/etc/ssh/ssh_config`.
    #[arg(short = 'F', long = "ssh-config", value_name = "FILE")]
    pub(crate) config_file: Option<PathBuf>,
    /// Offers this key before any other. May be given several times.
    #[arg(short = 'i', long = "identity", value_name = "FILE")]
    pub(crate) identity_files: Vec<PathBuf>,
    /// Uses this file instead of `~/.ssh/known_hosts`, and adds new hosts to it.
    #[arg(long, value_name = "FILE")]
    pub(crate) known_hosts: Option<PathBuf>,
    /// Logs in as this user. A user other than root needs `sudo` without a password.
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

    use super::{Arguments, Command, Node, Volume, documented};

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
        assert!(!resolve.only_copy);
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
    fn several_machines_may_be_forgotten() {
        let command =
            parse("node | forget | n2 | n3 | --via | n1 | --give-up | db | --give-up | web");
        let Ok(Command::Node {
            command: Node::Forget(forget),
        }) = command
        else {
            panic!("{command:?}");
        };
        assert_eq!((forget.machines.len(), forget.give_up.len()), (2, 2));
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
            "node | forget | --via | node1",
            "node | forget | node2",
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
