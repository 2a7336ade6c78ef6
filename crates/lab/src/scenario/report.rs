//! What a scenario found, as it finds it: one line for each assertion.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io::Write;
use std::time::Instant;

use super::failure::Failure;
use super::site::Site;
use crate::progress::Progress;

/// How many lines of each command's answer are shown of a node after a failure.
const DIAGNOSIS_LINES: usize = 30;

/// What is asked of each node after a failure.
const DIAGNOSIS: [&str; 6] = [
    "docker ps --all --format 'table {{.Names}}\\t{{.Status}}\\t{{.Image}}'",
    "systemctl list-units --all --plain --no-legend 'flocker*'",
    "flocker-node observe",
    "nft list table ip flocker | grep -B 1 -A 3 'elements\\|digest'",
    "journalctl --no-pager --lines 25 --output short-monotonic --unit 'flocker*'",
    "zfs list -r -o name,used,mounted,mountpoint; df -h / | tail -1; free -m | head -2",
];

/// How many assertions held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// They hold.
    pub passed: u32,
    /// They do not.
    pub failed: u32,
    /// They were not tried.
    pub skipped: u32,
}

impl fmt::Display for Counts {
    /// The line that `cargo xtask test` reads.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            passed,
            failed,
            skipped,
        } = self;
        write!(
            formatter,
            "{passed} passed, {failed} failed, {skipped} skipped"
        )
    }
}

/// An assertion failed, so that what depends on it makes no sense.
#[derive(Debug)]
pub(super) struct Stopped;

/// Counts assertions and says what came of them.
#[derive(Debug, Default)]
pub struct Report {
    counts: Cell<Counts>,
    failures: RefCell<Vec<String>>,
}

impl Report {
    /// Tries an assertion. When it fails, tells how the site's nodes are.
    pub(super) async fn check<T>(
        &self,
        site: &Site,
        name: &str,
        assertion: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Stopped> {
        let began = Instant::now();
        let step = Progress::on_stderr().step(name);
        let outcome = assertion.await;
        drop(step);
        let seconds = began.elapsed().as_secs_f32();
        let mut counts = self.counts.get();
        match outcome {
            Ok(found) => {
                counts.passed += 1;
                self.counts.set(counts);
                say(&format!("ok {name} ({seconds:.1} s)"));
                Ok(found)
            }
            Err(failure) => {
                counts.failed += 1;
                self.counts.set(counts);
                let line = format!("FAILED {name}: {failure} ({seconds:.1} s)");
                say(&line);
                self.failures.borrow_mut().push(line);
                diagnose(site).await;
                Err(Stopped)
            }
        }
    }

    /// Notes a part of the scenario that makes no sense after what failed.
    pub(super) fn skip(&self, name: &str) {
        let mut counts = self.counts.get();
        counts.skipped += 1;
        self.counts.set(counts);
        say(&format!("skipped {name}: what it builds on failed"));
    }

    /// Says everything that failed once more, and the line with the numbers.
    pub fn finish(&self) -> Counts {
        say("");
        for failure in self.failures.borrow().iter() {
            say(failure);
        }
        let counts = self.counts.get();
        say(&counts.to_string());
        counts
    }
}

async fn diagnose(site: &Site) {
    for (node, address) in site.addresses().into_iter().enumerate() {
        for command in DIAGNOSIS {
            say(&format!("--- {address}: {command}"));
            match site.run(node, command).await {
                Ok(output) => {
                    let text = output.stdout + &output.stderr;
                    let lines: Vec<&str> = text.lines().collect();
                    let left_out = lines.len().saturating_sub(DIAGNOSIS_LINES);
                    if left_out > 0 {
                        say(&format!("    ({left_out} lines before)"));
                    }
                    for line in &lines[left_out..] {
                        say(&format!("    {line}"));
                    }
                }
                Err(error) => {
                    say(&format!("    {error}"));
                    break;
                }
            }
        }
    }
}

/// Begins a part of a scenario.
pub(super) fn heading(text: &str) {
    say(&format!("\n== {text}"));
}

/// The scenarios' mouth. Nobody can be told that standard output is closed.
pub(super) fn say(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_is_the_one_that_xtask_reads() {
        let counts = Counts {
            passed: 3,
            failed: 1,
            skipped: 2,
        };
        assert_eq!(counts.to_string(), "3 passed, 1 failed, 2 skipped");
    }
}
