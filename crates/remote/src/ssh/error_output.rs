//! What a local program writes to standard error.

use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::process::ChildStderr;
use tokio::task::JoinHandle;

/// How much of it is kept.
const KEPT: usize = 2048;

/// How long a program that is ending may take to close it.
const PATIENCE: Duration = Duration::from_secs(1);

/// What a program writes to standard error. It is read all the time, so that the program never waits.
pub(super) struct ErrorOutput(JoinHandle<String>);

impl ErrorOutput {
    /// Keeps the last of what is written.
    pub(super) fn keep(stderr: ChildStderr) -> Self {
        Self(tokio::spawn(collect(stderr)))
    }

    /// Returns it as one line, if the program ends soon.
    pub(super) async fn read(self) -> String {
        let text = tokio::time::timeout(PATIENCE, self.0).await;
        let text = text.ok().and_then(Result::ok).unwrap_or_default();
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

async fn collect(mut stderr: ChildStderr) -> String {
    let mut kept = Vec::new();
    let mut buffer = [0; 1024];
    while let Ok(count @ 1..) = stderr.read(&mut buffer).await {
        kept.extend_from_slice(&buffer[..count]);
        kept.drain(..kept.len().saturating_sub(KEPT));
    }
    String::from_utf8_lossy(&kept).into_owned()
}
