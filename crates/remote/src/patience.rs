//! Tells how long nothing has happened on a stream.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

/// A limit to how long an operation on a stream may be pending.
#[derive(Debug)]
pub(crate) struct Patience {
    limit: Duration,
    /// Made once, and set again each time.
    timer: Option<Pin<Box<Sleep>>>,
    is_waiting: bool,
}

impl Patience {
    /// Allows each operation so long.
    pub(crate) fn new(limit: Duration) -> Self {
        Self {
            limit,
            timer: None,
            is_waiting: false,
        }
    }

    /// Passes on what came of polling an operation. One that was pending for too long fails with
    /// [`io::ErrorKind::TimedOut`] and with what `tell` says of that time.
    pub(crate) fn watch<T>(
        &mut self,
        context: &mut Context<'_>,
        progress: Poll<io::Result<T>>,
        tell: impl FnOnce(Duration) -> String,
    ) -> Poll<io::Result<T>> {
        if progress.is_ready() {
            self.is_waiting = false;
            return progress;
        }
        let limit = self.limit;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(limit)));
        if !self.is_waiting {
            self.is_waiting = true;
            timer.as_mut().reset(Instant::now() + limit);
        }
        let late = |()| Err(io::Error::new(io::ErrorKind::TimedOut, tell(limit)));
        timer.as_mut().poll(context).map(late)
    }
}
