//! The directory and the namespaces of one running lab.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::cache::{Cache, CacheError};
use crate::identity::NodeIndex;
use crate::namespace::{Leash, Lifetime, Namespace, NamespaceError, is_alive, sweep};
use crate::operator::{Key, OperatorHome};

/// The longest directory name that leaves room for a socket's: the kernel
/// stores 108 bytes of its path. Source: unix(7).
const LONGEST_DIRECTORY: usize = 90;

/// A lab's directory or network cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum InstanceError {
    /// There is a lab of that name.
    #[error("a lab named `{0}` is running; end it with `flocker-lab down --name {0}`")]
    Running(String),
    /// Sockets in there could not be opened.
    #[error("{} is too long a path for sockets; set XDG_CACHE_HOME to a shorter one", .0.display())]
    TooLong(PathBuf),
    /// The directory cannot be made.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// The network cannot be made.
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
}

/// What a lab has while it runs. Dropping it ends everything in it, unless the
/// lab is detached and was let go.
#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) directory: PathBuf,
    pub(crate) namespace: Namespace,
    pub(crate) home: OperatorHome,
    pub(crate) leash: Leash,
}

/// What kind of instance is wanted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InstanceSpecification<'a> {
    pub(crate) name: &'a str,
    pub(crate) nodes: &'a [NodeIndex],
    pub(crate) lifetime: Lifetime,
}

/// Where labs have their directories.
pub(crate) fn labs_directory(cache: &Cache) -> PathBuf {
    cache.root().join("labs")
}

impl Instance {
    pub(crate) fn create(
        cache: &Cache,
        specification: InstanceSpecification<'_>,
        key: &Key,
    ) -> Result<Self, InstanceError> {
        let InstanceSpecification {
            name,
            nodes,
            lifetime,
        } = specification;
        let labs = labs_directory(cache);
        let directory = labs.join(name);
        if directory.as_os_str().len() > LONGEST_DIRECTORY {
            return Err(InstanceError::TooLong(directory));
        }
        fs::create_dir_all(&labs).map_err(CacheError::at("create", &labs))?;
        // Until its first process lives, a new lab looks like an abandoned one.
        let _lock = lock_labs(cache)?;
        if is_alive(&directory) {
            return Err(InstanceError::Running(name.to_owned()));
        }
        sweep(&labs).map_err(CacheError::at("clean up", &labs))?;
        fs::create_dir(&directory).map_err(CacheError::at("create", &directory))?;
        let made = Namespace::start(&directory, nodes, lifetime);
        let (namespace, leash) = made.inspect_err(|_| {
            // The next lab would do it otherwise.
            let _ = fs::remove_dir_all(&directory);
        })?;
        let home = OperatorHome::create(directory.join("operator"), key)?;
        Ok(Self {
            directory,
            namespace,
            home,
            leash,
        })
    }
}

/// Removes all that is cached, and what killed labs left behind. Whatever is
/// running or being built stays.
///
/// # Errors
/// When something cannot be removed, or a lab is running.
pub fn clean(cache: &Cache) -> Result<(), InstanceError> {
    let labs = labs_directory(cache);
    fs::create_dir_all(&labs).map_err(CacheError::at("create", &labs))?;
    let _lock = lock_labs(cache)?;
    sweep(&labs).map_err(CacheError::at("clean up", &labs))?;
    let mut running = fs::read_dir(&labs).map_err(CacheError::at("list", &labs))?;
    if let Some(Ok(lab)) = running.next() {
        // Its disks lie over cached ones.
        return Err(InstanceError::Running(
            lab.file_name().to_string_lossy().into_owned(),
        ));
    }
    cache.remove_entries().map_err(InstanceError::from)
}

fn lock_labs(cache: &Cache) -> Result<File, CacheError> {
    let path: PathBuf = cache.root().join("locks/labs");
    let locked = |path: &Path| -> io::Result<File> {
        let file = File::create(path)?;
        file.lock()?;
        Ok(file)
    };
    locked(&path).map_err(CacheError::at("lock", &path))
}
