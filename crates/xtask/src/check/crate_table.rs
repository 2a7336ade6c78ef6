//! The crate table of ARCHITECTURE.md against what cargo knows.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, Metadata, Package};

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

/// The operator's program, which runs where there is no node's software.
const OPERATORS_CRATE: [&str; 1] = ["flocker-cluster"];

/// How the names of crates begin through which a program needs a C library of ZFS or nftables.
const C_LIBRARY_CRATES: [&str; 4] = ["zfs-core", "nvpair", "nftnl", "mnl"];

/// Crates of ours that are for nodes alone.
const NODE_CRATES: [&str; 3] = ["flocker-docker", "flocker-net", "flocker-zfs"];

/// What must not be anywhere below some crates.
struct Rule {
    crates: &'static [&'static str],
    forbids: fn(&str) -> bool,
    why: &'static str,
}

const RULES: [Rule; 2] = [
    Rule {
        crates: &PURE_CRATES,
        forbids: |name| EFFECT_CRATES.contains(&name),
        why: "a crate that decides must not act",
    },
    Rule {
        crates: &OPERATORS_CRATE,
        forbids: |name| {
            NODE_CRATES.contains(&name)
                || C_LIBRARY_CRATES
                    .iter()
                    .any(|beginning| name.starts_with(beginning))
        },
        why: "an operator's machine need not have what nodes have",
    },
];

pub(super) fn check(repository: &Repository) -> Vec<Finding> {
    let Some(rows) = markdown::parse_table(repository.text(DOCUMENT), HEADING) else {
        let message = format!("there is no table below a heading `{HEADING}`");
        return vec![Finding::new(DOCUMENT, 1, message)];
    };
    let crates = observe_crates(repository);
    let mut findings = compare(&rows, &crates);
    findings.extend(check_rules(&repository.metadata));
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

fn check_rules(metadata: &Metadata) -> Vec<Finding> {
    let Some(needs) = Needs::of(metadata) else {
        let message = "cargo did not resolve the dependencies";
        return vec![Finding::new("Cargo.toml", 1, message)];
    };
    let mut findings = Vec::new();
    for package in metadata.workspace_packages() {
        let manifest = package
            .manifest_path
            .strip_prefix(&metadata.workspace_root)
            .unwrap_or(&package.manifest_path);
        for message in needs.broken_rules(&package.id.repr) {
            findings.push(Finding::new(manifest, 1, message));
        }
    }
    findings
}

/// Which packages are below which in programs: needed neither for a build script nor for tests.
struct Needs<'a> {
    /// The name of each package by its id.
    names: BTreeMap<&'a str, &'a str>,
    /// The ids of the packages that each needs.
    needs: BTreeMap<&'a str, Vec<&'a str>>,
}

impl<'a> Needs<'a> {
    /// What cargo resolved, if it did.
    fn of(metadata: &'a Metadata) -> Option<Self> {
        let packages = metadata.packages.iter();
        let names = packages
            .map(|package| (package.id.repr.as_str(), package.name.as_str()))
            .collect();
        let mut needs = BTreeMap::new();
        for node in &metadata.resolve.as_ref()?.nodes {
            let normal = node.deps.iter().filter(|dependency| {
                let mut kinds = dependency.dep_kinds.iter();
                kinds.any(|kind| kind.kind == DependencyKind::Normal)
            });
            let ids: Vec<_> = normal.map(|it| it.pkg.repr.as_str()).collect();
            needs.insert(node.id.repr.as_str(), ids);
        }
        Some(Self { names, needs })
    }

    fn name(&self, id: &str) -> &'a str {
        self.names.get(id).copied().unwrap_or_default()
    }

    /// Says what must not be below a package, and is.
    fn broken_rules(&self, id: &'a str) -> Vec<String> {
        RULES
            .iter()
            .filter(|rule| rule.crates.contains(&self.name(id)))
            .flat_map(|rule| {
                let paths = self.paths(id, rule.forbids).into_iter();
                paths.map(move |path| format!("{}: {}", rule.why, path.join(" → ")))
            })
            .collect()
    }

    /// The chains that lead from a package to packages with a forbidden name.
    fn paths(&self, start: &'a str, forbids: fn(&str) -> bool) -> Vec<Vec<&'a str>> {
        let mut paths = Vec::new();
        let mut seen = BTreeSet::from([start]);
        let mut waiting = vec![(start, vec![self.name(start)])];
        while let Some((id, path)) = waiting.pop() {
            for needed in self.needs.get(id).into_iter().flatten().copied() {
                if !seen.insert(needed) {
                    continue;
                }
                let name = self.name(needed);
                let mut next = path.clone();
                next.push(name);
                if forbids(name) {
                    paths.push(next);
                } else {
                    waiting.push((needed, next));
                }
            }
        }
        paths
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{CrateFacts, Needs, compare};
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

    /// What is wrong with a crate, where these need those.
    fn broken(package: &'static str, needs: &[(&'static str, &[&'static str])]) -> Vec<String> {
        let all = needs
            .iter()
            .flat_map(|(name, needed)| needed.iter().chain([name]));
        let needs = Needs {
            names: all.map(|name| (*name, *name)).collect(),
            needs: needs
                .iter()
                .map(|(name, needed)| (*name, needed.to_vec()))
                .collect(),
        };
        needs.broken_rules(package)
    }

    #[test]
    fn what_only_nodes_have_is_not_below_the_operators_program() {
        let needs: [(&str, &[&str]); 4] = [
            ("flocker-cluster", &["bollard", "flocker-remote"]),
            ("flocker-node", &["flocker-zfs", "flocker-remote"]),
            ("flocker-remote", &["flocker-plan", "tokio"]),
            ("flocker-zfs", &["zfs-core"]),
        ];
        assert_eq!(broken("flocker-cluster", &needs), [""; 0]);
        assert_eq!(broken("flocker-node", &needs), [""; 0]);
        for forbidden in ["zfs-core-sys", "nvpair", "nftnl-sys", "mnl", "flocker-net"] {
            let deep = ["serde", forbidden];
            let mut needs = needs.to_vec();
            needs.push(("flocker-plan", &deep));
            assert_eq!(
                broken("flocker-cluster", &needs),
                [format!(
                    "an operator's machine need not have what nodes have: flocker-cluster → \
                     flocker-remote → flocker-plan → {forbidden}"
                )]
            );
        }
    }

    #[test]
    fn a_crate_that_decides_has_nothing_below_it_that_acts() {
        let needs: [(&str, &[&str]); 2] = [
            ("flocker-plan", &["flocker-model", "serde"]),
            ("flocker-model", &["tokio"]),
        ];
        assert_eq!(
            broken("flocker-plan", &needs),
            ["a crate that decides must not act: flocker-plan → flocker-model → tokio"]
        );
    }
}
