//! Runs other programs, always visibly.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitCode, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use crate::still_compiling::StillCompiling;
use crate::terminal;
use crate::workspace;

/// Why a program did not do its work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    /// The program could not be started.
    #[error("could not start `{program}`")]
    NotStarted {
        program: String,
        #[source]
        source: std::io::Error,
    },
    /// The program's output could not be read.
    #[error("could not read the output of `{program}`")]
    Unreadable {
        program: String,
        #[source]
        source: std::io::Error,
    },
    /// The program ended with a failure.
    #[error("`{program}` ended with {status}")]
    Failed { program: String, status: ExitStatus },
}

/// Is it a variable with which cargo describes the package that it runs?
fn is_about_a_package(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.starts_with(b"CARGO_PKG_") || name.starts_with(b"CARGO_MANIFEST_")
}

/// A program to run from the root of the workspace.
#[derive(Debug)]
pub(crate) struct Program {
    command: Command,
    /// Whether it compiles something before it does anything else.
    compiles: bool,
}

impl Program {
    /// A program found through `PATH`.
    pub(crate) fn new(name: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(name);
        command.current_dir(workspace::root()).stdin(Stdio::null());
        Self {
            command,
            compiles: false,
        }
    }

    /// The cargo that started this program, so that a chosen toolchain stays chosen.
    ///
    /// What that cargo told this program about this package is kept from it: ring's build script
    /// runs again when that changes, and with it half of the dependencies would be compiled again
    /// whenever cargo is run by hand.
    ///
    /// **Source**: <https://doc.rust-lang.org/cargo/reference/environment-variables.html>, "for
    /// crates".
    pub(crate) fn cargo() -> Self {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
        let mut program = Self::new(cargo);
        program.compiles = true;
        for (name, _) in std::env::vars_os() {
            if is_about_a_package(&name) {
                program.command.env_remove(name);
            }
        }
        program
    }

    /// Adds arguments.
    pub(crate) fn args<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(mut self, arguments: I) -> Self {
        self.command.args(arguments);
        self
    }

    /// Sets an environment variable.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Lets the program read what the user types: questions, passwords.
    pub(crate) fn interactive(mut self) -> Self {
        self.command.stdin(Stdio::inherit());
        self
    }

    /// Lets the program read a file.
    pub(crate) fn input(mut self, path: &Path) -> std::io::Result<Self> {
        self.command.stdin(File::open(path)?);
        Ok(self)
    }

    /// The command line, for people.
    pub(crate) fn describe(&self) -> String {
        let mut words = vec![self.command.get_program().to_string_lossy().into_owned()];
        words.extend(
            self.command
                .get_args()
                .map(|argument| argument.to_string_lossy().into_owned()),
        );
        words.join(" ")
    }

    /// Shows the command line and runs the program with its output on the terminal.
    pub(crate) fn run(&mut self) -> Result<(), RunError> {
        terminal::line(&format!("$ {}", self.describe()));
        let _compiling = self.tell_while_it_compiles();
        let status = self
            .command
            .status()
            .map_err(|source| self.not_started(source))?;
        self.require_success(status)
    }

    /// Runs the program, shows its standard output line by line, and returns those lines.
    pub(crate) fn run_collecting(&mut self) -> Result<(ExitStatus, Vec<String>), RunError> {
        terminal::line(&format!("$ {}", self.describe()));
        let mut compiling = self.tell_while_it_compiles();
        let mut child = self
            .command
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|source| self.not_started(source))?;
        let mut lines = Vec::new();
        if let Some(output) = child.stdout.take() {
            let incoming = read_lines_apart(output);
            // A process that a test left behind may hold the output open for ever.
            let mut left_alone = LEFT_ALONE;
            while left_alone > 0 {
                match incoming.recv_timeout(PATIENCE) {
                    Ok(line) => {
                        // Whatever was to be compiled is running.
                        drop(compiling.take());
                        terminal::line(&line);
                        lines.push(line);
                    }
                    Err(RecvTimeoutError::Disconnected) => break,
                    Err(RecvTimeoutError::Timeout) => {
                        let ended = child.try_wait().map_err(|source| self.unreadable(source))?;
                        left_alone -= u32::from(ended.is_some());
                    }
                }
            }
        }
        let status = child.wait().map_err(|source| self.unreadable(source))?;
        Ok((status, lines))
    }

    /// Starts the program beside everything else that runs, with its messages on the terminal.
    ///
    /// It gets SIGKILL when this process ends, however that ends.
    pub(crate) fn run_beside(self) -> Result<Beside, RunError> {
        terminal::line(&format!("$ {} &", self.describe()));
        // setpriv(1) sets what prctl(2) calls PR_SET_PDEATHSIG, which outlives exec.
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", "--"])
            .arg(self.command.get_program())
            .args(self.command.get_args())
            .current_dir(workspace::root())
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let child = command.spawn().map_err(|source| self.not_started(source))?;
        Ok(Beside { child })
    }

    /// Runs the program in the terminal and passes on how it ended.
    pub(crate) fn exit_code(&mut self) -> Result<ExitCode, Box<dyn std::error::Error>> {
        let status = self
            .command
            .status()
            .map_err(|source| self.not_started(source))?;
        let code = status.code().and_then(|code| u8::try_from(code).ok());
        Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
    }

    /// Runs the program quietly and returns its standard output.
    pub(crate) fn read(&mut self) -> Result<String, RunError> {
        let _compiling = self.tell_while_it_compiles();
        let output = self
            .command
            .stderr(Stdio::inherit())
            .output()
            .map_err(|source| self.not_started(source))?;
        self.require_success(output.status)?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Runs the program silently and returns what it wrote to standard output, or, if it failed, all
    /// that it wrote.
    pub(crate) fn read_or_explain(&mut self) -> Result<String, String> {
        let ended = self.command.output();
        let output = ended.map_err(|source| {
            let failure = self.not_started(source);
            let cause = std::error::Error::source(&failure).map(ToString::to_string);
            format!("{failure}: {}", cause.unwrap_or_default())
        })?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() {
            return Ok(text(&output.stdout));
        }
        Err(text(&output.stdout) + &text(&output.stderr))
    }

    /// Runs the program silently and says whether it succeeded.
    pub(crate) fn succeeds(&mut self) -> bool {
        self.command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }

    /// Runs the program silently and says whether it succeeded and wrote exactly this text.
    pub(crate) fn succeeds_with_output(&mut self, expected: &str) -> bool {
        self.command
            .stderr(Stdio::null())
            .output()
            .is_ok_and(|output| output.status.success() && output.stdout == expected.as_bytes())
    }

    /// Says that it still compiles, if it does and does not show that itself.
    fn tell_while_it_compiles(&self) -> Option<StillCompiling> {
        self.compiles.then(StillCompiling::begin).flatten()
    }

    fn require_success(&self, status: ExitStatus) -> Result<(), RunError> {
        if status.success() {
            return Ok(());
        }
        Err(RunError::Failed {
            program: self.describe(),
            status,
        })
    }

    fn not_started(&self, source: std::io::Error) -> RunError {
        RunError::NotStarted {
            program: self.describe(),
            source,
        }
    }

    fn unreadable(&self, source: std::io::Error) -> RunError {
        RunError::Unreadable {
            program: self.describe(),
            source,
        }
    }
}

/// A program that runs beside everything else.
#[derive(Debug)]
pub(crate) struct Beside {
    child: Child,
}

impl Beside {
    /// Waits until it has ended; tells whether it succeeded.
    pub(crate) fn succeeded(mut self) -> bool {
        self.child.wait().is_ok_and(|status| status.success())
    }
}

/// How long to wait for a line before looking whether the program still runs.
const PATIENCE: Duration = Duration::from_millis(500);
/// How often an ended program's output may be silent before it is left.
const LEFT_ALONE: u32 = 4;

/// Reads lines in a thread of its own, until the end of the output.
fn read_lines_apart(output: ChildStdout) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        // Tests may print anything, so bytes that are not UTF-8 must not end the reading.
        for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).into_owned();
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

/// Whether `name` is a program in `PATH` or in the directories that only root has in it.
pub(crate) fn program_exists(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(Into::into))
        .any(|directory| directory.join(name).is_file())
}

#[cfg(test)]
mod tests {
    use super::Program;

    #[test]
    fn cargo_is_not_told_about_this_package() {
        // Cargo has set them for this test.
        assert!(std::env::var_os("CARGO_PKG_NAME").is_some());
        let cargo = Program::cargo();
        for name in ["CARGO_PKG_NAME", "CARGO_MANIFEST_DIR"] {
            let told = cargo.command.get_envs().find(|(set, _)| *set == name);
            assert_eq!(told, Some((name.as_ref(), None)));
        }
    }

    #[test]
    fn collects_lines_and_the_status() {
        let script = "echo one; printf 'two\\377'; exit 3";
        let outcome = Program::new("sh").args(["-c", script]).run_collecting();
        let (status, lines) = outcome.unwrap();
        assert_eq!(status.code(), Some(3));
        assert_eq!(lines, ["one", "two\u{fffd}"]);
    }

    #[test]
    fn does_not_wait_for_what_a_program_left_behind() {
        let script = "sleep 60 & echo $!";
        let outcome = Program::new("sh").args(["-c", script]).run_collecting();
        let (status, lines) = outcome.unwrap();
        assert!(status.success());
        assert!(Program::new("kill").args(&lines).succeeds());
    }
}
