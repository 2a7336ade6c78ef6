//! The scripts of tests on NixOS machines, looked at as NixOS's test driver does before it runs
//! them: with what the driver gives to them written in front.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::Checked;
use crate::install::{self, RUFF, TY, UserProgram};
use crate::process::Program;
use crate::workspace;

/// Where the tests are.
const TESTS: &str = "nixos-tests";
/// What the driver gives to each script, as types.
const DRIVER: &str = "driver.py";
/// What comes before each script of ours.
const PRELUDE: &str = "prelude.py";

/// Whether every script uses only names that it has.
pub(super) fn check_lints() -> Checked {
    // `F` is what the driver looks for, too.
    let arguments = ["check", "--select", "F", "--output-format", "concise"];
    check_whole(&RUFF, &arguments)
}

/// Whether every script gives each function what it takes.
pub(super) fn check_types() -> Checked {
    check_whole(&TY, &["check", "--output-format", "concise"])
}

/// Whether the files are formatted.
pub(super) fn check_format() -> Checked {
    let tests = workspace::root().join(TESTS);
    run(&RUFF, &["format", "--check"], &[tests])
}

/// Looks at each script as the driver would run it.
fn check_whole(program: &UserProgram, arguments: &[&str]) -> Checked {
    let cache = install::cache().map_err(|failure| failure.to_string())?;
    let directory = cache.join(format!("test-scripts-{}", std::process::id()));
    let checked = write_whole(&directory).and_then(|files| run(program, arguments, &files));
    // Nothing but copies is in it.
    let _ = std::fs::remove_dir_all(&directory);
    checked
}

fn write_whole(directory: &Path) -> Result<Vec<PathBuf>, String> {
    let tests = workspace::root().join(TESTS);
    let failed = |failure: std::io::Error| failure.to_string();
    let read = |name: &str| std::fs::read_to_string(tests.join(name)).map_err(failed);
    let before = read(DRIVER)? + &read(PRELUDE)?;
    std::fs::create_dir_all(directory).map_err(failed)?;
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&tests).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let Ok(script) = std::fs::read_to_string(entry.path().join("test.py")) else {
            continue;
        };
        let mut whole = before.clone();
        let _ = write!(whole, "\n\n{script}");
        let file = directory.join(format!("{name}.py"));
        std::fs::write(&file, whole).map_err(failed)?;
        files.push(file);
    }
    if files.is_empty() {
        return Err(format!("error: {TESTS} has no test"));
    }
    Ok(files)
}

fn run(program: &UserProgram, arguments: &[&str], files: &[PathBuf]) -> Checked {
    let path = program.path().map_err(|failure| failure.to_string())?;
    Program::new(path)
        .args(arguments)
        .args(files)
        .read_or_explain()
        .map(drop)
}
