//! The decisions of a seed, and the record of its outcome.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How many of the last lines are shown of a seed that failed.
const SHOWN: usize = 4000;

/// Everything that happens by chance in one world.
#[derive(Clone)]
pub(super) struct Dice(Arc<Mutex<fastrand::Rng>>);

impl fmt::Debug for Dice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Dice").finish_non_exhaustive()
    }
}

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(fastrand::Rng::with_seed(seed))))
    }

    /// Returns a number below `end`.
    pub(super) fn below(&self, end: usize) -> usize {
        self.with(|rng| rng.usize(0..end))
    }

    /// Is true in so many of a thousand cases.
    pub(super) fn once_in(&self, per_mille: u32) -> bool {
        self.with(|rng| rng.u32(0..1000)) < per_mille
    }

    /// Returns a time of so many milliseconds.
    pub(super) fn time(&self, milliseconds: std::ops::Range<u64>) -> Duration {
        Duration::from_millis(self.with(|rng| rng.u64(milliseconds)))
    }

    /// Chooses one of these.
    pub(super) fn one_of<'a, T>(&self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }

    /// Returns the time that a call on a machine takes: mostly none, seldom long.
    pub(super) fn call(&self) -> Duration {
        match self.below(200) {
            0 => self.time(100..3000),
            1..=40 => self.time(1..40),
            _ => Duration::ZERO,
        }
    }

    /// Returns the time that a packet is under way.
    pub(super) fn latency(&self) -> Duration {
        match self.below(100) {
            0 => self.time(500..4000),
            1..=5 => self.time(30..400),
            _ => self.time(1..10),
        }
    }

    fn with<T>(&self, work: impl FnOnce(&mut fastrand::Rng) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A kind of event. Over many seeds, every kind must happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Event {
    LinkCut,
    NodeIsolated,
    LinkSlowed,
    ConnectionsForgotten,
    ConnectionLost,
    PacketLate,
    PacketOvertaken,
    ProgramKilled,
    OperatorKilled,
    PowerCut,
    ClockSet,
    SecondOperator,
}

impl Event {
    /// All of them.
    pub(super) const ALL: [Self; 12] = [
        Self::LinkCut,
        Self::NodeIsolated,
        Self::LinkSlowed,
        Self::ConnectionsForgotten,
        Self::ConnectionLost,
        Self::PacketLate,
        Self::PacketOvertaken,
        Self::ProgramKilled,
        Self::OperatorKilled,
        Self::PowerCut,
        Self::ClockSet,
        Self::SecondOperator,
    ];

    /// Describes many of it.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::LinkCut => "links cut",
            Self::NodeIsolated => "nodes cut off",
            Self::LinkSlowed => "links slowed down",
            Self::ConnectionsForgotten => "links whose connections were forgotten",
            Self::ConnectionLost => "connections lost",
            Self::PacketLate => "packets late by half a second or more",
            Self::PacketOvertaken => "answers overtaken by later ones of other nodes",
            Self::ProgramKilled => "programs killed on nodes",
            Self::OperatorKilled => "operators killed",
            Self::PowerCut => "power cuts",
            Self::ClockSet => "clocks set an hour forward or back",
            Self::SecondOperator => "second operators at the same time",
        }
    }
}

/// How often each event happened.
pub(super) type Tally = BTreeMap<Event, u64>;

/// The record of one world: each line with its time.
#[derive(Debug, Clone)]
pub(super) struct Trace {
    begun: Instant,
    inside: Arc<Mutex<Inside>>,
}

#[derive(Debug, Default)]
struct Inside {
    lines: VecDeque<String>,
    /// A sum over all lines, also those that are shown no more.
    sum: u64,
    tally: Tally,
    /// The promises that were broken.
    broken: Vec<String>,
}

impl Trace {
    pub(super) fn begin() -> Self {
        Self {
            begun: Instant::now(),
            inside: Arc::default(),
        }
    }

    /// Returns how much time has passed in the world.
    pub(super) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Notes a line. Lines name the process of the simulator for each that has a lock; its number is
    /// left out, for it is another one each time.
    pub(super) fn note(&self, text: &str) {
        let own = format!("process {} on ", std::process::id());
        let text = text.replace(&own, "process N on ");
        let line = format!("{:9.3} {text}", self.elapsed().as_secs_f64());
        let mut inside = self.inside();
        for byte in line.bytes() {
            // FNV-1a.
            inside.sum = (inside.sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        inside.lines.push_back(line);
        if inside.lines.len() > SHOWN {
            inside.lines.pop_front();
        }
    }

    /// Counts an event.
    pub(super) fn count(&self, event: Event) {
        *self.inside().tally.entry(event).or_default() += 1;
    }

    /// Returns how often each event happened.
    pub(super) fn tally(&self) -> Tally {
        self.inside().tally.clone()
    }

    /// Notes that a rule is broken.
    pub(super) fn broken(&self, text: &str) {
        if self.inside().broken.iter().any(|known| known == text) {
            return;
        }
        self.note(&format!("BROKEN: {text}"));
        self.inside().broken.push(text.to_owned());
    }

    /// Returns a number that is another one for another record.
    pub(super) fn sum(&self) -> u64 {
        self.inside().sum
    }

    /// Lists the rules that were broken.
    pub(super) fn all_broken(&self) -> Vec<String> {
        self.inside().broken.clone()
    }

    /// Returns the last lines.
    pub(super) fn text(&self) -> String {
        let inside = self.inside();
        let lines: Vec<&str> = inside.lines.iter().map(String::as_str).collect();
        lines.join("\n")
    }

    fn inside(&self) -> std::sync::MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
