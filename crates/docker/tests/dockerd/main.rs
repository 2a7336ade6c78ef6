//! Everything in `flocker_docker::Docker`, against a real Docker daemon.
//!
//! The daemon is started once for all tests, as root, in namespaces of its own; see [`daemon`].

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "tests: what is not expected must fail, and what is skipped must be seen"
)]

mod containers;
mod daemon;
mod health;
mod image_volumes;
mod images;
mod networks;
mod options;
mod starts;
