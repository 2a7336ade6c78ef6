//! Each invariant of ARCHITECTURE.md names tests, and those tests exist.

use std::collections::BTreeSet;

use super::Repository;
use super::finding::Finding;
use crate::markdown::{self, Row};

const DOCUMENT: &str = "ARCHITECTURE.md";
const HEADING: &str = "Invariants";
const INVARIANTS: [&str; 6] = ["I1", "I2", "I3", "I4", "I5", "I6"];

pub(super) fn check(repository: &Repository) -> Vec<Finding> {
    let rows = markdown::parse_table(repository.text(DOCUMENT), HEADING).unwrap_or_default();
    let functions = repository
        .files
        .iter()
        .filter(|file| file.has_extension("rs"))
        .flat_map(|file| file.text.lines().filter_map(function_name))
        .collect();
    compare(&rows, &functions)
}

/// The name of the function that a line declares.
fn function_name(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace();
    words
        .find(|word| !["pub", "pub(crate)", "pub(super)", "async", "const"].contains(word))
        .filter(|word| *word == "fn")?;
    let end = |name: &str| name.find(|letter: char| !letter.is_alphanumeric() && letter != '_');
    words
        .next()
        .map(|name| &name[..end(name).unwrap_or(name.len())])
}

fn compare(rows: &[Row], functions: &BTreeSet<&str>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for invariant in INVARIANTS {
        if !rows.iter().any(|row| row.plain(0) == invariant) {
            let message = format!("the table below `{HEADING}` lacks {invariant}");
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
            if !functions.contains(name) {
                let message = format!("{invariant} names the test `{test}`, which does not exist");
                findings.push(Finding::new(DOCUMENT, row.line, message));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{compare, function_name};
    use crate::markdown::parse_table;

    #[test]
    fn finds_declared_functions_only() {
        assert_eq!(function_name("    async fn moves(a: u8) {"), Some("moves"));
        assert_eq!(function_name("pub(crate) const fn x<T>()"), Some("x"));
        assert_eq!(function_name("    let x = fn_pointer;"), None);
        assert_eq!(function_name("// fn gone()"), None);
        assert_eq!(function_name(""), None);
    }

    #[test]
    fn invariants_need_tests_that_exist() {
        let document = "## Invariants\n| | promise | tests |\n|-|-|-|\n| I1 | a | `net::kept` |\n\
                        | I2 | b | `gone` |\n| I3 | c | |\n| I4 | d | `kept` |\n| I5 | e | `kept` |\n";
        let rows = parse_table(document, "Invariants").unwrap();
        let found: Vec<String> = compare(&rows, &BTreeSet::from(["kept"]))
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            found,
            [
                "ARCHITECTURE.md:1: the table below `Invariants` lacks I6",
                "ARCHITECTURE.md:5: I2 names the test `gone`, which does not exist",
                "ARCHITECTURE.md:6: I3 names no test",
            ]
        );
    }
}
