//! A program that leads to a host by its standard input and output.

use std::io;
use std::pin::Pin;
use std::process::Stdio;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, Join, ReadBuf, join};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::error_output::ErrorOutput;

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

/// The way to the host. The program is killed with it.
pub(super) struct ProxyStream {
    _program: Child,
    pipe: Join<ChildStdout, ChildStdin>,
}

impl Proxy {
    /// Starts the program.
    pub(super) fn start(&self) -> io::Result<(ProxyStream, ErrorOutput)> {
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
        Ok((stream, ErrorOutput::keep(stderr)))
    }
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
