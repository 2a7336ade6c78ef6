//! The services that reach each other by name.
//!
//! In Compose, services of one network reach each other at every port. Here an application reaches
//! what its `links` say, at `localhost`. So each service gets links to those that it speaks of, and a
//! line of `/etc/hosts` that makes the other's name mean `localhost`.

use std::collections::{BTreeMap, BTreeSet};

use crate::adopt::adoption::Adoption;
use crate::adopt::mention::{Mention, Names, Strength, mentions};
use crate::adopt::mention_in_files::add_mentions_in_files;
use crate::adopt::ports::{ContainerPort, container_ports};
use crate::adopt::ports_of_images::ports_of_image;
use crate::adopt::project::{Project, Service};
use crate::adopt::service::Application;
use crate::adopt::yaml::{Yaml, key};
use crate::phrase::quote;
use crate::source::Span;

/// The network of services that name none.
const DEFAULT_NETWORK: &str = "default";

/// Gives each application its links.
pub(crate) fn link_services(
    project: &Project,
    applications: &mut [Application],
    adoption: &mut Adoption<'_>,
) {
    let names: Vec<&str> = project
        .services
        .iter()
        .map(|service| service.name.value.as_str())
        .collect();
    let numbers: Names<'_> = names.iter().copied().zip(0..).collect();
    let others = other_names(project, &numbers);
    let others: Names<'_> = others
        .iter()
        .map(|(name, one)| (name.as_str(), *one))
        .collect();
    let networks: Vec<BTreeSet<&str>> = project.services.iter().map(networks).collect();
    let mut spoken: Vec<Vec<Mention>> = project
        .services
        .iter()
        .zip(&*applications)
        .map(|(service, application)| mentions(service, application, &numbers))
        .collect();
    add_mentions_in_files(&mut spoken, applications, &numbers, adoption);
    let ports = known_ports(project, &spoken);
    let is_spoken_of: BTreeSet<usize> = spoken.iter().flatten().map(|one| one.target).collect();
    for (source, service) in project.services.iter().enumerate() {
        check_other_names(source, (project, &others), &applications[source], adoption);
        let mut reached = Reached::new(service, &ports[&source]);
        for target in 0..project.services.len() {
            let is_linked = !project.is_linked || explicit_link(service, names[target]).is_some();
            let shares_network = !networks[source].is_disjoint(&networks[target]);
            if target == source || !is_linked || !shares_network {
                continue;
            }
            let mention = spoken[source]
                .iter()
                .filter(|mention| mention.target == target)
                .max_by_key(|mention| mention.strength);
            let span = match mention {
                Some(mention) => mention.span,
                // The images of clients may know its name by themselves.
                None if !spoken[source].is_empty()
                    && !is_spoken_of.contains(&target)
                    && is_server(project, target) =>
                {
                    service.name.span
                }
                None => continue,
            };
            let ports = &ports[&target];
            reached.add((span, names[target]), ports, adoption);
            if ports.is_empty()
                && let Some(mention) = mention
            {
                report_without_port(mention, (&service.name.value, names[target]), adoption);
            }
        }
        reached.give_to(&mut applications[source]);
    }
}

/// The services that one service reaches.
struct Reached<'p> {
    service: &'p Service,
    /// The ports at which it answers itself.
    own: &'p BTreeSet<ContainerPort>,
    links: Vec<Yaml>,
    /// The services that are reached.
    names: Vec<&'p str>,
    /// The service behind each port of `localhost`.
    taken: BTreeMap<ContainerPort, &'p str>,
}

impl<'p> Reached<'p> {
    const fn new(service: &'p Service, own: &'p BTreeSet<ContainerPort>) -> Self {
        Self {
            service,
            own,
            links: Vec::new(),
            names: Vec::new(),
            taken: BTreeMap::new(),
        }
    }

    /// Links the ports of another service, under its name.
    fn add(
        &mut self,
        (span, target): (Span, &'p str),
        ports: &BTreeSet<ContainerPort>,
        adoption: &mut Adoption<'_>,
    ) {
        let owner = quote(&self.service.name.value);
        let shown = quote(target);
        for port in ports {
            if let Some(other) = self.taken.insert(*port, target) {
                let other = quote(other);
                adoption.error(
                    span,
                    format!("{owner} reaches {other} and {shown} at the same port {}", port.written()),
                    format!(
                        "a link is a port of `localhost`, which leads to one application; let one of \
                         them answer at another port, or leave out which of them {owner} does not use"
                    ),
                );
            } else if self.own.contains(port) {
                adoption.warn(
                    span,
                    format!("{owner} reaches {shown} at a port at which it answers itself: {}", port.written()),
                    format!(
                        "in its container, `localhost:{}` is {shown}; have its own health check ask \
                         another port",
                        port.number
                    ),
                );
            }
            let hides_own = self.own.contains(port);
            self.links.push(link(span, target, *port, hides_own));
        }
        if !ports.is_empty() {
            self.names.push(target);
        }
    }

    fn give_to(self, application: &mut Application) {
        let span = self.service.name.span;
        application.extend("links", span, self.links);
        application.add_hosts(span, &self.names, "127.0.0.1");
    }
}

/// Writes a link; `hides_own` says that the application serves the same port itself.
fn link(span: Span, target: &str, port: ContainerPort, hides_own: bool) -> Yaml {
    let mut entries = vec![
        (key(span, "application"), Yaml::string(span, target)),
        (key(span, "port"), Yaml::plain(span, port.written())),
    ];
    if hides_own {
        entries.push((key(span, "hide_own"), Yaml::plain(span, "true")));
    }
    Yaml::mapping(span, entries)
}

/// Returns the networks of a service.
fn networks(service: &Service) -> BTreeSet<&str> {
    let Some(value) = service.get("networks") else {
        return BTreeSet::from([DEFAULT_NETWORK]);
    };
    if let Some(entries) = value.entries() {
        return entries
            .iter()
            .map(|(name, _)| name.value.as_str())
            .collect();
    }
    value
        .one_or_many()
        .into_iter()
        .filter_map(Yaml::text)
        .collect()
}

/// Returns the item of `links` that names a service.
fn explicit_link<'s>(service: &'s Service, name: &str) -> Option<&'s Yaml> {
    let links = service.get("links")?;
    let target = |item: &Yaml| item.text()?.split(':').next().map(str::to_owned);
    let mut items = links.one_or_many().into_iter();
    items.find(|item| target(item).as_deref() == Some(name))
}

/// Tells whether a service has ports that only other services use: its image runs as it is, and it
/// publishes nothing.
fn is_server(project: &Project, index: usize) -> bool {
    let service = &project.services[index];
    let image = service.get("image").and_then(Yaml::text);
    let is_changed = ["command", "entrypoint", "ports"]
        .iter()
        .any(|key| service.get(key).is_some());
    !is_changed
        && (service.get("expose").is_some()
            || image.is_some_and(|image| !ports_of_image(image).is_empty()))
}

/// Collects the ports of each service: what it publishes and exposes, what others name together with
/// it, and what its image is known for.
fn known_ports(
    project: &Project,
    spoken: &[Vec<Mention>],
) -> BTreeMap<usize, BTreeSet<ContainerPort>> {
    let mut known: BTreeMap<usize, BTreeSet<ContainerPort>> = BTreeMap::new();
    for (index, service) in project.services.iter().enumerate() {
        let ports = known.entry(index).or_default();
        for name in ["ports", "expose"] {
            ports.extend(service.get(name).map(container_ports).unwrap_or_default());
        }
        let image = service.get("image").and_then(Yaml::text);
        let of_image = image.map_or(&[][..], ports_of_image).iter();
        ports.extend(of_image.copied().map(ContainerPort::tcp));
    }
    for mention in spoken.iter().flatten() {
        known
            .entry(mention.target)
            .or_default()
            .extend(mention.port.map(ContainerPort::tcp));
    }
    known
}

fn report_without_port(
    mention: &Mention,
    (source, target): (&str, &str),
    adoption: &mut Adoption<'_>,
) {
    let (source, shown) = (quote(source), quote(target));
    let hint = format!("write at {shown} which port it answers at: `expose: [\"PORT\"]`");
    match mention.strength {
        Strength::Address => {
            let message = format!("{source} reaches {shown}, whose port is not known");
            adoption.error(mention.span, message, hint);
        }
        Strength::Word => {
            let message = format!("{source} may mean the service {shown}, whose port is not known");
            let hint = format!("if it does, {hint}");
            adoption.warn(mention.span, message, hint);
        }
        Strength::Dependency => {
            let message = format!("{source} depends on {shown}, whose port is not known");
            let hint = format!("if it reaches {shown} by its name, {hint}");
            adoption.warn(mention.span, message, hint);
        }
        Strength::Part => {}
    }
}

/// Refuses addresses that are another name of a service: it answers under its own name only.
fn check_other_names(
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
}

/// Returns the names under which Compose also makes services answer, but for those that are names of
/// services.
fn other_names(project: &Project, names: &Names<'_>) -> BTreeMap<String, usize> {
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
