//! Recognises files that are something else than what they were given as.

use crate::adopt::{Kind, kind_of};
use crate::keys::{MERGE_KEY, merge_key};
use crate::phrase::quote;
use crate::report::{Finding, Report};
use crate::source::{File, Source};
use crate::tree::{Entry, Value};
use crate::tree_builder::{MAXIMUM_BYTES, parse_tree};

/// Checks that a file is a mapping of the right kind; anything else is one report instead of a
/// report for each line of it.
pub(crate) fn check_kind(root: Value<'_>, file: File, report: &mut Report) -> bool {
    if root.is_null() {
        report.error(|| crate::unreadable::empty(file));
        return false;
    }
    if root.entries().is_none() {
        report.error(|| {
            let message = format!(
                "the {} must be a mapping, not {}",
                file.title(),
                root.describe()
            );
            Finding::at(root.span(), message).hint(match file {
                File::Application => "it starts with the name of an application and a colon",
                File::Deployment => "it starts with `nodes:`",
            })
        });
        return false;
    }
    let strange = match (file, kind_of(root)) {
        (File::Application, Some(Kind::Deployment)) => Some(deployment_instead(root)),
        (File::Deployment, Some(kind)) if kind.is_application() => application_instead(root),
        _ => None,
    };
    match strange {
        None => true,
        Some(finding) => {
            report.error(|| finding);
            false
        }
    }
}

/// Returns the application configuration first, and the deployment configuration after it.
///
/// Files that are neither, or both the same, stay as they are.
pub fn in_order<'s>(first: Source<'s>, second: Source<'s>) -> (Source<'s>, Source<'s>) {
    // Most files are in the usual order, and need not be read twice to know that.
    let may_have_nodes = first.bytes.windows(5).any(|word| word == b"nodes");
    let is_deployment = may_have_nodes && kind_of_source(first) == Some(Kind::Deployment);
    if is_deployment && kind_of_source(second) != Some(Kind::Deployment) {
        (second, first)
    } else {
        (first, second)
    }
}

/// Tells of what kind a file is, if it can be read.
pub(crate) fn kind_of_source(source: Source<'_>) -> Option<Kind> {
    if source.bytes.len() > MAXIMUM_BYTES {
        return None;
    }
    let text = std::str::from_utf8(source.bytes).ok()?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let tree = parse_tree(text, File::Application, &mut Report::default())?;
    kind_of(tree.root())
}

/// Returns the applications of an application configuration. What earlier releases of Flocker, Compose
/// and Fig put around them or beside them is reported, and what is left is read.
pub(crate) fn applications<'t>(root: Value<'t>, report: &mut Report) -> Vec<Entry<'t>> {
    let mut entries = Vec::new();
    for entry in root.entries().unwrap_or_default() {
        match entry.key.value.as_str() {
            MERGE_KEY => report.error(|| merge_key(entry, "the application configuration")),
            "version" if entry.value.scalar().is_some() => {
                report.error(|| version(entry, "the application configuration"));
            }
            "applications" if is_wrapper(entry.value) => {
                report.error(|| {
                    Finding::at(entry.key.span, "the applications are inside `applications`")
                        .hint("remove the line `applications:`, and the indentation below it")
                });
                entries.extend(entry.value.entries().unwrap_or_default());
            }
            _ => entries.push(entry),
        }
    }
    entries
}

/// Says that a file has no version.
pub(crate) fn version(entry: Entry<'_>, owner: &str) -> Finding {
    Finding::at(
        entry.key.span,
        format!("{owner} has an unknown key `version`"),
    )
    .hint("remove it; the format has one version")
}

/// Tells whether a value holds applications and is none itself.
fn is_wrapper(value: Value<'_>) -> bool {
    let entries = value.entries().unwrap_or_default();
    !entries.is_empty() && entries.iter().all(|entry| entry.value.entries().is_some())
}

fn deployment_instead(root: Value<'_>) -> Finding {
    let span = root
        .get("nodes")
        .map_or(root.span(), |entry| entry.key.span);
    let message =
        "this is a deployment configuration, and the application configuration is missing";
    Finding::at(span, message).hint(BOTH)
}

fn application_instead(root: Value<'_>) -> Option<Finding> {
    let entries = root.entries()?;
    let is_application = |entry: &&Entry<'_>| {
        let has_image = entry.value.get("image").is_some();
        has_image || matches!(entry.key.value.as_str(), "applications" | "services")
    };
    let application = entries.iter().find(is_application).or(entries.first())?;
    let name = quote(&application.key.value);
    let message = format!(
        "this is an application configuration (it has {name}), and the deployment configuration is \
         missing"
    );
    Some(Finding::at(application.key.span, message).hint(BOTH))
}

const BOTH: &str = "give one of each, in either order: \
    `flocker-cluster deploy APPLICATION_CONFIG DEPLOYMENT_CONFIG`";
