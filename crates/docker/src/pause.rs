//! The image that namespace containers run: one program that sleeps for ever.
//!
//! It is made here, byte by byte, because no registry may be needed and a node need not have a
//! compiler. The whole image is one file of some 150 bytes.

mod archive;
mod program;

pub use program::UnsupportedArchitecture;

use flocker_model::Digest;

/// Where the program is in the image.
pub(crate) const PROGRAM_PATH: &str = "/pause";

/// The image's repository.
pub(crate) const REPOSITORY: &str = "flocker/pause";

/// The image, ready to be imported.
#[derive(Debug)]
pub(crate) struct PauseImage {
    /// A tar archive of its root file system.
    pub(crate) archive: Vec<u8>,
    /// Its tag: a digest of the archive, so that another image never hides behind the same name.
    pub(crate) tag: String,
}

impl PauseImage {
    /// Makes the image for machines of `architecture`, as [`std::env::consts::ARCH`] names it.
    pub(crate) fn render(architecture: &str) -> Result<Self, UnsupportedArchitecture> {
        let program = program::render_program(architecture)?;
        let archive = archive::render_archive(PROGRAM_PATH.trim_start_matches('/'), &program);
        let digest = Digest::of(&archive);
        Ok(Self {
            archive,
            tag: digest.as_str().chars().take(12).collect(),
        })
    }

    /// Returns the image's name with its tag.
    pub(crate) fn reference(&self) -> String {
        format!("{REPOSITORY}:{}", self.tag)
    }
}
