//! `cargo xtask deb`: the Debian package with which a node gets flocker-node.
//!
//! **Source**: Debian Policy, deb(5), dpkg-deb(1), reproducible-builds.org's `SOURCE_DATE_EPOCH`.

pub(crate) mod linked_libraries;
mod tree;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use cargo_metadata::{Metadata, MetadataCommand};

use crate::arguments::CommandResult;
use crate::failpoints;
use crate::process::{Program, RunError};
use crate::programs::{self, Purpose};
use crate::terminal;
use crate::workspace;
use linked_libraries::LinkError;

/// Packages that a node needs beside the libraries that the program is linked to.
const DEPENDS: [&str; 8] = [
    "docker.io | docker-ce",
    // Debian 13 divided the client from docker.io; Debian 12's docker.io has it inside.
    "docker-cli | docker-ce-cli | docker.io (<< 26)",
    "openssh-server",
    "passwd",
    "rsync",
    "sudo",
    "systemd",
    "zfsutils-linux",
];

/// Why there is no package.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DebError {
    #[error("could not ask cargo for the version of flocker-node")]
    Metadata(#[source] cargo_metadata::Error),
    #[error("the workspace has no package flocker-node")]
    NoNode,
    #[error("could not find out what flocker-node is linked to")]
    Links(#[source] LinkError),
    #[error("could not prepare the package's files")]
    Tree(#[source] std::io::Error),
    #[error("dpkg could not make the package")]
    Dpkg(#[source] RunError),
}

/// Builds the package and says where it is.
pub(crate) fn run(program: Option<PathBuf>) -> CommandResult {
    let metadata = observe_metadata()?;
    let program = match program {
        Some(program) => {
            let program = std::path::absolute(program)?;
            failpoints::check(&program, false)?;
            program
        }
        None => programs::build(Purpose::Delivery)?.join("flocker-node"),
    };
    terminal::line(&package(&metadata, &program)?.display().to_string());
    Ok(ExitCode::SUCCESS)
}

/// Makes the package of a program that is built, and says where the package is: beside it.
///
/// # Errors
///
/// When a part cannot be made. Nothing outside of the target directory is written.
pub(crate) fn build(program: &Path) -> Result<PathBuf, DebError> {
    package(&observe_metadata()?, program)
}

fn observe_metadata() -> Result<Metadata, DebError> {
    MetadataCommand::new()
        .current_dir(workspace::root())
        .no_deps()
        .exec()
        .map_err(DebError::Metadata)
}

fn package(metadata: &Metadata, program: &Path) -> Result<PathBuf, DebError> {
    let node = metadata
        .packages
        .iter()
        .find(|package| package.name == "flocker-node");
    let version = node.ok_or(DebError::NoNode)?.version.to_string();
    let libraries = linked_libraries::observe_depends(program).map_err(DebError::Links)?;
    let architecture = debian_architecture()?;
    let control = render_control(&version, &architecture, &libraries);

    let kind = program.parent().and_then(Path::file_name);
    let directory = metadata.target_directory.as_std_path().join("debian");
    let directory = match kind {
        Some(kind) if kind == "failpoints" => directory.join(kind),
        _ => directory,
    };
    let staged = directory.join("flocker-node");
    tree::stage(&staged, program, &control).map_err(DebError::Tree)?;
    let path = directory.join(format!("flocker-node_{version}_{architecture}.deb"));
    pack(&staged, &path)?;
    Ok(path)
}

/// Packs a directory; equal contents make an equal file.
fn pack(staged: &Path, path: &Path) -> Result<(), DebError> {
    Program::new("dpkg-deb")
        .env("SOURCE_DATE_EPOCH", source_date())
        // Speed matters more than size: the package goes to nodes over a local network.
        .args(["--root-owner-group", "-Zxz", "-z1", "--build"])
        .args([staged, path])
        .run()
        .map_err(DebError::Dpkg)
}

/// The time that all files in the package get, in seconds since 1970: that of the last commit,
/// unless the caller knows better.
fn source_date() -> String {
    std::env::var("SOURCE_DATE_EPOCH").unwrap_or_else(|_| {
        let date = Program::new("git")
            .args(["log", "-1", "--format=%ct"])
            .read();
        date.map_or_else(|_| "0".to_owned(), |date| date.trim().to_owned())
    })
}

fn debian_architecture() -> Result<String, DebError> {
    let architecture = Program::new("dpkg").args(["--print-architecture"]).read();
    Ok(architecture.map_err(DebError::Dpkg)?.trim().to_owned())
}

fn render_control(version: &str, architecture: &str, libraries: &[String]) -> String {
    let mut depends = libraries.to_vec();
    depends.extend(DEPENDS.map(str::to_owned));
    let depends = depends.join(", ");
    format!(
        "Package: flocker-node\n\
         Version: {version}\n\
         Architecture: {architecture}\n\
         Maintainer: The Flocker developers <flocker@localhost>\n\
         Section: admin\n\
         Priority: optional\n\
         Depends: {depends}\n\
         Description: moves containers with their data between machines: the node's part\n \
         Flocker runs applications in containers on several machines, and moves them\n \
         from one to another together with the data in their volumes.\n \
         .\n \
         This package makes a machine a node: it has the program that flocker-cluster\n \
         runs over SSH, the account through which other nodes send volumes, and the\n \
         service that brings everything back after a reboot.\n"
    )
}

#[cfg(test)]
mod tests {
    use super::render_control;

    #[test]
    fn control_has_the_fields_that_dpkg_requires() {
        let control = render_control("1.2.3", "amd64", &["libc6 (>= 2.34)".to_owned()]);
        assert!(
            control.starts_with("Package: flocker-node\nVersion: 1.2.3\nArchitecture: amd64\n")
        );
        assert!(control.contains("\nDepends: libc6 (>= 2.34), docker.io | docker-ce, "));
        assert!(control.ends_with(" reboot.\n") || control.ends_with(" a reboot.\n"));
        for line in control.lines() {
            assert!(!line.is_empty() && !line.ends_with(' '), "{line:?}");
        }
    }
}
