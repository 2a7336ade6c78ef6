//! How a node's process ended, or why it is not waited for any longer.

use std::pin::Pin;
use std::time::Duration;

use flocker_model::NodeName;
use flocker_remote::protocol::FrameError;
use flocker_remote::ssh::{ExitStatus, SessionError};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::exit::Exit;
use crate::failure::Failure;

/// The most of a node's standard error that is kept, in bytes: its end.
const STDERR_TAIL: usize = 4096;

/// How long a process that has closed its output may take to end. One that means well takes none.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// The end of a process, once it comes. Dropping it closes the process's session.
type ProcessEnd = Pin<Box<dyn Future<Output = Result<ExitStatus, SessionError>> + Send>>;

/// What is left of a node's process when it stops talking.
pub(crate) struct Ending {
    pub(crate) node: NodeName,
    stderr: JoinHandle<String>,
    end: ProcessEnd,
}

impl Ending {
    /// Begins to read the process's standard error, which would hold up everything else that it
    /// says if nobody read it.
    pub(crate) fn new(
        node: NodeName,
        stderr: impl AsyncRead + Send + Unpin + 'static,
        end: impl Future<Output = Result<ExitStatus, SessionError>> + Send + 'static,
    ) -> Self {
        Self {
            node,
            stderr: tokio::spawn(collect_tail(stderr)),
            end: Box::pin(end),
        }
    }

    /// Tells how the process ended and what it last wrote, and `error` if its output ended by one.
    ///
    /// A process that talks nonsense is not waited for: it may never end.
    pub(crate) async fn explain(self, what: &str, error: Option<&FrameError>) -> Failure {
        let Self { node, stderr, end } = self;
        let message = format!("{node}: flocker-node {what}");
        let mut failure = Failure::new(Exit::Unreachable, message);
        if error.is_some_and(FrameError::is_nonsense) {
            drop(end);
        } else {
            match timeout(PATIENCE, end).await {
                Ok(Ok(status)) => failure.causes.push(status.to_string()),
                Ok(Err(error)) => failure = failure.caused_by(&error),
                Err(_) => failure
                    .causes
                    .push("it closed its output and has not ended".to_owned()),
            }
        }
        let text = match timeout(PATIENCE, stderr).await {
            Ok(Ok(text)) => text.trim().to_owned(),
            _ => String::new(),
        };
        if !text.is_empty() {
            failure.causes.push(format!("it wrote: {text}"));
        }
        if text.contains("not found") {
            failure = failure.hint(format!("install the flocker-node package on {node}"));
        }
        match error {
            Some(error) => failure.caused_by(error),
            None => failure,
        }
    }
}

/// Reads to the end, however long that is, and keeps the last of it.
async fn collect_tail(mut stderr: impl AsyncRead + Unpin) -> String {
    let mut tail = Vec::new();
    let mut buffer = [0; 1024];
    while let Ok(length @ 1..) = stderr.read(&mut buffer).await {
        tail.extend_from_slice(buffer.get(..length).unwrap_or_default());
        let excess = tail.len().saturating_sub(STDERR_TAIL);
        tail.drain(..excess);
    }
    String::from_utf8_lossy(&tail).into_owned()
}
