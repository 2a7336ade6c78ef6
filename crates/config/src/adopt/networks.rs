//! `networks` and `network_mode` of a service.

use crate::adopt::adoption::Adoption;
use crate::adopt::yaml::Yaml;
use crate::phrase::quote;
use crate::source::Located;

/// Looks at the networks of a service; the services that share one reach each other.
pub(crate) fn check_networks(value: &Yaml, owner: &str, adoption: &mut Adoption<'_>) {
    for (network, options) in value.entries().into_iter().flatten() {
        for (option, _) in options.entries().into_iter().flatten() {
            let option_name = option.value.as_str();
            if !matches!(option_name, "aliases" | "priority" | "gw_priority") {
                let of = format!("{owner} in the network {}", quote(&network.value));
                adoption.warn(
                    option.span,
                    format!("{} of {of} is left out", quote(option_name)),
                    "services reach each other by name, and by no address of their own",
                );
            }
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
