//! The paths of the node that a container was made with, looked at before each start.

use std::path::{Path, PathBuf};

use flocker_model::ApplicationName;
use flocker_remote::protocol::StepFailure;

use super::entries::is_directory_all_the_way;
use super::host_paths::check_host_path;
use crate::failure::failure_of;

/// Flocker's own directories that an application is given paths of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Given<'a> {
    /// Where its volume is mounted, if it sees one.
    pub(super) volume: Option<&'a Path>,
    /// Where its scratch directories are.
    pub(super) scratch: &'a Path,
    /// Where its files are, which were just made sure of.
    pub(super) files: &'a Path,
}

/// Looks whether the sources of a container's mounts are there, and are what it was given. `own` are
/// all of Flocker's directories.
pub(super) fn check_sources(
    own: &[PathBuf],
    (application, given): (&ApplicationName, Given<'_>),
    sources: &[PathBuf],
) -> Result<(), StepFailure> {
    for source in sources {
        if source.starts_with(given.files) {
            continue;
        }
        let mut roots = given.volume.into_iter().chain([given.scratch]);
        let Some(root) = roots.find(|root| source.starts_with(root)) else {
            if let Ok(path) = source.to_string_lossy().parse() {
                check_host_path(own, application, &path)?;
            }
            continue;
        };
        let inner = source.strip_prefix(root).unwrap_or(source);
        if !is_directory_all_the_way(root, inner)? {
            return Err(failure_of(format!(
                "the directory {} is gone, which the container of `{application}` is given",
                source.display()
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_below_another_state_directory_are_the_applications_own() {
        let base = tempfile::tempdir().unwrap();
        let below = |name: &str| base.path().join(name);
        let file = below("files/web/1f/0");
        for directory in ["files/web/1f", "files/other", "scratch/web/cache"] {
            std::fs::create_dir_all(below(directory)).unwrap();
        }
        std::fs::write(&file, "").unwrap();
        let application = "web".parse().unwrap();
        let (scratch, files) = (below("scratch/web"), below("files/web"));
        let given = Given {
            volume: None,
            scratch: &scratch,
            files: &files,
        };
        let check = |source: PathBuf| {
            let own = [base.path().to_owned()];
            check_sources(&own, (&application, given), &[source])
        };
        check(file).unwrap();
        check(below("scratch/web/cache")).unwrap();
        check(below("scratch/web/gone")).unwrap_err();
        // Another application's, and Flocker's other directories.
        check(below("files/other")).unwrap_err();
        check(base.path().to_owned()).unwrap_err();
    }
}
