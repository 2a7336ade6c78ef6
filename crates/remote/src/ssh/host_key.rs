//! Decides whether a host is the one it should be.

use std::fmt::Write as _;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use russh::keys::{Algorithm, HashAlg, PublicKey};
use thiserror::Error;

use super::command::shell_quote;
use super::destination::Destination;
use super::known_hosts::{KnownHosts, LookupName, Verdict};

/// How a host proves who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostKeyPolicy {
    /// By a key that is on record in files of known hosts.
    KnownHosts(KnownHostsFiles),
    /// By one of exactly these keys.
    Pinned(Vec<PublicKey>),
}

/// Files of known hosts and what to do about a host not among them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownHostsFiles {
    /// The name that stands for the host in these files, if not its own.
    pub alias: Option<String>,
    /// The user's files; a new host is added to the first.
    pub user_files: Vec<PathBuf>,
    /// The system's files.
    pub global_files: Vec<PathBuf>,
    /// What to do about a host that is in none of them.
    pub unknown: UnknownHost,
}

/// What to do about a host that nothing is known of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownHost {
    /// Do not connect.
    Refuse,
    /// Trust the key it presents, and remember it.
    AcceptNew,
}

/// A host did not prove that it is the one it should be. Nothing was sent to
/// it but the name of our SSH implementation.
#[derive(Debug, Error)]
pub enum HostKeyError {
    /// No key is on record for the host.
    #[error("its host key is not known: {}", fingerprint(key))]
    Unknown {
        /// The key that was presented.
        key: Box<PublicKey>,
        /// What to do.
        hint: String,
    },
    /// Other keys are on record for the host.
    #[error(
        "ITS HOST KEY HAS CHANGED: it presents {}, but on record is {on_record}",
        fingerprint(key)
    )]
    Changed {
        /// The key that was presented.
        key: Box<PublicKey>,
        /// The keys on record and the lines that hold them.
        on_record: String,
        /// What to do.
        hint: String,
    },
    /// The host presents a key that was revoked.
    #[error(
        "it presents a revoked host key: {} is marked @revoked at {location}",
        fingerprint(key)
    )]
    Revoked {
        /// The key that was presented.
        key: Box<PublicKey>,
        /// File and line.
        location: String,
    },
    /// The host presents none of the keys it is pinned to.
    #[error(
        "it presents {}, which is none of the keys it is pinned to: {expected}",
        fingerprint(key)
    )]
    NotPinned {
        /// The key that was presented.
        key: Box<PublicKey>,
        /// The keys that would have been accepted.
        expected: String,
    },
    /// A file of known hosts cannot be read.
    #[error("cannot read the known hosts in {}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The key of a new host cannot be remembered.
    #[error("cannot add its host key to {}", file.display())]
    CannotRemember {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl HostKeyError {
    /// What the operator can do next.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown { hint, .. } | Self::Changed { hint, .. } => Some(hint.clone()),
            Self::Revoked { .. } => Some(
                "do not connect: whoever answers there holds a key that was withdrawn; give the host a new key".to_owned(),
            ),
            Self::NotPinned { .. } => Some(
                "if the node was reinstalled, deploy again: its new host key is then collected over the operator's own connection".to_owned(),
            ),
            Self::Unreadable { file, .. } | Self::CannotRemember { file, .. } => {
                Some(format!("check the permissions of {}", file.display()))
            }
        }
    }
}

/// Judges a key that a host presents as [`Connection::connect`](super::Connection::connect) does,
/// without connecting.
///
/// **Source**: "`SSH_KNOWN_HOSTS` FILE FORMAT" in `sshd(8)`.
///
/// # Errors
///
/// [`HostKeyError`] when the host must not be talked to, or a file of known hosts cannot be used.
pub fn check_host_key(destination: &Destination, key: &PublicKey) -> Result<(), HostKeyError> {
    observe_known_hosts(destination)?.ensure_trusted(key)
}

/// What is needed to judge a host's key, read before connecting.
#[derive(Debug)]
pub(super) struct HostKeyCheck {
    name: LookupName,
    known: KnownHosts,
    policy: HostKeyPolicy,
    /// How to reach the host with `ssh`, for hints.
    ssh_arguments: Vec<String>,
    host: String,
    port: u16,
}

/// Reads the known hosts that apply to a destination.
///
/// # Errors
///
/// [`HostKeyError::Unreadable`] for a file that exists and cannot be read.
pub(super) fn observe_known_hosts(destination: &Destination) -> Result<HostKeyCheck, HostKeyError> {
    let mut known = KnownHosts::default();
    let mut name = LookupName::of(&destination.host, destination.port);
    let mut ssh_arguments = vec!["ssh".to_owned()];
    if let HostKeyPolicy::KnownHosts(files) = &destination.host_key {
        if let Some(alias) = &files.alias {
            name = LookupName::alias(alias);
            ssh_arguments.extend(["-o".to_owned(), format!("HostKeyAlias={alias}")]);
        }
        for file in files.user_files.iter().chain(&files.global_files) {
            match fs::read(file) {
                Ok(bytes) => known.add_file(file, &String::from_utf8_lossy(&bytes)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => {
                    return Err(HostKeyError::Unreadable {
                        file: file.clone(),
                        source,
                    });
                }
            }
        }
        if let Some(first) = files.user_files.first() {
            ssh_arguments.extend([
                "-o".to_owned(),
                format!("UserKnownHostsFile={}", first.display()),
            ]);
        }
    }
    for location in &known.skipped {
        tracing::debug!(%location, "skipping a line of known_hosts that makes no sense");
    }
    ssh_arguments.extend([
        "-p".to_owned(),
        destination.port.to_string(),
        format!("{}@{}", destination.user, destination.host),
        "true".to_owned(),
    ]);
    Ok(HostKeyCheck {
        name,
        known,
        policy: destination.host_key.clone(),
        ssh_arguments,
        host: destination.host.clone(),
        port: destination.port,
    })
}

impl HostKeyCheck {
    /// Types of host keys to ask for, the most useful first.
    pub(super) fn algorithms(&self, supported: &[Algorithm]) -> Vec<Algorithm> {
        let on_record: Vec<Algorithm> = match &self.policy {
            HostKeyPolicy::KnownHosts(_) => self.known.algorithms(&self.name),
            HostKeyPolicy::Pinned(keys) => keys.iter().map(PublicKey::algorithm).collect(),
        };
        // An RSA key is one kind of key, whatever hash it signs with.
        let wanted = |algorithm: &Algorithm| {
            on_record.iter().any(|known| {
                known == algorithm
                    || matches!(
                        (known, algorithm),
                        (Algorithm::Rsa { .. }, Algorithm::Rsa { .. })
                    )
            })
        };
        let (first, rest): (Vec<_>, Vec<_>) = supported.iter().cloned().partition(wanted);
        first.into_iter().chain(rest).collect()
    }

    /// Judges the key a host presented, and remembers it where that is wanted.
    ///
    /// # Errors
    ///
    /// [`HostKeyError`] when the host must not be talked to.
    pub(super) fn ensure_trusted(&self, key: &PublicKey) -> Result<(), HostKeyError> {
        let files = match &self.policy {
            HostKeyPolicy::KnownHosts(files) => files,
            HostKeyPolicy::Pinned(keys) => return check_pinned(keys, key),
        };
        match self.known.judge(&self.name, key) {
            Verdict::Trusted => Ok(()),
            Verdict::Revoked(location) => Err(HostKeyError::Revoked {
                key: Box::new(key.clone()),
                location: location.to_string(),
            }),
            Verdict::Changed(on_record) => {
                let listed: Vec<String> = on_record
                    .iter()
                    .map(|(location, known)| format!("{} at {location}", fingerprint(known)))
                    .collect();
                let file = on_record.first().map(|(location, _)| &location.file);
                Err(HostKeyError::Changed {
                    key: Box::new(key.clone()),
                    on_record: listed.join(" and "),
                    hint: self.changed_hint(file.map(PathBuf::as_path)),
                })
            }
            Verdict::Unknown { .. } if files.unknown == UnknownHost::AcceptNew => {
                self.remember(files, key)
            }
            Verdict::Unknown { authority } => {
                let mut hint = self.unknown_hint(key);
                if let Some(location) = authority {
                    let _ = write!(
                        hint,
                        " ({location} names a certificate authority, which Flocker does not consult: it needs the host's own key)"
                    );
                }
                Err(HostKeyError::Unknown {
                    key: Box::new(key.clone()),
                    hint,
                })
            }
        }
    }

    fn remember(&self, files: &KnownHostsFiles, key: &PublicKey) -> Result<(), HostKeyError> {
        let Some(file) = files.user_files.first() else {
            return Ok(());
        };
        tracing::info!(host = %self.name.exact, key = %fingerprint(key), "accepting a new host key");
        append_known_host(file, &self.name.exact, key).map_err(|source| {
            HostKeyError::CannotRemember {
                file: file.clone(),
                source,
            }
        })
    }

    fn unknown_hint(&self, key: &PublicKey) -> String {
        let kind = key_kind(key);
        format!(
            "compare it with `ssh-keygen -lf /etc/ssh/ssh_host_{kind}_key.pub` run on the node itself; if they agree, accept it with `{}`",
            shell_quote(&self.ssh_arguments)
        )
    }

    fn changed_hint(&self, file: Option<&Path>) -> String {
        let forget = file.map_or_else(String::new, |file| {
            let command = [
                "ssh-keygen",
                "-f",
                &file.display().to_string(),
                "-R",
                &self.name.exact,
            ];
            format!(", forget the old key with `{}`", shell_quote(&command))
        });
        format!(
            "somebody may be impersonating {} port {}. Only if you know that the host was reinstalled{forget} and accept the new one with `{}`",
            self.host,
            self.port,
            shell_quote(&self.ssh_arguments)
        )
    }
}

fn check_pinned(keys: &[PublicKey], key: &PublicKey) -> Result<(), HostKeyError> {
    if keys
        .iter()
        .any(|pinned| pinned.key_data() == key.key_data())
    {
        return Ok(());
    }
    let expected: Vec<String> = keys.iter().map(fingerprint).collect();
    Err(HostKeyError::NotPinned {
        key: Box::new(key.clone()),
        expected: if expected.is_empty() {
            "none at all".to_owned()
        } else {
            expected.join(" or ")
        },
    })
}

/// Type and fingerprint, as `ssh` shows them.
pub(super) fn fingerprint(key: &PublicKey) -> String {
    format!("{} {}", key.algorithm(), key.fingerprint(HashAlg::Sha256))
}

/// The word for a key's type in the names of host key files.
fn key_kind(key: &PublicKey) -> &'static str {
    match key.algorithm() {
        Algorithm::Rsa { .. } => "rsa",
        Algorithm::Ecdsa { .. } => "ecdsa",
        _ => "ed25519",
    }
}

fn append_known_host(file: &Path, name: &str, key: &PublicKey) -> io::Result<()> {
    if let Some(directory) = file.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)?;
    }
    let bare = PublicKey::new(key.key_data().clone(), "");
    let line = bare.to_openssh().map_err(io::Error::other)?;
    // An editor may have left the last line unfinished.
    let unfinished = fs::read(file).is_ok_and(|text| !text.is_empty() && !text.ends_with(b"\n"));
    let separator = if unfinished { "\n" } else { "" };
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(file)?
        // One write, so that concurrent connections cannot tear lines.
        .write_all(format!("{separator}{name} {}\n", line.trim()).as_bytes())
}
