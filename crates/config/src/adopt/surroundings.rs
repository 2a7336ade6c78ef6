//! The operator's machine, as far as a Compose file refers to it. This crate opens nothing itself.

/// The files beside the application configuration, and the operator's environment.
///
/// `beside` is the name of the application configuration, as [`Source`] has it; relative paths count
/// from the directory that this file is in.
///
/// [`Source`]: crate::Source
pub trait Surroundings {
    /// Returns the value of a variable of the operator's environment.
    fn variable(&self, name: &str) -> Option<String>;

    /// Reads a file; `None` if there is none.
    ///
    /// # Errors
    /// Returns why a file that exists cannot be read, as the end of a sentence.
    fn read(&self, beside: &str, path: &str) -> Result<Option<Vec<u8>>, String>;

    /// Tells what is at a path.
    fn kind(&self, beside: &str, path: &str) -> PathKind;

    /// Lists the files in a directory and in the directories below it, relative to it and in order.
    fn files(&self, beside: &str, path: &str) -> Vec<String>;

    /// Reads the small texts in a directory and below it, with their paths relative to it. There may
    /// be data of any size: only a part is looked at, and what cannot be read is left out.
    fn texts(&self, beside: &str, path: &str) -> Vec<(String, String)> {
        let (_, _) = (beside, path);
        Vec::new()
    }

    /// Returns the absolute path of the directory that the file `beside` is in, if it is known.
    fn directory(&self, beside: &str) -> Option<String> {
        let _ = beside;
        None
    }

    /// Returns the rest of an absolute path at or below the directory that the file `beside` is in.
    fn below(&self, beside: &str, path: &str) -> Option<String> {
        let directory = self.directory(beside)?;
        let rest = path.strip_prefix(&directory)?;
        let is_below = rest.is_empty() || rest.starts_with('/');
        is_below.then(|| rest.trim_start_matches('/').to_owned())
    }
}

/// The kind of entry at a path of the operator's machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathKind {
    /// A file, with its permissions and the numbers of its user and group.
    File {
        /// The permissions, as `chmod(1)` has them.
        mode: u32,
        /// The user that owns it.
        uid: u32,
        /// The group that owns it.
        gid: u32,
    },
    /// A directory.
    Directory,
    /// Nothing.
    Missing,
}

/// No files and no variables at all: a Compose file that refers to any is refused.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoSurroundings;

impl Surroundings for NoSurroundings {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn read(&self, _: &str, _: &str) -> Result<Option<Vec<u8>>, String> {
        Ok(None)
    }

    fn kind(&self, _: &str, _: &str) -> PathKind {
        PathKind::Missing
    }

    fn files(&self, _: &str, _: &str) -> Vec<String> {
        Vec::new()
    }
}
