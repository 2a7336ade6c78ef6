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
    #[error("the programs with failpoints could not be put aside")]
    Copy(#[source] std::io::Error),
}

/// In which build of the programs tests may hold them at named places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failpoints {
    /// The one that is delivered: in none.
    Absent,
    /// One for the fault matrix.
    Present,
}

impl Failpoints {
    /// The directory below the target directory that the programs are put into.
    const fn directory(self) -> &'static str {
        match self {
            Self::Absent => "release",
            Self::Present => "failpoints",
        }
    }
}

/// The programs, by their packages.
const PROGRAMS: [&str; 3] = ["flocker-node", "flocker-cluster", "flocker-lab"];

/// Builds all of them, and says in which directory they are.
///
/// Always all at once: cargo chooses the features of shared dependencies by what it builds in one
/// run, so that one program after another would compile most dependencies several times.
///
/// **Source**: <https://doc.rust-lang.org/cargo/reference/resolver.html#feature-unification>.
pub(crate) fn build(failpoints: Failpoints) -> Result<PathBuf, ProgramsError> {
    let features: &[&str] = match failpoints {
        Failpoints::Absent => &[],
        Failpoints::Present => &[
            "--features",
            "flocker-node/failpoints,flocker-cluster/failpoints",
        ],
    };
    Program::cargo()
        .args(["build", "--release"])
        .args(PROGRAMS.iter().flat_map(|program| ["--package", program]))
        .args(features)
        .run()
        .map_err(ProgramsError::Build)?;
    let metadata = MetadataCommand::new()
        .current_dir(workspace::root())
        .no_deps()
        .exec()
        .map_err(ProgramsError::Metadata)?;
    let target = metadata.target_directory.into_std_path_buf();
    let built = target.join("release");
    let directory = target.join(failpoints.directory());
    if failpoints == Failpoints::Present {
        // The next build of the other kind takes these places again.
        std::fs::create_dir_all(&directory).map_err(ProgramsError::Copy)?;
        for program in PROGRAMS {
            std::fs::copy(built.join(program), directory.join(program))
                .map_err(ProgramsError::Copy)?;
        }
    }
    Ok(directory)
}
