//! A node's own key, and the host keys by which others know it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use russh::keys::ssh_key::LineEnding;
use russh::keys::{Algorithm, PrivateKey, PublicKey};
use thiserror::Error;

use crate::write_new;

/// What a node's key is called where it is listed.
const COMMENT: &str = "flocker";

/// A node's key could not be made or read.
#[derive(Debug, Error)]
pub enum NodeKeyError {
    /// There is a key already.
    #[error("there is a key at {} already, which is never overwritten", path.display())]
    Exists {
        /// The key's file.
        path: PathBuf,
    },
    /// The file system said no.
    #[error("cannot {action} the node's key {}", path.display())]
    File {
        /// `read` or `write`.
        action: &'static str,
        /// The key's file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file holds something else.
    #[error("{} is not a key that Flocker can use: move it away, and a new one is made", path.display())]
    Malformed {
        /// The key's file.
        path: PathBuf,
        /// Why.
        #[source]
        source: russh::keys::ssh_key::Error,
    },
}

/// Makes a key for a node at `path`, and its public half beside it with
/// `.pub` appended. The file is there completely, or not at all.
///
/// # Errors
///
/// [`NodeKeyError::Exists`] if there is one, else why it cannot be written.
pub fn generate_node_key(path: &Path) -> Result<PublicKey, NodeKeyError> {
    let malformed = |source| NodeKeyError::Malformed {
        path: path.to_owned(),
        source,
    };
    let mut rng = russh::keys::key::safe_rng();
    let mut key = PrivateKey::random(&mut rng, Algorithm::Ed25519).map_err(malformed)?;
    key.set_comment(COMMENT);
    let text = key.to_openssh(LineEnding::LF).map_err(malformed)?;
    let public_text = key.public_key().to_openssh().map_err(malformed)?;

    write_new(path, text.as_bytes(), 0o600).map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => NodeKeyError::Exists {
            path: path.to_owned(),
        },
        _ => NodeKeyError::File {
            action: "write",
            path: path.to_owned(),
            source,
        },
    })?;
    ensure_public_half(path, &public_text)?;
    Ok(key.public_key().clone())
}

/// Returns the public half of a node's key, which is made if there is none.
///
/// # Errors
///
/// [`NodeKeyError`] when it can be neither read nor written.
pub fn ensure_node_key(path: &Path) -> Result<PublicKey, NodeKeyError> {
    // Every look at a node comes by here: no key is made up for nothing.
    if !path.exists() {
        match generate_node_key(path) {
            // Another process was faster.
            Err(NodeKeyError::Exists { .. }) => {}
            generated => return generated,
        }
    }
    read_public_key(path)
}

/// Reads the public half of a private key's file.
///
/// # Errors
///
/// [`NodeKeyError`] when the file cannot be read or is not a key.
pub fn read_public_key(path: &Path) -> Result<PublicKey, NodeKeyError> {
    let text = fs::read_to_string(path).map_err(|source| NodeKeyError::File {
        action: "read",
        path: path.to_owned(),
        source,
    })?;
    let key = PrivateKey::from_openssh(text).map_err(|source| NodeKeyError::Malformed {
        path: path.to_owned(),
        source,
    })?;
    Ok(key.public_key().clone())
}

/// Writes the `.pub` file, which is only there for people and `ssh` itself.
fn ensure_public_half(path: &Path, text: &str) -> Result<(), NodeKeyError> {
    let mut public_path = path.as_os_str().to_owned();
    public_path.push(".pub");
    let public_path = PathBuf::from(public_path);
    // One that is left over belongs to a key that is gone.
    let _ = fs::remove_file(&public_path);
    let text = format!("{}\n", text.trim_end());
    write_new(&public_path, text.as_bytes(), 0o644).map_err(|source| NodeKeyError::File {
        action: "write",
        path: public_path,
        source,
    })
}

/// A host's own keys could not be read.
#[derive(Debug, Error)]
pub enum HostKeysError {
    /// The directory or a file in it cannot be read.
    #[error("cannot read the host keys in {}", path.display())]
    Unreadable {
        /// The directory or file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There are none.
    #[error("there are no host keys ssh_host_*_key.pub in {}: run `ssh-keygen -A` and start sshd", path.display())]
    None {
        /// The directory.
        path: PathBuf,
    },
}

/// Reads the public host keys of this host, `ssh_host_*_key.pub` in
/// `directory` (usually `/etc/ssh`), sorted by file name. Files that hold no
/// key are left out.
///
/// Source: `HostKey` in `sshd_config(5)`.
///
/// # Errors
///
/// [`HostKeysError`] when there is no key to be read.
pub fn observe_host_keys(directory: &Path) -> Result<Vec<PublicKey>, HostKeysError> {
    let unreadable = |path: &Path, source| HostKeysError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let listing = fs::read_dir(directory).map_err(|source| unreadable(directory, source))?;
    let mut files: Vec<PathBuf> = listing
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            path.file_name()
                .and_then(|name| name.to_str())
                .is_some_and(|name| name.starts_with("ssh_host_") && name.ends_with("_key.pub"))
        })
        .collect();
    files.sort();
    let mut keys = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).map_err(|source| unreadable(&file, source))?;
        if let Ok(key) = PublicKey::from_openssh(text.trim()) {
            keys.push(PublicKey::new(key.key_data().clone(), ""));
        }
    }
    if keys.is_empty() {
        return Err(HostKeysError::None {
            path: directory.to_owned(),
        });
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    use super::{
        HostKeysError, NodeKeyError, ensure_node_key, generate_node_key, observe_host_keys,
        read_public_key,
    };

    #[test]
    fn a_key_is_made_once_and_openssh_reads_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("id_ed25519");
        let made = ensure_node_key(&path).unwrap();
        assert_eq!(ensure_node_key(&path).unwrap(), made);
        assert_eq!(read_public_key(&path).unwrap(), made);
        assert!(matches!(
            generate_node_key(&path),
            Err(NodeKeyError::Exists { .. })
        ));
        let permissions = fs::metadata(&path).unwrap().permissions();
        assert_eq!(permissions.mode() & 0o7777, 0o600);

        let shown = Command::new("ssh-keygen")
            .arg("-yf")
            .arg(&path)
            .output()
            .unwrap();
        assert!(shown.status.success());
        let shown = String::from_utf8(shown.stdout).unwrap();
        assert_eq!(shown.trim(), made.to_openssh().unwrap().trim());
        let mut names: Vec<_> = fs::read_dir(directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        assert_eq!(names, ["id_ed25519", "id_ed25519.pub"]);
    }

    #[test]
    fn host_keys_are_found_where_sshd_keeps_them() {
        let directory = tempfile::tempdir().unwrap();
        assert!(matches!(
            observe_host_keys(directory.path()),
            Err(HostKeysError::None { .. })
        ));
        for kind in ["ed25519", "rsa", "ecdsa"] {
            let path = directory.path().join(format!("ssh_host_{kind}_key"));
            let made = Command::new("ssh-keygen")
                .args(["-q", "-N", "", "-t", kind, "-f"])
                .arg(&path)
                .status()
                .unwrap();
            assert!(made.success());
        }
        fs::write(directory.path().join("ssh_host_x_key.pub"), "nonsense").unwrap();
        let kinds: Vec<String> = observe_host_keys(directory.path())
            .unwrap()
            .iter()
            .map(|key| key.algorithm().to_string())
            .collect();
        assert_eq!(kinds, ["ecdsa-sha2-nistp256", "ssh-ed25519", "ssh-rsa"]);
    }
}
