//! Routes, links and the rest against the real kernel, with real TCP, in network namespaces.
//!
//! Needs root and the programs `ip`, `nft` and `iptables`; says SKIPPED where it lacks them, which
//! is a failure when `CI=true`. Namespaces have no names: the kernel removes them with everything
//! in them when the test's process ends, however it ends.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "these are tests; the lints only know functions that are marked as such"
)]

mod firewall;
mod firewalls;
mod held;
mod limits;
mod links;
mod mtu;
mod observing;
mod routes;
mod traffic;
mod udp;
mod udp_traffic;
mod watching;
mod world;
