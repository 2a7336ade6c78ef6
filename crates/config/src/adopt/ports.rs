//! `ports` of a service: routes, which answer on every node.

use crate::adopt::adoption::Adoption;
use crate::adopt::service::Application;
use crate::adopt::yaml::{Pair, Yaml, key};
use crate::phrase::quote;
use crate::quantity::parse_port;
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
    let Some(text) = item.text() else {
        return item.clone();
    };
    if !text.contains(':') {
        let port = text.split('/').next().unwrap_or(text);
        warn_of_chosen_port(item.span, port, owner, adoption);
    }
    short_form(item.span, text).unwrap_or_else(|| item.clone())
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

/// Reads `8080:80` and `80`. Forms that say more are forms of ours, too.
fn short_form(span: Span, text: &str) -> Option<Yaml> {
    let text = text.strip_suffix("/tcp").unwrap_or(text);
    let (external, internal) = text.split_once(':').unwrap_or((text, text));
    let is_port = |text: &str| parse_port(text).is_ok();
    if !is_port(external) || !is_port(internal) {
        return None;
    }
    if external == internal {
        return Some(Yaml::plain(span, internal));
    }
    let pair = |name, port: &str| (key(span, name), Yaml::plain(span, port));
    let pairs = vec![pair("external", external), pair("internal", internal)];
    Some(Yaml::mapping(span, pairs))
}

/// Gives the keys of the long form our names.
fn long_form(item: &Yaml, entries: &[Pair], owner: &str, adoption: &mut Adoption<'_>) -> Yaml {
    let mut route: Vec<Pair> = Vec::new();
    for (name, value) in entries {
        let ours = match name.value.as_str() {
            "published" => "external",
            "target" => "internal",
            "host_ip" => "address",
            // How Swarm publishes, and words for people.
            "mode" | "name" | "app_protocol" => continue,
            "protocol" if value.text() == Some("tcp") => continue,
            extension if extension.starts_with("x-") => continue,
            other => other,
        };
        let value = match value.text() {
            Some(text) => Yaml::plain(value.span, text),
            None => value.clone(),
        };
        route.push((key(name.span, ours), value));
    }
    let target = item.get("target").cloned();
    if item
        .get("published")
        .is_none_or(|port| port.text().is_none_or(str::is_empty))
        && let Some(target) = target
    {
        route.retain(|(name, _)| name.value != "external");
        warn_of_chosen_port(
            item.span,
            target.text().unwrap_or_default(),
            owner,
            adoption,
        );
        let number = Yaml::plain(target.span, target.text().unwrap_or_default());
        route.push((key(target.span, "external"), number));
    }
    Yaml::mapping(item.span, route)
}

/// Returns the TCP ports inside of the container that `ports` names.
pub(crate) fn container_ports(value: &Yaml) -> Vec<u16> {
    let mut ports = Vec::new();
    for item in value.one_or_many() {
        let is_tcp = item
            .text_of("protocol")
            .is_none_or(|protocol| protocol == "tcp");
        let Some(text) = item.text().or_else(|| item.text_of("target")) else {
            continue;
        };
        let (numbers, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        if is_tcp && protocol == "tcp" {
            ports.extend(range(numbers.rsplit(':').next().unwrap_or(numbers)));
        }
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
        let ports = |text: &str| container_ports(&Yaml::string(span, text));
        assert_eq!(ports("8080:80"), [80]);
        assert_eq!(ports("127.0.0.1:8080:80/tcp"), [80]);
        assert_eq!(ports("3000-3002:4000-4002"), [4000, 4001, 4002]);
        assert_eq!(ports("9200"), [9200]);
        for text in ["53:53/udp", "1-60000", "x", "0", "2-1"] {
            assert!(ports(text).is_empty(), "{text}");
        }
    }
}
