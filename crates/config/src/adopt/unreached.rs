//! Services that reach each other in Compose and not here, because no setting names the other one.
//!
//! People connect programs in their web pages, too, where no reader sees it. A warning for each pair would
//! hide those that count. So it is about services that name none, and about servers that none names.

use std::collections::{BTreeMap, BTreeSet};

use crate::adopt::adoption::Adoption;
use crate::adopt::dependencies::dependencies;
use crate::adopt::docker_labels::is_traefik;
use crate::adopt::ports::ContainerPort;
use crate::adopt::ports_of_images::{name_of_image, only_answers};
use crate::adopt::project::{Project, Service};
use crate::adopt::yaml::Yaml;
use crate::phrase::{enumerate, quote};

/// The names that a warning shows.
const MAXIMUM_NAMES: usize = 8;

/// The networks of each service, and the ports that are known of each.
type Known<'p> = (
    &'p [BTreeSet<&'p str>],
    &'p BTreeMap<usize, BTreeSet<ContainerPort>>,
);

/// Warns of services that a service does not reach; `told` has those of which each service speaks.
/// Services of which none reaches another have one warning together.
pub(crate) fn warn_of_unreached(
    project: &Project,
    (networks, ports): Known<'_>,
    told: &[BTreeSet<usize>],
    adoption: &mut Adoption<'_>,
) {
    if project.is_linked {
        // In Fig, a service reaches those of its `links`, as here.
        return;
    }
    let jobs = jobs(project);
    let named: BTreeSet<usize> = told.iter().flatten().copied().collect();
    let mut groups: BTreeMap<BTreeSet<usize>, Vec<usize>> = BTreeMap::new();
    for (source, service) in project.services.iter().enumerate() {
        if jobs.contains(&source) || connects_to_none(service) {
            continue;
        }
        let is_unreached = |target: &usize| {
            let other = &project.services[*target];
            let names_none = told[source].is_empty();
            let is_server = !ports[target].is_empty();
            let is_lonely = !named.contains(target) && told[*target].is_empty();
            *target != source
                && !jobs.contains(target)
                && other.get("network_mode").is_none()
                && (!is_proxy(other) || told[*target].is_empty())
                && !told[source].contains(target)
                && !told[*target].contains(&source)
                && !networks[source].is_disjoint(&networks[*target])
                && ((names_none && (is_server || is_lonely)) || (is_server && is_lonely))
        };
        let mut members: BTreeSet<usize> = (0..told.len()).filter(is_unreached).collect();
        if !members.is_empty() {
            members.insert(source);
            groups.entry(members).or_default().push(source);
        }
    }
    for (members, sources) in groups {
        warn(project, (&members, &sources), adoption);
    }
}

/// Returns the services whose end others wait for.
fn jobs(project: &Project) -> BTreeSet<usize> {
    let waited_for: BTreeSet<&str> = project
        .services
        .iter()
        .flat_map(dependencies)
        .filter(|dependency| dependency.is_waited_for)
        .map(|dependency| dependency.name)
        .collect();
    let services = project.services.iter().enumerate();
    services
        .filter(|(_, service)| waited_for.contains(service.name.value.as_str()))
        .map(|(index, _)| index)
        .collect()
}

/// Tells whether a service is a reverse proxy: people reach it, and it reaches others.
fn is_proxy(service: &Service) -> bool {
    const PROXIES: [&str; 4] = ["caddy", "haproxy", "httpd", "nginx"];
    let image = service.get("image").and_then(Yaml::text);
    image.is_some_and(|image| PROXIES.contains(&name_of_image(image)))
}

/// Tells whether a service connects to no other one, or has a warning of its own.
fn connects_to_none(service: &Service) -> bool {
    let image = service.get("image").and_then(Yaml::text);
    image.is_some_and(only_answers) || is_traefik(service) || service.get("network_mode").is_some()
}

/// Warns of `sources`, none of which reaches any of `members`, itself aside.
fn warn(
    project: &Project,
    (members, sources): (&BTreeSet<usize>, &[usize]),
    adoption: &mut Adoption<'_>,
) {
    let Some(first) = sources.first() else {
        return;
    };
    let name = |index: &usize| project.services[*index].name.value.as_str();
    let targets = members.iter().filter(|member| !sources.contains(member));
    let targets: Vec<&str> = targets.map(name).collect();
    let names: Vec<&str> = sources.iter().map(name).collect();
    let (shown, from) = (limited(&names, "and"), names[0]);
    let others = limited(&targets, "or");
    let message = match (names.as_slice(), targets.as_slice()) {
        ([_], [_]) => format!("no setting of {shown} names {others}, so it does not reach it"),
        ([_], _) => format!("no setting of {shown} names {others}, so it does not reach them"),
        (_, []) => {
            format!("{shown} do not reach each other, because no setting of them names another")
        }
        _ => format!(
            "{shown} reach neither each other nor {others}, because no setting of them names another"
        ),
    };
    let example = targets
        .first()
        .or_else(|| names.get(1))
        .copied()
        .unwrap_or(from);
    let span = project.services[*first].name.span;
    adoption.warn(
        span,
        message,
        format!(
            "in Compose, all services of a network reach each other; if {0} connects to {1}, write \
             `links: [{example}]` at {0} in the Compose file",
            quote(from),
            quote(example)
        ),
    );
}

/// Enumerates names, as far as people read them.
fn limited(names: &[&str], conjunction: &str) -> String {
    let Some((shown, rest)) = names.split_at_checked(MAXIMUM_NAMES) else {
        return enumerate(names, conjunction);
    };
    if rest.is_empty() {
        return enumerate(shown, conjunction);
    }
    let shown: Vec<String> = shown.iter().map(|name| quote(name)).collect();
    format!("{} {conjunction} {} others", shown.join(", "), rest.len())
}
