//! Everything in `flocker_docker::Units`, against a real systemd.
//!
//! Docker is played by a shell script, because what is tested is what systemd makes of our units:
//! when it starts, stops and restarts them.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "tests: what is not expected must fail, and what is skipped must be seen"
)]

mod machine;
mod units;
