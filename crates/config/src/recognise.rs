//! Recognises files that are something else than what they were given as.

use crate::keys::{MERGE_KEY, merge_key};
use crate::phrase::quote;
use crate::report::{Finding, Report};
use crate::source::File;
use crate::tree::{Entry, Value};

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
    let strange = match file {
        File::Application => compose(root).or_else(|| deployment_instead(root)),
        File::Deployment => application_instead(root),
    };
    match strange {
        None => true,
        Some(finding) => {
            report.error(|| finding);
            false
        }
    }
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

/// A file of Docker Compose: `services` around what resembles applications.
fn compose(root: Value<'_>) -> Option<Finding> {
    let services = root
        .get("services")
        .filter(|entry| is_wrapper(entry.value))?;
    let first = services.value.entries()?.into_iter().next()?;
    let hint = format!(
        "begin a file of Flocker's own: write {} and the other services at the top, without \
         `services`, and give each the keys that docs/configuration.md lists; keys of Compose that \
         are left are explained one by one",
        quote(&first.key.value)
    );
    let message = "this is a Compose file, which Flocker does not read yet";
    Some(Finding::at(services.key.span, message).hint(hint))
}

fn deployment_instead(root: Value<'_>) -> Option<Finding> {
    let entry = root.get("nodes")?;
    if entry.value.get("image").is_some() {
        return None;
    }
    Some(
        Finding::at(
            entry.key.span,
            "this is a deployment configuration, and was given as the application configuration",
        )
        .hint(ORDER),
    )
}

fn application_instead(root: Value<'_>) -> Option<Finding> {
    if root.get("nodes").is_some() {
        return None;
    }
    let entries = root.entries()?;
    let is_application = |entry: &&Entry<'_>| {
        let has_image = entry.value.get("image").is_some();
        has_image || matches!(entry.key.value.as_str(), "applications" | "services")
    };
    let application = entries.iter().find(is_application)?;
    let name = quote(&application.key.value);
    let message = format!(
        "this is an application configuration (it has {name}), and was given as the deployment \
         configuration"
    );
    Some(Finding::at(application.key.span, message).hint(ORDER))
}

const ORDER: &str = "the application configuration comes first: \
    `flocker-cluster deploy APPLICATION_CONFIG DEPLOYMENT_CONFIG`";
