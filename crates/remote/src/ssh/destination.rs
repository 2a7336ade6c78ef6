//! Turns what the operator wrote into everything needed to connect.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::host_key::{HostKeyPolicy, UnknownHost};
use super::identity::Identity;
use super::proxy::Proxy;
use super::settings::ConfigError;

mod expand;
mod name;
mod proxied;
mod resolve;

pub(super) use name::WrittenName;
pub use resolve::{resolve_answered, resolve_destination};

/// What the command line says about SSH, for all nodes alike.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SshOptions {
    /// Read this instead of `~/.ssh/config` and `/etc/ssh/ssh_config`.
    pub config_file: Option<PathBuf>,
    /// Keys to offer before any that the configuration names.
    pub identity_files: Vec<PathBuf>,
    /// The file of known host keys, instead of `~/.ssh/known_hosts`.
    pub known_hosts: Option<PathBuf>,
    /// The user to log in as, unless the node is written `user@host`.
    pub user: Option<String>,
    /// The port, unless the node is written `host:port`.
    pub port: Option<u16>,
    /// What to do about a host that is not known.
    pub unknown_host: Option<UnknownHost>,
}

/// What the process was started with that matters to SSH.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    /// The user's home directory.
    pub home: PathBuf,
    /// The user's name.
    pub user: String,
    /// Environment variables, among them `SSH_AUTH_SOCK`.
    pub variables: BTreeMap<String, String>,
}

impl Environment {
    /// Reads the environment of this process. The home directory is `HOME`
    /// if that is set, else the one in the password database.
    pub fn observe() -> Self {
        let variables: BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let account = nix::unistd::User::from_uid(nix::unistd::getuid())
            .ok()
            .flatten();
        let home = match (variables.get("HOME"), &account) {
            (Some(home), _) if !home.is_empty() => PathBuf::from(home),
            (_, Some(account)) => account.dir.clone(),
            _ => PathBuf::from("/"),
        };
        let user = account
            .map(|account| account.name)
            .or_else(|| variables.get("USER").cloned())
            .unwrap_or_else(|| "root".to_owned());
        Self {
            home,
            user,
            variables,
        }
    }
}

/// A node, and how to reach it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// The node as the operator wrote it.
    pub name: String,
    /// The name or address to connect to.
    pub host: String,
    /// The TCP port.
    pub port: u16,
    /// The user to log in as.
    pub user: String,
    /// Key files, in the order in which they are offered.
    pub identities: Vec<Identity>,
    /// Whether the agent's other keys stay unused.
    pub identities_only: bool,
    /// The agent's socket.
    pub agent: Option<PathBuf>,
    /// Certificates for keys, beside those that are next to key files.
    pub certificates: Vec<PathBuf>,
    /// The program through which the host is reached, if not directly.
    pub proxy: Option<Proxy>,
    /// How the host proves who it is.
    pub host_key: HostKeyPolicy,
    /// What the operator should be told, one sentence each.
    pub warnings: Vec<String>,
}

impl Destination {
    /// Describes a node that is known by its exact host keys and logged into
    /// with one key file: how nodes reach each other.
    pub fn pinned(
        (host, port): (&str, u16),
        user: &str,
        identity_file: &Path,
        host_keys: Vec<russh::keys::PublicKey>,
    ) -> Self {
        Self {
            name: host.to_owned(),
            host: host.to_owned(),
            port,
            user: user.to_owned(),
            identities: vec![Identity {
                path: identity_file.to_owned(),
                named: true,
            }],
            identities_only: true,
            agent: None,
            certificates: Vec::new(),
            proxy: None,
            host_key: HostKeyPolicy::Pinned(host_keys),
            warnings: Vec::new(),
        }
    }
}

/// What the operator wrote does not lead to a node.
#[derive(Debug, Error)]
pub enum DestinationError {
    /// The name is not a host name, an address, or one of these with a user
    /// or port.
    #[error(
        "`{name}` does not name a node: write HOST, USER@HOST, HOST:PORT or an alias from ~/.ssh/config"
    )]
    BadName {
        /// What was written.
        name: String,
    },
    /// A configuration file could not be read.
    #[error("cannot read the SSH configuration {}: check its permissions", file.display())]
    UnreadableConfig {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A configuration file says something impossible.
    #[error("the SSH configuration for `{name}` cannot be used")]
    BadConfig {
        /// The node.
        name: String,
        /// Where and what.
        #[source]
        source: ConfigError,
    },
    /// The configuration asks for a way that leads nowhere.
    #[error("{location}: `{setting}` does not lead to `{name}`: {reason}")]
    BadProxy {
        /// The node.
        name: String,
        /// File and line, or the command whose output it is.
        location: String,
        /// The setting as written.
        setting: String,
        /// What is wrong with it.
        reason: String,
    },
}
