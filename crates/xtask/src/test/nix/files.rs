//! Each Nix file for itself.

use std::path::PathBuf;

use super::Checked;
use super::evaluator::Evaluator;
use crate::install::{DEADNIX, NIXFMT, UserProgram};
use crate::process::Program;
use crate::workspace;

/// Whether all are Nix at all.
pub(super) fn parse(evaluator: &Evaluator) -> Checked {
    evaluator.parse(&list()?)
}

/// Whether all look as nixpkgs' own formatter would have them.
pub(super) fn check_format() -> Checked {
    check(&NIXFMT, "--check")
}

/// Whether all names are used.
pub(super) fn check_dead_code() -> Checked {
    check(&DEADNIX, "--fail")
}

fn check(program: &UserProgram, option: &str) -> Checked {
    let path = program.path().map_err(|failure| failure.to_string())?;
    Program::new(path)
        .env("NO_COLOR", "1")
        .args([option])
        .args(list()?)
        .read_or_explain()
        .map(drop)
}

/// Every Nix file of the repository.
fn list() -> Result<Vec<PathBuf>, String> {
    let files = workspace::observe_source_files().map_err(|failure| failure.to_string())?;
    Ok(files
        .into_iter()
        .filter(|file| file.has_extension("nix"))
        .map(|file| workspace::root().join(file.path))
        .collect())
}
