//! One service of a Compose or Fig file, key by key.

use std::collections::BTreeMap;

use flocker_model::LoopbackAddress;

use crate::adopt::adoption::Adoption;
use crate::adopt::deploy::rewrite_deploy;
use crate::adopt::environment::rewrite_environment;
use crate::adopt::forms::texts;
use crate::adopt::networks::{check_links, check_network_mode, check_networks};
use crate::adopt::ports::rewrite_ports;
use crate::adopt::project::{Project, Service};
use crate::adopt::restart::rewrite_restart;
use crate::adopt::secrets::{Kind, rewrite_files};
use crate::adopt::yaml::{Pair, Shape, Yaml, key};
use crate::application::KEYS;
use crate::phrase::quote;
use crate::source::{Located, Span};
use crate::tree::ScalarKind;

/// Keys that are left out with a warning, because what runs is the same without them.
const LEFT_OUT: &[(&str, &str)] = &[
    ("attach", "only Compose acts on it"),
    (
        "container_name",
        "the container is called `flocker-` and the name of the application",
    ),
    ("develop", "only Compose acts on it"),
    ("log_driver", LOGS),
    ("log_opt", LOGS),
    ("logging", LOGS),
    (
        "platform",
        "each node runs the image for its own architecture",
    ),
    (
        "profiles",
        "an application runs where the deployment configuration places it",
    ),
    ("pull_policy", FETCHED),
    ("pull_refresh_after", FETCHED),
];

/// How an image gets to a node.
const FETCHED: &str =
    "an image is fetched where it is missing, and from its registry before your own Docker";

/// The place of the output, whichever driver Docker has.
const LOGS: &str = "output is in the journal of the service's node: `journalctl -u flocker-NAME`";

/// Keys without which something else would run.
const REFUSED: &[(&str, &str)] = &[
    (
        "extends",
        "write the keys of the other service out: `docker compose config --no-path-resolution` prints \
         them",
    ),
    (
        "external_links",
        "name the other container's address in the program's own settings",
    ),
    ("models", "Flocker runs containers only"),
    ("post_start", "let the image's entry point do it"),
    ("pre_stop", "let the program do it when it is asked to stop"),
    ("provider", "Flocker runs containers only"),
    ("use_api_socket", "mount the socket in `volumes`"),
];

/// Keys that Compose has and Flocker does not, with the hints of our own files.
const UNSUPPORTED: &[&str] = &[
    "cpu_count",
    "cpu_percent",
    "cpu_period",
    "cpu_quota",
    "cpu_rt_period",
    "cpu_rt_runtime",
    "credential_spec",
    "isolation",
    "label_file",
    "mac_address",
    "uts",
];

/// Keys whose values are numbers or booleans, also where a variable or quotes made them a text.
const TYPED: &[&str] = &[
    "blkio_config",
    "cpu_shares",
    "healthcheck",
    "init",
    "mem_reservation",
    "mem_swappiness",
    "memswap_limit",
    "oom_kill_disable",
    "oom_score_adj",
    "pids_limit",
    "privileged",
    "read_only",
    "shm_size",
    "stdin_open",
    "tty",
    "ulimits",
];

/// The application that a service becomes.
#[derive(Debug, Default)]
pub(crate) struct Application {
    pub(crate) entries: Vec<Pair>,
    /// The directories beside the file that are its data, and where they are mounted.
    pub(crate) directories: Vec<(String, Span)>,
    /// Where each key is among them.
    places: BTreeMap<String, usize>,
}

impl Application {
    /// Sets a key. One that has another value already is refused.
    pub(crate) fn set(&mut self, key: Located<String>, value: Yaml, adoption: &mut Adoption<'_>) {
        match self.get(&key.value) {
            None => self.push(key, value),
            Some(earlier) if earlier.text().is_some() && earlier.text() == value.text() => {}
            Some(_) => adoption.error(
                value.span,
                format!("{} is set twice with different values", quote(&key.value)),
                "keep one of the two",
            ),
        }
    }

    /// Adds items to a list, which may have been one item alone before.
    pub(crate) fn extend(&mut self, name: &str, span: Span, items: Vec<Yaml>) {
        if items.is_empty() {
            return;
        }
        let Some(place) = self.places.get(name) else {
            let list = Yaml::list(span, items);
            return self.push(key(span, name), list);
        };
        let value = &mut self.entries[*place].1;
        let mut all: Vec<Yaml> = value.one_or_many().into_iter().cloned().collect();
        all.extend(items);
        *value = Yaml::list(value.span, all);
    }

    /// Adds names and their addresses to `extra_hosts`, which is a list or a mapping.
    pub(crate) fn add_hosts(&mut self, span: Span, hosts: &[(&str, LoopbackAddress)]) {
        let place = self.places.get("extra_hosts").copied();
        if let Some(place) = place
            && let Some(entries) = self.entries[place].1.entries()
        {
            let added = hosts
                .iter()
                .map(|(name, address)| (key(span, name), Yaml::string(span, address.to_string())));
            let all = entries.iter().cloned().chain(added).collect();
            self.entries[place].1 = Yaml::mapping(self.entries[place].1.span, all);
            return;
        }
        let lines = hosts.iter();
        let lines = lines.map(|(name, address)| Yaml::string(span, format!("{name}:{address}")));
        self.extend("extra_hosts", span, lines.collect());
    }

    /// Returns the value of a key.
    pub(crate) fn get(&self, name: &str) -> Option<&Yaml> {
        let place = self.places.get(name)?;
        Some(&self.entries[*place].1)
    }

    fn push(&mut self, key: Located<String>, value: Yaml) {
        self.places.insert(key.value.clone(), self.entries.len());
        self.entries.push((key, value));
    }
}

/// Rewrites all keys of a service but those that concern others, too: volumes and networks.
pub(crate) fn rewrite_service(
    service: &Service,
    project: &Project,
    adoption: &mut Adoption<'_>,
) -> Application {
    let mut application = Application::default();
    for entry in &service.entries {
        rewrite_key(entry, (service, project), &mut application, adoption);
    }
    rewrite_environment(service, &mut application, adoption);
    if application.get("restart").is_none() {
        rewrite_restart(service, &mut application, adoption);
    }
    application
}

fn rewrite_key(
    (name, value): &Pair,
    (service, project): (&Service, &Project),
    application: &mut Application,
    adoption: &mut Adoption<'_>,
) {
    if value.is_null() && KEYS.keys.contains(&name.value.as_str()) {
        // Compose takes a key without a value as if it were absent.
        return;
    }
    let owner = quote(&service.name.value);
    let renamed = |ours: &str| key(name.span, ours);
    match name.value.as_str() {
        // Read elsewhere: they concern several keys, or several services.
        "environment" | "env_file" | "volumes" => {}
        "expose" => {
            texts(value, ("expose", "port", &owner), adoption);
        }
        "restart" => rewrite_restart(service, application, adoption),
        "links" => check_links(value, (service, project), adoption),
        "networks" => check_networks(value, (service, project), adoption),
        "network_mode" | "net" => check_network_mode(name, value, &owner, adoption),
        "ports" => rewrite_ports(value, &owner, application, adoption),
        "mem_limit" => limit(renamed("memory"), value, application, adoption),
        "cpus" => limit(renamed("cpu"), value, application, adoption),
        "deploy" => rewrite_deploy(value, &owner, application, adoption),
        "scale" => check_replicas(value, &owner, adoption),
        "secrets" => rewrite_files(
            (Kind::Secret, value),
            (service, project),
            application,
            adoption,
        ),
        "configs" => rewrite_files(
            (Kind::Config, value),
            (service, project),
            application,
            adoption,
        ),
        "build" => check_build(name, service, application, adoption),
        extension if extension.starts_with("x-") => {}
        _ => rewrite_other_key((name, value), &owner, application, adoption),
    }
}

/// Rewrites a key that is the same here, or has no counterpart.
fn rewrite_other_key(
    (name, value): (&Located<String>, &Yaml),
    owner: &str,
    application: &mut Application,
    adoption: &mut Adoption<'_>,
) {
    let other = name.value.as_str();
    let shown = quote(other);
    let reason = |table: &[(&str, &'static str)]| {
        let found = table.iter().find(|(key, _)| *key == other);
        found.map(|(_, reason)| *reason)
    };
    if let Some(reason) = reason(LEFT_OUT) {
        adoption.warn(name.span, format!("{shown} of {owner} is left out"), reason);
    } else if let Some(reason) = reason(REFUSED) {
        let message = format!("{owner} has {shown}, which Flocker cannot do");
        adoption.error(name.span, message, reason);
    } else if UNSUPPORTED.contains(&other) {
        let message = format!(
            "the service {owner} has {shown}, a key of Compose that Flocker does not support"
        );
        let foreign = KEYS.foreign.iter().find(|foreign| foreign.key() == other);
        let hint = foreign.map_or("leave it out", |foreign| foreign.counterpart().1);
        adoption.error(name.span, message, hint);
    } else {
        let mut value = if TYPED.contains(&other) {
            typed(value)
        } else {
            value.clone()
        };
        if other == "healthcheck" {
            value = without_zeros(value);
        }
        application.set(name.clone(), value, adoption);
    }
}

/// Sets a limit, unless it is Compose's 0 for none.
pub(crate) fn limit(
    key: Located<String>,
    value: &Yaml,
    application: &mut Application,
    adoption: &mut Adoption<'_>,
) {
    if !matches!(value.text(), Some("0" | "0.0" | "-1")) {
        application.set(key, value.clone(), adoption);
    }
}

/// Refuses more than one copy of a service.
pub(crate) fn check_replicas(value: &Yaml, owner: &str, adoption: &mut Adoption<'_>) {
    if value.text() != Some("1") {
        adoption.error(
            value.span,
            format!(
                "{owner} has {} containers, and an application has one",
                value.text().unwrap_or("several")
            ),
            if value.text() == Some("0") {
                "leave the service out of the deployment configuration: it does not run then"
            } else {
                "write a service for each"
            },
        );
    }
}

fn check_build(
    name: &Located<String>,
    service: &Service,
    application: &mut Application,
    adoption: &mut Adoption<'_>,
) {
    let owner = quote(&service.name.value);
    let image = service.get("image").and_then(Yaml::text);
    if let Some(image) = image {
        adoption.warn(
            name.span,
            format!("Flocker does not build the image of {owner}"),
            format!(
                "build it before, and push it as {0}; or write it with `docker save` and deploy with \
                 `--image-archive FILE`: a copy in your own Docker is sent only if the registry gives \
                 no {0}",
                quote(image)
            ),
        );
    } else {
        adoption.error(
            name.span,
            format!("{owner} is built and has no `image`"),
            "build the image first and name it in `image`; push it under that name, or write it with \
             `docker save` and deploy with `--image-archive FILE`",
        );
        // So that the missing image is reported once.
        let image = Yaml::string(name.span, "built");
        application.set(key(name.span, "image"), image, adoption);
    }
}

/// Leaves out what a health check takes from the image, or from Docker: Compose writes a zero for that.
fn without_zeros(check: Yaml) -> Yaml {
    let Shape::Mapping(mut entries) = check.shape else {
        return check;
    };
    entries.retain(|(name, value)| {
        let is_number = matches!(
            name.value.as_str(),
            "retries" | "interval" | "timeout" | "start_interval"
        );
        !is_number || !matches!(value.text(), Some("0" | "0s"))
    });
    Yaml::mapping(check.span, entries)
}

/// Reads texts as the numbers and booleans that they are; the words of a health check stay.
fn typed(value: &Yaml) -> Yaml {
    let shape = match &value.shape {
        Shape::Scalar(scalar) if scalar.kind == ScalarKind::String => {
            let plain = Yaml::plain(value.span, scalar.text.clone());
            return if plain.is_null() {
                value.clone()
            } else {
                plain
            };
        }
        Shape::Scalar(scalar) => Shape::Scalar(scalar.clone()),
        Shape::List(items) => Shape::List(items.iter().map(typed).collect()),
        Shape::Mapping(entries) => {
            let convert = |(name, value): &Pair| {
                let value = if name.value == "test" {
                    value.clone()
                } else {
                    typed(value)
                };
                (name.clone(), value)
            };
            Shape::Mapping(entries.iter().map(convert).collect())
        }
    };
    Yaml {
        span: value.span,
        shape,
    }
}
