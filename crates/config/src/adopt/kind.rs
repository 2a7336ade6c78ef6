//! Tells by a file's content what kind of file it is.

use crate::source::Span;
use crate::tree::{Entry, ScalarKind, Value};

/// The kinds of files that can be told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The application configuration of this release.
    Application,
    /// The application configuration of Flocker 0.1 to 1.15: `version: 1` and `applications`.
    FirstRelease,
    /// A file of Fig, or of Compose before its files had `services`.
    Fig,
    /// A Compose file.
    Compose,
    /// A deployment configuration.
    Deployment,
}

impl Kind {
    /// Tells whether the file says what to run.
    pub(crate) const fn is_application(self) -> bool {
        !matches!(self, Self::Deployment)
    }
}

/// Returns the kind of a file; `None` for one that could be anything, such as an empty mapping.
pub(crate) fn kind_of(root: Value<'_>) -> Option<Kind> {
    let entries = root.entries()?;
    let nodes = root.get("nodes");
    if services(root).is_some() {
        return Some(Kind::Compose);
    }
    if nodes.is_some_and(|nodes| nodes.value.get("image").is_none()) {
        return Some(Kind::Deployment);
    }
    let has_version = root
        .get("version")
        .is_some_and(|version| version.value.text() == Some("1"));
    let applications = root.get("applications");
    if has_version && applications.is_some_and(|entry| holds_mappings(entry.value)) {
        return Some(Kind::FirstRelease);
    }
    if form_of_fig(root).is_some() {
        return Some(Kind::Fig);
    }
    let is_application = |entry: &Entry<'_>| {
        let has_image = entry.value.get("image").is_some();
        has_image || matches!(entry.key.value.as_str(), "applications" | "services")
    };
    entries
        .iter()
        .any(is_application)
        .then_some(Kind::Application)
}

/// Returns the services of a Compose file: mappings below `services`, which is no application itself.
fn services(root: Value<'_>) -> Option<Entry<'_>> {
    let services = root.get("services")?;
    let image = services.value.get("image");
    let is_application = image.is_some_and(|image| image.value.scalar().is_some());
    let is_empty = services
        .value
        .entries()
        .is_some_and(|entries| entries.is_empty());
    let has_services = is_empty || services.value.is_null() || holds_mappings(services.value);
    (!is_application && has_services).then_some(services)
}

fn holds_mappings(value: Value<'_>) -> bool {
    let entries = value.entries().unwrap_or_default();
    entries.iter().any(|entry| entry.value.entries().is_some())
}

/// Returns the place that decides that a file is one of Fig: a form that no file of ours has. There is
/// none if the file has a form that Fig does not have.
///
/// A list of variables alone decides nothing: it is the most usual mistake in a file of ours.
pub(crate) fn form_of_fig(root: Value<'_>) -> Option<Span> {
    let entries = root.entries()?;
    let applications = || entries.iter().map(|entry| entry.value);
    if applications().any(has_form_of_ours) {
        return None;
    }
    let with_strings = |application: Value<'_>, key: &str| {
        let entry = application.get(key)?;
        let items = entry.value.items()?;
        items.iter().any(is_text).then_some(entry.key.span)
    };
    let decided = applications().find_map(|application| {
        with_strings(application, "ports").or_else(|| with_strings(application, "links"))
    });
    let has_key_of_fig = |application: Value<'_>| {
        let has = |key: &&str| application.get(key).is_some();
        KEYS_OF_FIG.iter().any(has)
    };
    decided.or_else(|| {
        let variables =
            applications().find_map(|application| with_strings(application, "environment"))?;
        applications().any(has_key_of_fig).then_some(variables)
    })
}

/// Keys that Fig has, and no file of ours.
const KEYS_OF_FIG: [&str; 7] = [
    "build",
    "container_name",
    "expose",
    "external_links",
    "log_driver",
    "mem_limit",
    "net",
];

fn is_text(item: &Value<'_>) -> bool {
    let scalar = item.scalar();
    scalar.is_some_and(|scalar| scalar.kind == ScalarKind::String)
}

fn has_form_of_ours(application: Value<'_>) -> bool {
    const KEYS: [&str; 10] = [
        "command_line",
        "cpu",
        "deploy",
        "files",
        "memory",
        "restart_policy",
        "routes",
        "scratch",
        "services",
        "volume",
    ];
    let has_collection = |key: &str| {
        let items = application.get(key).and_then(|entry| entry.value.items());
        items
            .unwrap_or_default()
            .iter()
            .any(|item| item.scalar().is_none())
    };
    KEYS.iter().any(|key| application.get(key).is_some())
        || has_collection("links")
        || has_collection("ports")
}
