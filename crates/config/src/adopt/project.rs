//! A Compose file as a whole: its services, and what they share.

use std::collections::{BTreeMap, BTreeSet};

use crate::adopt::adoption::Adoption;
use crate::adopt::data::{Store, arrange_data};
use crate::adopt::docker_labels::warn_of_docker_labels;
use crate::adopt::forms::{check_keys, is_true, mapping, warn_of_keys};
use crate::adopt::mention_in_files::warn_of_names_in_files;
use crate::adopt::reach::link_services;
use crate::adopt::resolver::warn_of_dockers_resolver;
use crate::adopt::secrets::{Kind, read_definitions};
use crate::adopt::service::rewrite_service;
use crate::adopt::yaml::{Pair, Yaml};
use crate::phrase::quote;
use crate::source::{Located, Span};
use crate::suggest::nearest;

/// The keys at the top of a Compose file.
const KEYS: [&str; 6] = [
    "services", "volumes", "networks", "secrets", "configs", "name",
];

/// The network of services that name none; it needs no definition.
pub(crate) const DEFAULT_NETWORK: &str = "default";

/// The parts of a Compose file.
#[derive(Debug)]
pub(crate) struct Project {
    span: Span,
    pub(crate) services: Vec<Service>,
    /// The volumes of the file; `None` if every name is one, as in Fig.
    pub(crate) volumes: Option<Vec<Pair>>,
    /// The names of the networks that the file defines.
    pub(crate) networks: BTreeSet<String>,
    pub(crate) secrets: BTreeMap<String, Yaml>,
    pub(crate) configs: BTreeMap<String, Yaml>,
    /// The name that the file gives the project.
    pub(crate) name: Option<String>,
    /// Whether services reach only those that their `links` name, as in Fig.
    pub(crate) is_linked: bool,
}

/// One service as it was written.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) name: Located<String>,
    pub(crate) entries: Vec<Pair>,
    span: Span,
}

impl Service {
    /// Returns the value of a key.
    pub(crate) fn get(&self, key: &str) -> Option<&Yaml> {
        let found = self.entries.iter().find(|(name, _)| name.value == key);
        found.map(|(_, value)| value)
    }
}

impl Project {
    /// Reads the top of a Compose file.
    pub(crate) fn read(root: &Yaml, adoption: &mut Adoption<'_>) -> Self {
        let mut project = Self {
            span: root.span,
            services: Vec::new(),
            volumes: Some(Vec::new()),
            networks: BTreeSet::new(),
            secrets: BTreeMap::new(),
            configs: BTreeMap::new(),
            name: None,
            is_linked: false,
        };
        for (name, value) in root.entries().into_iter().flatten() {
            let shown = quote(&name.value);
            match name.value.as_str() {
                "services" if value.is_null() || value.entries().is_some_and(Vec::is_empty) => {
                    let hint = "write at least one below it: `web: {image: nginx}`";
                    adoption.error(name.span, "the Compose file has no services", hint);
                }
                "services" => project.services = services(value, adoption),
                "volumes" => {
                    project.volumes = Some(mapping(value, &shown, adoption).to_vec());
                }
                "secrets" => project.secrets = read_definitions(Kind::Secret, value, adoption),
                "configs" => project.configs = read_definitions(Kind::Config, value, adoption),
                "networks" => {
                    project.networks = networks(mapping(value, &shown, adoption), adoption);
                }
                "name" => project.name = value.text().map(str::to_owned),
                "version" => {}
                extension if extension.starts_with("x-") => {}
                other => refuse_key(other, name.span, adoption),
            }
        }
        project
    }

    /// Reads a Fig file, whose services are at the top.
    pub(crate) fn of_fig(root: &Yaml, adoption: &mut Adoption<'_>) -> Self {
        let root = &without_parts_of_compose(root, adoption);
        Self {
            span: root.span,
            services: services(root, adoption),
            volumes: None,
            networks: BTreeSet::new(),
            secrets: BTreeMap::new(),
            configs: BTreeMap::new(),
            name: None,
            is_linked: true,
        }
    }

    /// Makes the application configuration.
    pub(crate) fn rewrite(&self, adoption: &mut Adoption<'_>) -> Yaml {
        let mut applications: Vec<_> = self
            .services
            .iter()
            .map(|service| rewrite_service(service, self, adoption))
            .collect();
        let stores = Store::read_all(self, adoption);
        arrange_data(self, &stores, &mut applications, adoption);
        link_services(self, &mut applications, adoption);
        warn_of_names_in_files(self, &applications, adoption);
        warn_of_dockers_resolver(self, &applications, adoption);
        warn_of_docker_labels(self, adoption);
        let entries = self.services.iter().zip(applications);
        let entries = entries.map(|(service, application)| {
            let mapping = Yaml::mapping(service.span, application.entries);
            (service.name.clone(), mapping)
        });
        Yaml::mapping(self.span, entries.collect())
    }
}

/// Refuses what Compose has beside services, and would be a service here.
fn without_parts_of_compose(root: &Yaml, adoption: &mut Adoption<'_>) -> Yaml {
    let mut services = Vec::new();
    for (name, value) in root.entries().into_iter().flatten() {
        let is_part = KEYS.contains(&name.value.as_str()) && name.value != "services";
        if is_part && value.get("image").is_none() && value.get("build").is_none() {
            let message = format!("a Fig file has no {}", quote(&name.value));
            let hint = "put the services below `services:`, which makes it a Compose file";
            adoption.error(name.span, message, hint);
        } else {
            services.push((name.clone(), value.clone()));
        }
    }
    Yaml::mapping(root.span, services)
}

/// The most services of a file: each is compared with each other.
pub(crate) const MAXIMUM_SERVICES: usize = 1000;

fn services(value: &Yaml, adoption: &mut Adoption<'_>) -> Vec<Service> {
    let mut services = Vec::new();
    let count = value.entries().map_or(0, Vec::len);
    if count > MAXIMUM_SERVICES {
        let message =
            format!("{count} services, which is more than the {MAXIMUM_SERVICES} that are read");
        adoption.error(value.span, message, "divide the file");
        return services;
    }
    for (name, value) in value.entries().into_iter().flatten() {
        if name.value.starts_with("x-") {
            continue;
        }
        let Some(entries) = value.entries() else {
            let message = format!(
                "the service {} must be a mapping with an `image`, not {}",
                quote(&name.value),
                value.describe()
            );
            adoption.error(name.span, message, "write the image that it runs below it");
            continue;
        };
        adoption.report.replacements.show(&name.value);
        services.push(Service {
            name: name.clone(),
            entries: entries.clone(),
            span: value.span,
        });
    }
    services
}

/// The keys of a network.
const NETWORK: &[&str] = &[
    "attachable",
    "driver",
    "driver_opts",
    "enable_ipv4",
    "enable_ipv6",
    "external",
    "internal",
    "ipam",
    "labels",
    // What Docker would call it.
    "name",
];

/// Keys of a network that are left out, and why.
const LEFT_OUT_OF_NETWORKS: &[(&str, &str)] = &[
    (
        "attachable",
        "containers outside of this file do not reach its services",
    ),
    ("driver_opts", "Flocker makes no network for it"),
    ("enable_ipv6", "containers of Flocker have IPv4 alone"),
    (
        "ipam",
        "services reach each other by name, and by no address of their own",
    ),
    ("labels", "Flocker makes no network for it"),
];

/// Returns the names of the networks, and refuses those whose driver gives containers addresses outside
/// of the node.
fn networks(networks: &[Pair], adoption: &mut Adoption<'_>) -> BTreeSet<String> {
    for (name, network) in networks {
        let shown = quote(&name.value);
        let what = format!("the network {shown}");
        check_keys(network, (&what, &[NETWORK]), adoption);
        warn_of_keys(network, (&what, LEFT_OUT_OF_NETWORKS), adoption);
        if let Some(driver) = network.get("driver")
            && !matches!(driver.text(), Some("bridge" | "overlay" | "default"))
        {
            adoption.error(
                driver.span,
                format!("the network {shown} has a driver that Flocker does not have"),
                "leave `driver` out; `ports` answer at the nodes' own addresses",
            );
        }
        if let Some(external) = network.get("external").filter(|value| !is_false(value)) {
            adoption.warn(
                external.span,
                format!("the network {shown} is outside of this file"),
                "services reach each other; what else is in that network, they do not",
            );
        }
        let internal = network.get("internal");
        let is_internal = is_true(internal, &format!("`internal` of {what}"), adoption);
        if let Some(internal) = internal.filter(|_| is_internal) {
            adoption.warn(
                internal.span,
                format!("the network {shown} does not keep its services from the outside"),
                "Flocker has no such rule; a firewall of the nodes may",
            );
        }
    }
    let names = networks.iter();
    names.map(|(name, _)| name.value.clone()).collect()
}

/// Tells whether `external` says that something is not external.
pub(crate) fn is_false(value: &Yaml) -> bool {
    value.is_null() || value.text() == Some("false")
}

fn refuse_key(name: &str, span: Span, adoption: &mut Adoption<'_>) {
    let (message, hint) = match name {
        "include" => (
            "Flocker does not read other Compose files".to_owned(),
            "write their services into this file: `docker compose config --no-path-resolution` \
             prints all of them"
                .to_owned(),
        ),
        "models" => (
            "Flocker runs containers only".to_owned(),
            "leave `models` out".to_owned(),
        ),
        other => (
            format!("a Compose file has no key {}", quote(other)),
            match nearest(other, KEYS) {
                Some(guess) => format!("did you mean {}?", quote(guess)),
                None => "indent it, if it is a service".to_owned(),
            },
        ),
    };
    adoption.error(span, message, hint);
}
