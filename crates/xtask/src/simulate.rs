//! `cargo xtask simulate`: the programs that ship, on a simulated network.

use clap::Args;

use crate::arguments::CommandResult;
use crate::process::Program;

/// The test that plays seeds, and the program whose test it is.
const TEST: &str = "simulation::disturbed_deploys_keep_all_promises";
const PROGRAM: &str = "flocker-node";

/// Where the test reads which seeds it is to play.
const FIRST: &str = "FLOCKER_SIMULATION_SEED";
const COUNT: &str = "FLOCKER_SIMULATION_SEEDS";

/// Which seeds to play.
#[derive(Debug, Clone, Args)]
pub(crate) struct Seeds {
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// How many seeds, beginning with that one.
    #[arg(long, default_value_t = 1)]
    pub(crate) seeds: u64,
}

/// What a run of the test needs: arguments of `cargo test`, the test's name, and variables.
pub(crate) const ARGUMENTS: [&str; 2] = ["--bin", PROGRAM];
pub(crate) const ONLY: [&str; 1] = [TEST];

impl Seeds {
    /// Lists the variables that tell the test which seeds to play.
    pub(crate) fn variables(&self) -> [(&'static str, String); 2] {
        [
            (FIRST, self.seed.to_string()),
            (COUNT, self.seeds.to_string()),
        ]
    }
}

/// Plays seeds, and prints everything that happens in the first that breaks a promise.
pub(crate) fn run(seeds: &Seeds) -> CommandResult {
    let mut program = Program::cargo()
        .args(["test", "--workspace"])
        .args(ARGUMENTS)
        .args(["--", "--nocapture", "--exact"])
        .args([format!("tests::{TEST}")]);
    for (name, value) in seeds.variables() {
        program = program.env(name, &value);
    }
    program.run()?;
    Ok(std::process::ExitCode::SUCCESS)
}
