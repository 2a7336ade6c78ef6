//! What is sent from one pool to another: a line that says what it is, and bytes.

use flocker_model::SnapshotGuid;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// The longest header that is read.
const LONGEST_HEADER: usize = 4096;

/// What a stream brings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Header {
    /// What it continues; `None` for a stream of everything.
    pub(crate) from: Option<SnapshotGuid>,
    /// The snapshot that it ends with.
    pub(crate) to: SnapshotGuid,
    /// That snapshot's name.
    pub(crate) name: String,
    /// How many bytes all of it is.
    pub(crate) length: usize,
    /// How many of those came before, in a stream that broke off.
    pub(crate) offset: usize,
}

impl Header {
    /// Writes the stream.
    pub(crate) fn stream(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = serde_json::to_vec(self).unwrap();
        stream.push(b'\n');
        stream.extend(bytes);
        stream
    }

    /// Reads the header of a stream; `None` if it ends before.
    pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Self> {
        let mut line = Vec::new();
        while line.len() < LONGEST_HEADER {
            match stream.read_u8().await {
                Ok(b'\n') => return serde_json::from_slice(&line).ok(),
                Ok(byte) => line.push(byte),
                Err(_) => return None,
            }
        }
        None
    }
}
