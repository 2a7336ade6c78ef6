//! Reaches a node over SSH the way the `ssh` command would.
//!
//! * Who to reach: [`resolve_destination`] turns what the operator wrote into
//!   a [`Destination`], reading the same configuration files as `ssh`. It asks
//!   `ssh` itself only where a file has a `Match` block with conditions.
//! * Reaching it: [`Connection::connect`] verifies the host key, then logs in
//!   with the agent or with key files.
//! * Working there: [`Connection::exec`] starts commands, any number of them
//!   one after another and several at once.
//! * Other networks: a [`Dialer`] opens connections in the place of SSH, for tests.
//! * Keys of nodes: [`ensure_node_key`], [`observe_host_keys`] and
//!   [`render_authorized_key`] are what nodes need to trust each other.

mod authenticate;
mod authorized_keys;
mod client_config;
mod client_config_files;
mod command;
mod connect_error;
mod connection;
mod destination;
mod error_output;
mod exit;
mod handler;
mod host_key;
mod identity;
mod key_signer;
mod known_hosts;
mod line;
mod node_key;
mod pattern;
mod proxy;
mod server_rules;
mod session;
mod settings;
mod ssh_answer;
mod stall_guard;
mod streams;
mod transfer;
mod transport;

pub use authenticate::{Attempt, AuthenticationError};
pub use authorized_keys::{
    AuthorizedKey, RenderAuthorizedKeyError, render_authorized_key, render_peer,
};
pub use command::{RemoteCommand, shell_quote};
pub use connect_error::{ConnectCause, ConnectError, ConnectStep};
pub use connection::{ConnectOptions, Connection};
pub use destination::{
    Destination, DestinationError, Environment, SshOptions, resolve_answered, resolve_destination,
};
pub use exit::{ConnectionLost, ExecError, Exit, ExitStatus, SessionError};
pub use host_key::{HostKeyError, HostKeyPolicy, KnownHostsFiles, UnknownHost, check_host_key};
pub use identity::Identity;
pub use line::{Dialer, FarEnd, FarOutput, Line, Way};
pub use node_key::{
    HostKeysError, NodeKeyError, ensure_node_key, generate_node_key, observe_host_keys,
    read_public_key,
};
pub use proxy::Proxy;
pub use russh::keys::PublicKey;
pub use server_rules::{Login, SshServer, find_refusal};
pub use session::Session;
pub use settings::ConfigError;
pub use ssh_answer::SshAnswer;
pub use streams::{Output, Stdin};
pub use transfer::{CommandError, Completed};
