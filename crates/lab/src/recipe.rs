//! What an image is made from: a directory in `vm-images`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::digest::{CacheKey, DigestError, KeyBuilder};
use crate::image::ImageError;

/// What nodes run.
pub(crate) const SUITE: &str = "trixie";

/// The size of a node's root disk, in bytes. What is not written takes no
/// space here.
pub(crate) const ROOT_DISK_BYTES: u64 = 16 << 30;

/// Raise it when the code below makes something else of the same recipe.
pub(crate) const FORMAT: &str = "1";

/// A directory that says how nodes are made.
#[derive(Debug, Clone)]
pub struct Recipe {
    directory: PathBuf,
    /// Whether the directory has the image itself.
    is_built: bool,
}

impl Recipe {
    /// A recipe in a directory.
    pub fn at(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            is_built: false,
        }
    }

    /// An image that somebody else has built, such as Nix: a directory with `kernel`, `initrd`,
    /// `root.img`, `first-boot` and, in `parameters`, what else the kernel has to be told. Another
    /// image is in another directory, as it is in a Nix store.
    ///
    /// # Errors
    /// When the directory does not exist.
    pub fn built(directory: &Path) -> io::Result<Self> {
        Ok(Self {
            directory: fs::canonicalize(directory)?,
            is_built: true,
        })
    }

    /// The Debian recipe of this source tree, or the directory that
    /// `FLOCKER_LAB_RECIPE` names.
    pub fn debian() -> Self {
        let tree = concat!(env!("CARGO_MANIFEST_DIR"), "/../../vm-images/debian");
        Self::at(std::env::var_os("FLOCKER_LAB_RECIPE").map_or_else(|| tree.into(), PathBuf::from))
    }

    /// The directory of an image that somebody else has built.
    pub(crate) fn built_image(&self) -> Option<&Path> {
        self.is_built.then_some(&self.directory)
    }

    /// The key of all that goes into the image.
    ///
    /// # Errors
    /// When the recipe cannot be read.
    pub fn key(&self) -> Result<CacheKey, DigestError> {
        if self.is_built {
            let directory = self.directory.display().to_string();
            return Ok(KeyBuilder::new("image").text("built", &directory).finish());
        }
        let builder = KeyBuilder::new("image")
            .text("format", FORMAT)
            .text("suite", SUITE)
            .text("disk", &ROOT_DISK_BYTES.to_string());
        Ok(builder.directory(&self.directory)?.finish())
    }

    /// Where a file of the recipe is.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// The names of the Debian packages that nodes have.
    pub(crate) fn packages(&self) -> Result<Vec<String>, ImageError> {
        let path = self.file("packages");
        let text = fs::read_to_string(&path);
        let text = text.map_err(|source| ImageError::Packages { path, source })?;
        Ok(parse_packages(&text))
    }
}

fn parse_packages(text: &str) -> Vec<String> {
    text.lines()
        .filter_map(|line| line.split('#').next())
        .flat_map(str::split_whitespace)
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn package_lists_may_have_comments() {
        let text = "# heading\n\nzfs-dkms # builds the module\ndocker.io docker-cli\n";
        assert_eq!(
            parse_packages(text),
            ["zfs-dkms", "docker.io", "docker-cli"]
        );
    }

    #[test]
    fn the_recipe_of_this_tree_is_complete() {
        let recipe = Recipe::debian();
        let packages = recipe.packages().unwrap();
        for needed in [
            "linux-image-amd64",
            "zfsutils-linux",
            "docker.io",
            "openssh-server",
        ] {
            assert!(packages.iter().any(|package| package == needed), "{needed}");
        }
        for name in ["customise", "init", "modules", "masked-units", "first-boot"] {
            assert!(recipe.file(name).is_file(), "{name}");
        }
    }
}
