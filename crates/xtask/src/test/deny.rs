//! What dependencies may be: `.cargo/deny.toml`, of both workspaces.

use super::fuzz;
use super::outcome::{Count, Outcome};
use crate::install::CARGO_DENY;
use crate::process::Program;

/// Set where the database of advisories can be fetched.
const ADVISORIES: &str = "DENY_ADVISORIES";

const CONFIGURATION: &str = ".cargo/deny.toml";
const MANIFESTS: [&str; 2] = ["Cargo.toml", fuzz::MANIFEST];

/// Runs every check.
pub(super) fn run() -> Outcome {
    let checked = check(&["licenses", "bans", "sources"]);
    if std::env::var_os(ADVISORIES).is_some() {
        return checked.and(check(&["advisories"]));
    }
    checked.and(Outcome::skipped_with_leave(format!(
        "advisories are in a database that has to be fetched; where it can be, \
         `{ADVISORIES}=1 cargo xtask test deny` looks them up"
    )))
}

/// Has cargo-deny look at both workspaces.
fn check(what: &[&str]) -> Outcome {
    MANIFESTS
        .into_iter()
        .map(|manifest| check_workspace(manifest, what))
        .fold(Outcome::default(), Outcome::and)
}

fn check_workspace(manifest: &str, what: &[&str]) -> Outcome {
    let program = match CARGO_DENY.path() {
        Ok(program) => program,
        Err(failure) => return Outcome::failed(failure.to_string()),
    };
    let mut deny = Program::new(program)
        .args(["--locked", "--manifest-path", manifest])
        .args(["--config", CONFIGURATION, "check"])
        .args(what);
    match deny.run() {
        Ok(()) => Outcome::of(Count::one_passed()),
        Err(failure) => Outcome::failed(failure.to_string()),
    }
}
