//! The crate table of ARCHITECTURE.md against what cargo knows.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, Metadata, Package, PackageId};

use super::Repository;
use super::finding::Finding;
use crate::markdown::{self, Row};

const DOCUMENT: &str = "ARCHITECTURE.md";
const HEADING: &str = "Crates";

/// Crates that decide and must therefore not be able to act.
const PURE_CRATES: [&str; 3] = ["flocker-model", "flocker-config", "flocker-plan"];

/// Crates through which a program touches the kernel, the network or another process.
const EFFECT_CRATES: [&str; 20] = [
    "async-std",
    "bollard",
    "hyper",
    "inotify",
    "mio",
    "mnl",
    "neli",
    "netlink-sys",
    "nftnl",
    "nftnl-sys",
    "nix",
    "reqwest",
    "rtnetlink",
    "russh",
    "rustix",
    "socket2",
    "tokio",
    "zbus",
    "zbus_systemd",
    "zfs-core",
];

pub(super) fn check(repository: &Repository) -> Vec<Finding> {
    let Some(rows) = markdown::parse_table(repository.text(DOCUMENT), HEADING) else {
        let message = format!("there is no table below a heading `{HEADING}`");
        return vec![Finding::new(DOCUMENT, 1, message)];
    };
    let crates = observe_crates(repository);
    let mut findings = compare(&rows, &crates);
    findings.extend(check_purity(&repository.metadata));
    findings
}

/// What one crate of ours really depends on, of ours, and where its manifest says so.
struct CrateFacts {
    manifest: String,
    dependencies: BTreeMap<String, usize>,
}

fn observe_crates(repository: &Repository) -> BTreeMap<String, CrateFacts> {
    repository
        .packages()
        .into_iter()
        .map(|package| (package.name.to_string(), observe_crate(repository, package)))
        .collect()
}

fn observe_crate(repository: &Repository, package: &Package) -> CrateFacts {
    let manifest = package
        .manifest_path
        .strip_prefix(&repository.metadata.workspace_root)
        .unwrap_or(&package.manifest_path)
        .to_string();
    let text = repository.text(&manifest);
    let dependencies = package
        .dependencies
        .iter()
        .filter(|dependency| dependency.path.is_some())
        .map(|dependency| (dependency.name.clone(), line_of(text, &dependency.name)))
        .collect();
    CrateFacts {
        manifest,
        dependencies,
    }
}

fn line_of(text: &str, name: &str) -> usize {
    text.lines()
        .position(|line| line.starts_with(name))
        .map_or(1, |index| index + 1)
}

fn compare(rows: &[Row], crates: &BTreeMap<String, CrateFacts>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut listed = BTreeMap::new();
    for row in rows {
        let name = row.plain(0);
        if row.plain(1).is_empty() {
            let message = format!("`{name}` needs one sentence on what it is for");
            findings.push(Finding::new(DOCUMENT, row.line, message));
        }
        if !crates.contains_key(&name) {
            let message = format!("`{name}` is not a crate of this workspace; remove the row");
            findings.push(Finding::new(DOCUMENT, row.line, message));
        }
        for target in row.code_words(2) {
            if !crates.contains_key(&target) {
                let message = format!("`{name}` may depend on `{target}`, which does not exist");
                findings.push(Finding::new(DOCUMENT, row.line, message));
            }
        }
        listed.insert(name, row.code_words(2).into_iter().collect::<BTreeSet<_>>());
    }
    for (name, facts) in crates {
        let Some(allowed) = listed.get(name) else {
            let message = format!("`{name}` has no row in the crate table of {DOCUMENT}");
            findings.push(Finding::new(&facts.manifest, 1, message));
            continue;
        };
        for (dependency, line) in &facts.dependencies {
            if !allowed.contains(dependency) {
                let message = format!(
                    "`{name}` depends on `{dependency}`, which the crate table of {DOCUMENT} does \
                     not allow"
                );
                findings.push(Finding::new(&facts.manifest, *line, message));
            }
        }
    }
    findings
}

fn check_purity(metadata: &Metadata) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in metadata.workspace_packages() {
        if !PURE_CRATES.contains(&package.name.as_str()) {
            continue;
        }
        for path in effect_paths(metadata, &package.id) {
            let manifest = package
                .manifest_path
                .strip_prefix(&metadata.workspace_root)
                .unwrap_or(&package.manifest_path);
            let message = format!("a crate that decides must not act: {}", path.join(" → "));
            findings.push(Finding::new(manifest, 1, message));
        }
    }
    findings
}

/// The chains of normal dependencies that lead from a package to crates with effects.
fn effect_paths(metadata: &Metadata, start: &PackageId) -> Vec<Vec<String>> {
    let Some(resolve) = &metadata.resolve else {
        return vec![vec!["cargo did not resolve the dependencies".to_owned()]];
    };
    let names: BTreeMap<_, _> = metadata
        .packages
        .iter()
        .map(|package| (&package.id, package.name.to_string()))
        .collect();
    let nodes: BTreeMap<_, _> = resolve.nodes.iter().map(|node| (&node.id, node)).collect();
    let name = |id: &PackageId| names.get(id).cloned().unwrap_or_default();
    let mut paths = Vec::new();
    let mut seen = BTreeSet::from([start]);
    let mut waiting = vec![(start, vec![name(start)])];
    while let Some((id, path)) = waiting.pop() {
        let Some(node) = nodes.get(id) else { continue };
        for dependency in &node.deps {
            let is_normal = dependency
                .dep_kinds
                .iter()
                .any(|kind| kind.kind == DependencyKind::Normal);
            if !is_normal || !seen.insert(&dependency.pkg) {
                continue;
            }
            let mut next = path.clone();
            next.push(name(&dependency.pkg));
            if EFFECT_CRATES.contains(&name(&dependency.pkg).as_str()) {
                paths.push(next);
            } else {
                waiting.push((&dependency.pkg, next));
            }
        }
    }
    paths
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{CrateFacts, compare};
    use crate::markdown::parse_table;

    fn crates(entries: &[(&str, &[&str])]) -> BTreeMap<String, CrateFacts> {
        entries
            .iter()
            .map(|(name, dependencies)| {
                let facts = CrateFacts {
                    manifest: format!("crates/{name}/Cargo.toml"),
                    dependencies: dependencies
                        .iter()
                        .map(|dependency| ((*dependency).to_owned(), 7))
                        .collect(),
                };
                ((*name).to_owned(), facts)
            })
            .collect()
    }

    fn messages(table: &str, entries: &[(&str, &[&str])]) -> Vec<String> {
        let document = format!("## Crates\n| crate | does | of ours |\n|-|-|-|\n{table}");
        let rows = parse_table(&document, "Crates").unwrap();
        compare(&rows, &crates(entries))
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn a_table_that_is_true_has_no_findings() {
        let found = messages(
            "| `a` | Decides. | |\n| `b` | Acts. | `a` |\n",
            &[("a", &[]), ("b", &["a"])],
        );
        assert!(found.is_empty(), "{found:?}");
    }

    #[test]
    fn an_unlisted_arrow_and_an_unlisted_crate_are_found() {
        let found = messages("| `a` | Decides. | |\n", &[("a", &["b"]), ("b", &[])]);
        assert_eq!(found.len(), 2);
        assert!(found[0].starts_with("crates/a/Cargo.toml:7: `a` depends on `b`"));
        assert!(found[1].starts_with("crates/b/Cargo.toml:1: `b` has no row"));
    }

    #[test]
    fn stale_rows_and_targets_are_found() {
        let found = messages("| `a` | | `gone` |\n| `old` | Was. | |\n", &[("a", &[])]);
        assert_eq!(found.len(), 3, "{found:?}");
    }
}
