//! The tiers of tests: what each is for, what it needs, and how it runs.

use std::fmt;

use clap::ValueEnum;

use super::cargo_test::{self, TestRun};
use super::contract;
use super::outcome::{Count, Outcome};
use super::{deny, fuzz, nix, pool};
use crate::check;
use crate::install::Need;
use crate::lab::{self, Built};
use crate::process::Program;
use crate::programs::Purpose;
use crate::simulate::{self, Seeds};
use crate::terminal;

/// How many interrupted plans the model checker must have run.
const MODEL_CASES: u64 = 100_000;

/// How many seeds the simulator must have played.
const SIMULATED_SEEDS: u64 = 1000;

/// The files that try our programs with OpenSSH's: what another node's key can do, what becomes of a
/// command when a node has another host key or another operator, and of a deploy that loses a node.
const OPENSSH_TARGETS: [&str; 3] = ["forced_command", "refusals", "recovery"];

/// Files of integration tests that belong to other tiers than their crates' other tests.
const OTHER_TIERS_TARGETS: [&str; 5] = [
    pool::TARGET,
    MACHINES_TARGET,
    OPENSSH_TARGETS[0],
    OPENSSH_TARGETS[1],
    OPENSSH_TARGETS[2],
];

/// The file with the tests of the lab itself, and the feature without which it is empty.
const MACHINES_TARGET: &str = "nodes";
const MACHINES_FEATURE: &str = "flocker-lab/vm";

/// One tier of tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum TierName {
    /// Source text is formatted.
    Format,
    /// Lints, with warnings denied.
    Clippy,
    /// The repository is what its documents say.
    Check,
    /// Dependencies are what they may be.
    Deny,
    /// The flake and what it is made of, evaluated.
    Nix,
    /// Unit, snapshot and documentation tests.
    Unit,
    /// The planner under every interruption.
    Model,
    /// The programs on a simulated network.
    Simulator,
    /// Whatever comes from outside is read or refused.
    Fuzz,
    /// Routes and links with real TCP in network namespaces.
    Namespaces,
    /// Containers in a real Docker daemon.
    Dockerd,
    /// The transport with a real OpenSSH server.
    Sshd,
    /// Volumes on a real ZFS pool, on a node in a virtual machine.
    Pool,
    /// Whole nodes in virtual machines.
    Vm,
    /// Moves that are disturbed, on nodes in virtual machines.
    Faults,
}

impl TierName {
    /// Every tier, cheapest first.
    pub(crate) const ALL: [Self; 15] = [
        Self::Format,
        Self::Clippy,
        Self::Check,
        Self::Deny,
        Self::Nix,
        Self::Unit,
        Self::Model,
        Self::Simulator,
        Self::Fuzz,
        Self::Namespaces,
        Self::Dockerd,
        Self::Sshd,
        Self::Pool,
        Self::Vm,
        Self::Faults,
    ];

    /// The crates whose integration tests are tiers of their own.
    const SYSTEM_CRATES: [&str; 3] = ["flocker-net", "flocker-docker", "flocker-remote"];

    /// What the tier shows, in a few words.
    pub(super) const fn purpose(self) -> &'static str {
        match self {
            Self::Format => "source text is formatted",
            Self::Clippy => "lints, with warnings denied",
            Self::Check => "the repository is what its documents say",
            Self::Deny => "dependencies are what they may be",
            Self::Nix => "the flake and what it is made of, evaluated",
            Self::Unit => "unit, snapshot and documentation tests",
            Self::Model => "the planner under every interruption",
            Self::Simulator => "the programs on a simulated network",
            Self::Fuzz => "whatever comes from outside is read or refused",
            Self::Namespaces => "routes and links with real TCP",
            Self::Dockerd => "containers in a real Docker daemon",
            Self::Sshd => "the transport with a real OpenSSH server",
            Self::Pool => "volumes on a real ZFS pool",
            Self::Vm => "whole nodes in virtual machines",
            Self::Faults => "moves that are disturbed, on virtual nodes",
        }
    }

    /// What must be installed.
    pub(crate) const fn needs(self) -> &'static [Need] {
        match self {
            Self::Format => &[],
            Self::Check => &[Need::Repository],
            Self::Deny => &[Need::Deny],
            Self::Nix => &[Need::Repository, Need::Nix],
            Self::Clippy | Self::Unit | Self::Model | Self::Simulator | Self::Fuzz => {
                &[Need::Build]
            }
            Self::Namespaces => &[Need::Build, Need::Namespaces],
            Self::Dockerd => &[Need::Build, Need::Docker],
            Self::Sshd => &[Need::Build, Need::Ssh],
            Self::Pool | Self::Vm | Self::Faults => &[Need::Build, Need::Machines],
        }
    }

    /// Whether it runs on nodes in virtual machines.
    pub(crate) fn needs_machines(self) -> bool {
        self.needs().contains(&Need::Machines)
    }

    /// Runs the tier.
    pub(super) fn run(self) -> Outcome {
        match self {
            Self::Format => {
                run_component("fmt", "rustfmt", &["--all", "--check"]).and(run_component(
                    "fmt",
                    "rustfmt",
                    &["--manifest-path", fuzz::MANIFEST, "--check"],
                ))
            }
            Self::Clippy => run_component(
                "clippy",
                "clippy",
                &[
                    "--workspace",
                    "--all-targets",
                    "--all-features",
                    "--keep-going",
                    "--",
                    "-D",
                    "warnings",
                ],
            )
            .and(fuzz::lint()),
            Self::Check => run_check(),
            Self::Deny => deny::run(),
            Self::Nix => nix::run(),
            Self::Unit => run_unit(),
            Self::Model => run_model(),
            Self::Simulator => run_simulator(),
            Self::Fuzz => fuzz::run(),
            Self::Namespaces => run_system("flocker-net").and(contract::run(&contract::ROUTES)),
            Self::Dockerd => run_system("flocker-docker").and(contract::run(&contract::CONTAINERS)),
            Self::Sshd => run_system("flocker-remote").and(run_openssh()),
            Self::Pool => pool::run(),
            Self::Vm => run_machines(),
            Self::Faults => match build_faults() {
                Ok(built) => run_faults(&built),
                Err(why) => Outcome::failed(why),
            },
        }
    }
}

impl fmt::Display for TierName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        formatter.pad(value.as_ref().map_or("", |value| value.get_name()))
    }
}

/// Runs a part of the toolchain that small installations leave out.
fn run_component(subcommand: &str, component: &str, arguments: &[&str]) -> Outcome {
    let is_there = || Program::cargo().args([subcommand, "--version"]).succeeds();
    if !is_there() {
        let added = Program::new("rustup")
            .args(["component", "add", component])
            .run();
        if added.is_err() || !is_there() {
            return Outcome::skipped(format!(
                "this Rust toolchain has no {component}; install it beside cargo"
            ));
        }
    }
    match Program::cargo().args([subcommand]).args(arguments).run() {
        Ok(()) => Outcome::of(Count::one_passed()),
        Err(failure) => Outcome::failed(failure.to_string()),
    }
}

fn run_check() -> Outcome {
    match check::findings() {
        Ok(findings) if findings.is_empty() => Outcome::of(Count::one_passed()),
        Ok(findings) => {
            for finding in &findings {
                terminal::line(&finding.to_string());
            }
            Outcome::failed(format!("{} found", findings.len()))
        }
        Err(failure) => {
            terminal::failure(&failure);
            Outcome::failed(failure.to_string())
        }
    }
}

fn run_unit() -> Outcome {
    let targets = match cargo_test::observe_test_targets() {
        Ok(targets) => targets,
        Err(failure) => return Outcome::failed(failure),
    };
    let integration: Vec<_> = targets
        .iter()
        .filter(|target| !TierName::SYSTEM_CRATES.contains(&target.package.as_str()))
        .filter(|target| !OTHER_TIERS_TARGETS.contains(&target.name.as_str()))
        .map(|target| target.name.clone())
        .collect();
    let tests = TestRun::new(&["--lib", "--bins"])
        .targets(&integration)
        .run();
    let documentation = TestRun::new(&["--doc"]).run_possibly_empty();
    tests.and(documentation)
}

fn run_model() -> Outcome {
    let targets = match cargo_test::observe_test_targets() {
        Ok(targets) => targets,
        Err(failure) => return Outcome::failed(failure),
    };
    let names: Vec<_> = targets
        .into_iter()
        .filter(|target| target.package == "flocker-plan" && target.name.contains("model"))
        .map(|target| target.name)
        .collect();
    if names.is_empty() {
        return Outcome::failed("flocker-plan has no test target with `model` in its name");
    }
    TestRun::new(&[])
        .targets(&names)
        .env("FLOCKER_MODEL_CASES", &MODEL_CASES.to_string())
        .require_cases("interrupted plans", MODEL_CASES)
        .run()
}

fn run_simulator() -> Outcome {
    let seeds = Seeds {
        seed: 0,
        seeds: SIMULATED_SEEDS,
    };
    let mut run = TestRun::new(&simulate::ARGUMENTS).only(&simulate::ONLY);
    for (name, value) in seeds.variables() {
        run = run.env(name, &value);
    }
    run.require_cases("simulated seeds", SIMULATED_SEEDS).run()
}

fn run_system(package: &str) -> Outcome {
    let targets = match cargo_test::observe_test_targets() {
        Ok(targets) => targets,
        Err(failure) => return Outcome::failed(failure),
    };
    let names: Vec<_> = targets
        .into_iter()
        .filter(|target| target.package == package)
        .map(|target| target.name)
        .collect();
    if names.is_empty() {
        return Outcome::failed(format!("{package} has no integration tests (`tests/*.rs`)"));
    }
    TestRun::new(&[]).targets(&names).with_root().run()
}

fn run_openssh() -> Outcome {
    TestRun::new(&[])
        .targets(&OPENSSH_TARGETS.map(str::to_owned))
        .with_root()
        .run()
}

fn run_machines() -> Outcome {
    let scenarios = match build_lab(Purpose::Lab) {
        Ok(built) => run_scenario(&built, &["test", "migration", "--smoke"]),
        Err(why) => Outcome::failed(why),
    };
    let machines = TestRun::new(&["--features", MACHINES_FEATURE])
        .targets(&[MACHINES_TARGET.to_owned()])
        .one_at_a_time()
        .run();
    machines.and(scenarios)
}

/// Builds what [`run_faults`] needs.
pub(super) fn build_faults() -> Result<Built, String> {
    build_lab(Purpose::Faults)
}

/// Disturbs moves, at every moment and by every fault, and one of each other kind of case, on one pair of
/// nodes: more of them beside another tier take their processors from each other.
pub(super) fn run_faults(built: &Built) -> Outcome {
    run_scenario(built, &["faults", "--smoke"])
}

/// Builds the lab and what its nodes run.
fn build_lab(purpose: Purpose) -> Result<Built, String> {
    lab::build(purpose).map_err(|failure| {
        terminal::failure(failure.as_ref());
        failure.to_string()
    })
}

/// Runs `flocker-lab`, which counts what it asserts.
fn run_scenario(built: &Built, arguments: &[&str]) -> Outcome {
    match built.program(arguments).run_collecting() {
        Ok((status, lines)) => Outcome::of_program(&lines, status.success()),
        Err(failure) => {
            terminal::failure(&failure);
            Outcome::failed(failure.to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::TierName;
    use crate::arguments::TierSelection;
    use clap::ValueEnum as _;

    #[test]
    fn all_tiers_are_run_when_none_is_named() {
        assert_eq!(TierSelection::default().tiers(), TierName::value_variants());
    }

    #[test]
    fn fast_leaves_out_only_the_machines() {
        let selection = TierSelection {
            fast: true,
            tiers: Vec::new(),
        };
        assert_eq!(selection.tiers().len(), TierName::ALL.len() - 3);
        for machines in [TierName::Pool, TierName::Vm, TierName::Faults] {
            assert!(!selection.tiers().contains(&machines));
        }
    }

    #[test]
    fn named_tiers_run_cheapest_first() {
        let selection = TierSelection {
            fast: false,
            tiers: vec![TierName::Sshd, TierName::Format],
        };
        assert_eq!(selection.tiers(), [TierName::Format, TierName::Sshd]);
    }
}
