//! Text that must not be committed.

use super::Repository;
use super::finding::Finding;
use super::rust_source::without_comment;
use crate::test::PART_OF_ANOTHER_TEST;
use crate::workspace::SourceFile;

/// Where a pattern is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Every text file but lock files.
    Anywhere,
    /// Rust code, comments apart.
    RustCode,
}

/// One pattern. Its two halves are joined when it is used, so that this file does not contain it.
struct Forbidden {
    halves: [&'static str; 2],
    place: Place,
    advice: &'static str,
    /// The directories in which it is right.
    allowed_in: &'static [&'static str],
    /// What makes a line right that has it.
    allowed_with: Option<&'static str>,
}

const REGISTRY: &str = "names a package registry's host; use the one that the machine is set to";
const MACHINE: &str = "names a path of one particular machine";
const UNFINISHED: &str = "is unfinished code";

const fn registry(first: &'static str, second: &'static str) -> Forbidden {
    Forbidden {
        halves: [first, second],
        place: Place::Anywhere,
        advice: REGISTRY,
        allowed_in: &[],
        allowed_with: None,
    }
}

const fn machine(first: &'static str, second: &'static str) -> Forbidden {
    Forbidden {
        halves: [first, second],
        place: Place::Anywhere,
        advice: MACHINE,
        allowed_in: &[],
        allowed_with: None,
    }
}

const fn unfinished(first: &'static str, second: &'static str, advice: &'static str) -> Forbidden {
    Forbidden {
        halves: [first, second],
        place: Place::RustCode,
        advice,
        allowed_in: &[],
        allowed_with: None,
    }
}

const FORBIDDEN: [Forbidden; 20] = [
    registry("deb.deb", "ian.org"),
    registry("ftp.deb", "ian.org"),
    registry("security.deb", "ian.org"),
    registry("snapshot.deb", "ian.org"),
    registry("archive.ubu", "ntu.com"),
    registry("crates", ".io"),
    registry("pypi", ".org"),
    registry("pythonhosted", ".org"),
    registry("npmjs", ".org"),
    registry("npmjs", ".com"),
    registry("proxy.golang", ".org"),
    registry("registry-1.dock", "er.io"),
    machine("/wo", "rk/"),
    // Not all of root's home: nodes have one, too, and their set-up speaks of it.
    machine("/ro", "ot/.cargo"),
    machine("/ro", "ot/.rustup"),
    machine("/ro", "ot/.cache"),
    unfinished("to", "do!(", UNFINISHED),
    unfinished("unimpl", "emented!(", UNFINISHED),
    Forbidden {
        halves: ["#[ign", "ore"],
        place: Place::RustCode,
        advice: "hides a test; let it run, or print `SKIPPED: why` in it",
        // `cargo xtask test pool` runs these where a pool is, with the ignored ones.
        allowed_in: &["crates/zfs/tests/real_pool"],
        allowed_with: Some(PART_OF_ANOTHER_TEST),
    },
    unfinished("dbg", "!(", "is left over from debugging"),
];

pub(super) fn check(repository: &Repository) -> Vec<Finding> {
    repository
        .files
        .iter()
        .filter(|file| !file.has_extension("lock"))
        .flat_map(check_file)
        .collect()
}

fn check_file(file: &SourceFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    for forbidden in &FORBIDDEN {
        let pattern = forbidden.halves.concat();
        let is_allowed = forbidden
            .allowed_in
            .iter()
            .any(|directory| file.path.starts_with(directory));
        if is_allowed || forbidden.place == Place::RustCode && !file.has_extension("rs") {
            continue;
        }
        for (index, line) in file.text.lines().enumerate() {
            let searched = match forbidden.place {
                Place::Anywhere => line,
                Place::RustCode => without_comment(line),
            };
            let is_allowed = forbidden
                .allowed_with
                .is_some_and(|reason| line.contains(reason));
            if contains(searched, &pattern) && !is_allowed {
                let message = format!("`{pattern}` {}", forbidden.advice);
                findings.push(Finding::new(&file.path, index + 1, message));
            }
        }
    }
    findings
}

/// Whether the pattern occurs as a word of its own: `/frame/…` is not `/me/…`.
fn contains(line: &str, pattern: &str) -> bool {
    line.match_indices(pattern).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        !before.is_some_and(|letter| letter.is_alphanumeric() || letter == '_')
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{FORBIDDEN, check_file};
    use crate::workspace::SourceFile;

    fn found(path: &str, text: &str) -> usize {
        check_file(&SourceFile {
            path: PathBuf::from(path),
            text: text.to_owned(),
        })
        .len()
    }

    #[test]
    fn every_pattern_is_found_in_rust_code() {
        for forbidden in &FORBIDDEN {
            let text = format!("let x = 1;\n    {}\n", forbidden.halves.concat());
            assert_eq!(found("a.rs", &text), 1, "{text}");
        }
    }

    #[test]
    fn comments_and_other_files_may_speak_of_unfinished_code() {
        let macro_call = ["to", "do!()"].concat();
        assert_eq!(found("a.rs", &format!("// no {macro_call}\n")), 0);
        assert_eq!(found("a.md", &format!("no {macro_call}\n")), 0);
    }

    #[test]
    fn the_part_of_a_test_that_it_starts_itself_is_no_hidden_test() {
        let attribute = ["#[ign", "ore = \"a part of another test\"]"].concat();
        assert_eq!(found("a.rs", &attribute), 0);
        assert_eq!(found("a.rs", &["#[ign", "ore = \"slow\"]"].concat()), 1);
    }

    #[test]
    fn longer_words_pass() {
        assert_eq!(found("a.sh", &["frame/wo", "rk/x"].concat()), 0);
        assert_eq!(found("a.sh", &["cd /wo", "rk/x"].concat()), 1);
    }
}
