//! The operator's home: the key that all nodes accept, and their host keys.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde::{Deserialize, Serialize};
use tokio::process::Command;

use crate::cache::{Cache, CacheError, Claim};
use crate::digest::KeyBuilder;
use crate::identity::NodeIndex;
use crate::progress::Progress;

/// A key cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The cache is unusable.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// The program is missing.
    #[error("run `ssh-keygen` (package openssh-client)")]
    Missing(#[source] io::Error),
    /// The program failed.
    #[error("`ssh-keygen` failed: {0}")]
    Failed(String),
}

/// The key pair that every node of this user's labs accepts for root. Nodes are
/// saved with it, so that it belongs to the cache and not to one lab.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    directory: PathBuf,
}

impl Key {
    pub(crate) async fn ensure(cache: &Cache, progress: &Progress) -> Result<Self, KeyError> {
        let name = KeyBuilder::new("operator-key").finish();
        let directory = match cache.claim("keys", &name, progress).await? {
            Claim::Ready(directory) => directory,
            Claim::Build(slot) => {
                let output = Command::new("ssh-keygen")
                    .args(["-q", "-t", "ed25519", "-N", "", "-C", "flocker-lab", "-f"])
                    .arg(slot.directory().join("id_ed25519"))
                    .stdin(Stdio::null())
                    .output()
                    .await
                    .map_err(KeyError::Missing)?;
                if !output.status.success() {
                    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
                    return Err(KeyError::Failed(said));
                }
                slot.finish()?
            }
        };
        Ok(Self { directory })
    }

    pub(crate) fn private(&self) -> PathBuf {
        self.directory.join("id_ed25519")
    }

    /// The line for `authorized_keys`.
    pub(crate) fn public_line(&self) -> Result<String, KeyError> {
        let path = self.directory.join("id_ed25519.pub");
        let line = fs::read_to_string(&path).map_err(CacheError::at("read", &path))?;
        Ok(line.trim().to_owned())
    }
}

/// A directory that is `HOME` for everything that the operator runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct OperatorHome {
    pub(crate) directory: PathBuf,
}

impl OperatorHome {
    /// Makes the home with the key and what OpenSSH should know.
    pub(crate) fn create(directory: PathBuf, key: &Key) -> Result<Self, CacheError> {
        let home = Self { directory };
        let ssh = home.directory.join(".ssh");
        fs::create_dir_all(&ssh).map_err(CacheError::at("create", &ssh))?;
        let mode = fs::Permissions::from_mode(0o700);
        fs::set_permissions(&ssh, mode).map_err(CacheError::at("protect", &ssh))?;
        for (from, to) in [
            (key.private(), home.key()),
            (
                key.private().with_extension("pub"),
                home.key().with_extension("pub"),
            ),
        ] {
            fs::copy(&from, &to).map_err(CacheError::at("copy", &from))?;
        }
        let config = ssh.join("config");
        fs::write(&config, home.render_configuration())
            .map_err(CacheError::at("write", &config))?;
        let known = home.known_hosts();
        fs::write(&known, "").map_err(CacheError::at("write", &known))?;
        Ok(home)
    }

    pub(crate) fn key(&self) -> PathBuf {
        self.directory.join(".ssh/id_ed25519")
    }

    pub(crate) fn known_hosts(&self) -> PathBuf {
        self.directory.join(".ssh/known_hosts")
    }

    pub(crate) fn configuration(&self) -> PathBuf {
        self.directory.join(".ssh/config")
    }

    /// Adds a node's host keys, as saved with it.
    pub(crate) fn learn(&self, lines: &Path) -> Result<(), CacheError> {
        let more = fs::read_to_string(lines).map_err(CacheError::at("read", lines))?;
        let path = self.known_hosts();
        let known = fs::read_to_string(&path).map_err(CacheError::at("read", &path))?;
        fs::write(&path, known + &more).map_err(CacheError::at("write", &path))
    }

    /// Source: `ssh_config(5)`.
    fn render_configuration(&self) -> String {
        let (key, known) = (self.key(), self.known_hosts());
        format!(
            "Host *\n    User root\n    IdentityFile \"{}\"\n    IdentitiesOnly yes\n    \
             UserKnownHostsFile \"{}\"\n    GlobalKnownHostsFile /dev/null\n    \
             StrictHostKeyChecking yes\n    BatchMode yes\n    LogLevel ERROR\n    \
             ConnectTimeout 45\n",
            key.display(),
            known.display()
        )
    }
}

/// The words after which OpenSSH's client reaches a node: `ssh` these `command`.
pub(crate) fn ssh_arguments(home: &OperatorHome, node: NodeIndex, shared: &Path) -> Vec<String> {
    vec![
        "-F".to_owned(),
        home.configuration().display().to_string(),
        // Ignored when no connection is open, see `Node::connect`.
        "-o".to_owned(),
        format!("ControlPath={}", shared.display()),
        "-o".to_owned(),
        "ControlMaster=no".to_owned(),
        node.address().to_string(),
    ]
}
