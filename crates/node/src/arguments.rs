//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use clap_complete::Shell;
use flocker_model::{ApplicationName, ImageReference, NodeName};
use uuid::Uuid;

use crate::settings::DEFAULT_PATH;

/// Runs on every node of a Flocker cluster, for as long as it takes to do what it was asked.
#[derive(Debug, Parser)]
#[command(name = "flocker-node", version, arg_required_else_help = true)]
pub(crate) struct Arguments {
    /// The node's settings.
    #[arg(long, global = true, value_name = "FILE", default_value = DEFAULT_PATH)]
    pub(crate) settings: PathBuf,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Shows what is on this node.
    Observe {
        /// Prints it as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Makes what is local to this node comply with the two files, and reports what is not local.
    Apply {
        /// What to run: images, volumes, routes and links of each application.
        application_config: PathBuf,
        /// Where to run it: the applications of each node.
        deployment_config: PathBuf,
        /// What this node is called in the deployment; found by its addresses and host name if
        /// not given.
        #[arg(long, value_name = "NAME")]
        node: Option<NodeName>,
    },
    /// Makes this node run again what it owns, as the last deployment had it; run at boot.
    Restore,
    /// Serves one deploy over standard input and output; run by flocker-cluster.
    Serve {
        /// The value of `SSH_CONNECTION`, where sudo has removed it.
        #[arg(long)]
        connection: Option<String>,
    },
    /// Writes completions for a shell to standard output.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Writes the manual page to standard output.
    Manual,
    /// Makes an application ready to start; run by its systemd unit.
    #[command(hide = true)]
    Prepare {
        /// The application.
        application: ApplicationName,
    },
    /// Programs routes and links again whenever the firewall loses them; run by its systemd unit.
    #[command(hide = true)]
    GuardNetwork,
    /// Receives a volume or an image from a peer; run by the peer's key.
    #[command(hide = true)]
    Receive {
        /// The peer's node id.
        from: Uuid,
    },
    /// Makes a volume of a stream of `zfs send` that comes in frames, with signs of life, on standard
    /// input; run by flocker-cluster.
    #[command(hide = true)]
    ImportStream {
        /// The application.
        application: ApplicationName,
        /// Where the stream comes from, as the operator wrote it.
        from: String,
        /// The epoch that the volume begins with.
        #[arg(long)]
        epoch: u64,
        /// The deployment that the node last applied.
        #[arg(long)]
        deployment: Option<String>,
    },
    /// Writes a snapshot of a volume to standard output; run by flocker-cluster.
    #[command(hide = true)]
    ExportVolume {
        /// The application.
        application: ApplicationName,
        /// The snapshot's GUID.
        snapshot: u64,
    },
    /// Loads an image from an archive on standard input; run by flocker-cluster.
    #[command(hide = true)]
    LoadImage {
        /// The image.
        image: ImageReference,
    },
}

#[cfg(test)]
#[path = "../../cluster/src/arguments/documented.rs"]
mod documented;

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::{Arguments, documented};

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_command_line_in_the_documents_is_understood() {
        let checked = documented::check::<Arguments>("flocker-node");
        assert!(checked >= 4, "only {checked} were found");
    }
}
