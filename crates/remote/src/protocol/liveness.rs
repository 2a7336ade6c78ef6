//! Signs of life, by which whoever is asked notices that whoever asks is gone.
//!
//! A machine that loses its power or its network ends no connection, and TCP itself would tell of it
//! after hours, if at all (tcp(7), `tcp_keepalive_time`). SSH's keepalives are answered by the
//! server, which does not tell the programs that it runs; what the server itself asks for
//! (`ClientAliveInterval` of its configuration) is not Flocker's to set. So whoever asks writes an empty
//! frame whenever it has written nothing for [`SIGN_OF_LIFE`], and whoever is asked takes
//! [`SILENCE`] for the end of the stream, with an error.
//!
//! The other direction needs none of it: whoever asks has the SSH client, which sends keepalives and
//! gives the connection up when they are not answered.

use std::io;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::SinkExt as _;
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::codec::{FramedWrite, LengthDelimitedCodec};

use super::frames::{FrameError, codec};
use crate::patience::Patience;

/// How long whoever asks writes nothing before it gives a sign of life.
pub const SIGN_OF_LIFE: Duration = Duration::from_secs(10);

/// How long whoever is asked hears nothing, not even a sign of life, before it gives up: several of
/// them, one after the other, did not come. A network may be away for that long.
pub const SILENCE: Duration = Duration::from_secs(60);

/// Writes messages of type `T`, and a sign of life whenever there is nothing else to write.
///
/// Dropping it ends the stream.
#[derive(Debug)]
pub struct LivingWriter<T> {
    outgoing: mpsc::Sender<Outgoing>,
    message: PhantomData<fn(T)>,
}

/// What a frame is to be made of.
#[derive(Debug)]
struct Outgoing {
    bytes: Bytes,
    written: oneshot::Sender<io::Result<()>>,
}

impl<T: Serialize> LivingWriter<T> {
    /// Writes to `stream`, on a task of its own, until this is dropped or the stream breaks.
    ///
    /// # Panics
    ///
    /// Panics outside of a runtime of tokio.
    pub fn new(stream: impl AsyncWrite + Send + Unpin + 'static) -> Self {
        let (outgoing, waiting) = mpsc::channel(1);
        tokio::spawn(write_frames(FramedWrite::new(stream, codec()), waiting));
        Self {
            outgoing,
            message: PhantomData,
        }
    }

    /// Writes one message and flushes it.
    ///
    /// # Errors
    ///
    /// Fails when the stream is broken or the message is larger than
    /// [`MAXIMUM_FRAME`](super::MAXIMUM_FRAME).
    pub async fn send(&mut self, message: &T) -> Result<(), FrameError> {
        let bytes = serde_json::to_vec(message).map_err(FrameError::NotEncoded)?;
        let sent = self.send_bytes(Bytes::from(bytes)).await;
        sent.map_err(FrameError::Broken)
    }

    /// Writes the next bytes of what a message has announced, and flushes them.
    ///
    /// # Errors
    ///
    /// Fails when the stream is broken or these are more than
    /// [`MAXIMUM_FRAME`](super::MAXIMUM_FRAME).
    pub async fn send_bytes(&mut self, bytes: Bytes) -> io::Result<()> {
        let (written, told) = oneshot::channel();
        let broken = || io::Error::from(io::ErrorKind::BrokenPipe);
        let outgoing = Outgoing { bytes, written };
        self.outgoing.send(outgoing).await.map_err(|_| broken())?;
        told.await.map_err(|_| broken())?
    }
}

/// Writes what is given, and an empty frame whenever that takes its time.
async fn write_frames(
    mut frames: FramedWrite<impl AsyncWrite + Unpin, LengthDelimitedCodec>,
    mut waiting: mpsc::Receiver<Outgoing>,
) {
    loop {
        match timeout(SIGN_OF_LIFE, waiting.recv()).await {
            Ok(Some(Outgoing { bytes, written })) => {
                let sent = frames.send(bytes).await;
                let is_broken = sent.is_err();
                // Whoever asked for it may have given up.
                let _ = written.send(sent);
                if is_broken {
                    return;
                }
            }
            Ok(None) => return,
            Err(_) => {
                if frames.send(Bytes::new()).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// A stream on which silence is an error.
///
/// Only while somebody reads: what has come meanwhile is read whenever that is.
#[derive(Debug)]
pub struct Listener<R> {
    stream: R,
    patience: Patience,
}

impl<R> Listener<R> {
    /// Listens to whoever writes `stream` with a [`LivingWriter`].
    pub fn new(stream: R) -> Self {
        Self {
            stream,
            patience: Patience::new(SILENCE),
        }
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Listener<R> {
    /// Fails with [`io::ErrorKind::TimedOut`] after [`SILENCE`].
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.patience.watch(context, read, |silence| {
            format!(
                "nothing has come for {} s, not even a sign of life: the machine that asks seems \
                 to be gone",
                silence.as_secs()
            )
        })
    }
}

#[cfg(test)]
mod tests;
