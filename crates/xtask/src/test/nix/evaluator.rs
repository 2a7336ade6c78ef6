//! Nix itself, with a store that lasts as long as a run of the tests: every change of a file makes
//! another copy of the flake in it.

use std::path::{Path, PathBuf};

use crate::install::{self, NIX};
use crate::process::Program;

/// What Nix is told: to touch nothing but our own directories, and to ask nobody.
///
/// **Source**: nix.conf(5).
const SETTINGS: &str = "extra-experimental-features = nix-command flakes
build-users-group =
substituters =
fsync-metadata = false
eval-cache = false
warn-dirty = false
";

/// Nix, unpacked from a Debian package and run by the loader that came with it.
#[derive(Debug)]
pub(super) struct Evaluator {
    loader: PathBuf,
    libraries: PathBuf,
    program: PathBuf,
    /// The store, and what Nix would keep in the user's home.
    directory: PathBuf,
}

impl Evaluator {
    /// Finds the unpacked Nix.
    pub(super) fn new() -> Result<Self, String> {
        let found = || {
            let root = NIX.directory().ok()?;
            let architecture = std::env::consts::ARCH;
            let loader = [
                format!("usr/lib64/ld-linux-{}.so.2", architecture.replace('_', "-")),
                format!("usr/lib/ld-linux-{architecture}.so.1"),
            ];
            let loader = loader.iter().map(|path| root.join(path));
            Some(Self {
                loader: loader.into_iter().find(|path| path.exists())?,
                libraries: root.join(format!("usr/lib/{architecture}-linux-gnu")),
                program: NIX.path().ok()?,
                directory: install::cache()
                    .ok()?
                    .join(format!("nix-{}", std::process::id())),
            })
        };
        found().ok_or_else(|| format!("{} is not installed", NIX.describe()))
    }

    /// One of Nix's programs, which are one file that looks at the name it is started by.
    fn program(&self, name: &str) -> Program {
        let store = self.directory.join("store");
        let home = self.directory.join("home");
        Program::new(&self.loader)
            .args(["--argv0", name, "--library-path"])
            .args([&self.libraries, &self.program])
            .env(
                "NIX_CONFIG",
                format!("{SETTINGS}store = {}\n", store.display()),
            )
            // Not the settings of a Nix that this machine may have.
            .env("NIX_CONF_DIR", &home)
            .env("NIX_USER_CONF_FILES", "")
            .env("XDG_CACHE_HOME", home.join("cache"))
            .env("XDG_STATE_HOME", home.join("state"))
    }

    /// Runs `nix`; gives its result, or why there is none.
    pub(super) fn nix(&self, arguments: &[&str]) -> Result<String, String> {
        self.program("nix").args(arguments).read_or_explain()
    }

    /// Parses files.
    pub(super) fn parse(&self, files: &[PathBuf]) -> Result<(), String> {
        let mut program = self
            .program("nix-instantiate")
            .args(["--parse"])
            .args(files);
        program.read_or_explain().map(drop)
    }

    /// Copies a directory into the store, where Nix does not look at each file of it again.
    pub(super) fn add(&self, directory: &Path) -> Result<String, String> {
        let directory = directory.display().to_string();
        let path = self.nix(&["store", "add", "--name", "source", &directory])?;
        Ok(path.trim().to_owned())
    }
}

impl Drop for Evaluator {
    fn drop(&mut self) {
        // What is in a store cannot be written to. What cannot be removed only takes space.
        let directory = std::slice::from_ref(&self.directory);
        let _ = Program::new("chmod")
            .args(["-R", "u+w"])
            .args(directory)
            .succeeds();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}
