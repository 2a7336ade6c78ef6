//! `cargo xtask check`: the repository must be what its documents say it is.

mod crate_table;
mod dependency_table;
mod faults;
mod file_size;
mod finding;
mod forbidden_text;
mod invariants;
mod rust_source;
mod test_names;
mod unsafe_modules;

use std::process::ExitCode;

use cargo_metadata::{Metadata, MetadataCommand, Package};

use crate::arguments::CommandResult;
use crate::process::RunError;
use crate::terminal;
use crate::test::FUZZ_MANIFEST;
use crate::workspace::{self, SourceFile};
use finding::Finding;

/// Why the repository could not be checked at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CheckError {
    #[error("could not list the files of the repository")]
    Files(#[source] RunError),
    #[error("could not ask cargo for the crates and their dependencies")]
    Metadata(#[source] cargo_metadata::Error),
    #[error("could not ask the compiler which platform this is")]
    Platform(#[source] RunError),
}

/// Everything that is compared.
pub(crate) struct Repository {
    files: Vec<SourceFile>,
    metadata: Metadata,
    /// The fuzz targets, which are a workspace of their own.
    fuzz: Metadata,
}

impl Repository {
    fn observe() -> Result<Self, CheckError> {
        let files = workspace::observe_source_files().map_err(CheckError::Files)?;
        let platform = crate::test::host_platform().map_err(CheckError::Platform)?;
        let metadata = MetadataCommand::new()
            .current_dir(workspace::root())
            .other_options(["--filter-platform".to_owned(), platform])
            .exec()
            .map_err(CheckError::Metadata)?;
        let fuzz = MetadataCommand::new()
            .manifest_path(workspace::root().join(FUZZ_MANIFEST))
            .no_deps()
            .exec()
            .map_err(CheckError::Metadata)?;
        Ok(Self {
            files,
            metadata,
            fuzz,
        })
    }

    /// Every crate of ours.
    fn packages(&self) -> Vec<&Package> {
        let mut packages = self.metadata.workspace_packages();
        packages.extend(self.fuzz.workspace_packages());
        packages
    }

    /// The text of a file; empty when there is none, so that its absence is reported as whatever
    /// it should contain.
    fn text(&self, path: &str) -> &str {
        self.files
            .iter()
            .find(|file| file.path.as_os_str() == path)
            .map_or("", |file| &file.text)
    }
}

/// Prints every finding and fails when there is one.
pub(crate) fn run() -> CommandResult {
    let findings = findings()?;
    for finding in &findings {
        terminal::line(&finding.to_string());
    }
    if findings.is_empty() {
        terminal::line("check: nothing found");
        return Ok(ExitCode::SUCCESS);
    }
    terminal::line(&format!("check: {} found", findings.len()));
    Ok(ExitCode::FAILURE)
}

/// Compares everything, and keeps going after a finding.
pub(crate) fn findings() -> Result<Vec<Finding>, CheckError> {
    let repository = Repository::observe()?;
    let mut findings = Vec::new();
    findings.extend(crate_table::check(&repository));
    findings.extend(dependency_table::check(&repository));
    findings.extend(faults::check(&repository));
    findings.extend(file_size::check(&repository));
    findings.extend(forbidden_text::check(&repository));
    findings.extend(invariants::check(&repository));
    findings.extend(unsafe_modules::check(&repository));
    findings.sort();
    Ok(findings)
}
