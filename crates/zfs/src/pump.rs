//! Hands a stream to `zfs receive`, once it is known to be what it should be.

use std::io;
use std::os::fd::OwnedFd;

use thiserror::Error;
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufReader,
};
use tokio::process::ChildStdin;

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
        Ok(_) => Ok(()),
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

/// A stream after the program that took it has ended.
#[derive(Debug)]
pub(crate) struct Rest<S> {
    /// What never came to the program.
    stream: BufReader<S>,
    /// What came to its input, and was not read. Only this end of the pipe is open.
    pipe: io::PipeReader,
}

impl<S: AsyncRead + Unpin> Rest<S> {
    /// Tells whether the program left anything of the stream.
    ///
    /// # Errors
    /// Fails when the stream breaks off.
    pub(crate) async fn has_more(mut self) -> io::Result<bool> {
        // Without a writer this does not wait.
        if io::Read::read(&mut self.pipe, &mut [0])? > 0 {
            return Ok(true);
        }
        Ok(!self.stream.fill_buf().await?.is_empty())
    }
}

/// Runs a program with a stream as its input, and returns what it left of that.
pub(crate) async fn feed<S>(argv: &Argv, stream: S) -> Result<Rest<S>, FeedError>
where
    S: AsyncRead + Unpin,
{
    tracing::debug!(%argv, "run");
    let not_run = |error| argv.not_run(error);
    let (pipe, input) = io::pipe().map_err(not_run)?;
    let mut command = argv.command();
    command.stdin(pipe.try_clone().map_err(not_run)?);
    let mut child = command.spawn().map_err(not_run)?;
    let Some(stderr) = child.stderr.take() else {
        return Err(argv.not_run(io::ErrorKind::BrokenPipe.into()).into());
    };
    let input = std::process::ChildStdin::from(OwnedFd::from(input));
    let mut input = ChildStdin::from_std(input).map_err(not_run)?;
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
        return Ok(Rest { stream, pipe });
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
    async fn a_stream_after_the_first_one_is_noticed() {
        let argv = Argv::new(&["head", "-c", "4096"]);
        // In the pipe still, in the buffer, and not read from the source yet.
        for (more, expected) in [(0, false), (1, true), (5 * BUFFER_BYTES, true)] {
            let stream = vec![7; 4096 + more];
            let rest = feed(&argv, stream.as_slice()).await.unwrap();
            assert_eq!(rest.has_more().await.unwrap(), expected, "{more}");
        }
        // A source that takes its time with the second one.
        let (mut source, stream) = tokio::io::duplex(8192);
        source.write_all(&[7; 4096]).await.unwrap();
        let rest = feed(&argv, stream).await.unwrap();
        let (more, written) = tokio::join!(rest.has_more(), source.write_all(&[7]));
        written.unwrap();
        assert!(more.unwrap());
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
