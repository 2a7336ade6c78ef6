//! Where the repository is, and what is in it.

use std::path::{Path, PathBuf};

use crate::process::{Program, RunError};

/// The root of the workspace.
///
/// Cargo sets the variable when it runs the program; the value from compile time serves a program
/// that is started by hand.
pub(crate) fn root() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    let root = package.ancestors().nth(2).map(Path::to_path_buf);
    root.unwrap_or(package)
}

/// One text file of the repository.
#[derive(Debug)]
pub(crate) struct SourceFile {
    /// Relative to the root.
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

impl SourceFile {
    /// Whether the file's name ends in `.extension`.
    pub(crate) fn has_extension(&self, extension: &str) -> bool {
        self.path
            .extension()
            .is_some_and(|found| found == extension)
    }
}

/// Reads every text file that is, or is about to be, committed; files that are not UTF-8 are left
/// out.
///
/// # Errors
///
/// When git cannot list the files.
pub(crate) fn observe_source_files() -> Result<Vec<SourceFile>, RunError> {
    let listing = Program::new("git")
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .read()?;
    let root = root();
    let mut files: Vec<SourceFile> = listing
        .split('\0')
        .filter(|path| !path.is_empty())
        .filter_map(|path| {
            // A file deleted but not yet committed is listed, too, and cannot be read.
            let text = std::fs::read_to_string(root.join(path)).ok()?;
            let path = PathBuf::from(path);
            Some(SourceFile { path, text })
        })
        .collect();
    files.sort_by(|left, right| left.path.cmp(&right.path));
    files.dedup_by(|left, right| left.path == right.path);
    Ok(files)
}
