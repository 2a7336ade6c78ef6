//! The names beside its own under which Compose makes a service answer: its container's, and its aliases
//! in networks. An application answers under its own name only.

use std::collections::BTreeMap;

use crate::adopt::adoption::Adoption;
use crate::adopt::mention::{Mention, Names, Strength, mentions};
use crate::adopt::mention_in_files::names_in_files;
use crate::adopt::project::Project;
use crate::adopt::service::Application;
use crate::adopt::yaml::Yaml;
use crate::phrase::quote;

/// Refuses addresses that are another name of a service, in its settings and in its files.
pub(crate) fn check_other_names(
    source: usize,
    (project, others): (&Project, &Names<'_>),
    application: &Application,
    adoption: &mut Adoption<'_>,
) {
    let service = &project.services[source];
    let owner = quote(&service.name.value);
    for item in service
        .get("links")
        .map(Yaml::one_or_many)
        .unwrap_or_default()
    {
        let Some((target, alias)) = item.text().and_then(|text| text.split_once(':')) else {
            continue;
        };
        if target != alias {
            let target = quote(target);
            adoption.error(
                item.span,
                format!("{owner} knows {target} as {}", quote(alias)),
                format!("it answers as {target}; change the address in the settings of {owner}, or the name of the service"),
            );
        }
    }
    for mention in mentions(service, application, others) {
        if mention.target != source && mention.strength == Strength::Address {
            let target = quote(&project.services[mention.target].name.value);
            adoption.error(
                mention.span,
                format!("{owner} reaches {target} under another name of its container"),
                format!("it answers as {target}; write that"),
            );
        }
    }
    check_files(source, (project, others), application, adoption);
}

/// Looks for other names in an application's files. An address with a port is one. Any other name may
/// stand there by chance, and is only warned about. Each service is reported once for each file.
fn check_files(
    source: usize,
    (project, others): (&Project, &Names<'_>),
    application: &Application,
    adoption: &mut Adoption<'_>,
) {
    let owner = quote(&project.services[source].name.value);
    let mut found: BTreeMap<(String, usize), (Mention, String)> = BTreeMap::new();
    for named in names_in_files(application, others, adoption) {
        let key = (named.path, named.mention.target);
        let is_stronger = found
            .get(&key)
            .is_none_or(|(former, _)| former.strength < named.mention.strength);
        if named.mention.target != source && is_stronger {
            found.insert(key, (named.mention, named.name));
        }
    }
    for ((path, target), (mention, name)) in found {
        let target = quote(&project.services[target].name.value);
        let (path, name) = (quote(&path), quote(&name));
        let hint = format!("write {target}, its own name, in {path}; Compose takes that as well");
        if mention.strength == Strength::Address {
            let message = format!("{owner} reaches {target} as {name} by its file {path}");
            adoption.error(mention.span, message, hint);
        } else {
            let message = format!("{path} of {owner} names {name}, another name of {target}");
            adoption.warn(
                mention.span,
                message,
                format!("if it is an address, {hint}"),
            );
        }
    }
}

/// Returns the names under which Compose also makes services answer, but for those that are names of
/// services.
pub(crate) fn other_names(project: &Project, names: &Names<'_>) -> BTreeMap<String, usize> {
    let mut others = BTreeMap::new();
    for (index, service) in project.services.iter().enumerate() {
        let container = service.get("container_name").and_then(Yaml::text);
        others.extend(container.map(|name| (name.to_owned(), index)));
        let networks = service.get("networks").and_then(Yaml::entries);
        for (_, options) in networks.into_iter().flatten() {
            let aliases = options.get("aliases").map(Yaml::one_or_many);
            let aliases = aliases.unwrap_or_default().into_iter();
            let aliases = aliases.filter_map(Yaml::text).map(str::to_owned);
            others.extend(aliases.map(|name| (name, index)));
        }
    }
    others.retain(|name, _| !names.contains_key(name.as_str()));
    others
}
