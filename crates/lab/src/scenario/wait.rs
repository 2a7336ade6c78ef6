//! Waiting for what takes a while, with a deadline.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::failure::Failure;
use crate::progress::Progress;

/// How long applications may take until they are as they should be: an emulated
/// node initialises a database in a minute.
pub(super) const PATIENCE: Duration = Duration::from_secs(240);

/// How long they may take after a whole cluster lost its power.
pub(super) const RESTORE_PATIENCE: Duration = Duration::from_secs(420);

/// How often it is tried.
const INTERVAL: Duration = Duration::from_millis(500);

/// Tries until it succeeds, telling what is waited for, and returns what the
/// successful try did.
pub(super) async fn eventually<T>(
    what: &str,
    patience: Duration,
    attempt: impl AsyncFn() -> Result<T, Failure>,
) -> Result<T, Failure> {
    let began = Instant::now();
    let mut step = None;
    loop {
        let last = match attempt().await {
            Ok(found) => return Ok(found),
            Err(failure) => failure,
        };
        if began.elapsed() > patience {
            return Err(Failure::TooLate {
                what: what.to_owned(),
                patience,
                last: Box::new(last),
            });
        }
        step.get_or_insert_with(|| Progress::on_stderr().step(format!("waiting until {what}")));
        sleep(INTERVAL).await;
    }
}
