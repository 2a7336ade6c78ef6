//! The lock of the node: who may change it, and who says so.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use flocker_remote::protocol::{LockHolder, LockPurpose, StepFailure};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, Flock, FlockArg, fcntl};
use thiserror::Error;
use tokio::sync::oneshot;

use crate::failure::OrFailure as _;

/// Readable by root alone.
const MODE: u32 = 0o600;

/// A lock cannot be used.
#[derive(Debug, Error)]
#[error("cannot {action} {}", path.display())]
pub(crate) struct LockError {
    action: &'static str,
    path: PathBuf,
    source: io::Error,
}

/// The right to change the node.
///
/// The kernel gives it back when this process ends, however it ends, and with it every command that
/// it ran and that had the lock as well: no lock is ever stale, and none is free while a `zfs set`
/// of somebody who was killed may yet be done.
#[derive(Debug)]
pub(crate) struct NodeLock {
    /// Had until this one goes on, so that the kernel wakes whoever waits for just that.
    undecided: Option<Flock<File>>,
    /// Given back by closing it and not by unlocking, which would take it from the commands, too.
    ///
    /// **Source**: `flock(2)`: the lock belongs to the open file, which children inherit.
    file: File,
    place: NodeLockPlace,
    holder: LockHolder,
}

/// Where the lock of the node is.
///
/// What is in the file is who has the lock. It is written after the lock was taken and stays when
/// it is given back, so that both are done, and it is read, while another lock is had, the guard:
/// whoever is refused reads of the one who has the lock, and never of the one before. The guard is
/// had for an instant only, and nothing is waited for meanwhile that is not.
#[derive(Debug, Clone)]
pub(crate) struct NodeLockPlace {
    file: PathBuf,
    guard: PathBuf,
    undecided: PathBuf,
    is_inherited: bool,
    pub(crate) waiting: Waiting,
}

/// How a process waits for a lock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// A thread sleeps in the kernel.
    #[default]
    Asleep,
    /// A task asks again and again. Simulated time stands still while a thread sleeps.
    #[cfg(test)]
    Asking,
}

impl Waiting {
    /// Takes a lock that no process holds for long.
    ///
    /// # Errors
    ///
    /// Fails when its file cannot be made or locked.
    pub(crate) async fn take(self, path: PathBuf) -> Result<Flock<File>, StepFailure> {
        match self {
            Self::Asleep => tokio::task::spawn_blocking(move || wait_for(&path))
                .await
                .or_failed_to("no thread could wait for a lock")?
                .or_failure(),
            #[cfg(test)]
            Self::Asking => ask(&path, FlockArg::LockExclusiveNonblock).await,
        }
    }

    /// Waits until no process holds a lock for itself.
    async fn share(self, path: PathBuf) -> Result<(), StepFailure> {
        match self {
            Self::Asleep => wait_blocking(move || wait_to_share(&path)).await,
            #[cfg(test)]
            Self::Asking => ask(&path, FlockArg::LockSharedNonblock).await.map(drop),
        }
    }
}

/// Asks for a lock until it is free.
#[cfg(test)]
async fn ask(path: &Path, how: FlockArg) -> Result<Flock<File>, StepFailure> {
    loop {
        match Flock::lock(open(path).or_failure()?, how) {
            Ok(lock) => return Ok(lock),
            Err((_, Errno::EWOULDBLOCK)) => {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
            Err((_, errno)) => return Err(failed("lock", path, errno.into())).or_failure(),
        }
    }
}

impl NodeLockPlace {
    /// The place in the directory of what is forgotten in a reboot.
    pub(crate) fn new(runtime: &Path) -> Self {
        Self {
            file: runtime.join("deploy.lock"),
            guard: runtime.join("deploy.guard"),
            undecided: runtime.join("deploy.undecided"),
            is_inherited: false,
            waiting: Waiting::default(),
        }
    }

    /// Has the commands that this process runs have the lock as well, for as long as they run.
    pub(crate) fn inherited(self) -> Self {
        Self {
            is_inherited: true,
            ..self
        }
    }

    /// Takes the lock for `holder`, or returns who has it, if that one could be read.
    ///
    /// # Errors
    ///
    /// Fails when the files cannot be made, locked or written.
    pub(crate) fn take(
        &self,
        holder: &LockHolder,
    ) -> Result<Result<NodeLock, Option<LockHolder>>, LockError> {
        let _guard = wait_for(&self.guard)?;
        // Those who wait share the lock for an instant when it is free. Whoever can share it, too,
        // knows that nobody has it, and that under the guard nobody else gets it.
        match Flock::lock(open(&self.file)?, FlockArg::LockSharedNonblock) {
            Ok(shared) => drop(shared),
            Err((mut file, Errno::EWOULDBLOCK)) => {
                let mut text = String::new();
                let _ = file.read_to_string(&mut text);
                return Ok(Err(serde_json::from_str(&text).ok()));
            }
            Err((_, errno)) => return Err(failed("lock", &self.file, errno.into())),
        }
        let file = open(&self.file)?;
        file.lock()
            .map_err(|source| failed("lock", &self.file, source))?;
        if self.is_inherited {
            // Opened by the standard library, it would be closed in every command.
            fcntl(&file, FcntlArg::F_SETFD(FdFlag::empty()))
                .map_err(|errno| failed("hand on", &self.file, errno.into()))?;
        }
        let undecided = match holder.purpose {
            LockPurpose::Begin => Some(wait_for(&self.undecided)?),
            LockPurpose::Deploy | LockPurpose::Comply => None,
        };
        let mut lock = NodeLock {
            undecided,
            file,
            place: self.clone(),
            holder: holder.clone(),
        };
        lock.write()?;
        Ok(Ok(lock))
    }

    /// Waits until no process has the lock.
    ///
    /// It is not taken: who waits tries again, and so learns who was faster.
    ///
    /// # Errors
    ///
    /// Fails when the file cannot be made or locked.
    pub(crate) async fn wait_until_free(&self) -> Result<(), StepFailure> {
        self.waiting.share(self.file.clone()).await
    }

    /// Waits until the process that has the lock goes on or gives it back.
    ///
    /// # Errors
    ///
    /// Fails when the file cannot be made or locked.
    pub(crate) async fn wait_until_decided(&self) -> Result<(), StepFailure> {
        self.waiting.share(self.undecided.clone()).await
    }
}

impl NodeLock {
    /// Goes on from looking: nobody waits any more for this one to give way.
    ///
    /// # Errors
    ///
    /// Fails when that cannot be written down.
    pub(crate) fn go_on(&mut self) -> Result<(), LockError> {
        let _guard = wait_for(&self.place.guard)?;
        self.holder.purpose = LockPurpose::Deploy;
        self.write()?;
        self.undecided = None;
        Ok(())
    }

    /// Tells whether it has gone on.
    pub(crate) fn has_gone_on(&self) -> bool {
        self.holder.purpose != LockPurpose::Begin
    }

    /// Writes down who has the lock.
    fn write(&mut self) -> Result<(), LockError> {
        let text = serde_json::to_vec(&self.holder).unwrap_or_default();
        self.file
            .set_len(0)
            .and_then(|()| self.file.rewind())
            .and_then(|()| self.file.write_all(&text))
            .map_err(|source| failed("write", &self.place.file, source))
    }
}

/// Has a thread of its own wait, and waits for that.
///
/// The thread is not one of the runtime's, which would wait for it at its end: who gives up waiting
/// leaves a thread behind that may still wait when the process ends.
///
/// # Errors
///
/// Fails when waiting fails.
async fn wait_blocking(
    wait: impl FnOnce() -> Result<(), LockError> + Send + 'static,
) -> Result<(), StepFailure> {
    let (done, ended) = oneshot::channel();
    std::thread::spawn(move || {
        // Nobody listens any more when the session has ended.
        let _ = done.send(wait());
    });
    ended
        .await
        .or_failed_to("the node's lock cannot be waited for")?
        .or_failure()
}

/// Takes a lock that nobody has for long, waiting for it.
///
/// # Errors
///
/// Fails when its file cannot be made or locked.
fn wait_for(path: &Path) -> Result<Flock<File>, LockError> {
    Flock::lock(open(path)?, FlockArg::LockExclusive)
        .map_err(|(_, errno)| failed("lock", path, errno.into()))
}

/// Waits until nobody has a lock for itself. A shared one is had exactly then.
fn wait_to_share(path: &Path) -> Result<(), LockError> {
    Flock::lock(open(path)?, FlockArg::LockShared)
        .map(drop)
        .map_err(|(_, errno)| failed("wait for", path, errno.into()))
}

/// Opens a file for locking.
fn open(path: &Path) -> Result<File, LockError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(MODE)
        .open(path)
        .map_err(|source| failed("open", path, source))
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> LockError {
    LockError {
        action,
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_command_that_runs_still_keeps_the_lock_of_who_is_gone() {
        let runtime = tempfile::tempdir().unwrap();
        let place = NodeLockPlace::new(runtime.path()).inherited();
        let holder = LockHolder {
            purpose: LockPurpose::Comply,
            operator: "flocker-node".to_owned(),
            session: String::new(),
            started: 1_000_000,
            since: 1_000,
            process: 7,
        };
        let lock = place.take(&holder).unwrap().unwrap();
        let mut command = Command::new("cat");
        let mut running = command.stdin(Stdio::piped()).spawn().unwrap();
        drop(lock);
        let refused = place.take(&holder).unwrap().unwrap_err();
        assert_eq!(refused.unwrap(), holder);

        drop(running.stdin.take());
        running.wait().unwrap();
        wait_to_share(&place.file).unwrap();
        place.take(&holder).unwrap().unwrap();
    }
}
