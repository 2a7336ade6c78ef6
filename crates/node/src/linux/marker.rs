//! The file that tells in which layout a volume is used.

use std::fs;
use std::path::Path;

use flocker_model::DIRECTORIES_MARKER;
use flocker_remote::protocol::StepFailure;

use crate::failure::OrFailure as _;

/// Writes the file that says that a volume's directories are mounted.
pub(super) fn write_marker(root: &Path) -> Result<(), StepFailure> {
    let marker = root.join(DIRECTORIES_MARKER);
    fs::write(
        &marker,
        "The directories beside this file are mounted one by one.\n",
    )
    .or_failed_to(format!("cannot write {}", marker.display()))
}
