use super::{Count, Outcome};

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

const fn count(passed: u64, failed: u64, skipped: u64) -> Count {
    Count {
        passed,
        failed,
        skipped,
    }
}

const TWO_FILES: &str = "\
running 3 tests
test a ... ok
test b ... ok
test c ... FAILED

successes:

---- b stdout ----
SKIPPED: no dockerd here
SKIPPED: said twice

successes:
    a
    b

failures:

---- c stdout ----
SKIPPED: not really
thread panicked

failures:
    c

test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 4 filtered out; finished in 0.1s

running 4 tests
test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.1s
";

#[test]
fn adds_up_results_and_takes_out_the_skipped() {
    let outcome = Outcome::of_tests(&lines(TWO_FILES), false);
    assert_eq!(outcome.count, count(4, 1, 2));
    assert_eq!(
        outcome.notes,
        ["test c ... FAILED", "SKIPPED: no dockerd here (b)"]
    );
}

#[test]
fn a_part_of_another_test_is_not_a_skipped_test() {
    let text = "test a ... ignored, a part of another test\ntest b ... ignored, slow\n\
                test result: ok. 1 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out";
    assert_eq!(Outcome::of_tests(&lines(text), true).count, count(1, 0, 1));
}

#[test]
fn a_failure_without_a_failed_test_is_a_failure() {
    let outcome = Outcome::of_tests(&lines("error: could not compile"), false);
    assert_eq!(outcome.count, count(0, 1, 0));
}

#[test]
fn no_tests_at_all_is_a_failure() {
    let text = "test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 9 filtered out";
    let outcome = Outcome::of_tests(&lines(text), true).require_tests();
    assert_eq!(outcome.count, count(0, 1, 0));
    assert_eq!(outcome.notes, ["no test ran"]);
}

#[test]
fn too_few_cases_are_a_failure() {
    let passed = || Outcome::of(Count::one_passed());
    let run = |text: &str| passed().require_cases(&lines(text), "interrupted plans", 20);
    assert_eq!(
        run("I2: 15 interrupted plans\nI3: 6 interrupted plans").count,
        count(1, 0, 0)
    );
    assert_eq!(run("I2: 15 interrupted plans").count, count(1, 1, 0));
    assert_eq!(run("interrupted plans").count, count(1, 1, 0));
    let timed = run("in 61.25 s, 2 cases had 20 interrupted plans").and(passed());
    assert_eq!(
        timed.remark.as_deref(),
        Some("20 interrupted plans in 61.2 s")
    );
}

#[test]
fn a_program_must_count_its_tests() {
    let good = lines("SKIPPED: no KVM\n3 passed, 0 failed, 1 skipped\nbye");
    let outcome = Outcome::of_program(&good, true);
    assert_eq!(outcome.count, count(3, 0, 1));
    assert_eq!(outcome.notes, ["SKIPPED: no KVM"]);
    assert_eq!(Outcome::of_program(&good, false).count.failed, 1);
    assert_eq!(
        Outcome::of_program(&lines("all well"), true).count.failed,
        1
    );
    let none = lines("0 passed, 0 failed, 0 skipped");
    assert_eq!(Outcome::of_program(&none, true).count.failed, 1);
}
