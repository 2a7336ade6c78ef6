//! Where a scenario takes place: nodes, and the operator beside them.

use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Stdio;

use futures_util::future::try_join_all;
use tokio::process::Command;

use super::plain::PlainNodes;
use crate::lab::Lab;
use crate::node::{Node, NodeError};
use crate::ssh::{Output, SshError};

/// Nodes to run a scenario on, counted from 0.
#[derive(Debug)]
pub enum Site {
    /// Nodes of a lab.
    Lab(Lab),
    /// Machines that somebody else has started.
    Plain(PlainNodes),
}

/// A site did not obey.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    /// A program of the operator's cannot be run.
    #[error("run `{program}`: {source}")]
    Run {
        /// The program.
        program: String,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// A command on a node failed.
    #[error("`{command}` on {node} ended with {}: {}{}", .output.status, .output.stdout, .output.stderr)]
    Failed {
        /// The node.
        node: Ipv4Addr,
        /// The command.
        command: String,
        /// All that is known about its end.
        output: Output,
    },
    /// A node of a lab was not reached.
    #[error(transparent)]
    Ssh(#[from] SshError),
    /// A node of a lab did not obey.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// A file for the operator cannot be written.
    #[error("write {}: {source}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// Nodes have not come back after a power cut.
    #[error("{0} has not come back after the power cut")]
    Gone(Ipv4Addr),
}

impl Site {
    /// The nodes' addresses, in order.
    pub fn addresses(&self) -> Vec<Ipv4Addr> {
        match self {
            Self::Lab(lab) => lab.addresses(),
            Self::Plain(plain) => plain.addresses().to_vec(),
        }
    }

    /// A node's address.
    ///
    /// # Panics
    /// When there are fewer nodes.
    pub fn address(&self, node: usize) -> Ipv4Addr {
        self.addresses()[node]
    }

    /// An address beside the nodes' that no machine has.
    pub fn nobodys_address(&self) -> Ipv4Addr {
        let [a, b, c, _] = self.address(0).octets();
        Ipv4Addr::new(a, b, c, 253)
    }

    /// Where the operator's files for a scenario are.
    pub fn directory(&self) -> PathBuf {
        match self {
            Self::Lab(lab) => lab.directory().join("scenario"),
            Self::Plain(plain) => plain.directory().to_owned(),
        }
    }

    /// A command that runs a program outside the nodes but on their network. Its
    /// `HOME` lets SSH reach them.
    pub fn operator_command(&self, program: &str) -> Command {
        match self {
            Self::Lab(lab) => lab.operator_command(program),
            Self::Plain(plain) => plain.operator_command(program),
        }
    }

    /// Runs a command in root's shell on a node, however it ends.
    ///
    /// # Errors
    /// When the node is not reached.
    pub async fn run(&self, node: usize, command: &str) -> Result<Output, SiteError> {
        match self {
            Self::Lab(lab) => Ok(lab.nodes()[node].ssh(command).await?),
            Self::Plain(plain) => plain.run(node, command).await,
        }
    }

    /// Runs a command on a node that has to succeed, and returns its standard
    /// output.
    ///
    /// # Errors
    /// When the node is not reached or the command fails.
    pub async fn check(&self, node: usize, command: &str) -> Result<String, SiteError> {
        let output = self.run(node, command).await?;
        if output.success() {
            return Ok(output.stdout);
        }
        Err(SiteError::Failed {
            node: self.address(node),
            command: command.to_owned(),
            output,
        })
    }

    /// Runs a program of the operator's to its end.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(super) async fn operate(
        &self,
        program: &str,
        mut command: Command,
    ) -> Result<Output, SiteError> {
        let output = command.stdin(Stdio::null()).output().await;
        let output = output.map_err(|source| SiteError::Run {
            program: program.to_owned(),
            source,
        })?;
        Ok(output.into())
    }

    /// Takes the power from a node.
    ///
    /// # Errors
    /// When it cannot be done.
    pub(super) async fn power_cut(&self, node: usize) -> Result<(), SiteError> {
        match self {
            Self::Lab(lab) => Ok(lab.nodes()[node].power_cut().await?),
            Self::Plain(plain) => plain.power_cut(node).await,
        }
    }

    /// Gives a node its power back and waits until it answers.
    ///
    /// # Errors
    /// When it does not.
    pub(super) async fn power_on(&self, node: usize) -> Result<(), SiteError> {
        match self {
            Self::Lab(lab) => Ok(lab.nodes()[node].power_on().await?),
            Self::Plain(plain) => plain.wait_for_reboot(node).await,
        }
    }

    /// Takes the power from all nodes at the same moment, switches them on again,
    /// and waits until they answer.
    ///
    /// # Errors
    /// When a node does not come back.
    pub async fn power_cycle(&self) -> Result<(), SiteError> {
        match self {
            Self::Lab(lab) => {
                try_join_all(lab.nodes().iter().map(Node::power_cut)).await?;
                try_join_all(lab.nodes().iter().map(Node::power_on)).await?;
                Ok(())
            }
            Self::Plain(plain) => plain.power_cycle().await,
        }
    }
}
