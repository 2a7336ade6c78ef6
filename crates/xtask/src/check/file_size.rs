//! Files stay short enough to be read in one sitting.

use super::Repository;
use super::finding::Finding;
use super::rust_source::{inline_test_modules, is_production};
use crate::markdown;

const DOCUMENT: &str = "ARCHITECTURE.md";
const HEADING: &str = "Size exceptions";

/// Lines of production code in one file.
const MAXIMUM_LINES: usize = 400;
/// Lines of unit tests below the code they test; longer ones get a file of their own.
const MAXIMUM_INLINE_TESTS: usize = 150;

/// A file that is longer than it should be, and how long it is.
struct Exception {
    path: String,
    lines: usize,
    row: usize,
}

pub(super) fn check(repository: &Repository) -> Vec<Finding> {
    let exceptions = parse_exceptions(repository.text(DOCUMENT));
    let mut findings = Vec::new();
    let production: Vec<_> = repository
        .files
        .iter()
        .filter(|file| is_production(file))
        .collect();
    for file in &production {
        let path = file.path.to_string_lossy();
        let exception = exceptions.iter().find(|exception| exception.path == path);
        findings.extend(check_file(&path, &file.text, exception));
    }
    for exception in &exceptions {
        if !production
            .iter()
            .any(|file| file.path.as_os_str() == exception.path.as_str())
        {
            let message = format!("`{}` does not exist; remove the row", exception.path);
            findings.push(Finding::new(DOCUMENT, exception.row, message));
        }
    }
    findings
}

fn parse_exceptions(document: &str) -> Vec<Exception> {
    markdown::parse_table(document, HEADING)
        .unwrap_or_default()
        .iter()
        .map(|row| Exception {
            path: row.plain(0),
            lines: row.plain(1).parse().unwrap_or(0),
            row: row.line,
        })
        .collect()
}

fn check_file(path: &str, text: &str, exception: Option<&Exception>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut production_lines = text.lines().count();
    for (first, last) in inline_test_modules(text) {
        let length = last - first + 1;
        production_lines -= length;
        if length > MAXIMUM_INLINE_TESTS {
            let message = format!(
                "{length} lines of tests; above {MAXIMUM_INLINE_TESTS} they go to a file of their \
                 own (`…/tests.rs`)"
            );
            findings.push(Finding::new(path, first, message));
        }
    }
    match exception {
        None if production_lines > MAXIMUM_LINES => {
            let message = format!(
                "{production_lines} lines of production code; divide the file so that each part \
                 has at most {MAXIMUM_LINES}"
            );
            findings.push(Finding::new(path, MAXIMUM_LINES + 1, message));
        }
        Some(known) if production_lines > known.lines => {
            let message = format!(
                "{production_lines} lines of production code; its exception in {DOCUMENT} allows \
                 {} and may only shrink",
                known.lines
            );
            findings.push(Finding::new(path, known.lines + 1, message));
        }
        Some(known) if production_lines <= MAXIMUM_LINES => {
            let message = format!("`{path}` needs no exception any more; remove the row");
            findings.push(Finding::new(DOCUMENT, known.row, message));
        }
        Some(known) if production_lines < known.lines => {
            let message =
                format!("`{path}` has shrunk to {production_lines} lines; lower the number");
            findings.push(Finding::new(DOCUMENT, known.row, message));
        }
        _ => {}
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::{Exception, check_file};

    fn lines(count: usize) -> String {
        "let x = 1;\n".repeat(count)
    }

    fn found(text: &str, allowed: Option<usize>) -> Vec<String> {
        let exception = allowed.map(|lines| Exception {
            path: "a.rs".to_owned(),
            lines,
            row: 9,
        });
        check_file("a.rs", text, exception.as_ref())
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn tests_do_not_count_as_production_lines_but_have_their_own_limit() {
        let tests = |count| format!("#[cfg(test)]\nmod tests {{\n{}}}\n", lines(count));
        assert!(found(&(lines(400) + &tests(100)), None).is_empty());
        assert_eq!(found(&(lines(401) + &tests(100)), None).len(), 1);
        assert_eq!(found(&(lines(10) + &tests(200)), None).len(), 1);
    }

    #[test]
    fn exceptions_only_shrink() {
        assert!(found(&lines(500), Some(500)).is_empty());
        assert!(found(&lines(501), Some(500))[0].contains("may only shrink"));
        assert!(found(&lines(499), Some(500))[0].contains("lower the number"));
        assert!(found(&lines(400), Some(500))[0].contains("no exception any more"));
    }
}
