//! The fuzz targets of `crates/fuzz`, each for some seconds, from the seeds beside them.
//!
//! Without sanitizers, because those need an unstable compiler, and memory is safe in Rust: what is
//! looked for are panics, broken promises, and inputs that take too long or too much memory.

use std::fs;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;

use cargo_metadata::MetadataCommand;

use super::outcome::{Count, Outcome};
use crate::process::Program;
use crate::workspace;

/// The manifest of the fuzz targets, which are a workspace of their own.
pub(crate) const MANIFEST: &str = "crates/fuzz/Cargo.toml";
/// Where that is.
const DIRECTORY: &str = "crates/fuzz";
/// The script that cargo runs in the place of rustc to compile them.
const INSTRUMENT: &str = "crates/fuzz/instrument";

/// Names for how many seconds all targets together run: less by the clock, where several do at once.
const SECONDS: &str = "FUZZ_SECONDS";
/// For how many they do by default.
const DEFAULT_SECONDS: u64 = 60;

/// The most seconds that one input may take, on a machine that is busy with other things.
const PATIENCE: &str = "-timeout=10";
/// The most memory that a target may use, in mebibytes.
const MEMORY: &str = "-rss_limit_mb=768";

/// Lints the targets. They are compiled into the main target directory, where most of what they
/// depend on is already.
pub(super) fn lint() -> Outcome {
    let linted = target_directory().and_then(|directory| {
        Program::cargo()
            .args(["clippy", "--manifest-path", MANIFEST, "--target-dir"])
            .args([directory])
            .args(["--all-targets", "--locked", "--", "-D", "warnings"])
            .run()
            .map_err(|failure| failure.to_string())
    });
    match linted {
        Ok(()) => Outcome::of(Count::one_passed()),
        Err(why) => Outcome::failed(why),
    }
}

/// Builds and runs every target.
pub(super) fn run() -> Outcome {
    let fuzzer = match Fuzzer::observe() {
        Ok(fuzzer) => fuzzer,
        Err(why) => return Outcome::failed(why),
    };
    if let Err(why) = fuzzer.build() {
        return Outcome::failed(why);
    }
    fuzzer.run_all().require_tests().and(test_helpers())
}

/// Runs the unit tests of what targets share.
fn test_helpers() -> Outcome {
    let ran = target_directory().and_then(|directory| {
        Program::cargo()
            .args(["test", "--lib", "--no-default-features", "--locked"])
            .args(["--manifest-path", MANIFEST])
            .args(["--target-dir".into(), directory])
            .run_collecting()
            .map_err(|failure| failure.to_string())
    });
    match ran {
        Ok((status, lines)) => Outcome::of_tests(&lines, status.success()).require_tests(),
        Err(why) => Outcome::failed(why),
    }
}

/// What is known before anything is run.
struct Fuzzer {
    targets: Vec<String>,
    /// Where things are built.
    output: PathBuf,
    /// For how long each target runs.
    seconds: u64,
}

impl Fuzzer {
    fn observe() -> Result<Self, String> {
        let explain = |failure: cargo_metadata::Error| {
            format!(
                "{MANIFEST}: {failure}; if only its Cargo.lock is old, `cargo metadata \
                 --manifest-path {MANIFEST}` renews it"
            )
        };
        let targets = MetadataCommand::new()
            .manifest_path(workspace::root().join(MANIFEST))
            .other_options(["--locked".to_owned()])
            .exec()
            .map_err(explain)?;
        let targets: Vec<String> = targets
            .workspace_packages()
            .iter()
            .flat_map(|package| &package.targets)
            .filter(|target| target.is_bin())
            .map(|target| target.name.clone())
            .collect();
        Ok(Self {
            output: target_directory()?,
            seconds: seconds_for_each(std::env::var(SECONDS).ok().as_deref(), targets.len())?,
            targets,
        })
    }

    /// Builds all targets in the main target directory, where most of what they depend on is already.
    fn build(&self) -> Result<(), String> {
        Program::cargo()
            .args(["build", "--bins", "--locked", "--manifest-path", MANIFEST])
            .args(["--target-dir".into(), self.output.clone()])
            .env("RUSTC_WRAPPER", workspace::root().join(INSTRUMENT))
            .run()
            .map_err(|failure| failure.to_string())
    }

    /// Runs every target: as many at once as there are processors, of which each keeps one busy.
    fn run_all(&self) -> Outcome {
        let workers = thread::available_parallelism().map_or(1, NonZero::get);
        let left = Mutex::new(self.targets.iter());
        let work = || {
            let take = || left.lock().unwrap_or_else(PoisonError::into_inner).next();
            std::iter::from_fn(take)
                .map(|target| self.told(target))
                .fold(Outcome::default(), Outcome::and)
        };
        thread::scope(|scope| {
            let running: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
            let lost = |_| Outcome::failed("a thread that ran targets panicked");
            running
                .into_iter()
                .map(|worker| worker.join().unwrap_or_else(lost))
                .fold(Outcome::default(), Outcome::and)
        })
    }

    fn told(&self, target: &str) -> Outcome {
        match self.run(target) {
            Ok(()) => Outcome::of(Count::one_passed()),
            Err(why) => Outcome::failed(format!("{target}: {why}")),
        }
    }

    fn run(&self, target: &str) -> Result<(), String> {
        let directory = workspace::root().join(DIRECTORY);
        let seeds = directory.join("seeds").join(target);
        if !seeds.is_dir() {
            return Err(format!("{} is missing", seeds.display()));
        }
        // Inputs that find new ways through the code.
        let found = self.output.join("fuzz").join(target);
        empty(&found).map_err(|failure| format!("{}: {failure}", found.display()))?;
        let failing = directory.join("artifacts").join(target);
        fs::create_dir_all(&failing)
            .map_err(|failure| format!("{}: {failure}", failing.display()))?;
        let mut program = Program::new(self.output.join("debug").join(target)).args([
            "-verbosity=0",
            "-print_funcs=0",
            "-print_final_stats=1",
            PATIENCE,
            MEMORY,
            &format!("-max_total_time={}", self.seconds),
            &format!("-artifact_prefix={}/", failing.display()),
        ]);
        let dictionary = directory.join(format!("dictionaries/{target}.txt"));
        if dictionary.is_file() {
            program = program.args([format!("-dict={}", dictionary.display())]);
        }
        program.args([found, seeds]).run().map_err(|_| {
            format!("an input is in {DIRECTORY}/artifacts/{target}; see the output above")
        })
    }
}

/// Where the main workspace is built.
fn target_directory() -> Result<PathBuf, String> {
    MetadataCommand::new()
        .current_dir(workspace::root())
        .no_deps()
        .exec()
        .map(|metadata| metadata.target_directory.into_std_path_buf())
        .map_err(|failure| format!("cargo does not say where it builds: {failure}"))
}

/// Divides the time, of which each target has some.
fn seconds_for_each(wanted: Option<&str>, targets: usize) -> Result<u64, String> {
    let seconds = match wanted {
        None => DEFAULT_SECONDS,
        Some(text) => text
            .parse()
            .map_err(|_| format!("{SECONDS}={text} is not a number of seconds"))?,
    };
    Ok((seconds / targets.max(1) as u64).max(1))
}

/// Makes a directory with nothing in it.
fn empty(directory: &Path) -> std::io::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(failure) if failure.kind() != std::io::ErrorKind::NotFound => Err(failure),
        _ => fs::create_dir_all(directory),
    }
}

#[cfg(test)]
mod tests {
    use super::{empty, seconds_for_each};

    #[test]
    fn time_is_divided_among_targets() {
        assert_eq!(seconds_for_each(None, 10), Ok(6));
        assert_eq!(seconds_for_each(Some("3"), 10), Ok(1));
        assert_eq!(seconds_for_each(Some("600"), 10), Ok(60));
        assert!(seconds_for_each(Some("a while"), 10).is_err());
    }

    #[test]
    fn what_was_found_before_is_forgotten() {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("found");
        empty(&directory).unwrap();
        std::fs::write(directory.join("input"), "x").unwrap();
        empty(&directory).unwrap();
        assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 0);
    }
}
