//! Just enough understanding of Rust source text for the checks.

use std::path::Path;

use crate::workspace::SourceFile;

/// Whether a file is compiled into something that users run.
pub(super) fn is_production(file: &SourceFile) -> bool {
    let in_source = file
        .path
        .components()
        .any(|component| component.as_os_str() == "src");
    file.has_extension("rs") && in_source && !is_test_path(&file.path)
}

fn is_test_path(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "tests.rs")
        || path
            .components()
            .any(|component| component.as_os_str() == "tests")
}

/// The one-based first and last line of each `#[cfg(test)] mod … { … }` at the left margin.
///
/// rustfmt puts the closing brace of such a module at the left margin, so no parser is needed.
pub(super) fn inline_test_modules(text: &str) -> Vec<(usize, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut modules = Vec::new();
    let mut index = 0;
    while index < lines.len() {
        let opens = lines[index] == "#[cfg(test)]"
            && lines[index + 1..]
                .iter()
                .find(|line| !line.starts_with("#["))
                .is_some_and(|line| line.contains("mod ") && line.ends_with('{'));
        if opens {
            let length = lines[index..]
                .iter()
                .position(|line| *line == "}")
                .unwrap_or(lines.len() - index - 1);
            modules.push((index + 1, index + length + 1));
            index += length;
        }
        index += 1;
    }
    modules
}

/// The part of a line before its comment, roughly: a `//` inside a string ends it, too.
pub(super) fn without_comment(line: &str) -> &str {
    line.split("//").next().unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{inline_test_modules, is_production};
    use crate::workspace::SourceFile;

    #[test]
    fn finds_test_modules_and_their_ends() {
        let text = "fn a() {\n}\n#[cfg(test)]\n#[expect(x)]\nmod tests {\n    fn b() {\n    }\n}\n\
                    fn c() {}\n#[cfg(test)]\nmod tests;\n";
        assert_eq!(inline_test_modules(text), [(3, 8)]);
    }

    #[test]
    fn knows_production_files() {
        let production = |path: &str| {
            is_production(&SourceFile {
                path: PathBuf::from(path),
                text: String::new(),
            })
        };
        assert!(production("crates/net/src/route.rs"));
        assert!(!production("crates/net/src/route/tests.rs"));
        assert!(!production("crates/net/tests/route.rs"));
        assert!(!production("crates/net/Cargo.toml"));
    }
}
