//! The private network that a lab's machines are on, and their leash: when the
//! lab's process ends in whatever way, everything in here ends.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::unistd::Uid;
use serde::{Deserialize, Serialize};

use crate::identity::{NodeIndex, OPERATOR_ADDRESS, PREFIX_LENGTH};

/// The private network cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum NamespaceError {
    /// A program is missing, or a file cannot be written.
    #[error("start the private network's first process (`unshare`, package util-linux)")]
    Start(#[source] io::Error),
    /// Its first process gave up.
    #[error(
        "set up the private network: {said}; it needs root or unprivileged user namespaces, \
         and read and write access to /dev/net/tun"
    )]
    Setup {
        /// What it said.
        said: String,
    },
}

/// How long a lab lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lifetime {
    /// As long as the process that started it.
    Attached,
    /// Until it is told to end.
    Detached,
}

/// The namespaces of a running lab.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Namespace {
    first_process: u32,
    unprivileged: bool,
}

/// Ends an attached lab when dropped: everything in the namespaces is killed
/// and its directory removed before the drop returns.
#[derive(Debug)]
pub(crate) struct Leash {
    child: Child,
    /// Where a detached lab is told to end; an attached one sees that its
    /// standard input does.
    detached: Option<PathBuf>,
}

impl Namespace {
    /// Makes the namespaces, with a bridge that has the operator's address and
    /// a tap for each node. `directory` exists and is removed in the end.
    pub(crate) fn start(
        directory: &Path,
        nodes: &[NodeIndex],
        lifetime: Lifetime,
    ) -> Result<(Self, Leash), NamespaceError> {
        let unprivileged = !Uid::effective().is_root();
        let mut command = Command::new("unshare");
        command.args(["--net", "--pid", "--fork", "--kill-child"]);
        if unprivileged {
            command.args(["--user", "--map-root-user"]);
        }
        command
            .args(["sh", "-c", include_str!("namespace.sh"), "flocker-lab"])
            .arg(directory)
            .arg(match lifetime {
                Lifetime::Attached => "attached",
                Lifetime::Detached => "detached",
            })
            .arg(format!("{OPERATOR_ADDRESS}/{PREFIX_LENGTH}"))
            .args(nodes.iter().map(|node| node.tap()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // An interrupt from the terminal is for the lab's process alone,
            // which then ends the machines in an orderly way.
            .process_group(0);
        let mut child = command.spawn().map_err(NamespaceError::Start)?;
        let first_process = wait_until_ready(&mut child)?;
        let namespace = Self {
            first_process,
            unprivileged,
        };
        let detached = (lifetime == Lifetime::Detached).then(|| directory.join("leash"));
        Ok((namespace, Leash { child, detached }))
    }

    /// A command that runs a program as the lab's operator: outside the nodes,
    /// on their network. It ends with the process that started it.
    pub(crate) fn operator_command(&self, program: &str) -> Command {
        let mut command = self.enter(&[]);
        command.args(["setpriv", "--pdeathsig", "KILL", "--", program]);
        command
    }

    /// A command that runs a program which ends with the lab, not with the
    /// process that started it.
    pub(crate) fn resident_command(&self, program: &str) -> Command {
        let mut command = self.enter(&["--pid"]);
        command.arg(program).process_group(0);
        command
    }

    fn enter(&self, more: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--target={}", self.first_process));
        if self.unprivileged {
            command.args(["--user", "--preserve-credentials"]);
        }
        command.arg("--net").args(more).arg("--");
        command
    }
}

impl Leash {
    /// Lets a detached lab live on.
    pub(crate) fn let_go(self) {
        // What a process has forgotten, the kernel closes when it ends, and
        // a detached lab takes no notice of that.
        std::mem::forget(self);
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        if let Some(leash) = &self.detached
            && let Err(error) = fs::write(leash, "end\n")
        {
            tracing::warn!(%error, "cannot tell the lab to end; `flocker-lab down` can");
            return;
        }
        if let Err(error) = self.child.wait() {
            tracing::warn!(%error, "cannot tell whether the lab has ended");
        }
    }
}

fn wait_until_ready(child: &mut Child) -> Result<u32, NamespaceError> {
    let mut line = String::new();
    if let Some(output) = child.stdout.take() {
        let read = BufReader::new(output).read_line(&mut line);
        read.map_err(NamespaceError::Start)?;
    }
    let ready = line.trim().strip_prefix("ready ").map(str::parse);
    if let Some(Ok(first_process)) = ready {
        return Ok(first_process);
    }
    let mut said = String::new();
    if let Some(mut errors) = child.stderr.take() {
        // What it could not say does not matter more than that it failed.
        let _ = errors.read_to_string(&mut said);
    }
    let _ = child.wait();
    Err(NamespaceError::Setup {
        said: said.trim().replace('\n', "; "),
    })
}

/// Whether a lab's first process is alive: it holds the lock on its directory.
pub(crate) fn is_alive(directory: &Path) -> bool {
    File::open(directory.join("lock")).is_ok_and(|lock| lock.try_lock().is_err())
}

/// Tells a detached lab to end, and waits until it has removed its directory.
pub(crate) fn end(directory: &Path) -> io::Result<()> {
    let lock = File::open(directory.join("lock"))?;
    fs::write(directory.join("leash"), "end\n")?;
    // Its first process holds this as long as it lives.
    lock.lock()?;
    // It was killed before it came to that.
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Removes what labs left behind whose first process was killed.
pub(crate) fn sweep(labs: &Path) -> io::Result<Vec<PathBuf>> {
    let mut removed = Vec::new();
    for entry in fs::read_dir(labs)? {
        let directory = entry?.path();
        if !is_alive(&directory) {
            fs::remove_dir_all(&directory)?;
            removed.push(directory);
        }
    }
    Ok(removed)
}

#[cfg(test)]
mod tests;
