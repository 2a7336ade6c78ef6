//! Application configurations of Flocker 0.1 to 1.15.
//!
//! **Source**: the documentation of Flocker 1.3, "Application configuration".

use crate::adopt::adoption::Adoption;
use crate::adopt::project::MAXIMUM_SERVICES;
use crate::adopt::service::{Application, limit};
use crate::adopt::yaml::{Pair, Yaml, key};
use crate::phrase::{enumerate, quote};
use crate::source::{Located, Span};

/// Makes the application configuration of this release.
pub(crate) fn rewrite_first_release(root: &Yaml, adoption: &mut Adoption<'_>) -> Yaml {
    let mut applications = Vec::new();
    for (name, value) in root.entries().into_iter().flatten() {
        match name.value.as_str() {
            "version" => {}
            "applications" => applications.extend(value.entries().into_iter().flatten().cloned()),
            other => adoption.error(
                name.span,
                format!(
                    "the application configuration has an unknown key {}",
                    quote(other)
                ),
                "a file with `version: 1` has `applications` beside it, and nothing else",
            ),
        }
    }
    if applications.len() > MAXIMUM_SERVICES {
        let message = format!(
            "{} applications, which is more than the {MAXIMUM_SERVICES} that are read",
            applications.len()
        );
        adoption.error(root.span, message, "divide the file");
        applications.clear();
    }
    let rewritten = applications.iter().map(|(name, value)| {
        let value = match value.entries() {
            Some(entries) => rewrite(name, (entries, &applications), value.span, adoption),
            None => value.clone(),
        };
        (name.clone(), value)
    });
    let rewritten = rewritten.collect();
    Yaml::mapping(root.span, rewritten)
}

fn rewrite(
    name: &Located<String>,
    (entries, applications): (&[Pair], &[Pair]),
    span: Span,
    adoption: &mut Adoption<'_>,
) -> Yaml {
    let owner = quote(&name.value);
    let mut application = Application::default();
    for (key_written, value) in entries {
        let renamed = |ours: &str| key(key_written.span, ours);
        match key_written.value.as_str() {
            "ports" => application.set(renamed("routes"), value.clone(), adoption),
            "mem_limit" => limit(renamed("memory"), value, &mut application, adoption),
            "command_line" => application.set(renamed("command"), command(value), adoption),
            "restart_policy" => application.set(renamed("restart"), restart(value), adoption),
            "links" => {
                let links = value.one_or_many().into_iter();
                let links = links
                    .filter_map(|item| rewrite_link(item, &owner, applications, adoption))
                    .collect();
                let list = Yaml::list(value.span, links);
                application.set(key_written.clone(), list, adoption);
            }
            _ => application.set(key_written.clone(), value.clone(), adoption),
        }
    }
    if application.get("restart").is_none() {
        let never = Yaml::string(name.span, "never");
        application.set(key(name.span, "restart"), never, adoption);
        adoption.decide(
            name.span,
            "earlier releases start nothing again where the file sets no `restart_policy`",
        );
    }
    Yaml::mapping(span, application.entries)
}

fn command(value: &Yaml) -> Yaml {
    let words = value.text().and_then(shlex::split);
    let Some(words) = words else {
        return value.clone();
    };
    let words = words.into_iter().map(|word| Yaml::string(value.span, word));
    Yaml::list(value.span, words.collect())
}

fn restart(value: &Yaml) -> Yaml {
    let policy = match (value.text_of("name"), value.text_of("maximum_retry_count")) {
        (Some("on-failure"), Some(count)) => format!("on-failure:{count}"),
        (Some(name), _) => name.to_owned(),
        (None, _) => return value.clone(),
    };
    Yaml::string(value.span, policy)
}

/// Rewrites a link, whose alias was a free text and whose remote port was one that another application
/// had outside of its container; `None` if it was refused.
fn rewrite_link(
    item: &Yaml,
    owner: &str,
    applications: &[Pair],
    adoption: &mut Adoption<'_>,
) -> Option<Yaml> {
    let (Some((alias_key, alias)), Some(remote)) = (item.entry("alias"), item.get("remote_port"))
    else {
        return Some(item.clone());
    };
    if item.get("application").is_some() || item.get("port").is_some() {
        // It has our keys, too: our readers refuse one of the two.
        return Some(item.clone());
    }
    let target = alias.text().unwrap_or_default();
    let found = applications.iter().find(|(name, _)| name.value == target);
    let Some((_, found)) = found else {
        let behind = applications
            .iter()
            .find(|(_, application)| internal_port(application, remote).is_some());
        let names: Vec<&str> = applications
            .iter()
            .map(|(name, _)| name.value.as_str())
            .collect();
        let hint = match behind {
            Some((name, _)) => format!(
                "write `alias: {}`, which has the external port {}",
                name.value,
                remote.text().unwrap_or_default()
            ),
            None => format!("the applications are {}", enumerate(&names, "and")),
        };
        let shown = quote(target);
        let message = format!("a link of {owner} has the alias {shown}, which is no application");
        adoption.error(alias.span, message, hint);
        return None;
    };
    let port = internal_port(found, remote).unwrap_or(remote);
    let mut entries = vec![
        (key(alias_key.span, "application"), alias.clone()),
        (key(remote.span, "port"), port.clone()),
    ];
    let others = item.entries().into_iter().flatten();
    let others = others.filter(|(name, _)| !matches!(name.value.as_str(), "alias" | "remote_port"));
    entries.extend(others.cloned());
    Some(Yaml::mapping(item.span, entries))
}

/// Returns the port inside of an application's container that it has outside as `external`.
fn internal_port<'y>(application: &'y Yaml, external: &Yaml) -> Option<&'y Yaml> {
    let ports = application.get("ports")?.items()?;
    let port = ports.iter().find(|port| {
        port.text_of("external")
            .is_some_and(|one| Some(one) == external.text())
    })?;
    port.get("internal")
}
