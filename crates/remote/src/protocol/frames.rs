//! Frames: a 32-bit length, most significant byte first, and that many bytes of JSON.

use std::marker::PhantomData;

use futures_util::{SinkExt as _, StreamExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio_util::codec::{FramedRead, FramedWrite, LengthDelimitedCodec};

/// The most bytes that one frame may have; a node's whole state is far below it.
pub const MAXIMUM_FRAME: usize = 16 << 20;

/// A frame could not be read or written.
#[derive(Debug, Error)]
pub enum FrameError {
    /// The stream broke, or a length is beyond [`MAXIMUM_FRAME`].
    #[error("the connection to the other side broke")]
    Broken(#[source] std::io::Error),
    /// The bytes are not a message of this protocol.
    #[error("the other side sent something that is not a message of this protocol")]
    NotAMessage(#[source] serde_json::Error),
    /// A message could not be put into bytes.
    #[error("a message could not be encoded")]
    NotEncoded(#[source] serde_json::Error),
}

/// Reads messages of type `T`.
pub struct FrameReader<R, T> {
    frames: FramedRead<R, LengthDelimitedCodec>,
    message: PhantomData<fn() -> T>,
}

impl<R: AsyncRead + Unpin, T: DeserializeOwned> FrameReader<R, T> {
    /// Reads from `stream`.
    pub fn new(stream: R) -> Self {
        Self {
            frames: FramedRead::new(stream, codec()),
            message: PhantomData,
        }
    }

    /// Reads the next message; `None` at the end of the stream.
    ///
    /// # Errors
    ///
    /// Fails when the stream breaks, also in the middle of a frame, and on what is not a message.
    pub async fn next(&mut self) -> Result<Option<T>, FrameError> {
        match self.frames.next().await {
            None => Ok(None),
            Some(Err(error)) => Err(FrameError::Broken(error)),
            Some(Ok(bytes)) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(FrameError::NotAMessage),
        }
    }
}

impl<R: AsyncRead + Unpin, T> FrameReader<R, T> {
    /// Returns what follows the last message as plain bytes, for a stream that is announced by a
    /// message.
    pub fn into_rest(self) -> impl AsyncRead + Unpin {
        let parts = self.frames.into_parts();
        std::io::Cursor::new(parts.read_buf.freeze()).chain(parts.io)
    }
}

/// Writes messages of type `T`.
pub struct FrameWriter<W, T> {
    frames: FramedWrite<W, LengthDelimitedCodec>,
    message: PhantomData<fn(T)>,
}

impl<W: AsyncWrite + Unpin, T: Serialize> FrameWriter<W, T> {
    /// Writes to `stream`.
    pub fn new(stream: W) -> Self {
        Self {
            frames: FramedWrite::new(stream, codec()),
            message: PhantomData,
        }
    }

    /// Writes one message and flushes it.
    ///
    /// # Errors
    ///
    /// Fails when the stream is broken or the message is larger than [`MAXIMUM_FRAME`].
    pub async fn send(&mut self, message: &T) -> Result<(), FrameError> {
        let bytes = serde_json::to_vec(message).map_err(FrameError::NotEncoded)?;
        self.frames
            .send(bytes::Bytes::from(bytes))
            .await
            .map_err(FrameError::Broken)
    }
}

impl<W: AsyncWrite + Unpin, T> FrameWriter<W, T> {
    /// Returns the stream, for plain bytes that follow the last message.
    pub fn into_inner(self) -> W {
        self.frames.into_inner()
    }
}

/// The framing of both directions.
fn codec() -> LengthDelimitedCodec {
    LengthDelimitedCodec::builder()
        .max_frame_length(MAXIMUM_FRAME)
        .new_codec()
}
