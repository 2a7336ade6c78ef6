//! Runs the `zfs` and `zpool` commands, for what `libzfs_core` cannot do.
//!
//! Not in `libzfs_core`: setting properties, listing, decoding a resume token, estimating a send.

use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd;
use std::process::{ExitStatus, Output, Stdio};
use std::time::Duration;

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use tokio::task::JoinHandle;

/// How much of a command's error output is kept, in bytes: the last lines say what failed.
const STDERR_TAIL: usize = 4096;

/// How much is shown of output that makes no sense, in characters.
const SHOWN: usize = 200;

/// How long a command that only reads may take, and after what time one that changes something is
/// reported to take long.
///
/// On a suspended pool the kernel lets such a command wait until an operator acts, which may be
/// never. A minute is far beyond a slow disk's transaction group and still within patience.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where the commands are on Debian and NixOS, beside `PATH`: sudo's and sshd's paths may lack them.
const MORE_PATH: &str = "/usr/sbin:/sbin:/run/current-system/sw/bin";

/// A command that could not be run, that failed, or that wrote what makes no sense.
#[derive(Debug, Error)]
#[error("`{argv}` {status}{}{stderr_tail}", if stderr_tail.is_empty() { "" } else { ": " })]
pub struct CommandFailed {
    /// The whole command line, quoted so that it can be pasted into a shell.
    pub argv: String,
    /// How it ended, as the end of a sentence.
    pub status: String,
    /// The end of its error output.
    pub stderr_tail: String,
    /// Why it could not be run, if it could not.
    #[source]
    pub cause: Option<io::Error>,
}

/// What a command that succeeded wrote.
#[derive(Debug)]
pub(crate) struct Written {
    /// Its standard output.
    pub(crate) stdout: String,
    /// Its error output.
    pub(crate) stderr: String,
}

/// A command line.
#[derive(Debug, Clone)]
pub(crate) struct Argv(Vec<String>);

impl Argv {
    /// Starts a command line from words that are known beforehand.
    pub(crate) fn new(words: &[&str]) -> Self {
        Self(words.iter().map(|&word| word.to_owned()).collect())
    }

    /// Appends one word.
    pub(crate) fn push(&mut self, word: impl Into<String>) {
        self.0.push(word.into());
    }

    /// Appends `-o property=value` for each property.
    pub(crate) fn push_options(&mut self, properties: &[(&str, String)]) {
        for (property, value) in properties {
            self.push("-o");
            self.push(format!("{property}={value}"));
        }
    }

    /// Appends `property=value` for each property.
    pub(crate) fn push_assignments(&mut self, properties: &[(&str, String)]) {
        for (property, value) in properties {
            self.push(format!("{property}={value}"));
        }
    }

    /// Makes the command, which dies with whoever waits for it.
    pub(crate) fn command(&self) -> Command {
        let (program, arguments) = match self.0.split_first() {
            Some((program, arguments)) => (program.as_str(), arguments),
            None => ("zfs", &[] as &[String]),
        };
        let mut path = std::env::var_os("PATH").unwrap_or_default();
        if !path.is_empty() {
            path.push(":");
        }
        path.push(OsString::from(MORE_PATH));
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env("PATH", path)
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Reports that the command could not be run at all.
    pub(crate) fn not_run(&self, cause: io::Error) -> CommandFailed {
        CommandFailed {
            argv: self.to_string(),
            status: "could not be run; is the package zfsutils-linux installed?".to_owned(),
            stderr_tail: String::new(),
            cause: Some(cause),
        }
    }

    /// Reports how the command ended.
    pub(crate) fn failed(&self, status: ExitStatus, stderr: &str) -> CommandFailed {
        CommandFailed {
            argv: self.to_string(),
            status: match status.code() {
                Some(code) => format!("exited with status {code}"),
                None => format!("was ended by {status}"),
            },
            stderr_tail: stderr.trim().to_owned(),
            cause: None,
        }
    }

    /// Reports that the command succeeded and wrote something else than it is documented to.
    pub(crate) fn unreadable(&self, stdout: &str, expected: &str) -> CommandFailed {
        let read: String = stdout.trim().chars().take(SHOWN).collect();
        CommandFailed {
            argv: self.to_string(),
            status: format!("wrote {read:?}, which is not {expected}"),
            stderr_tail: String::new(),
            cause: None,
        }
    }

    /// Runs a command that only reads, and returns what it wrote.
    ///
    /// # Errors
    /// Fails when it cannot be run, exits with another status than 0, or takes a minute.
    pub(crate) async fn read(&self) -> Result<Written, CommandFailed> {
        tracing::debug!(argv = %self, "run");
        let running = self.command().output();
        match tokio::time::timeout(PATIENCE, running).await {
            Ok(ended) => self.written(ended),
            Err(_) => Err(CommandFailed {
                argv: self.to_string(),
                status: format!("{}; look at `zpool status`", unfinished()),
                stderr_tail: String::new(),
                cause: None,
            }),
        }
    }

    /// Runs a command that changes something, and returns what it wrote: however long it takes,
    /// since what the kernel was asked for may be done even after its asker was killed. Who counted
    /// that as failed would act on a state that is about to change.
    ///
    /// # Errors
    /// Fails when it cannot be run, or exits with another status than 0.
    pub(crate) async fn change(&self) -> Result<Written, CommandFailed> {
        tracing::debug!(argv = %self, "run");
        let running = self.command().output();
        tokio::pin!(running);
        if let Ok(ended) = tokio::time::timeout(PATIENCE, &mut running).await {
            return self.written(ended);
        }
        tracing::warn!(
            "`{self}` {}, and cannot be taken back: waiting for it; look at `zpool status`",
            unfinished()
        );
        self.written(running.await)
    }

    /// Returns what a command wrote that has ended.
    fn written(&self, ended: io::Result<Output>) -> Result<Written, CommandFailed> {
        let output = ended.map_err(|cause| self.not_run(cause))?;
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        if !output.status.success() {
            return Err(self.failed(output.status, tail(&stderr)));
        }
        Ok(Written {
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr,
        })
    }
}

/// Says that a command takes longer than expected.
fn unfinished() -> String {
    format!("did not finish within {} seconds", PATIENCE.as_secs())
}

impl std::fmt::Display for Argv {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, word) in self.0.iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            let plain = !word.is_empty()
                && word
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_./:=@,%+".contains(&b));
            if plain {
                write!(formatter, "{space}{word}")?;
            } else {
                write!(formatter, "{space}'{}'", word.replace('\'', r"'\''"))?;
            }
        }
        Ok(())
    }
}

/// Gives a pipe as much room as may be had without asking: ZFS reads and writes in bursts, and each
/// turn of a small pipe wakes two processes.
///
/// **Source**: `fcntl(2)`, `F_SETPIPE_SZ`.
pub(crate) fn widen(pipe: impl AsFd) {
    const BYTES: i32 = 1 << 20;
    // A pipe that stays small only costs speed.
    let _ = nix::fcntl::fcntl(pipe, nix::fcntl::FcntlArg::F_SETPIPE_SZ(BYTES));
}

/// Returns the end of `text`, cut where a character starts.
fn tail(text: &str) -> &str {
    let mut start = text.len().saturating_sub(STDERR_TAIL);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    text.get(start..).unwrap_or_default()
}

/// Reads a command's error output beside its data, keeping the end of it, so that it never blocks.
pub(crate) fn collect_tail<R>(mut stderr: R) -> JoinHandle<String>
where
    R: AsyncRead + Unpin + Send + 'static,
{
    tokio::spawn(async move {
        let mut kept = Vec::new();
        let mut buffer = [0; 1024];
        // An error while reading a pipe ends the text like its end does: what came is kept.
        while let Ok(count @ 1..) = stderr.read(&mut buffer).await {
            kept.extend_from_slice(buffer.get(..count).unwrap_or_default());
            if kept.len() > 2 * STDERR_TAIL {
                kept.drain(..kept.len() - STDERR_TAIL);
            }
        }
        tail(&String::from_utf8_lossy(&kept)).to_owned()
    })
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[tokio::test]
    async fn a_failure_shows_the_whole_command_line_and_the_error_output() {
        let argv = Argv::new(&["sh", "-c", "echo oh no >&2; exit 3"]);
        let error = argv.read().await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "`sh -c 'echo oh no >&2; exit 3'` exited with status 3: oh no"
        );
    }

    #[test]
    fn output_that_makes_no_sense_is_shown() {
        let argv = Argv::new(&["zfs", "get", "available", "tank"]);
        let error = argv.unreadable(" 1.5G\n", "a number of bytes");
        assert_eq!(
            error.to_string(),
            "`zfs get available tank` wrote \"1.5G\", which is not a number of bytes"
        );
        let error = argv.unreadable(&"x".repeat(1 << 20), "a number of bytes");
        assert!(error.to_string().len() < 300);
    }

    #[tokio::test]
    async fn a_missing_program_is_named_with_what_to_install() {
        let error = Argv::new(&["no-such-program-here"])
            .read()
            .await
            .unwrap_err();
        assert!(error.cause.is_some());
        assert_eq!(
            error.to_string(),
            "`no-such-program-here` could not be run; is the package zfsutils-linux installed?"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_changes_something_is_waited_for_and_what_reads_is_given_up() {
        // Paused time goes to the next deadline whenever nothing else is to be done. `cat` ends
        // when this end of its pipe is closed. Each has a pipe of its own: a `cat` that was given up
        // may still be there to take the end that is meant for the next.
        let directory = tempfile::tempdir().unwrap();
        let make_pipe = |name: &str| {
            let pipe = directory.path().join(name);
            nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
            pipe
        };
        let pipe = make_pipe("reading");
        let argv = Argv::new(&["cat", pipe.to_str().unwrap()]);
        let given_up = argv.read().await.unwrap_err();
        assert_eq!(
            given_up.status,
            "did not finish within 60 seconds; look at `zpool status`"
        );

        let pipe = make_pipe("changing");
        let argv = Argv::new(&["cat", pipe.to_str().unwrap()]);
        let mut changing = std::pin::pin!(argv.change());
        // Opening waits until `cat` has opened the other end.
        let opening = tokio::task::spawn_blocking(|| File::options().write(true).open(pipe));
        let writer = tokio::select! {
            opened = opening => opened.unwrap().unwrap(),
            ended = &mut changing => panic!("it did not wait: {ended:?}"),
        };
        let given_up = tokio::time::timeout(3 * PATIENCE, &mut changing).await;
        assert!(given_up.is_err(), "{given_up:?}");
        drop(writer);
        assert_eq!(changing.await.unwrap().stdout, "");
    }

    #[test]
    fn the_tail_starts_at_a_character() {
        let text = "ä".repeat(STDERR_TAIL);
        assert!(tail(&format!("x{text}")).len() <= STDERR_TAIL);
    }

    #[tokio::test]
    async fn endless_error_output_is_cut() {
        let noise = std::io::Cursor::new(vec![b'x'; 1 << 20]);
        let kept = collect_tail(noise).await.unwrap();
        assert_eq!(kept.len(), STDERR_TAIL);
    }
}
