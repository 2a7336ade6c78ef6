//! The services that reach each other by name.
//!
//! In Compose, services of one network reach each other at every port. Here an application reaches
//! what its `links` say, at loopback addresses. So each service gets links to those that it speaks of,
//! at an address for each, and a line of `/etc/hosts` that makes the other's name mean that address.

use std::collections::{BTreeMap, BTreeSet};

use flocker_model::LoopbackAddress;

use crate::adopt::adoption::Adoption;
use crate::adopt::loopback::loopback_addresses;
use crate::adopt::mention::{Mention, Names, Strength, mentions};
use crate::adopt::mention_in_files::add_mentions_in_files;
use crate::adopt::other_names::{check_other_names, other_names};
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
    let addresses = loopback_addresses(names.iter().copied());
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
        let mut reached = Reached::new(service);
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
            reached.add((span, names[target]), addresses[names[target]], ports);
            if ports.is_empty()
                && let Some(mention) = mention
            {
                report_without_port(mention, (&service.name.value, names[target]), adoption);
            }
        }
        if spoken[source].iter().any(|one| one.target == source) {
            reached.add_own_name();
        }
        reached.give_to(&mut applications[source]);
    }
}

/// The services that one service reaches.
struct Reached<'p> {
    service: &'p Service,
    links: Vec<Yaml>,
    /// The names that it has to find, and what they mean.
    hosts: Vec<(&'p str, LoopbackAddress)>,
}

impl<'p> Reached<'p> {
    const fn new(service: &'p Service) -> Self {
        Self {
            service,
            links: Vec::new(),
            hosts: Vec::new(),
        }
    }

    /// Links the ports of another service, under its name.
    fn add(
        &mut self,
        (span, target): (Span, &'p str),
        address: LoopbackAddress,
        ports: &BTreeSet<ContainerPort>,
    ) {
        let links = ports
            .iter()
            .map(|port| link((span, target), address, *port));
        self.links.extend(links);
        if !ports.is_empty() {
            self.hosts.push((target, address));
        }
    }

    /// Lets the service find itself: a container knows its host name alone, which is the service's
    /// own name only where the file sets no other.
    fn add_own_name(&mut self) {
        let name = self.service.name.value.as_str();
        let hostname = self.service.get("hostname").and_then(Yaml::text);
        if hostname.is_some_and(|hostname| hostname != name) {
            self.hosts.push((name, LoopbackAddress::LOCALHOST));
        }
    }

    fn give_to(self, application: &mut Application) {
        let span = self.service.name.span;
        application.extend("links", span, self.links);
        application.add_hosts(span, &self.hosts);
    }
}

/// Writes a link.
fn link((span, target): (Span, &str), address: LoopbackAddress, port: ContainerPort) -> Yaml {
    let entries = vec![
        (key(span, "application"), Yaml::string(span, target)),
        (key(span, "port"), Yaml::plain(span, port.written())),
        (
            key(span, "address"),
            Yaml::string(span, address.to_string()),
        ),
    ];
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
