//! Peers are reached over SSH, with this node's own key.

use std::path::Path;

use flocker_model::{Member, NodeName};
use flocker_remote::protocol::StepFailure;
use flocker_remote::ssh::{
    ConnectOptions, Connection, Destination, PublicKey, RemoteCommand, Session,
};

use crate::failure::OrFailure as _;
use crate::platform::{PeerConnection, PeerSession, Peers};

/// The user that receives; its only key-based command is `flocker-node receive`.
const RECEIVING_USER: &str = "flocker";

/// Peers over SSH.
#[derive(Debug, Clone)]
pub(crate) struct Ssh;

/// A connection to a peer.
pub(crate) struct SshConnection {
    name: NodeName,
    connection: Connection,
}

impl Peers for Ssh {
    type Connection = SshConnection;

    async fn connect(
        &self,
        name: &NodeName,
        member: &Member,
        key: &Path,
    ) -> Result<SshConnection, StepFailure> {
        let host_keys: Vec<PublicKey> = member
            .ssh
            .host_keys
            .iter()
            .map(|key| PublicKey::from_openssh(key))
            .collect::<Result<_, _>>()
            .or_failed_to(format!("the host keys of {name} cannot be read"))?;
        let contact = member.contact;
        let destination = Destination::pinned(
            (&contact.address.to_string(), contact.ssh_port.get()),
            RECEIVING_USER,
            key,
            host_keys,
        );
        let connection = Connection::connect(&destination, &ConnectOptions::default())
            .await
            .or_failed_to(format!("this node cannot push to {name}"))?;
        Ok(SshConnection {
            name: name.clone(),
            connection,
        })
    }
}

impl PeerConnection for SshConnection {
    async fn begin(&self) -> Result<PeerSession, StepFailure> {
        // The key allows nothing else, whatever is asked for.
        let command = RemoteCommand::new("flocker-node").arg("receive");
        let Session {
            stdin,
            stdout,
            stderr,
            exit,
        } = self
            .connection
            .exec(&command)
            .await
            .or_failed_to(format!("{} does not start to receive", self.name))?;
        Ok(PeerSession {
            input: Box::new(stdin),
            output: Box::new(stdout),
            errors: Box::new(stderr),
            // The session is closed when nobody waits for its end any more.
            open: Box::new(exit),
        })
    }
}
