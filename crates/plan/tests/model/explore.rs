//! Makes cases and runs them, on every processor, until enough plans were interrupted.
//!
//! What is tried depends on the seed and on how much is asked for, never on the machine: the work
//! is divided into parts beforehand, each with its own random numbers.

use std::cell::Cell;
use std::num::NonZero;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use crate::case::{Case, cases};
use crate::invariants::{Broken, Invariant};
use crate::mutation::Mutation;
use crate::random::Random;
use crate::run::Run;

/// How many plans are interrupted when nothing else is asked for.
const FEW: usize = 2_000;
/// How many parts the work has.
const PARTS: u64 = 16;
/// How many cases are made before the interruptions are counted again.
const BATCH: u32 = 50;
/// How many smaller cases are tried once one fails.
const SHRINKING: u32 = 2_000;

/// A case in which an invariant is broken, made as small as could be.
#[derive(Debug)]
pub(crate) struct Counterexample {
    pub(crate) broken: Broken,
    /// Everything that happens in it, for people.
    pub(crate) history: String,
}

/// How much was tried, and what was found.
#[derive(Debug, Default)]
pub(crate) struct Explored {
    pub(crate) cases: u32,
    pub(crate) interrupted: usize,
    pub(crate) counterexample: Option<Counterexample>,
    /// How long all of it took.
    pub(crate) took: Duration,
}

/// Explores all parts, as many at once as there are processors; of several counterexamples the one
/// of the first part counts.
///
/// The environment variable `FLOCKER_MODEL_CASES` says how many plans are to be interrupted, and
/// `FLOCKER_MODEL_SEED` what the random numbers depend on.
pub(crate) fn explore_all() -> Explored {
    let started = Instant::now();
    let wanted = from_environment("FLOCKER_MODEL_CASES").unwrap_or(FEW);
    let share = wanted.div_ceil(usize::try_from(PARTS).unwrap_or(1));
    let next = AtomicU64::new(0);
    let explored = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let part = next.fetch_add(1, Ordering::Relaxed);
                    if part >= PARTS {
                        break;
                    }
                    let of_part = explore_part(part, share);
                    let mut explored = explored.lock().unwrap_or_else(PoisonError::into_inner);
                    explored.push((part, of_part));
                }
            });
        }
    });
    let mut explored = explored
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    explored.sort_by_key(|(part, _)| *part);
    let mut all = Explored {
        took: started.elapsed(),
        ..Explored::default()
    };
    for (_, part) in explored {
        all.cases += part.cases;
        all.interrupted += part.interrupted;
        all.counterexample = all.counterexample.or(part.counterexample);
    }
    all
}

/// Runs batches of cases until so many plans were interrupted.
fn explore_part(part: u64, interruptions: usize) -> Explored {
    let search = Search {
        mutation: None,
        breaks: None,
    };
    let mut all = Explored::default();
    let mut seeds = Random::new(seed().wrapping_mul(PARTS).wrapping_add(part));
    while all.interrupted < interruptions && all.counterexample.is_none() {
        let batch = search.explore(seeds.next(), BATCH);
        all.cases += batch.cases;
        all.interrupted += batch.interrupted;
        all.counterexample = batch.counterexample;
    }
    all
}

/// What all random numbers depend on.
pub(crate) fn seed() -> u64 {
    from_environment("FLOCKER_MODEL_SEED").unwrap_or(1)
}

fn from_environment<T: std::str::FromStr>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok()?;
    let Ok(value) = text.parse() else {
        panic!("{name} is not a number: {text}");
    };
    Some(value)
}

/// What is looked for, and in what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Search {
    /// How the protocol is broken, if it is.
    pub(crate) mutation: Option<Mutation>,
    /// The invariant that has to be broken for a case to count; any, if none is named.
    pub(crate) breaks: Option<Invariant>,
}

impl Search {
    /// Runs cases that depend on `seed` alone, until one counts.
    pub(crate) fn explore(self, seed: u64, cases_at_most: u32) -> Explored {
        let config = Config {
            cases: cases_at_most,
            failure_persistence: None,
            // What a mutation breaks need not be understood.
            max_shrink_iters: if self.mutation.is_none() {
                SHRINKING
            } else {
                0
            },
            ..Config::default()
        };
        let mut runner = TestRunner::new_with_rng(config, random_numbers(seed));
        let (tried, interrupted) = (Cell::new(0), Cell::new(0));
        let is_found = Cell::new(false);
        let result = runner.run(&cases(), |case| {
            let mut run = Run::new(&case, self.mutation);
            let broken = run.go().err().filter(|broken| self.counts(broken));
            if !is_found.get() {
                tried.set(tried.get() + 1);
                interrupted.set(interrupted.get() + run.interrupted);
            }
            match broken {
                None => Ok(()),
                Some(broken) => {
                    is_found.set(true);
                    Err(TestCaseError::fail(broken.to_string()))
                }
            }
        });
        let counterexample = match result {
            Ok(()) => None,
            Err(TestError::Fail(_, case)) => Some(self.retell(&case)),
            Err(TestError::Abort(reason)) => panic!("{reason}"),
        };
        Explored {
            cases: tried.get(),
            interrupted: interrupted.get(),
            counterexample,
            ..Explored::default()
        }
    }

    fn counts(self, broken: &Broken) -> bool {
        self.breaks.is_none_or(|wanted| wanted == broken.invariant)
    }

    /// Runs a failing case once more and tells what happens in it.
    fn retell(self, case: &Case) -> Counterexample {
        let mut run = Run::new(case, self.mutation);
        run.log = Some(Vec::new());
        let Err(broken) = run.go() else {
            panic!("the case does not repeat: {case:?}");
        };
        let log = run.log.unwrap_or_default().join("\n");
        let seed = seed();
        let history = format!("{log}\n\n{case:#?}\nFLOCKER_MODEL_SEED={seed}\n{broken}");
        Counterexample { broken, history }
    }
}

/// Makes the numbers from which proptest makes cases.
fn random_numbers(seed: u64) -> TestRng {
    let mut random = Random::new(seed);
    let bytes: Vec<u8> = (0..4).flat_map(|_| random.next().to_le_bytes()).collect();
    TestRng::from_seed(RngAlgorithm::ChaCha, &bytes)
}
