//! Peers are reached over SSH, with this node's own key.

use std::net::Ipv4Addr;
use std::path::Path;

use flocker_model::{LoginRefusal, Member, NodeName};
use flocker_remote::protocol::StepFailure;
use flocker_remote::ssh::{
    ConnectCause, ConnectError, ConnectOptions, ConnectStep, Connection, Destination, Login,
    PublicKey, RemoteCommand, Session, SshServer, Way,
};
use tokio::net::TcpStream;

use crate::failure::{OrFailure as _, failed_to};
use crate::peer::NotTold;
use crate::platform::{PeerConnection, PeerSession, Peers};

/// The user that receives; its only key-based command is `flocker-node receive`.
const RECEIVING_USER: &str = "flocker";

/// Peers over SSH.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ssh {
    /// How connections to them are opened.
    pub(crate) way: Way,
}

/// A connection to a peer.
pub(crate) struct SshConnection {
    name: NodeName,
    connection: Connection,
}

impl Peers for Ssh {
    type Connection = SshConnection;

    async fn reach(&self, member: &Member) -> Result<(), StepFailure> {
        let (address, port) = (member.contact.address, member.contact.ssh_port);
        let connected = TcpStream::connect((address, port.get())).await;
        let connected =
            connected.or_failed_to(format!("no connection to port {port} of {address}"));
        connected.map(drop)
    }

    async fn connect(
        &self,
        name: &NodeName,
        member: &Member,
        key: &Path,
    ) -> Result<SshConnection, NotTold> {
        let host_keys: Vec<PublicKey> = member
            .ssh
            .host_keys
            .iter()
            .map(|key| PublicKey::from_openssh(key))
            .collect::<Result<_, _>>()
            .or_failed_to(format!("the host keys of {name} cannot be read"))
            .map_err(NotTold::Silent)?;
        let contact = member.contact;
        let destination = Destination::pinned(
            (&contact.address.to_string(), contact.ssh_port.get()),
            RECEIVING_USER,
            key,
            host_keys,
        );
        let options = ConnectOptions::default();
        let connected = self.way.connect(&destination, &options).await;
        let connection = connected.map_err(|error| not_told(name, &error))?;
        Ok(SshConnection {
            name: name.clone(),
            connection,
        })
    }

    async fn observe_refusal(&self, address: Ipv4Addr, keys: &Path) -> Option<LoginRefusal> {
        let login = Login {
            user: RECEIVING_USER,
            address,
            authorized_keys: keys,
        };
        SshServer::find()?.observe_refusal(login).await
    }
}

/// Tells a machine that is there and did not answer in time, or not to the end, from one that is not there
/// or lets nobody in.
fn not_told(name: &NodeName, error: &ConnectError) -> NotTold {
    let failure = cannot_push(name, error);
    let was_reached = matches!(
        error.step,
        ConnectStep::KeyExchange | ConnectStep::Authentication
    );
    let was_late = matches!(
        error.cause,
        ConnectCause::TimedOut { .. } | ConnectCause::Lost(_)
    );
    if was_reached && was_late {
        NotTold::NotUnderstood(failure)
    } else {
        NotTold::Silent(failure)
    }
}

/// Says why this node cannot push to another, and what to look at there.
fn cannot_push(name: &NodeName, error: &ConnectError) -> StepFailure {
    let ConnectError {
        user, host, port, ..
    } = error;
    let hint = match error.step {
        ConnectStep::Authentication => {
            let from = error
                .from
                .map_or_else(|| "this node".to_owned(), |from| from.to_string());
            let place = error.from.map_or_else(
                || "host=,addr=".to_owned(),
                |from| format!("host={from},addr={from}"),
            );
            Some(format!(
                "Flocker has authorised this node's key for {user} on {name}, so the sshd of {name} \
                 has a rule of its own against {user} from {from}, such as AllowUsers, AllowGroups, \
                 DenyUsers or DenyGroups; on {name}, `sshd -T -C user={user},{place} | grep -E \
                 'users|groups|authorizedkeys'` shows it"
            ))
        }
        ConnectStep::Lookup | ConnectStep::Tcp => Some(format!(
            "does a firewall let this node connect to port {port} of {host}? If {host} is not the \
             address at which other nodes reach {name}, write `address = \"ADDRESS\"` in \
             /etc/flocker/node.toml on {name} and deploy again"
        )),
        ConnectStep::Proxy | ConnectStep::KeyExchange | ConnectStep::HostKey => error.hint(),
    };
    StepFailure {
        hint,
        ..failed_to(format!("this node cannot push to {name}"), error)
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

#[cfg(test)]
mod tests {
    use flocker_remote::ssh::{Attempt, AuthenticationError};

    use super::*;

    fn error(step: ConnectStep, cause: ConnectCause) -> ConnectError {
        ConnectError {
            node: "10.0.0.2".to_owned(),
            user: RECEIVING_USER.to_owned(),
            host: "10.0.0.2".to_owned(),
            port: 22,
            from: Some([10, 0, 0, 1].into()),
            step,
            cause,
        }
    }

    /// One that accepts connections may be the owner, however busy it is.
    #[test]
    fn a_machine_that_is_slow_is_not_taken_for_one_that_is_away() {
        let name = "node2".parse().unwrap();
        let late = |step| {
            let after = std::time::Duration::from_secs(15);
            not_told(&name, &error(step, ConnectCause::TimedOut { after }))
        };
        assert!(matches!(late(ConnectStep::Tcp), NotTold::Silent(_)));
        for step in [ConnectStep::KeyExchange, ConnectStep::Authentication] {
            assert!(matches!(late(step), NotTold::NotUnderstood(_)), "{step}");
        }
    }

    fn refused(step: ConnectStep, cause: ConnectCause) -> String {
        let failure = cannot_push(&"node2".parse().unwrap(), &error(step, cause));
        let mut lines = vec![failure.message];
        lines.extend(failure.causes);
        lines.extend(failure.hint);
        lines.join("\n")
    }

    #[test]
    fn a_peer_whose_sshd_refuses_the_login_is_explained() {
        let error = AuthenticationError {
            attempts: vec![Attempt {
                what: "/var/lib/flocker/ssh/id_ed25519".to_owned(),
                outcome: "refused by the host".to_owned(),
            }],
            methods: vec!["publickey".to_owned()],
            offered: true,
            cut_short: false,
        };
        let cause = ConnectCause::Authentication(error);
        insta::assert_snapshot!(refused(ConnectStep::Authentication, cause), @r"
        this node cannot push to node2
        cannot connect to 10.0.0.2 (flocker@10.0.0.2 port 22): logging in failed
        no key was accepted (/var/lib/flocker/ssh/id_ed25519: refused by the host)
        Flocker has authorised this node's key for flocker on node2, so the sshd of node2 has a rule of its own against flocker from 10.0.0.1, such as AllowUsers, AllowGroups, DenyUsers or DenyGroups; on node2, `sshd -T -C user=flocker,host=10.0.0.1,addr=10.0.0.1 | grep -E 'users|groups|authorizedkeys'` shows it
        ");
    }

    #[test]
    fn a_peer_at_another_address_is_explained() {
        let cause = ConnectCause::TimedOut {
            after: std::time::Duration::from_secs(15),
        };
        insta::assert_snapshot!(refused(ConnectStep::Tcp, cause), @r#"
        this node cannot push to node2
        cannot connect to 10.0.0.2 (flocker@10.0.0.2 port 22): the TCP connection failed
        no answer within 15 s
        does a firewall let this node connect to port 22 of 10.0.0.2? If 10.0.0.2 is not the address at which other nodes reach node2, write `address = "ADDRESS"` in /etc/flocker/node.toml on node2 and deploy again
        "#);
    }
}
