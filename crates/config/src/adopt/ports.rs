//! `ports` of a service: routes, which answer on every node.

use crate::adopt::adoption::Adoption;
use crate::adopt::service::Application;
use crate::adopt::yaml::{Pair, Yaml, key};
use crate::phrase::quote;
use crate::source::Span;

/// Gives an application the routes for the ports of its service.
pub(crate) fn rewrite_ports(
    value: &Yaml,
    owner: &str,
    application: &mut Application,
    adoption: &mut Adoption<'_>,
) {
    let routes = value.one_or_many().into_iter();
    let routes = routes.map(|item| route(item, owner, adoption)).collect();
    application.extend("routes", value.span, routes);
}

fn route(item: &Yaml, owner: &str, adoption: &mut Adoption<'_>) -> Yaml {
    if let Some(entries) = item.entries() {
        return long_form(item, entries, owner, adoption);
    }
    if let Some(text) = item.text().filter(|text| !text.contains(':')) {
        let port = text.split('/').next().unwrap_or(text);
        warn_of_chosen_port(item.span, port, owner, adoption);
    }
    item.clone()
}

/// Compose publishes such a port at a number that is free; a route needs one.
fn warn_of_chosen_port(span: Span, port: &str, owner: &str, adoption: &mut Adoption<'_>) {
    adoption.warn(
        span,
        format!(
            "the port {} of {owner} answers at the same number",
            quote(port)
        ),
        format!(
            "Compose would choose a free one; write `NUMBER:{port}` for another, or leave the port \
             out if only other services use it"
        ),
    );
}

/// Leaves out what means nothing here; our readers know the other keys of the long form.
fn long_form(item: &Yaml, entries: &[Pair], owner: &str, adoption: &mut Adoption<'_>) -> Yaml {
    let mut route: Vec<Pair> = Vec::new();
    let target = item.text_of("target").unwrap_or_default();
    let is_published = item
        .text_of("published")
        .is_some_and(|port| !port.is_empty());
    for (name, value) in entries {
        let is_left_out = match name.value.as_str() {
            // How Swarm publishes, and words for people.
            "mode" | "name" | "app_protocol" => true,
            "published" => !is_published,
            other => other.starts_with("x-"),
        };
        if !is_left_out {
            route.push((name.clone(), value.clone()));
        }
    }
    if !is_published && !target.is_empty() {
        warn_of_chosen_port(item.span, target, owner, adoption);
        let number = Yaml::plain(item.span, target);
        route.push((key(item.span, "published"), number));
    }
    Yaml::mapping(item.span, route)
}

/// A port inside of a container that others may reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ContainerPort {
    pub(crate) number: u16,
    pub(crate) is_udp: bool,
}

impl ContainerPort {
    /// A port of TCP.
    pub(crate) const fn tcp(number: u16) -> Self {
        Self {
            number,
            is_udp: false,
        }
    }

    /// Writes the port as a link has it.
    pub(crate) fn written(self) -> String {
        let protocol = if self.is_udp { "/udp" } else { "" };
        format!("{}{protocol}", self.number)
    }
}

/// Returns the ports inside of the container that `ports` or `expose` names.
pub(crate) fn container_ports(value: &Yaml) -> Vec<ContainerPort> {
    let mut ports = Vec::new();
    for item in value.one_or_many() {
        let Some(text) = item.text().or_else(|| item.text_of("target")) else {
            continue;
        };
        let (numbers, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let is_udp = match item.text_of("protocol").unwrap_or(protocol) {
            "tcp" => false,
            "udp" => true,
            _ => continue,
        };
        let numbers = range(numbers.rsplit(':').next().unwrap_or(numbers)).into_iter();
        ports.extend(numbers.map(|number| ContainerPort { number, is_udp }));
    }
    ports
}

/// Reads `80` or `8000-8010`; a longer range is none that a link is for.
fn range(text: &str) -> Vec<u16> {
    const LONGEST: u16 = 32;
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (first.trim().parse::<u16>(), last.trim().parse::<u16>()) {
        (Ok(first), Ok(last)) if first > 0 && last >= first && last - first < LONGEST => {
            (first..=last).collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::File;

    #[test]
    fn the_ports_inside_of_the_container_are_found() {
        let span = Span {
            file: File::Application,
            start: 0,
            end: 0,
        };
        let ports = |text: &str| -> Vec<String> {
            let ports = container_ports(&Yaml::string(span, text));
            ports.into_iter().map(ContainerPort::written).collect()
        };
        assert_eq!(ports("8080:80"), ["80"]);
        assert_eq!(ports("127.0.0.1:8080:80/tcp"), ["80"]);
        assert_eq!(ports("3000-3002:4000-4002"), ["4000", "4001", "4002"]);
        assert_eq!(ports("9200"), ["9200"]);
        assert_eq!(ports("53:53/udp"), ["53/udp"]);
        for text in ["1:1/sctp", "1-60000", "x", "0", "2-1"] {
            assert!(ports(text).is_empty(), "{text}");
        }
    }
}
