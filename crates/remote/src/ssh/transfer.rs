//! Commands run from beginning to end: with input from here, output to here.

use std::io;

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

use super::command::RemoteCommand;
use super::connection::Connection;
use super::exit::{ExecError, ExitStatus, SessionError};
use super::streams::{Output, Stdin};

/// How much of a command's standard error is kept: its end, in bytes.
const STDERR_TAIL: usize = 8 * 1024;

/// How much a command run to completion may print, in bytes.
const STDOUT_LIMIT: usize = 16 * 1024 * 1024;

/// How much is read from the source of an upload at once, in bytes.
const UPLOAD_CHUNK: usize = 256 * 1024;

/// What a successful command leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completed {
    /// All of its standard output.
    pub stdout: Vec<u8>,
    /// The end of its standard error.
    pub stderr_tail: String,
    /// Bytes of input that were sent.
    pub sent: u64,
}

/// A command did not do its work.
#[derive(Debug, Error)]
pub enum CommandError {
    /// It could not be started.
    #[error(transparent)]
    Exec(#[from] ExecError),
    /// It is not known how it ended.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// It failed.
    #[error("`{command}` failed on {node}: {status}{}", said(stderr_tail))]
    Failed {
        /// The node.
        node: String,
        /// The command.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// The end of its standard error.
        stderr_tail: String,
    },
    /// It says it succeeded, but did not take all of its input.
    #[error(
        "`{command}` on {node} ended after taking {sent} bytes, before the end of its input{}",
        said(stderr_tail)
    )]
    InputNotTaken {
        /// The node.
        node: String,
        /// The command.
        command: String,
        /// Bytes that were sent; it may have read fewer.
        sent: u64,
        /// The end of its standard error.
        stderr_tail: String,
    },
    /// What was to be sent could not be read.
    #[error("cannot read the input for `{command}` on {node}, of which {sent} bytes were sent")]
    Input {
        /// The node.
        node: String,
        /// The command.
        command: String,
        /// Bytes that were sent.
        sent: u64,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It printed more than is reasonable.
    #[error("`{command}` on {node} printed more than {limit} bytes")]
    TooMuchOutput {
        /// The node.
        node: String,
        /// The command.
        command: String,
        /// The most that is accepted.
        limit: usize,
    },
}

fn said(stderr_tail: &str) -> String {
    match stderr_tail.trim() {
        "" => String::new(),
        text => format!(": {text}"),
    }
}

/// How much of a command's input was sent, in bytes.
enum Sent {
    All(u64),
    /// The command took no more.
    Cut(u64),
}

/// The source of a command's input failed after this many bytes.
struct SourceFailed(u64, io::Error);

/// Runs a command with `input` and collects what it prints.
pub(super) async fn run_to_completion(
    connection: &Connection,
    command: &RemoteCommand,
    input: impl AsyncRead + Unpin,
) -> Result<Completed, CommandError> {
    let session = connection.exec(command).await?;
    let (node, command) = (session.exit.node.clone(), session.exit.command.clone());
    let mut stdin = session.stdin;
    let transferred = tokio::try_join!(
        send_input(&mut stdin, input),
        async { Ok(collect_output(session.stdout).await) },
        async { Ok(collect_tail(session.stderr).await) },
    );
    let (sent, stdout, stderr_tail) = match transferred {
        Ok(transferred) => transferred,
        // Leaving drops `exit`, which closes the session: what the command
        // makes of half its input is not waited for.
        Err(SourceFailed(sent, source)) => {
            return Err(CommandError::Input {
                node,
                command,
                sent,
                source,
            });
        }
    };
    let Some(stdout) = stdout else {
        return Err(CommandError::TooMuchOutput {
            node,
            command,
            limit: STDOUT_LIMIT,
        });
    };
    let status = session.exit.wait().await?;
    match sent {
        _ if !status.success() => Err(CommandError::Failed {
            node,
            command,
            status,
            stderr_tail,
        }),
        Sent::All(sent) => Ok(Completed {
            stdout,
            stderr_tail,
            sent,
        }),
        Sent::Cut(sent) => Err(CommandError::InputNotTaken {
            node,
            command,
            sent,
            stderr_tail,
        }),
    }
}

async fn send_input(
    stdin: &mut Stdin,
    mut input: impl AsyncRead + Unpin,
) -> Result<Sent, SourceFailed> {
    let mut buffer = vec![0; UPLOAD_CHUNK];
    let mut sent = 0;
    loop {
        let length = match input.read(&mut buffer).await {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) => return Err(SourceFailed(sent, error)),
        };
        if stdin.write_all(&buffer[..length]).await.is_err() {
            return Ok(Sent::Cut(sent));
        }
        sent += length as u64;
    }
    Ok(match stdin.shutdown().await {
        Ok(()) => Sent::All(sent),
        Err(_) => Sent::Cut(sent),
    })
}

/// All output, or `None` if that is too much. A lost connection ends it like
/// the end of output: the wait for the exit status reports the loss.
async fn collect_output(output: Output) -> Option<Vec<u8>> {
    let mut collected = Vec::new();
    let limit = STDOUT_LIMIT as u64 + 1;
    let _ = output.take(limit).read_to_end(&mut collected).await;
    (collected.len() <= STDOUT_LIMIT).then_some(collected)
}

async fn collect_tail(mut output: Output) -> String {
    let mut tail = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = output.read(&mut buffer).await {
        tail.extend_from_slice(&buffer[..length]);
        let excess = tail.len().saturating_sub(STDERR_TAIL);
        tail.drain(..excess);
    }
    String::from_utf8_lossy(&tail).into_owned()
}
