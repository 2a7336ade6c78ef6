//! This machine's clock, as it is told to others.

use std::time::{SystemTime, UNIX_EPOCH};

/// Reads the clock, in seconds since 1970; 0 if it is set before that.
pub fn seconds_since_1970() -> u64 {
    milliseconds_since_1970() / 1000
}

/// Reads the clock, in milliseconds since 1970; 0 if it is set before that.
pub fn milliseconds_since_1970() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| {
            u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
        })
}
