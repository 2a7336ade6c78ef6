//! Frames: a 32-bit length, most significant byte first, and that many bytes: of JSON, or of a stream
//! that a message has announced. A frame without bytes is a sign of life, and nothing else.

use std::io;
use std::marker::PhantomData;

use bytes::{Buf as _, BytesMut};
use futures_util::{SinkExt as _, StreamExt as _, TryStreamExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::codec::{Decoder, FramedRead, FramedWrite, LengthDelimitedCodec};
use tokio_util::io::StreamReader;

/// The most bytes that one frame may have; a node's whole state is far below it.
pub const MAXIMUM_FRAME: usize = 16 << 20;

/// How many bytes the length takes.
const LENGTH_BYTES: usize = 4;

/// A frame could not be read or written.
#[derive(Debug, Error)]
pub enum FrameError {
    /// The stream broke.
    #[error("the connection to the other side broke")]
    Broken(#[from] io::Error),
    /// The stream ended within a frame.
    #[error("the other side ended in the middle of a message")]
    Truncated,
    /// A length is beyond [`MAXIMUM_FRAME`].
    #[error(
        "the other side announced a message of {length} bytes, of which {MAXIMUM_FRAME} are the \
         most; it may not be Flocker that answers"
    )]
    TooLong {
        /// The length in bytes.
        length: u32,
    },
    /// Where a length should be is text.
    #[error(
        "the other side began with the text {text:?} instead of a message; a file that its shell \
         reads at login (.bashrc, .profile) may print something, which it must not do here"
    )]
    Text {
        /// The text's beginning.
        text: String,
    },
    /// The bytes are not a message of this protocol.
    #[error("the other side sent something that is not a message of this protocol")]
    NotAMessage(#[source] serde_json::Error),
    /// A message could not be put into bytes.
    #[error("a message could not be encoded")]
    NotEncoded(#[source] serde_json::Error),
}

impl FrameError {
    /// Tells whether the other side said something that is no message, rather than nothing more.
    pub const fn is_nonsense(&self) -> bool {
        match self {
            Self::TooLong { .. } | Self::Text { .. } | Self::NotAMessage(_) => true,
            Self::Broken(_) | Self::Truncated | Self::NotEncoded(_) => false,
        }
    }
}

impl From<FrameError> for io::Error {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::Broken(error) => error,
            FrameError::Truncated => Self::new(io::ErrorKind::UnexpectedEof, error),
            error => Self::new(io::ErrorKind::InvalidData, error),
        }
    }
}

/// Reads messages of type `T`.
pub struct FrameReader<R, T> {
    frames: FramedRead<R, Frames>,
    message: PhantomData<fn() -> T>,
}

impl<R: AsyncRead + Unpin, T: DeserializeOwned> FrameReader<R, T> {
    /// Reads from `stream`.
    pub fn new(stream: R) -> Self {
        Self {
            frames: FramedRead::new(stream, Frames),
            message: PhantomData,
        }
    }

    /// Reads the next message; `None` at the end of the stream. Signs of life are passed over.
    ///
    /// # Errors
    ///
    /// Fails when the stream breaks, also in the middle of a frame, and on what is not a message.
    /// Whatever the other side announces, no more than [`MAXIMUM_FRAME`] is kept of it.
    pub async fn next(&mut self) -> Result<Option<T>, FrameError> {
        match self.frames.next().await {
            None => Ok(None),
            Some(Err(error)) => Err(error),
            // Nesting beyond 128 levels is refused there, before it takes the stack.
            Some(Ok(bytes)) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(FrameError::NotAMessage),
        }
    }
}

impl<R: AsyncRead + Unpin, T> FrameReader<R, T> {
    /// Returns what is in the frames after the last message, one after the other, for a stream that
    /// is announced by a message.
    ///
    /// Reading fails with [`io::ErrorKind::UnexpectedEof`] where it ends in the middle of a frame.
    pub fn into_rest(self) -> impl AsyncRead + Unpin {
        StreamReader::new(self.frames.map_err(io::Error::from))
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

/// The framing of what is written.
pub(super) fn codec() -> LengthDelimitedCodec {
    LengthDelimitedCodec::builder()
        .max_frame_length(MAXIMUM_FRAME)
        .length_field_length(LENGTH_BYTES)
        .new_codec()
}

/// The framing of what is read. The codec of the other direction knows only one kind of error, and
/// makes room for a frame before anything of it has come.
struct Frames;

impl Decoder for Frames {
    type Item = BytesMut;
    type Error = FrameError;

    fn decode(&mut self, received: &mut BytesMut) -> Result<Option<BytesMut>, FrameError> {
        let length = loop {
            let Some(head) = received.first_chunk::<LENGTH_BYTES>() else {
                return Ok(None);
            };
            match u32::from_be_bytes(*head) {
                0 => received.advance(LENGTH_BYTES),
                length => break length,
            }
        };
        let bytes = length as usize;
        if bytes > MAXIMUM_FRAME {
            return Err(not_a_length(length, received));
        }
        if received.len() - LENGTH_BYTES < bytes {
            return Ok(None);
        }
        drop(received.split_to(LENGTH_BYTES));
        Ok(Some(received.split_to(bytes)))
    }

    fn decode_eof(&mut self, received: &mut BytesMut) -> Result<Option<BytesMut>, FrameError> {
        match self.decode(received)? {
            None if !received.is_empty() => Err(FrameError::Truncated),
            frame => Ok(frame),
        }
    }
}

/// Explains a length that cannot be one: four letters are one of a gigabyte or more.
fn not_a_length(length: u32, received: &[u8]) -> FrameError {
    const SHOWN: usize = 60;
    let is_text = length
        .to_be_bytes()
        .iter()
        .all(|byte| matches!(byte, b'\t' | b'\n' | b'\r' | b'\x1b' | b' '..=b'~'));
    if !is_text {
        return FrameError::TooLong { length };
    }
    let shown = received.get(..SHOWN).unwrap_or(received);
    let text = String::from_utf8_lossy(shown);
    FrameError::Text {
        text: text.lines().next().unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests;
