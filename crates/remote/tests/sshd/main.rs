//! The SSH transport against OpenSSH's own server and agent.
//!
//! Every test starts a server of its own on 127.0.0.1. Needed on the machine:
//! `sshd`, `ssh`, `ssh-keygen` and `ssh-agent` (Debian packages openssh-server and
//! openssh-client) and `setpriv` (util-linux).

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test reports by panicking, and its fixtures do, too"
)]

mod fixture;

mod authentication;
mod destinations;
mod forced_commands;
mod host_keys;
mod losses;
mod match_blocks;
mod proxies;
mod sessions;
mod transfers;
