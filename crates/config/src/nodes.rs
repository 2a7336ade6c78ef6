//! The deployment configuration: where to run it.

use std::collections::BTreeMap;

use flocker_model::NodeName;

use crate::fields::Field;
use crate::keys::{Foreign, KnownKeys, no_value};
use crate::phrase::quote;
use crate::recognise::version;
use crate::report::{Finding, Report};
use crate::source::{Located, Span};
use crate::tree::{Entry, Value};

const KEYS: KnownKeys = KnownKeys {
    keys: &["nodes"],
    foreign: &[
        Foreign::converted("hosts", "nodes", no_value, ""),
        Foreign::converted("deployment", "nodes", no_value, ""),
    ],
};

/// A node as it was written; its name may be invalid.
#[derive(Debug)]
pub(crate) struct DraftNode {
    pub(crate) name: Located<String>,
    pub(crate) applications: Vec<Located<String>>,
}

/// Reads every node of the deployment, which is a mapping.
pub(crate) fn read_nodes(root: Value<'_>, report: &mut Report) -> Vec<DraftNode> {
    let entries = root.entries().unwrap_or_default();
    check_keys(&entries, report);
    let Some(nodes) = root.get("nodes") else {
        if entries.is_empty() {
            report.error(|| no_nodes(root.span(), "the deployment has no `nodes`"));
        }
        return Vec::new();
    };
    let Some(entries) = nodes.value.entries().filter(|entries| !entries.is_empty()) else {
        report.error(|| {
            if nodes.value.is_null() || nodes.value.entries().is_some() {
                return no_nodes(nodes.key.span, "the deployment has no nodes");
            }
            let found = nodes.value.describe();
            let message =
                format!("`nodes` must be a mapping of nodes to applications, not {found}");
            Finding::at(nodes.value.span(), message)
                .hint("write `nodes: {1.1.1.1: [trac, pgsql-trac]}`")
        });
        return Vec::new();
    };
    let drafts: Vec<DraftNode> = entries
        .into_iter()
        .map(|entry| read_node(entry, report))
        .collect();
    check_same_host(&drafts, report);
    drafts
}

/// Reports unknown keys; without `nodes`, says that instead of how the others are spelt.
fn check_keys(entries: &[Entry<'_>], report: &mut Report) {
    for entry in entries {
        // Earlier releases wanted it there.
        if entry.key.value == "version" && entry.value.text() != Some("1") {
            report.error(|| version(*entry, "the deployment"));
        }
    }
    let entries: Vec<_> = entries
        .iter()
        .copied()
        .filter(|entry| entry.key.value != "version")
        .collect();
    if let Some(first) = entries.first()
        && !entries
            .iter()
            .any(|entry| KEYS.keys.contains(&entry.key.value.as_str()))
        && first.key.value.parse::<std::net::Ipv4Addr>().is_ok()
    {
        report.error(|| {
            Finding::at(first.key.span, "the deployment has no `nodes`")
                .hint("write `nodes:` above, and indent the nodes below it")
        });
        return;
    }
    KEYS.check(&entries, "the deployment", report);
}

fn no_nodes(span: Span, message: &str) -> Finding {
    Finding::at(span, message)
        .hint("to stop everything, keep the nodes and leave their lists empty: `1.1.1.1: []`")
}

fn read_node(entry: Entry<'_>, report: &mut Report) -> DraftNode {
    let name = &entry.key.value;
    if let Err(invalid) = name.parse::<NodeName>() {
        report.error(|| {
            let message = format!("the node {} {}", quote(name), invalid.problem);
            Finding::at(entry.key.span, message).hint(node_hint(name))
        });
    }
    let field = Field::of(entry, "the deployment").called(format!("node {}", quote(name)));
    let hint = || {
        field
            .value
            .text()
            .map(|text| field.line(&format!("[{text}]")))
    };
    let items = field.list("a list of applications", report, hint);
    let what = format!("an application of node {}", quote(name));
    DraftNode {
        name: entry.key.clone(),
        applications: items
            .unwrap_or_default()
            .into_iter()
            .filter_map(|item| Field::item(what.clone(), item).name(report))
            .collect(),
    }
}

fn node_hint(name: &str) -> &'static str {
    if name.contains('@') || name.contains("://") || has_port(name) {
        "write only the address or host name; a user or port for it belongs in ~/.ssh/config"
    } else if name.contains(':') {
        "nodes are reached by IPv4; write an IPv4 address or a host name"
    } else {
        "write an IPv4 address or a host name"
    }
}

/// Tells `db1:22` from an IPv6 address.
fn has_port(name: &str) -> bool {
    let mut parts = name.split(':').skip(1);
    let port = parts.next();
    parts.next().is_none() && port.is_some_and(|port| port.parse::<u16>().is_ok())
}

/// Reports host names that differ only in what does not distinguish hosts.
fn check_same_host(nodes: &[DraftNode], report: &mut Report) {
    let mut seen: BTreeMap<String, &Located<String>> = BTreeMap::new();
    for node in nodes {
        let host = node.name.value.trim_end_matches('.').to_ascii_lowercase();
        if let Some(first) = seen.get(&host) {
            report.error(|| {
                let (one, other) = (quote(&node.name.value), quote(&first.value));
                Finding::at(node.name.span, format!("{one} is the same host as {other}"))
                    .also(first.span, "first written here")
                    .hint("put all applications of a node into one list")
            });
        } else {
            seen.insert(host, &node.name);
        }
    }
}
