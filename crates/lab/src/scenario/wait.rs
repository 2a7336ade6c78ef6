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

/// How often it is told why not yet.
const REMINDER: Duration = Duration::from_secs(15);

/// The longest reason that is told.
const REASON_CHARACTERS: usize = 200;

/// Tries until it succeeds, telling what is waited for, and returns what the
/// successful try did.
pub(super) async fn eventually<T>(
    what: &str,
    patience: Duration,
    attempt: impl AsyncFn() -> Result<T, Failure>,
) -> Result<T, Failure> {
    let began = Instant::now();
    let mut said = began;
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
        if said.elapsed() > REMINDER {
            said = Instant::now();
            let reason: String = last.to_string().chars().take(REASON_CHARACTERS).collect();
            let reason = reason.replace('\n', " ");
            Progress::on_stderr().say(&format!("  waiting until {what}; now: {reason}"));
        }
        sleep(INTERVAL).await;
    }
}
