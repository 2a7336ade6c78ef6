//! The contract tests of `flocker-node`'s traits on real things, run by the tiers that have them.
//!
//! On machines in memory the same functions run with the unit tests.

use super::cargo_test::TestRun;
use super::outcome::Outcome;

/// The arguments with which cargo builds the program whose unit tests they are.
pub(super) const TARGET: [&str; 4] = [
    "--bin",
    "flocker-node",
    "--features",
    "flocker-node/real-machine",
];

/// The tests that need a ZFS pool.
pub(super) const VOLUMES: &str = "contract::volumes::pool::";
/// The tests that need Docker's daemon, or systemd.
pub(super) const CONTAINERS: [&str; 2] = [
    "contract::containers::dockerd::",
    "contract::units::systemd::",
];
/// The tests that need network namespaces.
pub(super) const ROUTES: [&str; 2] = ["contract::routes::kernel::", "guarding::kernel::"];

/// Runs the tests that have one of these texts in their name, as root.
pub(super) fn run(names: &[&str]) -> Outcome {
    TestRun::new(&TARGET).only(names).with_root().run()
}
