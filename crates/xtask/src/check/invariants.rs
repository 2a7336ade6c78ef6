//! Each invariant of ARCHITECTURE.md, and each attack, names tests, and those tests exist and are run.

use std::collections::BTreeSet;

use super::Repository;
use super::finding::Finding;
use super::test_names::test_names;
use crate::markdown::{self, Row};

const DOCUMENT: &str = "ARCHITECTURE.md";

/// A table whose last column names tests, and the rows that it must have.
struct Promises {
    heading: &'static str,
    rows: &'static [&'static str],
}

const INVARIANTS: Promises = Promises {
    heading: "Invariants",
    rows: &["I1", "I2", "I3", "I4", "I5", "I6"],
};
const ATTACKS: Promises = Promises {
    heading: "What an attacker may try",
    rows: &["A1", "A2", "A3", "A4", "A5", "A6", "A7"],
};

pub(super) fn check(repository: &Repository) -> Vec<Finding> {
    let existing = repository
        .files
        .iter()
        .filter(|file| file.has_extension("rs"))
        .flat_map(|file| test_names(&file.text))
        .collect();
    let findings = |promises: &Promises| {
        let rows = markdown::parse_table(repository.text(DOCUMENT), promises.heading);
        compare(promises, &rows.unwrap_or_default(), &existing)
    };
    [findings(&INVARIANTS), findings(&ATTACKS)].concat()
}

fn compare(promises: &Promises, rows: &[Row], existing: &BTreeSet<&str>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for promise in promises.rows {
        if !rows.iter().any(|row| row.plain(0) == *promise) {
            let message = format!("the table below `{}` lacks {promise}", promises.heading);
            findings.push(Finding::new(DOCUMENT, 1, message));
        }
    }
    for row in rows {
        let invariant = row.plain(0);
        let tests = row.code_words(2);
        if tests.is_empty() {
            let message = format!("{invariant} names no test");
            findings.push(Finding::new(DOCUMENT, row.line, message));
        }
        for test in tests {
            // A test may be named with its crate and modules.
            let name = test.rsplit("::").next().unwrap_or(&test);
            if !existing.contains(name) {
                let message = format!(
                    "{invariant} names the test `{test}`, and no test that runs is called so"
                );
                findings.push(Finding::new(DOCUMENT, row.line, message));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{INVARIANTS, compare};
    use crate::markdown::parse_table;

    #[test]
    fn invariants_need_tests_that_exist() {
        let document = "## Invariants\n| | promise | tests |\n|-|-|-|\n| I1 | a | `net::kept` |\n\
                        | I2 | b | `gone` |\n| I3 | c | |\n| I4 | d | `kept` |\n| I5 | e | `kept` |\n";
        let rows = parse_table(document, "Invariants").unwrap();
        let found: Vec<String> = compare(&INVARIANTS, &rows, &BTreeSet::from(["kept"]))
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            found,
            [
                "ARCHITECTURE.md:1: the table below `Invariants` lacks I6",
                "ARCHITECTURE.md:5: I2 names the test `gone`, and no test that runs is called so",
                "ARCHITECTURE.md:6: I3 names no test",
            ]
        );
    }
}
