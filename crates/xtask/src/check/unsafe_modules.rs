//! `unsafe` stays in the few files that ARCHITECTURE.md lists.

use std::collections::BTreeMap;
use std::path::Path;

use super::Repository;
use super::finding::Finding;
use super::rust_source::without_comment;
use crate::markdown;
use crate::workspace::SourceFile;

const DOCUMENT: &str = "ARCHITECTURE.md";
const HEADING: &str = "Unsafe modules";

/// The keyword, in two halves so that this file does not contain it as code.
const KEYWORD: [&str; 2] = ["un", "safe"];

pub(super) fn check(repository: &Repository) -> Vec<Finding> {
    let rows = markdown::parse_table(repository.text(DOCUMENT), HEADING).unwrap_or_default();
    let listed: BTreeMap<String, usize> = rows.iter().map(|row| (row.plain(0), row.line)).collect();
    let mut findings = Vec::new();
    for row in &rows {
        let path = row.plain(0);
        let used = repository.files.iter().any(|file| {
            file.path.as_os_str() == path.as_str() && !keyword_lines(&file.text).is_empty()
        });
        if !used {
            let message = format!("`{path}` has no unsafe code; remove the row");
            findings.push(Finding::new(DOCUMENT, row.line, message));
        }
        if row.plain(1).is_empty() {
            let message = format!("say why `{path}` needs unsafe code");
            findings.push(Finding::new(DOCUMENT, row.line, message));
        }
    }
    let rust_files = repository
        .files
        .iter()
        .filter(|file| file.has_extension("rs"));
    findings.extend(
        rust_files.filter_map(|file| {
            check_file(file, |path| listed.contains_key(&*path.to_string_lossy()))
        }),
    );
    findings
}

fn check_file(file: &SourceFile, is_listed: impl Fn(&Path) -> bool) -> Option<Finding> {
    if is_listed(&file.path) {
        return None;
    }
    let lines = keyword_lines(&file.text);
    let message = format!(
        "unsafe code in {} places, outside the modules that {DOCUMENT} lists for it",
        lines.len()
    );
    lines
        .first()
        .map(|line| Finding::new(&file.path, *line, message))
}

/// The one-based lines with an `unsafe` block, function or trait in them.
fn keyword_lines(text: &str) -> Vec<usize> {
    let keyword = KEYWORD.concat();
    let starts = ["{", "fn", "impl", "extern", "trait"];
    text.lines()
        .enumerate()
        .filter(|(_, line)| {
            let mut words = without_comment(line)
                .split(|letter: char| letter.is_whitespace() || letter == '(')
                .peekable();
            while let Some(word) = words.next() {
                let next = words.peek().copied().unwrap_or("{");
                if word == keyword && starts.iter().any(|start| next.starts_with(start)) {
                    return true;
                }
            }
            false
        })
        .map(|(index, _)| index + 1)
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{KEYWORD, check_file, keyword_lines};
    use crate::workspace::SourceFile;

    #[test]
    fn finds_code_and_not_words() {
        let keyword = KEYWORD.concat();
        let text = format!(
            "let x = {keyword} {{ f() }};\n// {keyword} {{\n{keyword}_code\n{keyword} fn g() {{}}\n\
             let s = \"it is {keyword} to do so\";\n"
        );
        assert_eq!(keyword_lines(&text), [1, 4]);
    }

    #[test]
    fn listed_files_may_have_it() {
        let file = SourceFile {
            path: PathBuf::from("a.rs"),
            text: format!("{} {{ f() }}\n", KEYWORD.concat()),
        };
        assert_eq!(check_file(&file, |_| true), None);
        assert!(check_file(&file, |_| false).is_some());
    }
}
