//! Network namespaces.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;

use nix::sched::{CloneFlags, setns};

/// A network namespace, kept alive for as long as this value lives.
#[derive(Debug)]
pub struct NetworkNamespace {
    file: File,
    path: PathBuf,
}

/// Why a network namespace could not be entered.
#[derive(Debug, thiserror::Error)]
pub enum NamespaceError {
    /// There is none: the process has ended, or it is not ours to see.
    #[error("could not open network namespace {}; its container may have stopped", path.display())]
    Open {
        /// Where it was looked for.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The kernel did not let us in.
    #[error("could not enter network namespace {}; this takes root", path.display())]
    Enter {
        /// Where it is.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
}

impl NetworkNamespace {
    /// Opens the network namespace of a process.
    ///
    /// # Errors
    /// When there is no such process.
    pub fn of_process(pid: u32) -> Result<Self, NamespaceError> {
        Self::at(format!("/proc/{pid}/ns/net"))
    }

    /// Opens the network namespace that a path stands for: Docker's `SandboxKey`, `/run/netns/…`.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn at(path: impl AsRef<Path>) -> Result<Self, NamespaceError> {
        let path = path.as_ref().to_owned();
        match File::open(&path) {
            Ok(file) => Ok(Self { file, path }),
            Err(source) => Err(NamespaceError::Open { path, source }),
        }
    }

    /// Opens the network namespace that the thread is in.
    ///
    /// # Errors
    /// When `/proc` is not mounted.
    pub fn current() -> Result<Self, NamespaceError> {
        Self::at("/proc/thread-self/ns/net")
    }

    /// Runs `work` inside the namespace, on a thread of its own, so that the caller stays outside.
    ///
    /// # Errors
    /// When the kernel does not let the thread in.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, NamespaceError> {
        let enter = |source| NamespaceError::Enter {
            path: self.path.clone(),
            source,
        };
        let outcome = thread::scope(|scope| {
            let inside = scope.spawn(|| {
                setns(&self.file, CloneFlags::CLONE_NEWNET)?;
                Ok(work())
            });
            inside.join()
        });
        match outcome {
            Ok(result) => result.map_err(|errno: nix::errno::Errno| enter(errno.into())),
            // `work` panicked: so does the caller, as if it had called `work` itself.
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}
