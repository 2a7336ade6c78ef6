//! Hands a stream to `zfs receive`, once it is known to be what it should be.

use std::io;

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufReader};

use crate::command::{Argv, CommandFailed, collect_tail, widen};
use crate::stream_head::read_head;
use crate::{ReceiveError, ReceiveRequest};

/// How much of a stream waits between the network and ZFS, which takes it in bursts.
const BUFFER_BYTES: usize = 1 << 20;

/// Runs `zfs receive` on a stream.
///
/// # Errors
/// Fails without running it when the stream is not what the request says.
pub(crate) async fn pump(
    argv: &Argv,
    request: &ReceiveRequest,
    mut stream: impl AsyncRead + Unpin,
) -> Result<(), ReceiveError> {
    let interrupted = |cause| ReceiveError::Interrupted {
        application: request.application.clone(),
        cause,
    };
    let head = read_head(&mut stream, &request.transfer).await;
    let head = head.map_err(interrupted)?;
    let head = head.map_err(|problem| ReceiveError::Unfit {
        application: request.application.clone(),
        problem,
    })?;
    match feed(argv, head.as_slice().chain(stream)).await {
        Ok(()) => Ok(()),
        Err(FeedError::Interrupted(cause)) => Err(interrupted(cause)),
        Err(FeedError::Command(error)) => Err(error.into()),
    }
}

/// A stream was not taken by its program.
#[derive(Debug, Error)]
pub(crate) enum FeedError {
    /// It broke off.
    #[error("the stream broke off")]
    Interrupted(#[source] io::Error),
    /// The program failed.
    #[error(transparent)]
    Command(#[from] CommandFailed),
}

/// Runs a program with a stream as its input.
pub(crate) async fn feed(argv: &Argv, stream: impl AsyncRead + Unpin) -> Result<(), FeedError> {
    tracing::debug!(%argv, "run");
    let mut command = argv.command();
    command.stdin(std::process::Stdio::piped());
    let mut child = command.spawn().map_err(|error| argv.not_run(error))?;
    let (Some(mut input), Some(stderr)) = (child.stdin.take(), child.stderr.take()) else {
        return Err(argv.not_run(io::ErrorKind::BrokenPipe.into()).into());
    };
    widen(&input);
    let stderr = collect_tail(stderr);
    let mut stream = BufReader::with_capacity(BUFFER_BYTES, stream);
    let copied = tokio::select! {
        copied = tokio::io::copy_buf(&mut stream, &mut input) => Some(copied),
        // It gives up, or has all it needs, before the stream ends.
        _ = child.wait() => None,
    };
    // The end of input makes `zfs receive` keep what it has of a broken stream.
    let _ = input.shutdown().await;
    drop(input);
    let status = child.wait().await.map_err(|error| argv.not_run(error))?;
    let stderr = stderr.await.unwrap_or_default();
    if status.success() {
        return Ok(());
    }
    match copied {
        Some(Err(cause)) if cause.kind() != io::ErrorKind::BrokenPipe => {
            Err(FeedError::Interrupted(cause))
        }
        _ => Err(argv.failed(status, &stderr).into()),
    }
}

#[cfg(test)]
mod tests {
    use flocker_model::{Epoch, NodeId};
    use uuid::Uuid;

    use super::*;
    use crate::Transfer;
    use crate::stream_head::HEAD_BYTES;
    use crate::stream_head::tests::{NAME, head};

    /// Hands a stream that was announced as full to a program that writes it down; tells what
    /// became of it, and what was written, if the program ran.
    async fn pumped(stream: &[u8]) -> (Result<(), ReceiveError>, Option<Vec<u8>>) {
        let directory = tempfile::tempdir().unwrap();
        let written = directory.path().join("written");
        let argv = Argv::new(&["cp", "/dev/stdin", &written.display().to_string()]);
        let request = ReceiveRequest {
            application: "web".parse().unwrap(),
            owner: NodeId(Uuid::from_u128(1)),
            epoch: Epoch(1),
            transfer: Transfer::Full,
        };
        let ended = pump(&argv, &request, stream).await;
        (ended, std::fs::read(written).ok())
    }

    #[tokio::test]
    async fn what_fits_reaches_the_program_with_its_head() {
        let stream = [&head(1, 0, NAME)[..], &vec![7; 3 * BUFFER_BYTES]].concat();
        let (ended, written) = pumped(&stream).await;
        assert!(ended.is_ok(), "{ended:?}");
        assert!(written.as_deref() == Some(stream.as_slice()));
    }

    #[tokio::test]
    async fn no_program_is_run_for_a_stream_that_does_not_fit() {
        let rest = [7; 4096];
        for hostile in [
            // Properties or more than one snapshot, another base, another's snapshot, no stream.
            head(2, 0, NAME),
            head(1, 5, NAME),
            head(1, 0, "tank/flocker/web@autosnap"),
            [0; HEAD_BYTES],
        ] {
            let (ended, written) = pumped(&[&hostile[..], &rest].concat()).await;
            assert!(
                matches!(ended, Err(ReceiveError::Unfit { .. })),
                "{ended:?}"
            );
            assert_eq!(written, None);
        }
        let (ended, written) = pumped(&head(1, 0, NAME)[..100]).await;
        assert!(
            matches!(ended, Err(ReceiveError::Interrupted { .. })),
            "{ended:?}"
        );
        assert_eq!(written, None);
    }
}
