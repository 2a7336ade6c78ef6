//! A remote command's standard streams.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc;
use tokio_util::sync::PollSender;

use super::exit::ConnectionLost;

/// The most one write hands over at once, in bytes: two SSH packets.
const CHUNK: usize = 64 * 1024;

/// Chunks that may wait to be sent.
pub(super) const STDIN_CHUNKS: usize = 4;

/// Packets that may wait to be read, of each output stream.
pub(super) const OUTPUT_PACKETS: usize = 16;

/// Writes to a remote command's standard input.
///
/// Shutting it down or dropping it is the end of input to the command. SSH
/// has no way to tell a command that its input is incomplete, so a protocol
/// must mark its own end.
///
/// Once the command has ended, writes fail with [`io::ErrorKind::BrokenPipe`];
/// [`Exit`](super::Exit) then tells why it ended.
#[derive(Debug)]
pub struct Stdin {
    chunks: PollSender<Bytes>,
}

impl Stdin {
    pub(super) fn new(chunks: mpsc::Sender<Bytes>) -> Self {
        Self {
            chunks: PollSender::new(chunks),
        }
    }
}

fn ended() -> io::Error {
    io::Error::new(
        io::ErrorKind::BrokenPipe,
        "the remote command has ended or closed its standard input",
    )
}

impl AsyncWrite for Stdin {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        ready!(self.chunks.poll_reserve(context)).map_err(|_| ended())?;
        let length = bytes.len().min(CHUNK);
        let chunk = Bytes::copy_from_slice(&bytes[..length]);
        self.chunks.send_item(chunk).map_err(|_| ended())?;
        Poll::Ready(Ok(length))
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // What was taken is on its way already: nothing waits for more.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.chunks.close();
        Poll::Ready(Ok(()))
    }
}

/// Reads a remote command's standard output or standard error.
///
/// All sessions of a connection share one way for incoming data. One whose
/// output is neither read nor dropped holds up all the others once some
/// megabytes have gathered, so bulk data that may have to wait belongs on a
/// connection of its own.
///
/// A connection that is lost before the end of the output is an error.
#[derive(Debug)]
pub struct Output {
    pub(super) packets: mpsc::Receiver<Bytes>,
    pub(super) current: Bytes,
    pub(super) lost: Arc<OnceLock<ConnectionLost>>,
}

impl Output {
    pub(super) fn new(packets: mpsc::Receiver<Bytes>, lost: Arc<OnceLock<ConnectionLost>>) -> Self {
        Self {
            packets,
            current: Bytes::new(),
            lost,
        }
    }
}

impl AsyncRead for Output {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.current.is_empty() {
            match ready!(self.packets.poll_recv(context)) {
                Some(packet) => self.current = packet,
                None => {
                    return Poll::Ready(match self.lost.get() {
                        Some(lost) => Err(io::Error::new(
                            io::ErrorKind::ConnectionAborted,
                            lost.clone(),
                        )),
                        None => Ok(()),
                    });
                }
            }
        }
        let length = self.current.len().min(buffer.remaining());
        buffer.put_slice(&self.current[..length]);
        self.current.advance(length);
        Poll::Ready(Ok(()))
    }
}
