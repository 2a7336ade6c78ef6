//! A stream that the operator's machine sends.

use flocker_remote::protocol::{FrameReader, Listener};
use tokio::io::AsyncRead;

/// Reads the stream in the frames of `input`, on which silence is an error: its source may take its
/// time, and a machine that is gone ends no connection.
pub(crate) fn uploaded(input: impl AsyncRead + Send + Unpin) -> impl AsyncRead + Send + Unpin {
    FrameReader::<_, ()>::new(Listener::new(input)).into_rest()
}

#[cfg(test)]
mod tests {
    use std::io;

    use flocker_remote::protocol::{LivingWriter, SILENCE};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_slow_source_is_waited_for() {
        let (operator, input) = tokio::io::duplex(64);
        let sent = async {
            let mut writer = LivingWriter::<()>::new(operator);
            writer.send_bytes("one".into()).await.unwrap();
            tokio::time::sleep(10 * SILENCE).await;
            writer.send_bytes("two".into()).await.unwrap();
        };
        let mut stream = uploaded(input);
        let mut received = Vec::new();
        let ((), read) = tokio::join!(sent, stream.read_to_end(&mut received));
        read.unwrap();
        assert_eq!(received, b"onetwo");
    }

    #[tokio::test(start_paused = true)]
    async fn a_machine_that_falls_silent_ends_its_upload() {
        let (mut operator, input) = tokio::io::duplex(64);
        operator.write_all(&[0, 0, 0, 3]).await.unwrap();
        operator.write_all(b"one").await.unwrap();
        let mut received = Vec::new();
        let silent = uploaded(input).read_to_end(&mut received).await;
        assert_eq!(silent.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(received, b"one");
        drop(operator);
    }
}
