//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use flocker_lab::NodeIndex;

use crate::scenarios;

/// Real nodes to try Flocker on: virtual machines on a private network.
#[derive(Debug, Parser)]
#[command(name = "flocker-lab", version)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Which lab is meant.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// The lab's name, when there are several
    #[arg(long, default_value = "default", env = "FLOCKER_LAB", value_parser = parse_name)]
    pub(crate) name: String,
}

/// Which node of which lab is meant.
#[derive(Debug, Args)]
pub(crate) struct WhichNode {
    #[command(flatten)]
    pub(crate) lab: Which,
    /// The node: its number or its name
    pub(crate) node: NodeIndex,
}

/// What `up` is told.
#[derive(Debug, Args)]
pub(crate) struct Up {
    #[command(flatten)]
    pub(crate) lab: Which,
    /// How many nodes
    #[arg(long, default_value_t = 2)]
    pub(crate) nodes: usize,
    /// The memory of each node, in MiB
    #[arg(long, default_value_t = 1280)]
    pub(crate) memory: u32,
    /// A directory with an image that is built already, in the place of Debian; `cargo xtask
    /// lab up --image nixos` builds one
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) image: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Build the node image, unless it is there
    Image {
        /// Build the scenarios' container images as well
        #[arg(long)]
        containers: bool,
    },
    /// Start a lab in the background
    Up(Up),
    /// End a lab
    Down {
        #[command(flatten)]
        lab: Which,
    },
    /// Show a lab's nodes
    Status {
        #[command(flatten)]
        lab: Which,
    },
    /// Run a command on a node, or a shell
    Ssh {
        #[command(flatten)]
        node: WhichNode,
        /// The command and its arguments
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
    /// Run a program outside the nodes, but on their network
    Run {
        #[command(flatten)]
        lab: Which,
        /// The program and its arguments
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        program: Vec<OsString>,
    },
    /// Take the power from a node
    PowerCut {
        #[command(flatten)]
        node: WhichNode,
    },
    /// Switch a node on and wait until it answers
    PowerOn {
        #[command(flatten)]
        node: WhichNode,
    },
    /// Pull a node's network cable
    CutLink {
        #[command(flatten)]
        node: WhichNode,
    },
    /// Plug a node's network cable in again
    RestoreLink {
        #[command(flatten)]
        node: WhichNode,
    },
    /// Show a node's serial console and type on it
    Console {
        #[command(flatten)]
        node: WhichNode,
    },
    /// Show what Flocker does, on two nodes that keep running
    Demo,
    /// Run scenarios on nodes of a lab of their own
    Test(scenarios::Test),
    /// Disturb moves in every way, at every moment, and see that nothing is lost
    Faults(scenarios::Faults),
    /// Run a scenario on nodes that are there
    Scenario(scenarios::OnNodes),
    /// Remove what is cached: images, saved nodes, disks
    Clean,
    /// List the Debian packages that this machine needs
    Packages,
}

/// A name becomes that of a directory.
fn parse_name(text: &str) -> Result<String, String> {
    let plain = |character: char| character.is_ascii_alphanumeric() || character == '-';
    if text.is_empty() || text.len() > 32 || !text.chars().all(plain) {
        return Err("a lab's name has up to 32 letters, digits and hyphens".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_remote_command_may_have_options() {
        let arguments =
            Arguments::try_parse_from(["flocker-lab", "ssh", "node2", "zfs", "list", "-H"]);
        let Command::Ssh { node, command } = arguments.unwrap().command else {
            panic!("it is ssh");
        };
        assert_eq!(node.node.get(), 2);
        assert_eq!(command, ["zfs", "list", "-H"]);
    }

    #[test]
    fn names_stay_inside_the_directory() {
        for wrong in ["", "..", "a/b", "two words", &"x".repeat(33)] {
            assert!(parse_name(wrong).is_err(), "{wrong}");
        }
        assert!(parse_name("demo-2").is_ok());
    }
}
