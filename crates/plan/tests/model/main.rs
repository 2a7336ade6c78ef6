//! Random clusters and random goals, with every interruption, until they are as wanted.
//!
//! The environment variable `FLOCKER_MODEL_CASES` says how many plans are to be interrupted.

mod case;
mod invariants;
mod random;
mod run;
mod world;

use std::cell::Cell;
use std::sync::OnceLock;

use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use case::{Case, cases};
use invariants::{Broken, Invariant};
use run::Run;

/// How many plans are interrupted when nothing else is asked for.
const FEW: usize = 2_000;
/// How many cases are made before the interruptions are counted again.
const BATCH: u32 = 100;

/// What all tests share: the first violation, smallest case first, and how much was tried.
struct Exploration {
    interrupted: usize,
    broken: Option<(Invariant, String)>,
}

/// Explores until enough plans were interrupted, once for all tests.
fn exploration() -> &'static Exploration {
    static EXPLORATION: OnceLock<Exploration> = OnceLock::new();
    EXPLORATION.get_or_init(|| {
        let wanted = std::env::var("FLOCKER_MODEL_CASES").ok();
        let wanted = wanted.and_then(|text| text.parse().ok()).unwrap_or(FEW);
        explore(wanted)
    })
}

fn explore(wanted: usize) -> Exploration {
    let config = Config {
        cases: BATCH,
        failure_persistence: None,
        max_shrink_iters: 2_000,
        ..Config::default()
    };
    let random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(config.clone(), random);
    let interrupted = Cell::new(0);
    loop {
        let result = runner.run(&cases(), |case| {
            let mut run = Run::new(&case, None);
            let result = run.go();
            interrupted.set(interrupted.get() + run.interrupted);
            result.map_err(|broken| TestCaseError::fail(broken.to_string()))
        });
        let interrupted = interrupted.get();
        match result {
            Ok(()) if interrupted < wanted => {
                let random = runner.new_rng();
                runner = TestRunner::new_with_rng(config.clone(), random);
            }
            Ok(()) => {
                return Exploration {
                    interrupted,
                    broken: None,
                };
            }
            Err(TestError::Fail(reason, case)) => {
                return Exploration {
                    interrupted,
                    broken: Some(retell(&case, reason.message())),
                };
            }
            Err(TestError::Abort(reason)) => panic!("{reason}"),
        }
    }
}

/// Runs a failing case once more and tells what happens in it.
fn retell(case: &Case, reason: &str) -> (Invariant, String) {
    let mut run = Run::new(case, Some(Vec::new()));
    let broken = match run.go() {
        Err(broken) => broken,
        Ok(()) => Broken::new(Invariant::Converges, "the case does not repeat"),
    };
    let log = run.log.unwrap_or_default().join("\n");
    (
        broken.invariant,
        format!("{log}\n\n{case:?}\n{reason}\n{broken}"),
    )
}

/// Fails if an invariant was broken.
fn require(invariant: Invariant) {
    if let Some((broken, history)) = &exploration().broken
        && *broken == invariant
    {
        panic!("{history}");
    }
}

#[test]
fn every_acknowledged_record_survives() {
    require(Invariant::RecordsSurvive);
}

#[test]
fn never_two_owners() {
    require(Invariant::OneOwner);
}

#[test]
fn never_two_writers_nor_one_on_a_replica() {
    require(Invariant::OneWriter);
}

#[test]
fn never_a_new_volume_where_one_may_exist() {
    require(Invariant::NoNewVolumeBesideAnOldOne);
}

#[test]
fn interrupted_plans_converge() {
    require(Invariant::Converges);
    let exploration = exploration();
    assert!(exploration.broken.is_none(), "another invariant is broken");
    println!("{} interrupted plans", exploration.interrupted);
}

#[test]
fn nothing_leaks() {
    require(Invariant::NothingLeaks);
}

#[test]
fn a_second_deploy_does_nothing() {
    require(Invariant::SecondDoesNothing);
}

#[test]
fn plans_keep_to_the_rules() {
    require(Invariant::PlansAreSound);
}
