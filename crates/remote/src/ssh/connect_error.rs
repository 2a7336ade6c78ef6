//! Why a node could not be reached.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use thiserror::Error;

use super::authenticate::AuthenticationError;
use super::destination::Destination;
use super::exit::ConnectionLost;
use super::host_key::HostKeyError;

/// A node could not be reached.
#[derive(Debug, Error)]
#[error("cannot connect to {node} ({user}@{host} port {port}): {step} failed")]
pub struct ConnectError {
    /// The node as the operator wrote it.
    pub node: String,
    /// The user to log in as.
    pub user: String,
    /// The name or address connected to.
    pub host: String,
    /// The TCP port.
    pub port: u16,
    /// This machine's address on the connection, once there was one.
    pub from: Option<IpAddr>,
    /// What was being done.
    pub step: ConnectStep,
    /// What went wrong.
    #[source]
    pub cause: ConnectCause,
}

/// A step of connecting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectStep {
    /// Finding the host's address.
    Lookup,
    /// The TCP connection.
    Tcp,
    /// The program that leads to the host.
    Proxy,
    /// Agreeing on keys.
    KeyExchange,
    /// Verifying who the host is.
    HostKey,
    /// Logging in.
    Authentication,
}

impl fmt::Display for ConnectStep {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Lookup => "looking up its address",
            Self::Tcp => "the TCP connection",
            Self::Proxy => "the way through a proxy",
            Self::KeyExchange => "the SSH key exchange",
            Self::HostKey => "verifying its host key",
            Self::Authentication => "logging in",
        })
    }
}

/// What went wrong when connecting.
#[derive(Debug, Error)]
pub enum ConnectCause {
    /// The name has no address.
    #[error("the name cannot be resolved")]
    Lookup(#[source] io::Error),
    /// No address accepted a connection.
    #[error("no connection to {address}")]
    Tcp {
        /// The last address tried.
        address: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The program that should lead to the host cannot be started.
    #[error("`{program}`, which `{setting}` needs, cannot be started")]
    NoProxy {
        /// The program.
        program: String,
        /// The setting that asks for it.
        setting: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The program that should lead to the host ended.
    #[error("`{setting}` leads nowhere{}", wrote(said))]
    ProxyEnded {
        /// The setting that asks for it.
        setting: String,
        /// What the program wrote to standard error.
        said: String,
    },
    /// The host took too long.
    #[error("no answer within {} s", after.as_secs_f32())]
    TimedOut {
        /// How long was waited.
        after: Duration,
    },
    /// The host and we do not understand each other.
    #[error("the hosts cannot agree on a protocol")]
    Protocol(#[source] Box<russh::Error>),
    /// The connection was lost.
    #[error("the connection was lost")]
    Lost(#[source] ConnectionLost),
    /// The host did not prove who it is.
    #[error(transparent)]
    HostKey(HostKeyError),
    /// No key was accepted.
    #[error(transparent)]
    Authentication(AuthenticationError),
}

/// Tells what a program wrote.
fn wrote(said: &str) -> String {
    if said.is_empty() {
        return String::new();
    }
    format!("; it wrote: {said}")
}

impl ConnectError {
    pub(super) fn new(destination: &Destination, step: ConnectStep, cause: ConnectCause) -> Self {
        Self {
            node: destination.name.clone(),
            user: destination.user.clone(),
            host: destination.host.clone(),
            port: destination.port,
            from: None,
            step,
            cause,
        }
    }

    /// What the operator can do next.
    pub fn hint(&self) -> Option<String> {
        let Self { host, port, .. } = self;
        match &self.cause {
            ConnectCause::Lookup(_) => Some(format!(
                "check the spelling, or write an address, or give `{}` a HostName in ~/.ssh/config",
                self.node
            )),
            ConnectCause::Tcp { source, .. }
                if source.kind() == io::ErrorKind::ConnectionRefused =>
            {
                Some(format!(
                    "the host is up, but nothing listens on port {port}: is sshd running there, and on that port?"
                ))
            }
            ConnectCause::Tcp { .. } => Some(format!(
                "is {host} running, and reachable from here? Try `ping {host}`"
            )),
            ConnectCause::NoProxy { .. } | ConnectCause::ProxyEnded { .. } => {
                // `ssh` takes a port only in this form.
                let scheme = if self.node.contains(':') && !self.node.contains("://") {
                    "ssh://"
                } else {
                    ""
                };
                let node = &self.node;
                Some(format!(
                    "make `ssh {scheme}{node}` work, which goes the same way"
                ))
            }
            ConnectCause::TimedOut { .. } if self.step == ConnectStep::Authentication => {
                Some("does the agent wait for a confirmation or a touch?".to_owned())
            }
            ConnectCause::TimedOut { .. } if self.step == ConnectStep::KeyExchange => {
                Some(format!(
                    "something accepts connections on port {port} of {host}, but is it sshd, and does it respond?"
                ))
            }
            ConnectCause::TimedOut { .. } => Some(format!(
                "is {host} running, and does a firewall let port {port} through?"
            )),
            ConnectCause::Protocol(_) | ConnectCause::Lost(_) => Some(format!(
                "see the log of sshd on {host} (`journalctl -u ssh`), and try `ssh -v -p {port} {}@{host}`",
                self.user
            )),
            ConnectCause::HostKey(error) => error.hint(),
            ConnectCause::Authentication(error) => Some(error.hint(&self.user, self.from)),
        }
    }
}
