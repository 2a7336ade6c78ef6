//! The two configuration files, as `flocker-node apply` reads them.

use std::path::Path;

use flocker_config::{Diagnostics, Parsed, Source, parse_with_warnings};
use flocker_remote::protocol::StepFailure;

use crate::failure::OrFailure as _;

/// Why there is no deployment.
#[derive(Debug)]
pub(crate) enum NoDeployment {
    /// A file cannot be read.
    Unreadable(StepFailure),
    /// There are mistakes in the files.
    Wrong(Diagnostics),
}

/// Reads both files.
///
/// # Errors
///
/// When a file cannot be read, or everything that is wrong with them.
pub(crate) fn read(application: &Path, deployment: &Path) -> Result<Parsed, NoDeployment> {
    let read = |path: &Path| {
        let read = std::fs::read(path).or_failed_to(format!("cannot read {}", path.display()));
        read.map_err(NoDeployment::Unreadable)
    };
    let (application_bytes, deployment_bytes) = (read(application)?, read(deployment)?);
    let parsed = parse_with_warnings(
        Source {
            name: &application.display().to_string(),
            bytes: &application_bytes,
        },
        Source {
            name: &deployment.display().to_string(),
            bytes: &deployment_bytes,
        },
    );
    parsed.map_err(NoDeployment::Wrong)
}
