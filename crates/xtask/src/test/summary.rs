//! The last lines of a run.

use std::time::Duration;

use super::outcome::{Count, Outcome};
use super::tier::TierName;

/// What one tier came to.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) tier: TierName,
    pub(super) outcome: Outcome,
    pub(super) duration: Duration,
}

/// Whether a skipped test is a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Strictness {
    /// People may lack what a tier needs.
    SkipsAreAllowed,
    /// Continuous integration must run everything.
    SkipsAreFailures,
}

impl Strictness {
    /// Continuous integration sets `CI=true`.
    pub(super) fn observe() -> Self {
        match std::env::var("CI").as_deref() {
            Ok("true" | "1") => Self::SkipsAreFailures,
            _ => Self::SkipsAreAllowed,
        }
    }
}

fn total(reports: &[Report]) -> Count {
    reports
        .iter()
        .map(|report| report.outcome.count)
        .fold(Count::default(), Count::plus)
}

/// How many tests were skipped that have to run where everything must.
fn skipped_without_leave(reports: &[Report]) -> u64 {
    let may_be_skipped = reports.iter().map(|report| report.outcome.may_be_skipped);
    total(reports).skipped.saturating_sub(may_be_skipped.sum())
}

/// Whether the run as a whole failed: also when there was nothing to run.
pub(super) fn is_failure(reports: &[Report], strictness: Strictness) -> bool {
    let total = total(reports);
    let skips_fail =
        strictness == Strictness::SkipsAreFailures && skipped_without_leave(reports) > 0;
    total.failed > 0 || skips_fail || total.passed == 0 && total.skipped == 0
}

/// The table, the notes, and last the line that programs read.
pub(super) fn render(reports: &[Report], strictness: Strictness) -> Vec<String> {
    let mut lines = vec![format!("{:<12} {:<46} {:>8}", "tier", "result", "seconds")];
    for report in reports {
        lines.push(format!(
            "{:<12} {:<46} {:>8.1}",
            report.tier,
            render_result(&report.outcome),
            report.duration.as_secs_f64()
        ));
    }
    for report in reports {
        for note in &report.outcome.notes {
            lines.push(format!("!!! {}: {note}", report.tier));
        }
    }
    let total = total(reports);
    if strictness == Strictness::SkipsAreFailures {
        if skipped_without_leave(reports) > 0 {
            lines.push("!!! CI=true: what is skipped here counts as a failure".to_owned());
        } else if total.skipped > 0 {
            lines.push("!!! CI=true: what is skipped here may be, and nothing else".to_owned());
        }
    }
    lines.push(format!(
        "{} passed, {} failed, {} skipped",
        total.passed, total.failed, total.skipped
    ));
    lines
}

fn render_result(outcome: &Outcome) -> String {
    let Count {
        passed,
        failed,
        skipped,
    } = outcome.count;
    let count = match (failed, skipped, passed) {
        (1.., _, _) => format!("FAILED: {failed} of {}", passed + failed + skipped),
        (0, 1.., 0) => "SKIPPED".to_owned(),
        (0, 1.., _) => format!("{passed} passed, {skipped} SKIPPED"),
        (0, 0, _) => format!("{passed} passed"),
    };
    match &outcome.remark {
        Some(remark) => format!("{count}, {remark}"),
        None => count,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Report, Strictness, is_failure, render};
    use crate::test::outcome::{Count, Outcome};
    use crate::test::tier::TierName;

    fn report(tier: TierName, outcome: Outcome) -> Report {
        Report {
            tier,
            outcome,
            duration: Duration::from_millis(1250),
        }
    }

    fn passed() -> Report {
        report(TierName::Format, Outcome::of(Count::one_passed()))
    }

    #[test]
    fn skips_fail_only_where_everything_must_run() {
        let reports = [passed(), report(TierName::Vm, Outcome::skipped("no QEMU"))];
        assert!(!is_failure(&reports, Strictness::SkipsAreAllowed));
        assert!(is_failure(&reports, Strictness::SkipsAreFailures));
    }

    #[test]
    fn one_skip_may_be_and_no_other_with_it() {
        let allowed =
            Outcome::of(Count::one_passed()).and(Outcome::skipped_with_leave("no tree of nixpkgs"));
        let mut reports = vec![report(TierName::Nix, allowed)];
        assert!(!is_failure(&reports, Strictness::SkipsAreFailures));
        let lines = render(&reports, Strictness::SkipsAreFailures);
        assert_eq!(
            lines[1..],
            [
                "nix          1 passed, 1 SKIPPED                                 1.2",
                "!!! nix: SKIPPED: no tree of nixpkgs",
                "!!! CI=true: what is skipped here may be, and nothing else",
                "1 passed, 0 failed, 1 skipped",
            ]
        );
        reports.push(report(TierName::Vm, Outcome::skipped("no QEMU")));
        assert!(is_failure(&reports, Strictness::SkipsAreFailures));
    }

    #[test]
    fn nothing_run_is_a_failure() {
        assert!(is_failure(&[], Strictness::SkipsAreAllowed));
        assert!(!is_failure(&[passed()], Strictness::SkipsAreFailures));
    }

    #[test]
    fn ends_with_the_count() {
        let mut model = Outcome::of(Count::one_passed());
        model.remark = Some("100000 interrupted plans in 61.2 s".to_owned());
        let reports = [
            passed(),
            report(TierName::Model, model),
            report(TierName::Clippy, Outcome::failed("broken")),
            report(TierName::Vm, Outcome::skipped("no QEMU")),
        ];
        let lines = render(&reports, Strictness::SkipsAreFailures);
        assert_eq!(
            lines,
            [
                "tier         result                                          seconds",
                "format       1 passed                                            1.2",
                "model        1 passed, 100000 interrupted plans in 61.2 s        1.2",
                "clippy       FAILED: 1 of 1                                      1.2",
                "vm           SKIPPED                                             1.2",
                "!!! clippy: broken",
                "!!! vm: SKIPPED: no QEMU",
                "!!! CI=true: what is skipped here counts as a failure",
                "2 passed, 1 failed, 1 skipped",
            ]
        );
    }
}
