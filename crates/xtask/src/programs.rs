//! Flocker's programs, as they are delivered and as nodes of the lab run them.

use std::path::PathBuf;

use cargo_metadata::MetadataCommand;

use crate::deb::linked_libraries::{self, LinkError};
use crate::failpoints::{self, FailpointsError};
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
    #[error("what was built is not what was wanted")]
    Failpoints(#[source] FailpointsError),
    #[error("flocker-cluster does not run where there is no node's software")]
    Links(#[source] LinkError),
}

/// What the programs are built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To be delivered.
    Delivery,
    /// For the nodes of the lab.
    Lab,
    /// For the nodes of the fault matrix, which holds the programs at named places.
    Faults,
}

impl Purpose {
    const fn profile(self) -> &'static str {
        match self {
            Self::Delivery => "release",
            Self::Lab | Self::Faults => "dev",
        }
    }

    /// The directory below the target directory that cargo builds in.
    const fn directory(self) -> &'static str {
        match self {
            Self::Delivery => "release",
            Self::Lab | Self::Faults => "debug",
        }
    }

    const fn features(self) -> &'static [&'static str] {
        match self {
            Self::Delivery => &[],
            Self::Lab => &["--features", "xtask/as-for-tests"],
            Self::Faults => &[
                "--features",
                "xtask/as-for-tests,flocker-node/failpoints,flocker-cluster/failpoints",
            ],
        }
    }
}

/// Where programs with failpoints are put: the next build of the other kind takes their places.
const ASIDE: &str = "failpoints";

/// The programs, by their packages.
const PROGRAMS: [&str; 3] = ["flocker-node", "flocker-cluster", "flocker-lab"];

/// The one that runs on the operator's machine, which has neither ZFS nor nftables.
const OPERATORS: &str = "flocker-cluster";

/// Those of them that the fault matrix holds.
const HELD: [&str; 2] = ["flocker-node", "flocker-cluster"];

/// Builds all of them, makes sure that only those for the fault matrix have failpoints and that the
/// operator's runs everywhere, and says in which directory they are.
///
/// Always all at once, and this program with them: cargo chooses the features of shared dependencies
/// by what it builds in one run, so that one program after another would compile most dependencies
/// several times. For the lab they are chosen as the tests of the whole workspace need them.
///
/// **Source**: <https://doc.rust-lang.org/cargo/reference/resolver.html#feature-unification>.
pub(crate) fn build(purpose: Purpose) -> Result<PathBuf, ProgramsError> {
    Program::cargo()
        .args(["build", "--profile", purpose.profile()])
        .args(PROGRAMS.iter().flat_map(|program| ["--package", program]))
        .args(["--package", env!("CARGO_PKG_NAME")])
        .args(purpose.features())
        .run()
        .map_err(ProgramsError::Build)?;
    let metadata = MetadataCommand::new()
        .current_dir(workspace::root())
        .no_deps()
        .exec()
        .map_err(ProgramsError::Metadata)?;
    let target = metadata.target_directory.into_std_path_buf();
    let built = target.join(purpose.directory());
    for program in HELD {
        failpoints::check(&built.join(program), purpose == Purpose::Faults)
            .map_err(ProgramsError::Failpoints)?;
    }
    linked_libraries::require_everywhere(&built.join(OPERATORS)).map_err(ProgramsError::Links)?;
    if purpose != Purpose::Faults {
        return Ok(built);
    }
    let aside = target.join(ASIDE);
    std::fs::create_dir_all(&aside).map_err(ProgramsError::Copy)?;
    for program in PROGRAMS {
        std::fs::copy(built.join(program), aside.join(program)).map_err(ProgramsError::Copy)?;
    }
    Ok(aside)
}
