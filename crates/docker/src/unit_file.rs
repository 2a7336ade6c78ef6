//! Unit files: written whole or not at all, and only where nobody else has written.

use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use thiserror::Error;

use crate::unit::MARKER;

/// Why a unit file cannot be written or removed.
#[derive(Debug, Error)]
pub enum UnitFileError {
    /// Somebody else wrote it.
    #[error("the unit file {path} was not written by flocker; move it away")]
    NotOurs {
        /// The file.
        path: String,
    },
    /// The file system refused.
    #[error("could not {action} the unit file {path}")]
    File {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Writes `text` unless the file holds it already; tells whether it wrote.
pub(crate) fn ensure_file(path: &Path, text: &str) -> Result<bool, UnitFileError> {
    match read_ours(path)? {
        Some(existing) if existing == text => return Ok(false),
        _ => {}
    }
    // Systemd ignores names that it does not know, such as this one, should it look just now.
    let temporary = path.with_extension(format!("service.{}", std::process::id()));
    let written = write_new(&temporary, text).and_then(|()| std::fs::rename(&temporary, path));
    written.map(|()| true).map_err(|source| {
        // A leftover would be overwritten by nobody; the first error is the one that matters.
        let _ = std::fs::remove_file(&temporary);
        failed("write", path, source)
    })
}

/// Removes the file if it is there; tells whether it was.
pub(crate) fn remove_file(path: &Path) -> Result<bool, UnitFileError> {
    if read_ours(path)?.is_none() {
        return Ok(false);
    }
    std::fs::remove_file(path)
        .map(|()| true)
        .map_err(|source| failed("remove", path, source))
}

/// Reads a file that has our first line; `None` when there is no file.
fn read_ours(path: &Path) -> Result<Option<String>, UnitFileError> {
    match std::fs::read_to_string(path) {
        Ok(text) if text.starts_with(MARKER) => Ok(Some(text)),
        Ok(_) => Err(UnitFileError::NotOurs {
            path: path.display().to_string(),
        }),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(failed("read", path, source)),
    }
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o644)
        .open(path)?;
    file.write_all(text.as_bytes())
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> UnitFileError {
    UnitFileError::File {
        action,
        path: path.display().to_string(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_text_is_not_written_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("flocker-trac.service");
        let text = format!("{MARKER}\n[Unit]\n");
        assert!(ensure_file(&path, &text).unwrap());
        assert!(!ensure_file(&path, &text).unwrap());
        assert!(ensure_file(&path, &format!("{text}# more\n")).unwrap());
        assert!(remove_file(&path).unwrap());
        assert!(!remove_file(&path).unwrap());
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_file_of_somebody_else_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("flocker-trac.service");
        std::fs::write(&path, "[Unit]\n").unwrap();
        let text = format!("{MARKER}\n");
        assert!(matches!(
            ensure_file(&path, &text),
            Err(UnitFileError::NotOurs { .. })
        ));
        assert!(matches!(
            remove_file(&path),
            Err(UnitFileError::NotOurs { .. })
        ));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "[Unit]\n");
    }
}
