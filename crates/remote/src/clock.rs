//! This machine's clock, as it is told to others.

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// A clock that tells the date: the machine's own, or one that a test sets.
///
/// Tests run several machines in one process, whose clocks differ and jump.
#[derive(Clone, Default)]
pub struct Clock(Option<Arc<dyn Fn() -> u64 + Send + Sync>>);

impl Clock {
    /// Makes a clock that shows the milliseconds since 1970 that `read` returns.
    pub fn reading(read: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(read)))
    }

    /// Reads the clock, in milliseconds since 1970; 0 if it is set before that.
    pub fn milliseconds(&self) -> u64 {
        self.0
            .as_ref()
            .map_or_else(milliseconds_since_1970, |read| read())
    }

    /// Reads the clock, in seconds since 1970; 0 if it is set before that.
    pub fn seconds(&self) -> u64 {
        self.milliseconds() / 1000
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_tuple("Clock")
            .field(&self.milliseconds())
            .finish()
    }
}

fn milliseconds_since_1970() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| {
            u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
        })
}
