//! The disturbed moves run beside the other tiers of virtual nodes: one step of a deploy waits for
//! another, on another node, so that either tier alone leaves a processor idle for much of its time.

use std::fs;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use super::outcome::Outcome;
use super::summary::Report;
use super::tier::{self, TierName};
use super::{finish, obstacle};
use crate::lab::Built;
use crate::terminal;

/// The memory, in kibibytes, that the four nodes of two tiers and all other programs need at most.
const MEMORY: u64 = 8 << 20;

/// The disturbed moves, if they run beside something else.
#[derive(Debug, Default)]
pub(super) struct DisturbedMoves(Option<JoinHandle<Report>>);

impl DisturbedMoves {
    /// Begins them before the tier `next`, if that is one beside which they can run, and this machine
    /// has the memory for it.
    pub(super) fn begin_before(&mut self, next: TierName, all: &[TierName]) {
        let is_beside = next.needs_machines() && next != TierName::Faults;
        let is_wanted = is_beside && self.0.is_none() && all.contains(&TierName::Faults);
        if !is_wanted || obstacle(TierName::Faults).is_some() || !has_memory() {
            return;
        }
        terminal::heading("disturbed moves begin, beside the next tier");
        let started = Instant::now();
        // Built before anything else runs: the next build takes the place of these programs.
        match tier::build_faults() {
            Ok(built) => self.0 = Some(thread::spawn(move || run(&built, started))),
            Err(why) => terminal::line(&format!(
                "They were not built; their tier tries again: {why}"
            )),
        }
    }

    /// Waits for what the tier came to, if it is `tier` that runs already.
    pub(super) fn wait(&mut self, tier: TierName) -> Option<Report> {
        if tier != TierName::Faults {
            return None;
        }
        let running = self.0.take()?;
        let lost = || Outcome::failed("the thread that ran them is gone");
        Some(
            running
                .join()
                .unwrap_or_else(|_| finish(tier, lost(), Instant::now())),
        )
    }
}

fn run(built: &Built, started: Instant) -> Report {
    terminal::prefix("faults | ");
    finish(TierName::Faults, tier::run_faults(built), started)
}

/// Tells whether this machine has memory for both tiers at once; where it does not say, it has not.
fn has_memory() -> bool {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    available(&text).is_some_and(|kibibytes| kibibytes >= MEMORY)
}

/// Reads how many kibibytes of memory are available.
///
/// **Source**: `proc_meminfo(5)`, `MemAvailable`.
fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::available;

    #[test]
    fn available_memory_is_read() {
        let text = "MemTotal:       24684032 kB\nMemAvailable:   22361088 kB\n";
        assert_eq!(available(text), Some(22_361_088));
        assert_eq!(available("MemAvailable: much"), None);
        assert_eq!(available(""), None);
    }
}
