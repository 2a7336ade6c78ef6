//! What the node remembers on its own disk.

mod memory;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use flocker_model::{
    ApplicationName, AppliedDeployment, ForgottenMachine, Members, NodeId, NodeMemory,
};
use flocker_remote::protocol::{BootId, LockHolder, StepFailure};
use flocker_remote::write_new;
use nix::fcntl::Flock;
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;
use uuid::Uuid;

use crate::lock::{LockError, NodeLock, NodeLockPlace};
use crate::settings::Settings;

/// Readable by root alone: environments have passwords in them.
const SECRET: u32 = 0o600;
/// Readable by everybody: what SSH's server reads as the receiving user.
const PUBLIC: u32 = 0o644;

/// The ending of a file's name while it is being written.
const UNFINISHED: &str = "new";

/// What the node remembers cannot be read or written.
#[derive(Debug, Error)]
pub(crate) enum StoreError {
    /// A file or directory cannot be used.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file has something in it that this version did not write.
    #[error("{} is damaged", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// How.
        source: serde_json::Error,
    },
    /// The node's identity is not one.
    #[error("{} does not have a node id in it", path.display())]
    NotAnId {
        /// The file.
        path: PathBuf,
        /// Why.
        source: uuid::Error,
    },
}

/// The node's directories.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    state: PathBuf,
    runtime: PathBuf,
    node_lock: NodeLockPlace,
}

impl Store {
    /// Opens the directories, making them where they are missing.
    pub(crate) fn open(settings: &Settings) -> Result<Self, StoreError> {
        let store = Self {
            state: settings.state_directory.clone(),
            runtime: settings.runtime_directory.clone(),
            node_lock: NodeLockPlace::new(&settings.runtime_directory),
        };
        let changing = store.runtime.join("changing");
        for directory in [
            &store.state,
            &store.runtime,
            &changing,
            &store.runtime.join("stopped"),
            &store.state.join("ssh"),
        ] {
            make_directory(directory, 0o755)?;
        }
        make_directory(&store.state.join("applications"), 0o700)?;
        store.boot_id()?;
        Ok(store)
    }

    /// Has commands that are run keep the lock of whoever ran them and was killed meanwhile.
    pub(crate) fn locked_by_commands(self) -> Self {
        let node_lock = self.node_lock.inherited();
        Self { node_lock, ..self }
    }

    /// Has locks waited for in simulated time.
    #[cfg(test)]
    pub(crate) fn asking_for_locks(mut self) -> Self {
        self.node_lock.waiting = crate::lock::Waiting::Asking;
        self
    }

    /// Returns the node's identity, if it has one.
    pub(crate) fn node_id(&self) -> Result<Option<NodeId>, StoreError> {
        let path = self.node_id_path();
        match fs::read_to_string(&path) {
            Ok(text) => parse_node_id(path, &text).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(failed("read", &path, source)),
        }
    }

    /// Makes an identity up, unless the node has one, and returns it.
    pub(crate) fn make_node_id(&self) -> Result<NodeId, StoreError> {
        let path = self.node_id_path();
        let text = write_first(&path, Uuid::new_v4())?;
        parse_node_id(path, &text)
    }

    /// Gives the node this identity.
    pub(crate) fn set_node_id(&self, id: NodeId) -> Result<(), StoreError> {
        write_whole(&self.node_id_path(), format!("{id}\n").as_bytes(), PUBLIC)
    }

    /// Returns the file with the node's identity.
    pub(crate) fn node_id_path(&self) -> PathBuf {
        self.state.join("node-id")
    }

    /// Tells whether nothing was ever deployed to the node, as far as its directory says.
    pub(crate) fn is_new(&self) -> Result<bool, StoreError> {
        Ok(self.members()?.is_empty()
            && self.applied()?.is_none()
            && self.memory()? == NodeMemory::default())
    }

    /// Returns what tells this run of the machine from every other: the first program after a boot makes
    /// it up. The kernel's own (`/proc/sys/kernel/random/boot_id`) is one for all containers on a
    /// machine.
    pub(crate) fn boot_id(&self) -> Result<BootId, StoreError> {
        let path = self.runtime.join("boot-id");
        let text = write_first(&path, Uuid::new_v4())?;
        Ok(BootId(text.trim().to_owned()))
    }

    /// Returns where the node's own SSH key is.
    pub(crate) fn ssh_key(&self) -> PathBuf {
        self.state.join("ssh/id_ed25519")
    }

    /// Returns the machines that the node knows of.
    pub(crate) fn members(&self) -> Result<Members, StoreError> {
        Ok(read_json(&self.state.join("members.json"))?.unwrap_or_default())
    }

    /// Returns a machine, if the node was told to forget it.
    pub(crate) fn forgotten(&self, id: NodeId) -> Result<Option<ForgottenMachine>, StoreError> {
        Ok(self.members()?.forgotten(id).cloned())
    }

    /// Remembers the machines of the cluster.
    pub(crate) fn set_members(&self, members: &Members) -> Result<(), StoreError> {
        write_json(&self.state.join("members.json"), members)
    }

    /// Returns where the keys are that may log in to push.
    pub(crate) fn authorized_keys(&self) -> PathBuf {
        self.state.join("ssh/authorized_keys")
    }

    /// Tells whether exactly these keys may log in to push.
    pub(crate) fn has_authorized_keys(&self, lines: &str) -> bool {
        fs::read_to_string(self.authorized_keys()).is_ok_and(|written| written == lines)
    }

    /// Writes the keys that may log in to push.
    pub(crate) fn set_authorized_keys(&self, lines: &str) -> Result<(), StoreError> {
        write_whole(&self.authorized_keys(), lines.as_bytes(), PUBLIC)
    }

    /// Returns the last deployment that was applied in full.
    pub(crate) fn applied(&self) -> Result<Option<AppliedDeployment>, StoreError> {
        read_json(&self.applied_path())
    }

    /// Remembers a deployment as applied in full.
    pub(crate) fn set_applied(&self, applied: &AppliedDeployment) -> Result<(), StoreError> {
        write_json(&self.applied_path(), applied)
    }

    /// Notes that an application is about to be started or stopped.
    ///
    /// What is found until [`Store::end_change`] tells nothing about how the application itself ended:
    /// whoever was at it may have died. Forgotten in a reboot, which ends everything.
    pub(crate) fn begin_change(&self, name: &ApplicationName) -> Result<(), StoreError> {
        let path = self.change_path(name);
        File::create(&path)
            .map(drop)
            .map_err(|source| failed("make", &path, source))
    }

    /// Notes that an application is as it was to be.
    pub(crate) fn end_change(&self, name: &ApplicationName) -> Result<(), StoreError> {
        remove_file(&self.change_path(name))
    }

    /// Tells whether an application whose unit has stopped ended by itself: nobody was starting or
    /// stopping it, and its unit was not told to stop.
    pub(crate) fn ended_by_itself(&self, name: &ApplicationName) -> bool {
        !self.change_path(name).exists() && !self.stop_mark(name).exists()
    }

    /// Returns the file that an application's unit makes when the application is told to end; see
    /// [`UnitSpecification::stop_mark`](flocker_docker::UnitSpecification::stop_mark).
    pub(crate) fn stop_mark(&self, name: &ApplicationName) -> PathBuf {
        self.runtime.join("stopped").join(name.as_str())
    }

    /// Notes in the mark of a stop that an application cannot be prepared: the mark has a text then.
    pub(crate) fn note_unprepared(&self, name: &ApplicationName) -> Result<(), StoreError> {
        let path = self.stop_mark(name);
        fs::write(&path, "unprepared\n").map_err(|source| failed("write", &path, source))
    }

    /// Forgets that an application was told to end: it starts, or has no unit any more.
    pub(crate) fn forget_stop(&self, name: &ApplicationName) -> Result<(), StoreError> {
        remove_file(&self.stop_mark(name))
    }

    /// Waits for the right to change the table, which applications' units want too.
    pub(crate) async fn lock_network(&self) -> Result<Flock<File>, StepFailure> {
        let waiting = self.node_lock.waiting;
        waiting.take(self.runtime.join("network.lock")).await
    }

    /// Waits for the right to unmount volumes that several applications may see.
    pub(crate) async fn lock_volumes(&self) -> Result<Flock<File>, StepFailure> {
        let waiting = self.node_lock.waiting;
        waiting.take(self.runtime.join("volumes.lock")).await
    }

    /// Takes the right to change the node; `Err(Some(holder))` inside when somebody has it.
    ///
    /// Only the process with this right writes records. Files that an interrupted one left
    /// unfinished may have passwords in them, and go.
    pub(crate) fn lock_node(
        &self,
        holder: &LockHolder,
    ) -> Result<Result<NodeLock, Option<LockHolder>>, LockError> {
        let lock = self.node_lock().take(holder)?;
        if lock.is_ok() {
            self.remove_unfinished();
        }
        Ok(lock)
    }

    /// Removes records that were not written to their end.
    fn remove_unfinished(&self) {
        let applications = fs::read_dir(self.state.join("applications"));
        let entries = applications.into_iter().flatten().flatten();
        let unfinished = entries
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|ending| ending == UNFINISHED))
            .chain([self.applied_path().with_extension(UNFINISHED)]);
        for path in unfinished {
            if let Err(error) = remove_file(&path) {
                tracing::warn!(%error, "an unfinished record stays");
            }
        }
    }

    fn applied_path(&self) -> PathBuf {
        self.state.join("deployment.json")
    }

    /// Returns where the right to change the node is had and waited for.
    pub(crate) fn node_lock(&self) -> NodeLockPlace {
        self.node_lock.clone()
    }

    fn change_path(&self, name: &ApplicationName) -> PathBuf {
        self.runtime.join("changing").join(name.as_str())
    }
}

/// Makes a directory and those above it.
fn make_directory(path: &Path, mode: u32) -> Result<(), StoreError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path)
        .map_err(|source| failed("make the directory", path, source))
}

/// Removes a file, if it is there.
fn remove_file(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", path, error)),
        _ => Ok(()),
    }
}

/// Reads an identity.
fn parse_node_id(path: PathBuf, text: &str) -> Result<NodeId, StoreError> {
    Uuid::parse_str(text.trim())
        .map(NodeId)
        .map_err(|source| StoreError::NotAnId { path, source })
}

/// Writes a line to a file unless it is there, and returns what is in it then. Several that are first, at
/// once, all return the same.
fn write_first(path: &Path, line: Uuid) -> Result<String, StoreError> {
    let read = || fs::read_to_string(path);
    let text = match read() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let text = format!("{line}\n");
            match write_new(path, text.as_bytes(), PUBLIC) {
                Ok(()) => Ok(text),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => read(),
                Err(source) => return Err(failed("write", path, source)),
            }
        }
        found => found,
    };
    text.map_err(|source| failed("read", path, source))
}

/// Reads a file of JSON, if it is there.
fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, StoreError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(failed("read", path, source)),
    };
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|source| StoreError::Damaged {
            path: path.to_owned(),
            source,
        })
}

/// Writes a file of JSON that root alone may read.
fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), StoreError> {
    let bytes = serde_json::to_vec_pretty(value).map_err(|source| StoreError::Damaged {
        path: path.to_owned(),
        source,
    })?;
    write_whole(path, &bytes, SECRET)
}

/// Writes a file so that after a power cut it is either the old or the new one.
fn write_whole(path: &Path, bytes: &[u8], mode: u32) -> Result<(), StoreError> {
    let write = || -> io::Result<()> {
        let temporary = path.with_extension(UNFINISHED);
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(mode)
            .open(&temporary)?;
        // The mode above is subject to the umask, and ignored for a left-over file.
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        match path.parent() {
            Some(directory) => File::open(directory)?.sync_all(),
            None => Ok(()),
        }
    };
    write().map_err(|source| failed("write", path, source))
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> StoreError {
    StoreError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}
