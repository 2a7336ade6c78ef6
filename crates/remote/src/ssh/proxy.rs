//! A program that leads to a host by its standard input and output.

use std::io;
use std::pin::Pin;
use std::process::Stdio;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, Join, ReadBuf, join};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;

/// How much of what the program writes to standard error is kept.
const KEPT: usize = 2048;

/// How long the program may take to end once it leads nowhere.
const PATIENCE: Duration = Duration::from_secs(1);

/// A program that leads to a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    /// The setting that asks for it, such as `ProxyJump bastion`.
    pub setting: String,
    /// The program.
    pub program: String,
    /// Its arguments.
    pub arguments: Vec<String>,
}

/// What the program writes to standard error.
pub(super) struct ProxyErrors(JoinHandle<String>);

impl ProxyErrors {
    /// Returns what the program wrote, if it ends soon.
    pub(super) async fn read(self) -> String {
        let text = tokio::time::timeout(PATIENCE, self.0).await;
        let text = text.ok().and_then(Result::ok).unwrap_or_default();
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

/// The way to the host. The program is killed with it.
pub(super) struct ProxyStream {
    _program: Child,
    pipe: Join<ChildStdout, ChildStdin>,
}

impl Proxy {
    /// Starts the program.
    pub(super) fn start(&self) -> io::Result<(ProxyStream, ProxyErrors)> {
        let mut program = Command::new(&self.program)
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let missing = || io::Error::other("it has no standard streams");
        let stdin = program.stdin.take().ok_or_else(missing)?;
        let stdout = program.stdout.take().ok_or_else(missing)?;
        let stderr = program.stderr.take().ok_or_else(missing)?;
        let stream = ProxyStream {
            _program: program,
            pipe: join(stdout, stdin),
        };
        Ok((stream, ProxyErrors(tokio::spawn(collect(stderr)))))
    }
}

/// Reads to the end, so that the program never waits, and keeps the last of it.
async fn collect(mut stderr: ChildStderr) -> String {
    let mut kept = Vec::new();
    let mut buffer = [0; 1024];
    while let Ok(count @ 1..) = stderr.read(&mut buffer).await {
        kept.extend_from_slice(&buffer[..count]);
        kept.drain(..kept.len().saturating_sub(KEPT));
    }
    String::from_utf8_lossy(&kept).into_owned()
}

impl AsyncRead for ProxyStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_read(context, buffer)
    }
}

impl AsyncWrite for ProxyStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.pipe).poll_write(context, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_shutdown(context)
    }
}
