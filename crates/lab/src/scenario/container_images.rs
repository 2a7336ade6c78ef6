//! The scenarios' container images, built once for each state of their recipe.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use tokio::process::Command;

use crate::cache::{Cache, CacheError, Claim};
use crate::digest::{CacheKey, DigestError, KeyBuilder};
use crate::progress::Progress;

/// Files of the recipe that have no part in what it makes.
const NO_PART: [&str; 3] = ["README.md", "check", "__pycache__"];

/// A directory with an archive of each image, as `docker save` makes them.
#[derive(Debug, Clone)]
pub struct ContainerImages {
    directory: PathBuf,
}

/// The images cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum ContainerImagesError {
    /// The cache is unusable.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// The recipe is unreadable.
    #[error(transparent)]
    Recipe(#[from] DigestError),
    /// The program cannot be run.
    #[error("run {} (package python3)", .program.display())]
    Run {
        /// The program.
        program: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// The program failed.
    #[error("{} ended with {status}; its messages are above", .program.display())]
    Failed {
        /// The program.
        program: PathBuf,
        /// How it ended.
        status: ExitStatus,
    },
}

impl ContainerImages {
    /// Takes images that somebody else has built.
    pub fn at(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// Finds the images of this source tree in the cache, or builds them.
    ///
    /// # Errors
    /// When they cannot be built.
    pub async fn ensure(cache: &Cache, progress: &Progress) -> Result<Self, ContainerImagesError> {
        let recipe = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vm-images/containers");
        let key = key(&recipe)?;
        let directory = match cache.claim("containers", &key, progress).await? {
            Claim::Ready(directory) => directory,
            Claim::Build(slot) => {
                let _step = progress.step("building the scenario's container images");
                run(&recipe.join("build"), slot.directory()).await?;
                slot.finish()?
            }
        };
        Ok(Self { directory })
    }

    /// Where an image's archive is.
    pub fn archive(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}.tar"))
    }
}

fn key(recipe: &Path) -> Result<CacheKey, DigestError> {
    let failed = |source| DigestError {
        path: recipe.to_owned(),
        source,
    };
    let entries = fs::read_dir(recipe).map_err(failed)?;
    let paths: io::Result<Vec<PathBuf>> = entries.map(|entry| Ok(entry?.path())).collect();
    let mut paths = paths.map_err(failed)?;
    paths.sort();
    let mut builder = KeyBuilder::new("containers");
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if NO_PART.contains(&&*name) {
            continue;
        }
        builder = builder.text("entry", &name);
        builder = if path.is_dir() {
            builder.directory(&path)?
        } else {
            builder.file(&path)?
        };
    }
    Ok(builder.finish())
}

async fn run(program: &Path, output: &Path) -> Result<(), ContainerImagesError> {
    let status = Command::new(program)
        .arg(output)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .status()
        .await;
    let program = program.to_owned();
    match status {
        Err(source) => Err(ContainerImagesError::Run { program, source }),
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(ContainerImagesError::Failed { program, status }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_a_part_in_the_images_changes_their_key() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).unwrap();
        fs::create_dir(directory.path().join("images")).unwrap();
        write("build", "one");
        write("images/schema", "one");
        let first = key(directory.path()).unwrap();
        write("README.md", "words");
        write("check", "more");
        assert_eq!(key(directory.path()).unwrap(), first);
        write("images/schema", "two");
        assert_ne!(key(directory.path()).unwrap(), first);
    }
}
