//! What machines in memory and real ones must have in common: one suite for each trait.
//!
//! On machines in memory they always run. On real ones they are there with the feature
//! `real-machine`, with which the tiers of `cargo xtask test` run them: `pool` those of volumes,
//! `dockerd` those of containers and units, `namespaces` those of routes.

mod containers;
#[cfg(feature = "real-machine")]
#[expect(dead_code, reason = "the tests that it is written for use more of it")]
#[path = "../../../../docker/tests/dockerd/daemon.rs"]
mod daemon;
#[cfg(feature = "real-machine")]
#[expect(dead_code, reason = "the tests that it is written for use more of it")]
#[path = "../../../../docker/tests/systemd/machine.rs"]
mod machine;
pub(super) mod routes;
mod units;
mod volumes;

/// Makes a test of each function of a suite, which `$run` runs on a new fixture.
macro_rules! suite {
    ($run:path, $fixture:path, $($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                $run(async {
                    if let Some(fixture) = $fixture().await {
                        super::$name(&fixture).await;
                    }
                });
            }
        )*
    };
}
pub(crate) use suite;

/// Runs a test of a machine in memory, or of one whose place does not matter.
fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
        .block_on(test);
}

/// Says that a test cannot run here; where it must, that is a failure.
#[cfg(feature = "real-machine")]
fn skip(reason: &str) {
    assert_ne!(
        std::env::var("CI").as_deref(),
        Ok("true"),
        "cannot run in CI: {reason}"
    );
    println!("SKIPPED: {reason}");
}
