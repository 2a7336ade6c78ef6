//! A remote command's standard streams.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::PollSender;

use super::exit::ConnectionLost;

/// The most one write hands over at once, in bytes: two SSH packets.
const CHUNK: usize = 64 * 1024;

/// Chunks that may wait to be sent.
pub(super) const STDIN_CHUNKS: usize = 4;

/// What may wait to be read of each output stream, in bytes.
const OUTPUT_BYTES: usize = 4 << 20;

/// What a waiting packet costs beside its data, roughly, in bytes.
const PACKET_COST: usize = 128;

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
/// output is neither read nor dropped holds up all the others once 4 MiB have
/// gathered, so bulk data that may have to wait belongs on a connection of
/// its own.
///
/// A connection that is lost before the end of the output is an error.
#[derive(Debug)]
pub struct Output {
    packets: mpsc::UnboundedReceiver<Bytes>,
    current: Bytes,
    room: Arc<Semaphore>,
    lost: Arc<OnceLock<ConnectionLost>>,
}

/// The end of an [`Output`] that packets are put into.
#[derive(Debug)]
pub(super) struct OutputSender {
    packets: mpsc::UnboundedSender<Bytes>,
    room: Arc<Semaphore>,
}

/// Nobody reads the stream any more.
#[derive(Debug)]
pub(super) struct Unwanted;

/// Makes a stream of output. `lost` is filled in before the sender is dropped
/// if the output is incomplete.
pub(super) fn output_stream(lost: Arc<OnceLock<ConnectionLost>>) -> (OutputSender, Output) {
    let (sender, packets) = mpsc::unbounded_channel();
    let room = Arc::new(Semaphore::new(OUTPUT_BYTES));
    let output = Output {
        packets,
        current: Bytes::new(),
        room: Arc::clone(&room),
        lost,
    };
    let sender = OutputSender {
        packets: sender,
        room,
    };
    (sender, output)
}

/// What a packet takes up of the room for waiting data.
fn cost(packet: &Bytes) -> u32 {
    let cost = (packet.len() + PACKET_COST).min(OUTPUT_BYTES);
    u32::try_from(cost).unwrap_or(u32::MAX)
}

impl OutputSender {
    /// Puts a packet in, once there is room for it.
    ///
    /// # Errors
    ///
    /// [`Unwanted`] once the [`Output`] has been dropped.
    pub(super) async fn send(&self, packet: Bytes) -> Result<(), Unwanted> {
        let permits = self.room.acquire_many(cost(&packet)).await;
        // Given back by the reader.
        permits.map_err(|_| Unwanted)?.forget();
        self.packets.send(packet).map_err(|_| Unwanted)
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.room.close();
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
                Some(packet) => {
                    self.room.add_permits(cost(&packet) as usize);
                    self.current = packet;
                }
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
