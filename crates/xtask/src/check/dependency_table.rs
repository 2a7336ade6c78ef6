//! README.md's dependency table against what the manifests ask for.

use std::collections::BTreeSet;

use super::Repository;
use super::finding::Finding;
use crate::markdown::{self, Row};

const DOCUMENT: &str = "README.md";
const HEADING: &str = "Dependencies";

pub(super) fn check(repository: &Repository) -> Vec<Finding> {
    let Some(rows) = markdown::parse_table(repository.text(DOCUMENT), HEADING) else {
        let message = format!("there is no table below a heading `{HEADING}`");
        return vec![Finding::new(DOCUMENT, 1, message)];
    };
    compare(&rows, &observe_external(repository))
}

/// Every crate that is not ours and that a manifest of ours names, whatever for.
fn observe_external(repository: &Repository) -> BTreeSet<String> {
    repository
        .packages()
        .into_iter()
        .flat_map(|package| &package.dependencies)
        .filter(|dependency| dependency.path.is_none())
        .map(|dependency| dependency.name.clone())
        .collect()
}

fn compare(rows: &[Row], external: &BTreeSet<String>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut listed = BTreeSet::new();
    for row in rows {
        let name = row.plain(0);
        if row.plain(1).is_empty() {
            let message = format!("say why `{name}` is needed");
            findings.push(Finding::new(DOCUMENT, row.line, message));
        }
        if !external.contains(&name) {
            let message = format!("no manifest names `{name}` any more; remove the row");
            findings.push(Finding::new(DOCUMENT, row.line, message));
        }
        if !listed.insert(name.clone()) {
            let message = format!("`{name}` is listed twice");
            findings.push(Finding::new(DOCUMENT, row.line, message));
        }
    }
    let line = rows.last().map_or(1, |row| row.line);
    for name in external.difference(&listed) {
        let message = format!("`{name}` is used and not listed; add a row that says why");
        findings.push(Finding::new(DOCUMENT, line, message));
    }
    findings
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::compare;
    use crate::markdown::parse_table;

    #[test]
    fn missing_stale_and_unexplained_rows_are_found() {
        let document = "## Dependencies\n| crate | why |\n|-|-|\n| `serde` | JSON |\n| `old` | was \
                        |\n| `clap` | |\n";
        let rows = parse_table(document, "Dependencies").unwrap();
        let external = BTreeSet::from(["serde", "clap", "tokio"].map(str::to_owned));
        let found: Vec<String> = compare(&rows, &external)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            found,
            [
                "README.md:5: no manifest names `old` any more; remove the row",
                "README.md:6: say why `clap` is needed",
                "README.md:6: `tokio` is used and not listed; add a row that says why",
            ]
        );
    }
}
