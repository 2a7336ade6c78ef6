//! Commands and files on a node, by OpenSSH's client.

use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use tokio::process::Command;

use crate::identity::NodeIndex;
use crate::node::Node;
use crate::operator::ssh_arguments;

/// What OpenSSH's client ends with when it is not the command that failed.
const CLIENT_FAILED: i32 = 255;

/// What a command on a node or of the operator said, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to standard output; what was not UTF-8 is replaced.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl Output {
    /// Whether it ended with 0.
    pub fn success(&self) -> bool {
        self.status.success()
    }
}

impl From<std::process::Output> for Output {
    fn from(output: std::process::Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Self {
            status: output.status,
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }
}

/// A command on a node went wrong.
#[derive(Debug, thiserror::Error)]
pub enum SshError {
    /// The client cannot be run, or a local file cannot be opened.
    #[error("{action}")]
    Local {
        /// What was tried.
        action: String,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// The node was not reached, or the connection broke.
    #[error("reach {node} over SSH: {said}")]
    Unreachable {
        /// Which node.
        node: NodeIndex,
        /// What `ssh` said.
        said: String,
    },
    /// The command ran and failed.
    #[error("`{command}` on {node} ended with {}:\n{}{}", .output.status, .output.stdout, .output.stderr)]
    Failed {
        /// Which node.
        node: NodeIndex,
        /// The command.
        command: String,
        /// All that is known about its end.
        output: Output,
    },
}

impl Node {
    /// Runs a command in root's shell on the node. How the command ends is the
    /// caller's business.
    ///
    /// # Errors
    /// When the node is not reached.
    pub async fn ssh(&self, command: &str) -> Result<Output, SshError> {
        self.feed(command, Stdio::null()).await
    }

    /// Runs a command that has to succeed, and returns its standard output
    /// without the final line break.
    ///
    /// # Errors
    /// When the node is not reached or the command ends with another status
    /// than 0.
    pub async fn check(&self, command: &str) -> Result<String, SshError> {
        let output = self.ssh(command).await?;
        let output = self.demand_success(command, output)?;
        Ok(output.stdout.trim_end_matches('\n').to_owned())
    }

    /// The command `ssh NODE COMMAND`, for callers that talk with it.
    pub fn ssh_command(&self, command: &str) -> Command {
        let mut ssh = Command::from(self.namespace.operator_command("ssh"));
        ssh.args(ssh_arguments(
            &self.home,
            self.index,
            &self.shared_connection(),
        ))
        .arg("--")
        .arg(command)
        .kill_on_drop(true);
        ssh
    }

    /// Copies a local file to a path on the node.
    ///
    /// # Errors
    /// When the file is unreadable, the node is not reached or has no room.
    pub async fn copy_in(&self, local: &Path, remote: &str) -> Result<(), SshError> {
        let file = std::fs::File::open(local).map_err(|source| SshError::Local {
            action: format!("read {}", local.display()),
            source,
        })?;
        let command = format!("cat >{}", quote(remote));
        let output = self.feed(&command, file.into()).await?;
        self.demand_success(&command, output).map(drop)
    }

    /// Writes a text to a file on the node.
    ///
    /// # Errors
    /// When the node is not reached or has no room.
    pub async fn write(&self, remote: &str, text: &str) -> Result<(), SshError> {
        let command = format!("printf %s {} >{}", quote(text), quote(remote));
        self.check(&command).await.map(drop)
    }

    /// Copies a file of the node to a local path.
    ///
    /// # Errors
    /// When the node is not reached or has no such file.
    pub async fn copy_out(&self, remote: &str, local: &Path) -> Result<(), SshError> {
        let action = |source| SshError::Local {
            action: format!("write {}", local.display()),
            source,
        };
        let command = format!("cat {}", quote(remote));
        let output = self
            .ssh_command(&command)
            .stdin(Stdio::null())
            .output()
            .await;
        let output = output.map_err(|source| SshError::Local {
            action: "run ssh (package openssh-client)".to_owned(),
            source,
        })?;
        let bytes = output.stdout.clone();
        let output = self.recognise(output.into())?;
        self.demand_success(&command, output)?;
        std::fs::write(local, bytes).map_err(action)
    }

    /// Opens a connection that later commands share, which saves them two
    /// seconds of emulated cryptography each. When it breaks, they open their
    /// own. It lives as long as the lab.
    ///
    /// With a file, the node is one that nobody has seen before, and its host
    /// keys are stored there.
    pub(crate) async fn connect(&self, first_met: Option<&Path>) -> Result<(), SshError> {
        let local = |action: &str| {
            let action = action.to_owned();
            |source| SshError::Local { action, source }
        };
        let said = self.directory.join("ssh.log");
        let log = std::fs::File::create(&said).map_err(local("create ssh.log"))?;
        let mut ssh = Command::from(self.namespace.resident_command("ssh"));
        ssh.args(["-f", "-N", "-o", "ControlMaster=yes"]);
        if let Some(known_hosts) = first_met {
            let file = format!("UserKnownHostsFile={}", known_hosts.display());
            ssh.args(["-o", "StrictHostKeyChecking=accept-new", "-o", &file])
                .args(["-o", "HashKnownHosts=no", "-o", "UpdateHostKeys=no"]);
        }
        self.forget_connection();
        ssh.args(ssh_arguments(
            &self.home,
            self.index,
            &self.shared_connection(),
        ));
        // The connection's process keeps these open.
        ssh.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let status = ssh.status().await;
        let status = status.map_err(local("run ssh (package openssh-client)"))?;
        if status.success() {
            return Ok(());
        }
        let said = std::fs::read_to_string(&said).map_err(local("read ssh.log"))?;
        Err(SshError::Unreachable {
            node: self.index,
            said: said.trim().to_owned(),
        })
    }

    async fn feed(&self, command: &str, input: Stdio) -> Result<Output, SshError> {
        let output = self.ssh_command(command).stdin(input).output().await;
        let output = output.map_err(|source| SshError::Local {
            action: "run ssh (package openssh-client)".to_owned(),
            source,
        })?;
        self.recognise(output.into())
    }

    fn recognise(&self, output: Output) -> Result<Output, SshError> {
        if output.status.code() == Some(CLIENT_FAILED) {
            return Err(SshError::Unreachable {
                node: self.index,
                said: output.stderr.trim().to_owned(),
            });
        }
        Ok(output)
    }

    fn demand_success(&self, command: &str, output: Output) -> Result<Output, SshError> {
        if output.success() {
            return Ok(output);
        }
        Err(SshError::Failed {
            node: self.index,
            command: command.to_owned(),
            output,
        })
    }
}

/// Quotes a word for the shell.
pub(crate) fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoting_survives_a_shell() {
        for word in ["plain", "two words", "it's", "$HOME `x` \\", ""] {
            let echoed = std::process::Command::new("sh")
                .args(["-c", &format!("printf %s {}", quote(word))])
                .output()
                .unwrap();
            assert_eq!(String::from_utf8(echoed.stdout).unwrap(), word);
        }
    }
}
