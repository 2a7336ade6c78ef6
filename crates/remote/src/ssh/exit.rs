//! How commands and connections end.

use std::fmt;
use std::sync::{Arc, OnceLock};

use thiserror::Error;
use tokio::sync::oneshot;

/// How a command ended.
///
/// Source: RFC 4254 section 6.10.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExitStatus {
    /// It exited with this status; 0 is success.
    Code(u32),
    /// It was killed by this signal, named without `SIG`.
    Signal(String),
}

impl ExitStatus {
    /// Whether the command says it succeeded.
    pub fn success(&self) -> bool {
        *self == Self::Code(0)
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(formatter, "exit status {code}"),
            Self::Signal(signal) => write!(formatter, "killed by SIG{signal}"),
        }
    }
}

/// Why a connection is no more.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConnectionLost {
    /// The host ended it, with a reason.
    #[error("the host ended the connection: {message}")]
    Ended {
        /// The host's words.
        message: String,
    },
    /// The host closed it without a word, or the network did.
    #[error("the connection was closed: {cause}")]
    Closed {
        /// What was seen.
        cause: String,
    },
    /// The host no longer answers.
    #[error("the host no longer answers")]
    Silent,
    /// This side closed it.
    #[error("the connection was closed by this side")]
    Here,
}

/// Where the reason for losing a connection is left for all who ask.
#[derive(Debug, Clone, Default)]
pub(super) struct LossRecord(Arc<OnceLock<ConnectionLost>>);

impl LossRecord {
    /// Records the reason; the first one stays.
    pub(super) fn set(&self, lost: ConnectionLost) {
        let _ = self.0.set(lost);
    }

    /// The reason, to be asked for once the connection is known to be lost.
    pub(super) fn get(&self) -> ConnectionLost {
        self.0.get().cloned().unwrap_or(ConnectionLost::Here)
    }
}

/// A command could not be started.
#[derive(Debug, Error)]
pub enum ExecError {
    /// A command line cannot contain NUL.
    #[error("cannot start `{command}` on {node}: an argument contains a NUL character")]
    Nul {
        /// The node.
        node: String,
        /// The command.
        command: String,
    },
    /// The connection is gone.
    #[error("cannot start `{command}` on {node}: the connection is gone")]
    ConnectionLost {
        /// The node.
        node: String,
        /// The command.
        command: String,
        /// Why.
        #[source]
        source: ConnectionLost,
    },
    /// The host refuses more sessions on this connection.
    #[error(
        "cannot start `{command}` on {node}: the host refuses another session ({reason}): check MaxSessions in its sshd_config"
    )]
    SessionRefused {
        /// The node.
        node: String,
        /// The command.
        command: String,
        /// The host's reason.
        reason: String,
    },
}

/// It is not known how a command ended. It must not be taken for a success.
#[derive(Debug, Error)]
pub enum SessionError {
    /// The connection was lost while the command ran. It may still be running.
    #[error("the connection to {node} was lost while `{command}` ran")]
    ConnectionLost {
        /// The node.
        node: String,
        /// The command.
        command: String,
        /// Why.
        #[source]
        source: ConnectionLost,
    },
    /// The host closed the session without saying how the command ended.
    #[error("{node} did not say how `{command}` ended")]
    NoExitStatus {
        /// The node.
        node: String,
        /// The command.
        command: String,
    },
    /// The host did not run the command.
    #[error("{node} refused to run `{command}`")]
    Refused {
        /// The node.
        node: String,
        /// The command.
        command: String,
    },
}

/// How a session ended, as its pump saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ending {
    Status(ExitStatus),
    NoStatus,
    Refused,
    Lost(ConnectionLost),
}

/// Waits for a command to end. Dropping it closes the session at once: the
/// command then finds its standard input and output closed.
#[derive(Debug)]
pub struct Exit {
    pub(super) node: String,
    pub(super) command: String,
    pub(super) ending: oneshot::Receiver<Ending>,
    pub(super) loss: LossRecord,
}

impl Exit {
    /// Waits for the command to end and tells how. Its output must be read or
    /// dropped meanwhile, as it may not end before.
    ///
    /// # Errors
    ///
    /// [`SessionError`] when it is not known how the command ended.
    pub async fn wait(self) -> Result<ExitStatus, SessionError> {
        let Self {
            node,
            command,
            ending,
            loss,
        } = self;
        match ending.await {
            Ok(Ending::Status(status)) => Ok(status),
            Ok(Ending::NoStatus) => Err(SessionError::NoExitStatus { node, command }),
            Ok(Ending::Refused) => Err(SessionError::Refused { node, command }),
            Ok(Ending::Lost(source)) => Err(SessionError::ConnectionLost {
                node,
                command,
                source,
            }),
            // The pump is gone with the runtime it ran on.
            Err(_) => Err(SessionError::ConnectionLost {
                node,
                command,
                source: loss.get(),
            }),
        }
    }
}
