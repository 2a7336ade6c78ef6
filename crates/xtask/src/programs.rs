//! Flocker's programs as they are delivered.

use std::path::PathBuf;

use cargo_metadata::MetadataCommand;

use crate::process::{Program, RunError};
use crate::workspace;

/// Why there are no programs.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProgramsError {
    #[error("could not ask cargo where it builds")]
    Metadata(#[source] cargo_metadata::Error),
    #[error("Flocker's programs were not built")]
    Build(#[source] RunError),
}

/// Builds all of them, and says in which directory they are.
///
/// Always all at once: cargo chooses the features of shared dependencies by what it builds in one
/// run, so that one program after another would compile most dependencies several times.
///
/// **Source**: <https://doc.rust-lang.org/cargo/reference/resolver.html#feature-unification>.
pub(crate) fn build() -> Result<PathBuf, ProgramsError> {
    Program::cargo()
        .args(["build", "--release", "--package", "flocker-node"])
        .args(["--package", "flocker-cluster", "--package", "flocker-lab"])
        .run()
        .map_err(ProgramsError::Build)?;
    let metadata = MetadataCommand::new()
        .current_dir(workspace::root())
        .no_deps()
        .exec()
        .map_err(ProgramsError::Metadata)?;
    Ok(metadata
        .target_directory
        .join("release")
        .into_std_path_buf())
}
