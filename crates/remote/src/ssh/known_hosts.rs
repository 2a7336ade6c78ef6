//! Decides whether known host keys vouch for a host. No effects here.

use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit, Mac};
use russh::keys::ssh_key::known_hosts::{Entry, HostPatterns, Marker};
use russh::keys::{Algorithm, PublicKey};
use sha1::Sha1;

use super::client_config::Location;
use super::pattern::matches_pattern_list;

/// One usable line of a `known_hosts` file.
#[derive(Debug, Clone)]
struct KnownHost {
    location: Location,
    entry: Entry,
}

/// The usable lines of all `known_hosts` files.
#[derive(Debug, Clone, Default)]
pub(super) struct KnownHosts {
    hosts: Vec<KnownHost>,
    /// Lines that could not be understood. `ssh` skips them too, or one bad
    /// line would lock everybody out.
    pub(super) skipped: Vec<Location>,
}

/// The name under which a host's keys are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LookupName {
    /// `host`, or `[host]:port` for a port that is not 22, in lower case.
    pub(super) exact: String,
    /// The host alone, if that differs: a key found under it is good, too.
    pub(super) without_port: Option<String>,
}

impl LookupName {
    /// The name for a host and port.
    pub(super) fn of(host: &str, port: u16) -> Self {
        let host = host.to_ascii_lowercase();
        if port == 22 {
            return Self {
                exact: host,
                without_port: None,
            };
        }
        Self {
            exact: format!("[{host}]:{port}"),
            without_port: Some(host),
        }
    }

    /// The name for a `HostKeyAlias`, which stands for host and port.
    pub(super) fn alias(alias: &str) -> Self {
        Self {
            exact: alias.to_ascii_lowercase(),
            without_port: None,
        }
    }
}

/// What is known about a host's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// This key is on record for the host.
    Trusted,
    /// This key is on record as one that must not be accepted.
    Revoked(Location),
    /// Other keys are on record for the host.
    Changed(Vec<(Location, PublicKey)>),
    /// Nothing is on record for the host, but perhaps an authority, which
    /// Flocker does not consult.
    Unknown { authority: Option<Location> },
}

impl KnownHosts {
    /// Adds the lines of one file.
    ///
    /// Source: "`SSH_KNOWN_HOSTS` FILE FORMAT" in `sshd(8)`.
    pub(super) fn add_file(&mut self, file: &Path, text: &str) {
        for (index, line) in text.lines().enumerate() {
            let location = Location {
                file: PathBuf::from(file),
                line: index + 1,
            };
            let fields: Vec<&str> = line.split_whitespace().collect();
            let Some(first) = fields.first() else {
                continue;
            };
            if first.starts_with('#') {
                continue;
            }
            // Only the comment may follow, and the parser wants one space
            // between fields.
            let count = if first.starts_with('@') { 4 } else { 3 };
            let meaningful = fields[..count.min(fields.len())].join(" ");
            match meaningful.parse() {
                Ok(entry) => self.hosts.push(KnownHost { location, entry }),
                Err(_) => self.skipped.push(location),
            }
        }
    }

    /// Judges the key a host presented.
    pub(super) fn judge(&self, name: &LookupName, key: &PublicKey) -> Verdict {
        let verdict = self.judge_as(&name.exact, key);
        let (Verdict::Unknown { .. }, Some(bare)) = (&verdict, &name.without_port) else {
            return verdict;
        };
        match self.judge_as(bare, key) {
            found @ (Verdict::Trusted | Verdict::Revoked(_)) => found,
            _ => verdict,
        }
    }

    fn judge_as(&self, name: &str, key: &PublicKey) -> Verdict {
        let mut trusted = false;
        let mut authority = None;
        let mut others = Vec::new();
        for host in self.hosts.iter().filter(|host| host.matches(name)) {
            let same = host.entry.public_key().key_data() == key.key_data();
            match host.entry.marker() {
                Some(Marker::Revoked) if same => return Verdict::Revoked(host.location.clone()),
                Some(Marker::Revoked) => {}
                Some(Marker::CertAuthority) => authority = Some(host.location.clone()),
                None if same => trusted = true,
                None => others.push((host.location.clone(), host.entry.public_key().clone())),
            }
        }
        if trusted {
            Verdict::Trusted
        } else if others.is_empty() {
            Verdict::Unknown { authority }
        } else {
            Verdict::Changed(others)
        }
    }

    /// The key types on record for a host. Asking the host for one of these
    /// keeps a host with several keys from presenting one nobody has seen.
    pub(super) fn algorithms(&self, name: &LookupName) -> Vec<Algorithm> {
        self.hosts
            .iter()
            .filter(|host| {
                host.entry.marker().is_none()
                    && (host.matches(&name.exact)
                        || name
                            .without_port
                            .as_deref()
                            .is_some_and(|bare| host.matches(bare)))
            })
            .map(|host| host.entry.public_key().algorithm())
            .collect()
    }
}

impl KnownHost {
    fn matches(&self, name: &str) -> bool {
        match self.entry.host_patterns() {
            HostPatterns::Patterns(patterns) => {
                let patterns: Vec<String> = patterns
                    .iter()
                    .map(|pattern| pattern.to_ascii_lowercase())
                    .collect();
                matches_pattern_list(patterns.iter().map(String::as_str), name)
            }
            // SHA-1 is what the format prescribes; it hides names here and
            // authenticates nothing.
            HostPatterns::HashedName { salt, hash } => Hmac::<Sha1>::new_from_slice(salt)
                .is_ok_and(|mut mac| {
                    mac.update(name.as_bytes());
                    mac.finalize().into_bytes().as_slice() == hash
                }),
        }
    }
}

#[cfg(test)]
mod tests;
