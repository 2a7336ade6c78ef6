//! Notices a peer that no longer takes what is sent to it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::patience::Patience;

/// A stream whose writes fail when none makes progress for a while.
///
/// Keepalives cannot notice such a peer: they would have to be written, too.
/// A live `sshd` always reads, whatever its commands do, as SSH has windows
/// of its own for these.
#[derive(Debug)]
pub(super) struct StallGuard<S> {
    stream: S,
    patience: Patience,
}

impl<S> StallGuard<S> {
    /// Guards a stream; `limit` is how long a write may make no progress.
    pub(super) fn new(stream: S, limit: Duration) -> Self {
        Self {
            stream,
            patience: Patience::new(limit),
        }
    }

    fn watch<T>(
        &mut self,
        context: &mut Context<'_>,
        progress: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        self.patience.watch(context, progress, |stall| {
            format!("the peer has taken no data for {} s", stall.as_secs_f32())
        })
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for StallGuard<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for StallGuard<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let progress = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch(context, progress)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let progress = Pin::new(&mut self.stream).poll_flush(context);
        self.watch(context, progress)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::StallGuard;

    #[tokio::test]
    async fn a_peer_that_takes_nothing_is_noticed() {
        let (ours, _theirs) = tokio::io::duplex(16);
        let mut guarded = StallGuard::new(ours, Duration::from_millis(50));
        guarded.write_all(&[0; 16]).await.unwrap();
        let error = guarded.write_all(&[0; 1]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_slow_peer_is_not_mistaken_for_a_dead_one() {
        let (ours, mut theirs) = tokio::io::duplex(1);
        let mut guarded = StallGuard::new(ours, Duration::from_millis(200));
        let reader = tokio::spawn(async move {
            let mut received = Vec::new();
            for _ in 0..10 {
                tokio::time::sleep(Duration::from_millis(40)).await;
                received.push(theirs.read_u8().await.unwrap());
            }
            received
        });
        // Twice the limit in total, but never that long without progress.
        guarded.write_all(&[7; 10]).await.unwrap();
        assert_eq!(reader.await.unwrap(), vec![7; 10]);
    }
}
