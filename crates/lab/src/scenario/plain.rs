//! Nodes that somebody else has started, known by address and SSH key.

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use tokio::process::Command;
use tokio::time::sleep;

use super::site::SiteError;
use crate::ssh::Output;

/// How long a machine may take from a power cut until SSH answers.
const REBOOT_PATIENCE: Duration = Duration::from_secs(420);

/// Nodes, and a home for the operator from which SSH reaches them.
#[derive(Debug)]
pub struct PlainNodes {
    addresses: Vec<Ipv4Addr>,
    directory: PathBuf,
    /// Which boot each node was in when its power was cut last.
    boots_before_cuts: Mutex<BTreeMap<usize, String>>,
}

impl PlainNodes {
    /// Makes the operator's home in `directory`, and learns the nodes' host
    /// keys, which are trusted here once and from then on checked.
    ///
    /// # Errors
    /// When the home cannot be written or a node does not answer.
    pub async fn connect(
        addresses: Vec<Ipv4Addr>,
        key: &Path,
        directory: PathBuf,
    ) -> Result<Self, SiteError> {
        let key = fs::canonicalize(key).map_err(|source| SiteError::Write {
            path: key.to_owned(),
            source,
        })?;
        let plain = Self {
            addresses,
            directory,
            boots_before_cuts: Mutex::default(),
        };
        let ssh = plain.directory.join(".ssh");
        let write = |path: &Path, text: &str| {
            let written = fs::write(path, text);
            written.map_err(|source| SiteError::Write {
                path: path.to_owned(),
                source,
            })
        };
        fs::create_dir_all(&ssh).map_err(|source| SiteError::Write {
            path: ssh.clone(),
            source,
        })?;
        write(&ssh.join("known_hosts"), "")?;
        write(&plain.configuration(), &render_configuration(&key, &ssh))?;
        for node in 0..plain.addresses.len() {
            plain.boot_id(node).await?;
        }
        Ok(plain)
    }

    pub(super) fn addresses(&self) -> &[Ipv4Addr] {
        &self.addresses
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(super) fn operator_command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("HOME", &self.directory)
            .env_remove("SSH_AUTH_SOCK")
            .kill_on_drop(true);
        command
    }

    pub(super) async fn run(&self, node: usize, command: &str) -> Result<Output, SiteError> {
        let mut ssh = self.operator_command("ssh");
        ssh.arg("-F").arg(self.configuration());
        ssh.arg(self.addresses[node].to_string())
            .args(["--", command])
            .stdin(Stdio::null());
        let output = ssh.output().await.map_err(|source| SiteError::Run {
            program: "ssh".to_owned(),
            source,
        })?;
        Ok(output.into())
    }

    /// Restarts the kernels without letting them write anything.
    pub(super) async fn power_cycle(&self) -> Result<(), SiteError> {
        let nodes = 0..self.addresses.len();
        try_join_all(nodes.clone().map(|node| self.power_cut(node))).await?;
        let back = nodes.map(|node| self.wait_for_reboot(node));
        try_join_all(back).await.map(drop)
    }

    /// Restarts a node's kernel without letting it write anything. Nobody has to switch such a node
    /// on again, so it is back after a while by itself.
    pub(super) async fn power_cut(&self, node: usize) -> Result<(), SiteError> {
        let before = self.boot_id(node).await?;
        self.boots_before_cuts().insert(node, before);
        // In the background, so that SSH's connection ends before the kernel does.
        let cut = "(sleep 1; echo b >/proc/sysrq-trigger) >/dev/null 2>&1 </dev/null &";
        self.run(node, cut).await.map(drop)
    }

    /// Waits until a node answers whose power was cut.
    pub(super) async fn wait_for_reboot(&self, node: usize) -> Result<(), SiteError> {
        let before = self.boots_before_cuts().get(&node).cloned();
        let began = Instant::now();
        while began.elapsed() < REBOOT_PATIENCE {
            let now = self.boot_id(node).await;
            if now.is_ok_and(|now| Some(now) != before) {
                return Ok(());
            }
            sleep(Duration::from_secs(1)).await;
        }
        Err(SiteError::Gone(self.addresses[node]))
    }

    fn boots_before_cuts(&self) -> MutexGuard<'_, BTreeMap<usize, String>> {
        // Whoever panicked with it has left it whole: one insertion is all that is done.
        let guard = self.boots_before_cuts.lock();
        guard.unwrap_or_else(PoisonError::into_inner)
    }

    async fn boot_id(&self, node: usize) -> Result<String, SiteError> {
        let command = "cat /proc/sys/kernel/random/boot_id";
        let output = self.run(node, command).await?;
        if output.success() {
            return Ok(output.stdout);
        }
        Err(SiteError::Failed {
            node: self.addresses[node],
            command: command.to_owned(),
            output,
        })
    }

    fn configuration(&self) -> PathBuf {
        self.directory.join(".ssh/config")
    }
}

/// A connection to a machine that loses its power would hang without keep-alives.
///
/// Source: `ssh_config(5)`.
fn render_configuration(key: &Path, ssh: &Path) -> String {
    format!(
        "Host *\n    User root\n    IdentityFile \"{}\"\n    IdentitiesOnly yes\n    \
         UserKnownHostsFile \"{}\"\n    GlobalKnownHostsFile /dev/null\n    \
         StrictHostKeyChecking accept-new\n    HashKnownHosts no\n    BatchMode yes\n    \
         LogLevel ERROR\n    ConnectTimeout 10\n    \
         ServerAliveInterval 10\n    ServerAliveCountMax 3\n",
        key.display(),
        ssh.join("known_hosts").display()
    )
}
