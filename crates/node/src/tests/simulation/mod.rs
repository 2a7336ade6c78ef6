//! The code that ships on a simulated network: `flocker-cluster` deploys to `flocker-node serve` on
//! machines in memory, and partitions, delays, crashes and clocks that jump disturb it.
//!
//! A seed decides everything that happens. `cargo xtask simulate --seed NUMBER` plays one, and prints
//! all of it. Time is simulated: tokio's clock is paused, and goes on when all programs wait. A `sleep` here is
//! an event of the simulated world at a time that the seed decides. It takes no real time.

mod chance;
mod faults;
mod network;
mod pump;
mod story;
mod world;

use std::num::NonZero;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use self::chance::{Event, Tally};
use self::story::{Told, play};
use super::fake::Mutation;

/// Which seed is the first, and how many are played.
const FIRST: &str = "FLOCKER_SIMULATION_SEED";
const COUNT: &str = "FLOCKER_SIMULATION_SEEDS";
/// The number of seeds that are played if the environment names none.
const FEW: u64 = 20;
/// From how many seeds on each kind of event must have happened.
const MANY: u64 = 100;
/// How many seeds a mistake may take to be found.
const MOST: u64 = 50;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// The outcome of many seeds.
#[derive(Default)]
struct Sum {
    simulated: Duration,
    seeds: u64,
    deploys: usize,
    failed: usize,
    /// Another number if any of them went otherwise.
    lines: u64,
    tally: Tally,
    broken: Vec<(u64, Told)>,
}

impl Sum {
    fn add(&mut self, seed: u64, told: Told) {
        self.seeds += 1;
        self.simulated += told.simulated;
        self.deploys += told.deploys;
        self.failed += told.failed;
        self.lines = self.lines.wrapping_add(told.sum);
        for (event, count) in &told.tally {
            *self.tally.entry(*event).or_default() += count;
        }
        if !told.broken.is_empty() {
            self.broken.push((seed, told));
        }
    }

    /// Finds a seed that broke the promise that these words tell.
    fn find(&self, words: &str) -> Option<(u64, &str)> {
        self.broken.iter().find_map(|(seed, told)| {
            let text = told.broken.iter().find(|text| text.contains(words))?;
            Some((*seed, text.as_str()))
        })
    }

    fn print(&self, took: Duration) {
        let took = took.as_secs_f64();
        let rate = self.simulated.as_secs_f64() / took;
        for event in Event::ALL {
            let count = self.tally.get(&event).copied().unwrap_or_default();
            println!("{count:8} {}", event.words());
        }
        let (deploys, failed, seeds) = (self.deploys, self.failed, self.seeds);
        println!("{deploys} deploys were disturbed, and {failed} of them failed");
        println!("the sum of all lines is {:016x}", self.lines);
        println!(
            "in {took:.1} s, at {rate:.0} simulated seconds a second, {seeds} simulated seeds"
        );
    }
}

/// Plays seeds on several threads until one of them breaks the promise that these words tell; all of
/// them where there are no words.
fn play_all(seeds: std::ops::Range<u64>, mutation: Option<Mutation>, until: Option<&str>) -> Sum {
    let next = AtomicU64::new(seeds.start);
    let sum = Mutex::new(Sum::default());
    let lock = || sum.lock().unwrap_or_else(PoisonError::into_inner);
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while until.is_none_or(|words| lock().find(words).is_none()) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    let told = play(seed, mutation);
                    lock().add(seed, told);
                }
            });
        }
    });
    sum.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Partitions, delays, crashes and jumping clocks lose nothing, and the next deploy converges.
#[test]
fn disturbed_deploys_keep_all_promises() {
    let first = number(FIRST).unwrap_or(0);
    let count = number(COUNT).unwrap_or(FEW);
    if count == 1 {
        let told = play(first, None);
        println!("{}", told.trace);
        println!("the sum of all lines is {:016x}", told.sum);
        assert!(told.broken.is_empty(), "{}", told.broken.join("\n"));
        return;
    }
    let begun = Instant::now();
    let sum = play_all(first..first + count, None, None);
    sum.print(begun.elapsed());
    if let Some((seed, told)) = sum.broken.iter().min_by_key(|(seed, _)| *seed) {
        println!("{}", told.trace);
        let mut seeds: Vec<u64> = sum.broken.iter().map(|(seed, _)| *seed).collect();
        seeds.sort_unstable();
        panic!(
            "seed {seed}: {}\nplay it again with `cargo xtask simulate --seed {seed}`; broken in \
             seeds {seeds:?}",
            told.broken.join("\n")
        );
    }
    if count < MANY {
        return;
    }
    for event in Event::ALL {
        assert!(sum.tally.contains_key(&event), "no {}", event.words());
    }
    // Neither do all of them fail at once, nor is it always too late to disturb them.
    assert!(sum.failed * 10 > sum.deploys && sum.failed * 10 < sum.deploys * 9);
}

#[test]
fn the_same_seed_does_the_same() {
    for seed in [1, 2, 3] {
        // Each on a thread of its own, as all seeds are.
        let played = [(); 2].map(|()| std::thread::spawn(move || play(seed, None)));
        let [one, other] = played.map(|thread| thread.join().unwrap());
        if one.sum != other.sum {
            let differs = one.trace.lines().zip(other.trace.lines());
            let differs = differs.filter(|(one, other)| one != other);
            panic!(
                "seed {seed} differs first at {:#?}",
                differs.take(3).collect::<Vec<_>>()
            );
        }
    }
}

/// Breaks the machines in one way, which must break the promise that these words tell.
fn expect_noticed(mutation: Mutation, words: &str) {
    let sum = play_all(0..MOST, Some(mutation), Some(words));
    let Some((seed, text)) = sum.find(words) else {
        let others = sum.broken.iter().map(|(_, told)| &told.broken);
        panic!(
            "{mutation:?} breaks other promises, if any: {:#?}",
            others.collect::<Vec<_>>()
        );
    };
    println!(
        "{mutation:?}: seed {seed} after {} seeds: {text}",
        sum.seeds
    );
}

#[test]
fn the_simulator_catches_lose_ends_of_streams() {
    let words = "has every acknowledged record";
    expect_noticed(Mutation::LoseEndsOfStreams, words);
}

#[test]
fn the_simulator_catches_leave_containers_running() {
    expect_noticed(Mutation::LeaveContainersRunning, "without its volume");
}

#[test]
fn the_simulator_catches_lose_intent_logs() {
    let words = "has every acknowledged record";
    expect_noticed(Mutation::LoseIntentLogs, words);
}
