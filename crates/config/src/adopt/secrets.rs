//! `secrets` and `configs`: files that Compose puts into a container.

use std::collections::BTreeMap;

use crate::adopt::adoption::Adoption;
use crate::adopt::forms::{check_keys, mapping, warn_of_keys};
use crate::adopt::project::{Project, Service};
use crate::adopt::service::Application;
use crate::adopt::template::escape_dollars;
use crate::adopt::yaml::{Pair, Yaml, key};
use crate::phrase::quote;
use crate::source::Span;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Secret,
    Config,
}

impl Kind {
    const fn title(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Config => "config",
        }
    }

    /// Returns where a file without a path is in the container.
    fn target(self, name: &str) -> String {
        match self {
            Self::Secret => format!("/run/secrets/{name}"),
            Self::Config => format!("/{name}"),
        }
    }
}

/// Gives an application the files that its service names.
pub(crate) fn rewrite_files(
    (kind, value): (Kind, &Yaml),
    (service, project): (&Service, &Project),
    application: &mut Application,
    adoption: &mut Adoption<'_>,
) {
    let owner = quote(&service.name.value);
    let definitions = match kind {
        Kind::Secret => &project.secrets,
        Kind::Config => &project.configs,
    };
    let mut files = Vec::new();
    for item in value.one_or_many() {
        if item.text().is_none() {
            let what = format!("a {} of {owner}", kind.title());
            check_keys(item, (&what, &[ITEM]), adoption);
        }
        let Some(name) = item.text().or_else(|| item.text_of("source")) else {
            let title = kind.title();
            adoption.error(item.span, format!("a {title} of {owner} has no name"), FORM);
            continue;
        };
        let Some(definition) = definitions.get(name) else {
            let message = format!(
                "the {} {} of {owner} is not defined",
                kind.title(),
                quote(name)
            );
            let title = kind.title();
            let hint = if project.is_linked {
                format!(
                    "put the services below `services:`, and `{title}s` beside that: Fig has none"
                )
            } else {
                format!("add it to `{title}s` at the top of the file")
            };
            adoption.error(item.span, message, hint);
            continue;
        };
        let Some(content) = content((kind, name), definition, item.span, adoption) else {
            continue;
        };
        files.push(file(kind, name, item, content));
    }
    application.extend("files", value.span, files);
}

/// The keys of an item of a service.
const ITEM: &[&str] = &["source", "target", "uid", "gid", "mode"];

/// The keys of a definition without which the file has the same content.
const DEFINITION: &[&str] = &[
    "file",
    "content",
    "environment",
    "external",
    "name",
    "labels",
];

/// The keys of a definition that Swarm alone acts on, and with which it changes the content.
const OF_SWARM: &[&str] = &["driver", "driver_opts", "template_driver"];

/// Reads the definitions of one of the two at the top of the file.
pub(crate) fn read_definitions(
    kind: Kind,
    value: &Yaml,
    adoption: &mut Adoption<'_>,
) -> BTreeMap<String, Yaml> {
    let title = kind.title();
    let mut definitions = BTreeMap::new();
    for (name, definition) in mapping(value, &format!("`{title}s`"), adoption) {
        let what = format!("the {title} {}", quote(&name.value));
        check_keys(definition, (&what, &[DEFINITION, OF_SWARM]), adoption);
        for (key, _) in definition.entries().into_iter().flatten() {
            if OF_SWARM.contains(&key.value.as_str()) {
                let message = format!("{what} has {}, which Flocker cannot do", quote(&key.value));
                let hint =
                    "leave it out, if the file has the content as it is: only Swarm acts on it";
                adoption.error(key.span, message, hint);
            }
        }
        let labels = [("labels", "Flocker puts the file in place without labels")];
        warn_of_keys(definition, (&what, &labels), adoption);
        definitions.insert(name.value.clone(), definition.clone());
    }
    definitions
}

const FORM: &str = "write the name of one that is defined at the top of the file";

/// Writes a file of ours.
fn file(kind: Kind, name: &str, item: &Yaml, content: Pair) -> Yaml {
    let target = match item.text_of("target") {
        Some(target) if target.starts_with('/') => target.to_owned(),
        Some(target) => kind.target(target),
        None => kind.target(name),
    };
    let mut entries = vec![
        content,
        (key(item.span, "target"), Yaml::string(item.span, target)),
    ];
    for (option, value) in item.entries().into_iter().flatten() {
        if matches!(option.value.as_str(), "uid" | "gid" | "mode") {
            entries.push((option.clone(), value.clone()));
        }
    }
    Yaml::mapping(item.span, entries)
}

/// Writes a path without a directory as one beside the file.
fn relative(path: &str) -> String {
    if path.starts_with(['/', '.']) {
        path.to_owned()
    } else {
        format!("./{path}")
    }
}

/// Finds the content, as a key of a file of ours.
fn content(
    (kind, name): (Kind, &str),
    definition: &Yaml,
    span: Span,
    adoption: &mut Adoption<'_>,
) -> Option<Pair> {
    if let Some((place, path)) = definition.entry("file") {
        let path = match path.text() {
            Some(path) => relative(&adoption.expanded(path)),
            None => return None,
        };
        return Some((key(place.span, "source"), Yaml::string(span, path)));
    }
    if let Some((place, content)) = definition.entry("content") {
        return Some((key(place.span, "content"), content.clone()));
    }
    if let Some(variable) = definition.text_of("environment") {
        let Some(value) = adoption.variables.get(variable) else {
            let (message, hint) = crate::adopt::resolve::unset(variable);
            adoption.error(span, message, hint);
            return None;
        };
        if adoption.surroundings.variable(variable).is_some() {
            adoption.counterparts.add_variable(span, variable);
        } else {
            let (name, variable) = (quote(name), quote(variable));
            let text = format!("the content of {name} is the value of {variable} in `.env`");
            adoption.write_out(span, text);
        }
        let value = Yaml::string(span, escape_dollars(&value));
        return Some((key(span, "content"), value));
    }
    let title = kind.title();
    adoption.error(
        span,
        format!(
            "the {title} {} is in no file of the operator's",
            quote(name)
        ),
        format!("write where it is: `{name}: {{file: ./{name}.txt}}`"),
    );
    None
}
