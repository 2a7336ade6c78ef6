//! Key files to log in with.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use russh::keys::{Certificate, PrivateKey, PublicKey, decode_secret_key};
use thiserror::Error;

/// A key file that may be offered to a node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity {
    /// The private key's file, or a public key whose private half the agent
    /// holds.
    pub path: PathBuf,
    /// Whether somebody named this file, as opposed to it being one of the
    /// usual places. Only a named file's absence is worth mentioning.
    pub named: bool,
}

/// What a key file turned out to hold.
#[derive(Debug)]
pub(super) struct LoadedIdentity {
    pub(super) identity: Identity,
    /// The public half, by which the agent's copy is recognised.
    pub(super) public_key: Option<PublicKey>,
    /// The private half, or why it cannot be used from the file.
    pub(super) private_key: Result<PrivateKey, UnusableKeyFile>,
}

/// A certificate that names a key.
#[derive(Debug)]
pub(super) struct LoadedCertificate {
    pub(super) path: PathBuf,
    pub(super) certificate: Certificate,
}

/// Reads the certificates that are named, and those that are beside key files. Of a named file that
/// is none, returns why.
///
/// Source: `CertificateFile` in `ssh_config(5)`.
pub(super) fn observe_certificates(
    named: &[PathBuf],
    identities: &[Identity],
) -> (Vec<LoadedCertificate>, Vec<(PathBuf, String)>) {
    let (mut loaded, mut failures) = (Vec::new(), Vec::new());
    let beside = identities.iter().map(|identity| {
        let mut path = identity.path.as_os_str().to_owned();
        path.push("-cert.pub");
        (PathBuf::from(path), false)
    });
    for (path, is_named) in named.iter().map(|path| (path.clone(), true)).chain(beside) {
        let read = fs::read_to_string(&path).map_err(|error| error.to_string());
        let read = read.and_then(|text| {
            let certificate = Certificate::from_openssh(text.trim());
            certificate.map_err(|error| format!("not a certificate ({error})"))
        });
        match read {
            Ok(certificate) => loaded.push(LoadedCertificate { path, certificate }),
            Err(reason) if is_named => failures.push((path, reason)),
            Err(_) => {}
        }
    }
    (loaded, failures)
}

/// Why a key file cannot be used without an agent.
#[derive(Debug, Error)]
pub(super) enum UnusableKeyFile {
    #[error("no such file")]
    Missing,
    #[error("cannot be read ({0})")]
    Unreadable(std::io::Error),
    #[error("mode {0:04o} lets others read it: run `chmod 600` on it")]
    TooOpen(u32),
    #[error("encrypted: run `ssh-add` on it, so that the agent can use it")]
    Encrypted,
    #[error("holds only a public key, and the agent does not have the private one")]
    PublicOnly,
    #[error("not a private key ({0})")]
    Malformed(String),
}

/// Reads a key file. Failures are part of the answer, as they matter only
/// when no other key is accepted either.
pub(super) fn observe_identity(identity: &Identity) -> LoadedIdentity {
    let mut public_key = read_public_half(&identity.path);
    let private_key = match read_private_half(&identity.path) {
        Ok((private_key, embedded)) => {
            public_key = embedded.or(public_key);
            private_key
        }
        Err(unusable) => Err(unusable),
    };
    LoadedIdentity {
        identity: identity.clone(),
        public_key,
        private_key,
    }
}

/// The public key beside the private one, or in its place.
fn read_public_half(path: &Path) -> Option<PublicKey> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".pub");
    [Path::new(&beside), path]
        .into_iter()
        .find_map(|candidate| {
            let text = fs::read_to_string(candidate).ok()?;
            PublicKey::from_openssh(text.trim()).ok()
        })
}

type PrivateHalf = (Result<PrivateKey, UnusableKeyFile>, Option<PublicKey>);

fn read_private_half(path: &Path) -> Result<PrivateHalf, UnusableKeyFile> {
    let unreadable = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => UnusableKeyFile::Missing,
        _ => UnusableKeyFile::Unreadable(error),
    };
    let mode = fs::metadata(path).map_err(unreadable)?.mode() & 0o777;
    let text = fs::read_to_string(path).map_err(unreadable)?;
    if PublicKey::from_openssh(text.trim()).is_ok() {
        return Err(UnusableKeyFile::PublicOnly);
    }
    // ssh(1) refuses such a key too: whoever could read it may have.
    if mode & 0o077 != 0 {
        return Err(UnusableKeyFile::TooOpen(mode));
    }
    // The OpenSSH format keeps the public half readable in encrypted keys.
    if let Ok(key) = PrivateKey::from_openssh(&text)
        && key.is_encrypted()
    {
        let public_key = key.public_key().clone();
        return Ok((Err(UnusableKeyFile::Encrypted), Some(public_key)));
    }
    match decode_secret_key(&text, None) {
        Ok(key) => {
            let public_key = key.public_key().clone();
            Ok((Ok(key), Some(public_key)))
        }
        Err(russh::keys::Error::KeyIsEncrypted) => Err(UnusableKeyFile::Encrypted),
        Err(_) if text.contains("ENCRYPTED") => Err(UnusableKeyFile::Encrypted),
        Err(error) => Err(UnusableKeyFile::Malformed(error.to_string())),
    }
}
