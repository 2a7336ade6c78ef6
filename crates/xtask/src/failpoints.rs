//! What is delivered has no failpoints in it, and what is built for the fault matrix has.

use std::fs;
use std::io::{self, BufRead as _};
use std::path::{Path, PathBuf};

/// What `flocker-failpoint` writes into a program that it is enabled in, and nothing else does.
const NAMES: [&str; 2] = ["/run/flocker-failpoints", "FLOCKER_FAILPOINTS"];

/// A program that is not what it was to be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FailpointsError {
    #[error("{} could not be read", program.display())]
    Read {
        program: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(
        "{} has failpoints in it (`{name}`), which are for `cargo xtask faults` alone: whoever may \
         write there can hold it anywhere; is the feature `failpoints` on?",
        program.display()
    )]
    Present {
        program: PathBuf,
        name: &'static str,
    },
    #[error(
        "{} has no failpoints in it (no `{name}`): either its feature `failpoints` is off, or \
         crates/failpoint has other names than crates/xtask/src/failpoints.rs",
        program.display()
    )]
    Missing {
        program: PathBuf,
        name: &'static str,
    },
}

/// Makes sure that a program has failpoints in it, or that it has none.
///
/// # Errors
///
/// When it is the other way round, or when the program cannot be read.
pub(crate) fn check(program: &Path, wanted: bool) -> Result<(), FailpointsError> {
    let bytes = fs::read(program).map_err(|source| FailpointsError::Read {
        program: program.to_owned(),
        source,
    })?;
    for name in NAMES {
        let program = program.to_owned();
        match (contains(&bytes, name), wanted) {
            (true, false) => return Err(FailpointsError::Present { program, name }),
            (false, true) => return Err(FailpointsError::Missing { program, name }),
            (true, true) | (false, false) => {}
        }
    }
    Ok(())
}

/// Whether a text is anywhere among bytes. Programs have tens of millions, so that what looks for
/// its first letter must be as fast as the standard library's.
fn contains(bytes: &[u8], text: &str) -> bool {
    let Some((first, rest)) = text.as_bytes().split_first() else {
        return true;
    };
    let mut following = bytes;
    while following
        .skip_until(*first)
        .is_ok_and(|skipped| skipped > 0)
    {
        if following.starts_with(rest) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::{FailpointsError, NAMES, check, contains};

    /// Else neither of the builds could tell them from the other.
    #[test]
    fn the_names_are_those_that_the_feature_compiles_in() {
        let source = include_str!("../../failpoint/src/lib.rs");
        let (without, with) = source.split_once("mod enabled {").unwrap();
        for name in NAMES {
            assert!(with.contains(&format!("\"{name}\"")), "{name}");
            assert!(!without.contains(name), "{name}");
        }
    }

    #[test]
    fn a_program_is_refused_that_is_of_the_other_kind() {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("program");
        let [one, other] = NAMES;
        std::fs::write(&program, format!("//run\0{one}{other}\u{ff}")).unwrap();
        check(&program, true).unwrap();
        let refused = check(&program, false).unwrap_err();
        assert!(matches!(refused, FailpointsError::Present { name, .. } if name == one));
        std::fs::write(&program, format!("F{other}")).unwrap();
        check(&program, true).unwrap_err();
        let refused = check(&program, false).unwrap_err();
        assert!(matches!(refused, FailpointsError::Present { name, .. } if name == other));
        std::fs::write(&program, "//run/flocker-failpoint").unwrap();
        check(&program, false).unwrap();
        let refused = check(&program, true).unwrap_err();
        assert!(matches!(refused, FailpointsError::Missing { name, .. } if name == one));
        std::fs::remove_file(&program).unwrap();
        check(&program, false).unwrap_err();
    }

    #[test]
    fn a_text_is_found_wherever_it_is() {
        for bytes in ["/ab", "//ab", "x/a/ab/", "/ab/a"] {
            assert!(contains(bytes.as_bytes(), "/ab"), "{bytes}");
        }
        for bytes in ["", "/a", "/a/b", "ab/"] {
            assert!(!contains(bytes.as_bytes(), "/ab"), "{bytes}");
        }
    }
}
