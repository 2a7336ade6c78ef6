//! Recognises files that are something else than what they were given as.

use crate::phrase::quote;
use crate::report::{Finding, Report};
use crate::source::File;
use crate::tree::Value;

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
        File::Application => wrapped(root).or_else(|| deployment_instead(root)),
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

/// The format of the release: `version` and `applications` around the applications.
fn wrapped(root: Value<'_>) -> Option<Finding> {
    let entry = root.get("applications")?;
    let inner = entry.value.entries()?;
    let has_image = entry
        .value
        .get("image")
        .is_some_and(|entry| entry.value.text().is_some());
    if has_image || inner.iter().any(|entry| entry.value.scalar().is_some()) {
        return None;
    }
    Some(
        Finding::at(entry.key.span, "the applications are inside `applications`")
            .hint("remove the lines `version` and `applications`, and the indentation below"),
    )
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
    let application = entries
        .iter()
        .find(|entry| entry.value.get("image").is_some() || entry.key.value == "applications")?;
    let name = quote(&application.key.value);
    let message = format!(
        "this is an application configuration (it has {name}), and was given as the deployment \
         configuration"
    );
    Some(Finding::at(application.key.span, message).hint(ORDER))
}

const ORDER: &str = "the application configuration comes first: \
    `flocker-cluster deploy APPLICATION_CONFIG DEPLOYMENT_CONFIG`";
