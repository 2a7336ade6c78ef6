//! What came out of a tier, counted from what the programs printed.

/// How many tests there were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) passed: u64,
    pub(super) failed: u64,
    pub(super) skipped: u64,
}

impl Count {
    pub(super) const fn one_passed() -> Self {
        Self {
            passed: 1,
            failed: 0,
            skipped: 0,
        }
    }

    /// The sum of two counts.
    pub(super) const fn plus(self, other: Self) -> Self {
        Self {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
            skipped: self.skipped + other.skipped,
        }
    }

    const fn is_zero(self) -> bool {
        self.passed + self.failed + self.skipped == 0
    }
}

/// What came out of a tier.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) count: Count,
    /// What must not be missed: why something failed or was skipped.
    pub(super) notes: Vec<String>,
    /// How many of the skipped tests continuous integration may skip as well.
    pub(super) may_be_skipped: u64,
    /// What is worth to be seen beside the count.
    pub(super) remark: Option<String>,
}

impl Outcome {
    pub(super) const fn of(count: Count) -> Self {
        Self {
            count,
            notes: Vec::new(),
            may_be_skipped: 0,
            remark: None,
        }
    }

    /// The tier failed as a whole.
    pub(super) fn failed(why: impl Into<String>) -> Self {
        Self::default().with_failure(why)
    }

    /// The tier cannot run here.
    pub(super) fn skipped(why: impl Into<String>) -> Self {
        let count = Count {
            skipped: 1,
            ..Count::default()
        };
        Self {
            count,
            notes: vec![format!("{SKIPPED} {}", why.into())],
            may_be_skipped: 0,
            remark: None,
        }
    }

    /// A part cannot run here, for want of something that nobody is expected to have. This is the
    /// only skip that is not a failure in continuous integration.
    pub(super) fn skipped_with_leave(why: impl Into<String>) -> Self {
        let skipped = Self::skipped(why);
        Self {
            may_be_skipped: skipped.count.skipped,
            ..skipped
        }
    }

    /// What `cargo test … -- --show-output` printed.
    pub(super) fn of_tests(lines: &[String], succeeded: bool) -> Self {
        let mut outcome = Self::of(parse_results(lines));
        let failed = lines.iter().filter(|line| line.ends_with(" ... FAILED"));
        outcome.notes.extend(failed.cloned());
        let parts = lines.iter().filter(|line| is_part_of_another_test(line));
        outcome.count.skipped = outcome.count.skipped.saturating_sub(parts.count() as u64);
        for why in parse_skips(lines) {
            // A test that skips itself is a passed test to its harness.
            outcome.count.passed = outcome.count.passed.saturating_sub(1);
            outcome.count.skipped += 1;
            outcome.notes.push(why);
        }
        outcome.require_success(succeeded)
    }

    /// What a program printed that counts its own tests.
    pub(super) fn of_program(lines: &[String], succeeded: bool) -> Self {
        let Some(count) = lines.iter().rev().find_map(|line| parse_count(line)) else {
            return Self::failed("ended without a line `N passed, N failed, N skipped`");
        };
        let mut outcome = Self::of(count);
        let skips = lines.iter().filter(|line| line.starts_with(SKIPPED));
        outcome.notes.extend(skips.cloned());
        outcome.require_success(succeeded).require_tests()
    }

    /// Both of two parts of a tier.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.count = self.count.plus(other.count);
        self.notes.extend(other.notes);
        self.may_be_skipped += other.may_be_skipped;
        self.remark = self.remark.or(other.remark);
        self
    }

    /// A tier in which nothing ran shows nothing.
    pub(super) fn require_tests(self) -> Self {
        if self.count.is_zero() {
            return self.with_failure("no test ran");
        }
        self
    }

    /// A property test that ran too few cases shows too little. How long they took is remarked, where
    /// it says so: that depends on the machine, and is for people to judge.
    pub(super) fn require_cases(mut self, lines: &[String], words: &str, minimum: u64) -> Self {
        let cases = lines
            .iter()
            .filter_map(|line| parse_cases(line, words))
            .sum::<u64>();
        if cases < minimum {
            return self.with_failure(format!(
                "{cases} {words} reported, {minimum} needed; the test prints a line `… NUMBER \
                 {words}` for what it ran"
            ));
        }
        let seconds = lines
            .iter()
            .filter(|line| parse_cases(line, words).is_some());
        let seconds: Option<f64> = seconds.map(|line| parse_seconds(line)).sum();
        self.remark = seconds.map(|seconds| format!("{cases} {words} in {seconds:.1} s"));
        self
    }

    /// A program may fail without a failed test: it did not compile, or it was killed.
    fn require_success(self, succeeded: bool) -> Self {
        if succeeded || self.count.failed > 0 {
            return self;
        }
        self.with_failure("the program failed, though no test of it did; see its output above")
    }

    fn with_failure(mut self, why: impl Into<String>) -> Self {
        self.count.failed += 1;
        self.notes.push(why.into());
        self
    }
}

const SKIPPED: &str = "SKIPPED:";

/// The reason for which libtest ignores what is no test: a process that a test starts.
pub(crate) const PART_OF_ANOTHER_TEST: &str = "a part of another test";

/// Adds up libtest's lines `test result: ok. 2 passed; 0 failed; 1 ignored; …`.
fn parse_results(lines: &[String]) -> Count {
    lines
        .iter()
        .filter_map(|line| line.strip_prefix("test result: "))
        .map(|result| {
            let number = |word: &str| {
                let mut parts = result.split(['.', ';']).map(str::trim);
                let found = parts.find_map(|part| part.strip_suffix(word)?.trim().parse().ok());
                found.unwrap_or(0)
            };
            Count {
                passed: number("passed"),
                failed: number("failed"),
                skipped: number("ignored"),
            }
        })
        .fold(Count::default(), Count::plus)
}

fn is_part_of_another_test(line: &str) -> bool {
    line.starts_with("test ") && line.ends_with(&format!(" ... ignored, {PART_OF_ANOTHER_TEST}"))
}

/// The reasons that passed tests gave for skipping themselves, at most one for each test.
fn parse_skips(lines: &[String]) -> Vec<String> {
    let mut skips = Vec::new();
    // The test whose output is being read; `None` outside of any, where each line stands for
    // itself.
    let mut test: Option<&str> = None;
    let mut is_counted = false;
    for line in lines {
        if let Some(name) = section_name(line) {
            test = Some(name);
            // A failed test is counted as that, whatever it printed before.
            is_counted = is_failed(lines, name);
        } else if line.starts_with("test result: ") || line == "successes:" {
            test = None;
        } else if line.starts_with(SKIPPED) {
            match test {
                None => skips.push(line.clone()),
                Some(name) if !is_counted => {
                    skips.push(format!("{line} ({name})"));
                    is_counted = true;
                }
                Some(_) => {}
            }
        }
    }
    skips
}

fn is_failed(lines: &[String], test: &str) -> bool {
    let failed = format!("test {test} ... FAILED");
    lines.contains(&failed)
}

fn section_name(line: &str) -> Option<&str> {
    line.strip_prefix("---- ")?
        .strip_suffix(" ----")?
        .strip_suffix(" stdout")
}

/// Reads a line `N passed, N failed, N skipped`.
fn parse_count(line: &str) -> Option<Count> {
    let mut parts = line.trim().split(", ");
    let mut number = |word: &str| parts.next()?.strip_suffix(word)?.trim_end().parse().ok();
    let count = Count {
        passed: number("passed")?,
        failed: number("failed")?,
        skipped: number("skipped")?,
    };
    parts.next().is_none().then_some(count)
}

/// Reads the number before `words` at the end of a line.
fn parse_cases(line: &str, words: &str) -> Option<u64> {
    let before = line.trim_end().strip_suffix(words)?.trim_end();
    before.split_whitespace().next_back()?.parse().ok()
}

/// Reads how long the cases of a line `in SECONDS s, … NUMBER WORDS` took.
fn parse_seconds(line: &str) -> Option<f64> {
    let (seconds, _) = line.strip_prefix("in ")?.split_once(" s, ")?;
    seconds.parse().ok()
}

#[cfg(test)]
mod tests;
