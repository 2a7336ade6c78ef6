//! What the SSH library asks of us while a connection lives.

use std::io;

use russh::client::{DisconnectReason, Handler};
use russh::keys::PublicKeyOrCertificate;

use super::exit::{ConnectionLost, LossRecord};
use super::host_key::{HostKeyCheck, HostKeyError};

/// Verifies the host, and records how the connection ends.
#[derive(Debug)]
pub(super) struct ClientHandler {
    pub(super) check: HostKeyCheck,
    pub(super) loss: LossRecord,
}

/// Ends a connection from within the library.
#[derive(Debug)]
pub(super) enum HandlerError {
    HostKey(HostKeyError),
    Library(russh::Error),
}

impl From<russh::Error> for HandlerError {
    fn from(error: russh::Error) -> Self {
        Self::Library(error)
    }
}

impl From<io::Error> for HandlerError {
    fn from(error: io::Error) -> Self {
        Self::Library(russh::Error::IO(error))
    }
}

impl Handler for ClientHandler {
    type Error = HandlerError;

    async fn check_server_key(
        &mut self,
        presented: &PublicKeyOrCertificate,
    ) -> Result<bool, Self::Error> {
        // Certificates are never offered to the host, so this is a plain key;
        // if it were not, its key would have to be on record all the same.
        self.check
            .ensure_trusted(&presented.public_key())
            .map_err(HandlerError::HostKey)?;
        Ok(true)
    }

    async fn disconnected(
        &mut self,
        reason: DisconnectReason<Self::Error>,
    ) -> Result<(), Self::Error> {
        match reason {
            DisconnectReason::ReceivedDisconnect(said) => {
                self.loss.set(ConnectionLost::Ended {
                    message: said.message,
                });
                Ok(())
            }
            DisconnectReason::Error(error) => {
                if let HandlerError::Library(error) = &error {
                    self.loss.set(describe_loss(error));
                }
                Err(error)
            }
        }
    }
}

/// Says in our words how a connection was lost.
pub(super) fn describe_loss(error: &russh::Error) -> ConnectionLost {
    match error {
        russh::Error::KeepaliveTimeout | russh::Error::InactivityTimeout => ConnectionLost::Silent,
        russh::Error::IO(error) if error.kind() == io::ErrorKind::TimedOut => {
            ConnectionLost::Silent
        }
        russh::Error::IO(error) if error.kind() == io::ErrorKind::UnexpectedEof => closed(),
        russh::Error::HUP | russh::Error::Disconnect => closed(),
        other => ConnectionLost::Closed {
            cause: other.to_string(),
        },
    }
}

fn closed() -> ConnectionLost {
    ConnectionLost::Closed {
        cause: "the host closed it without giving a reason".to_owned(),
    }
}
