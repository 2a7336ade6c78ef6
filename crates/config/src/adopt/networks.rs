//! `networks` and `network_mode` of a service.

use crate::adopt::adoption::Adoption;
use crate::adopt::forms::{check_keys, texts};
use crate::adopt::project::{DEFAULT_NETWORK, Project, Service};
use crate::adopt::yaml::Yaml;
use crate::phrase::quote;
use crate::source::{Located, Span};
use crate::suggest::nearest;

/// Options of a network of a service that change no address and no path of packets.
const WITHOUT_EFFECT: &[&str] = &["aliases", "gw_priority", "priority"];

/// Options of a network of a service that are left out with a warning.
const LEFT_OUT: &[&str] = &[
    "driver_opts",
    "interface_name",
    "ipv4_address",
    "ipv6_address",
    "link_local_ips",
    "mac_address",
];

/// Looks at the networks of a service; the services that share one reach each other.
pub(crate) fn check_networks(
    value: &Yaml,
    (service, project): (&Service, &Project),
    adoption: &mut Adoption<'_>,
) {
    let owner = quote(&service.name.value);
    if let Some(entries) = value.entries() {
        for (name, options) in entries {
            check_defined((&name.value, name.span), &owner, project, adoption);
            check_options((&name.value, options), &owner, adoption);
        }
        return;
    }
    for (name, span) in texts(value, ("networks", "name", &owner), adoption) {
        check_defined((name, span), &owner, project, adoption);
    }
}

/// Looks at the services that a service has links to.
pub(crate) fn check_links(
    value: &Yaml,
    (service, project): (&Service, &Project),
    adoption: &mut Adoption<'_>,
) {
    let owner = quote(&service.name.value);
    for (link, span) in texts(value, ("links", "name", &owner), adoption) {
        let target = link.split(':').next().unwrap_or(link);
        let services = || project.services.iter().map(|one| one.name.value.as_str());
        if services().all(|name| name != target) {
            let message = format!(
                "{owner} has a link to {}, which is not defined",
                quote(target)
            );
            let hint = guess(target, services());
            let hint = hint.unwrap_or_else(|| "define the service, or remove the link".to_owned());
            adoption.error(span, message, hint);
        }
    }
}

/// Refuses a network that the file does not define.
fn check_defined(
    (name, span): (&str, Span),
    owner: &str,
    project: &Project,
    adoption: &mut Adoption<'_>,
) {
    if name == DEFAULT_NETWORK || project.networks.contains(name) {
        return;
    }
    let hint = guess(name, project.networks.iter().map(String::as_str)).unwrap_or_else(|| {
        let line = quote(&format!("{name}:"));
        if project.is_linked {
            format!("put the services below `services:`, and {line} into `networks` beside it")
        } else {
            format!("add {line} to `networks` at the top of the file")
        }
    });
    let message = format!("the network {} of {owner} is not defined", quote(name));
    adoption.error(span, message, hint);
}

fn guess<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> Option<String> {
    nearest(name, names).map(|guess| format!("did you mean {}?", quote(guess)))
}

fn check_options((network, options): (&str, &Yaml), owner: &str, adoption: &mut Adoption<'_>) {
    let what = format!("{owner} in the network {}", quote(network));
    check_keys(options, (&what, &[WITHOUT_EFFECT, LEFT_OUT]), adoption);
    for (option, _) in options.entries().into_iter().flatten() {
        if LEFT_OUT.contains(&option.value.as_str()) {
            adoption.warn(
                option.span,
                format!("{} of {what} is left out", quote(&option.value)),
                "services reach each other by name, and by no address of their own",
            );
        }
    }
}

/// Refuses networks that are not the container's own.
pub(crate) fn check_network_mode(
    name: &Located<String>,
    value: &Yaml,
    owner: &str,
    adoption: &mut Adoption<'_>,
) {
    let mode = value.text().unwrap_or_default();
    if matches!(mode, "bridge" | "default") {
        return;
    }
    if mode.starts_with("service:") || mode.starts_with("container:") {
        return adoption.error(
            name.span,
            format!("{owner} uses the network of another container ({}), which Flocker does not support", quote(mode)),
            "do not just remove the key: the traffic would go past the other container, such as a VPN. \
             Run both in one image, or keep them outside of Flocker",
        );
    }
    let hint = match mode {
        "host" => {
            "leave the key out, and write in `ports` what others are to reach: an application has a \
             network of its own. Discovery by broadcast (mDNS, DLNA) does not reach it"
        }
        "none" => {
            "leave the key out only if it may reach the network, which every application does"
        }
        _ => {
            "leave the key out, and write in `ports` what others are to reach: an application has a \
             network of its own"
        }
    };
    let message = format!(
        "{owner} has the network mode {}, which Flocker does not have",
        quote(mode)
    );
    adoption.error(name.span, message, hint);
}
