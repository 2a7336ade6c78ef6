//! The key `links`: ports of other applications that this one reaches at its loopback addresses.

use std::net::{Ipv4Addr, Ipv6Addr};

use flocker_model::{LocalPort, LoopbackAddress, Protocol, ServicePort};

use crate::fields::Field;
use crate::keys::{Foreign, KnownKeys, no_value};
use crate::mounts::read_flag;
use crate::phrase::quote;
use crate::port_form::{parse_protocol, parse_service_port};
use crate::quantity::Refusal;
use crate::report::{Finding, Report};
use crate::source::Located;
use crate::tree::{Entry, ScalarKind, Value};

const KEYS: KnownKeys = KnownKeys {
    keys: &[
        "application",
        "port",
        "local_port",
        "protocol",
        "address",
        "hide_own",
    ],
    foreign: &[
        Foreign::converted(
            "alias",
            "application",
            no_value,
            "it must be the name of an application in this file",
        ),
        Foreign::same("target", "application"),
        Foreign::same("name", "application"),
        Foreign::same("remote_port", "port"),
        Foreign::same("local", "local_port"),
    ],
};

const FORM: &str = "write `[pgsql-trac, 5432]`";

/// A link as it was written; its target may not exist.
#[derive(Debug, Clone)]
pub(crate) struct DraftLink {
    pub(crate) target: Located<String>,
    pub(crate) port: ServicePort,
    pub(crate) local_port: Located<LocalPort>,
    /// Whether it may take a port of 127.0.0.1 that the application serves itself.
    pub(crate) hides_own: bool,
}

/// Reads the links of the application that messages call `owner`.
pub(crate) fn read_links(field: &Field<'_>, owner: &str, report: &mut Report) -> Vec<DraftLink> {
    let hint = || Some("write `links: [[pgsql-trac, 5432]]`".to_owned());
    let items = field
        .list("a list of links", report, hint)
        .unwrap_or_default();
    if let [target, port] = items.as_slice()
        && target.text().is_some()
        && port.text().is_some()
    {
        // One pair without the list around it, rather than two broken links.
        if let (Some(target), Some(port)) = (target.text(), port.text())
            && parse_service_port(port).is_ok()
        {
            report.error(|| {
                Finding::at(field.span(), format!("{} is a list of pairs", field.what))
                    .hint(format!("write `links: [[{target}, {port}]]`"))
            });
            return Vec::new();
        }
    }
    items
        .into_iter()
        .filter_map(|item| read_link(item, owner, report))
        .collect()
}

fn read_link(item: Value<'_>, owner: &str, report: &mut Report) -> Option<DraftLink> {
    let name = format!("a link of {owner}");
    if let Some(entries) = item.entries() {
        return read_mapping(item, &entries, &name, report);
    }
    let Some(pair) = item.items() else {
        report.error(|| {
            let hint = match item.scalar() {
                Some(scalar) if scalar.kind == ScalarKind::String => {
                    name_and_alias_hint(&scalar.text)
                }
                _ => FORM.to_owned(),
            };
            let expected = "a pair of an application and a port";
            Field::item(name, item).wrong_type(expected).hint(hint)
        });
        return None;
    };
    let [target, port] = pair.as_slice() else {
        report.error(|| {
            let message = format!(
                "{name} must be a pair of an application and a port, not {} values",
                pair.len()
            );
            Finding::at(item.span(), message).hint(match pair.len() {
                3 => {
                    "for a local port of its own, write \
                      `{application: pgsql-trac, port: 5432, local_port: 5433}`"
                }
                _ => FORM,
            })
        });
        return None;
    };
    let target = Field::item(format!("the application of {name}"), *target).name(report);
    let port = read_port(&Field::item(format!("the port of {name}"), *port), report);
    let (target, port) = (target?, port?);
    Some(DraftLink {
        target,
        port: port.value,
        local_port: Located {
            value: port.value.into(),
            span: port.span,
        },
        hides_own: false,
    })
}

/// Reads a port, with its protocol behind it unless that is TCP.
fn read_port(field: &Field<'_>, report: &mut Report) -> Option<Located<ServicePort>> {
    if field.value.text().is_some_and(|text| text.contains('/')) {
        return field.parsed("a port", parse_service_port, report);
    }
    let port = field.port(report)?;
    Some(Located {
        value: port.value.into(),
        span: port.span,
    })
}

/// Answers the links of Docker, Compose and Fig: `NAME` and `NAME:ALIAS`.
fn name_and_alias_hint(text: &str) -> String {
    let (target, alias) = match text.split_once(':') {
        Some((target, alias)) => (target.trim(), alias.trim()),
        None => (text.trim(), ""),
    };
    if parse_service_port(alias).is_ok() {
        return format!("write {}", quote(&format!("[{target}, {alias}]")));
    }
    let name = quote(target);
    let pair = quote(&format!("[{target}, PORT]"));
    let reached = if alias.is_empty() || alias == target {
        String::new()
    } else {
        format!("; it is reached as `localhost`, not as {}", quote(alias))
    };
    format!("write {pair}, where PORT is the port that {name} listens on{reached}")
}

fn read_mapping(
    item: Value<'_>,
    entries: &[Entry<'_>],
    name: &str,
    report: &mut Report,
) -> Option<DraftLink> {
    let meant = KEYS.check(entries, name, report);
    let mut required = |key: &str| {
        let entry = item.get(key);
        if entry.is_none() && !meant.contains(&key) {
            report.error(|| {
                Finding::at(item.span(), format!("{name} has no `{key}`"))
                    .hint("write `{application: pgsql-trac, port: 5432, local_port: 5433}`")
            });
        }
        entry.map(|entry| Field::of(entry, name))
    };
    let (target, port) = (required("application"), required("port"));
    let target = target.and_then(|field| field.name(report));
    let port = port.and_then(|field| read_port(&field, report));
    let local = item.get("local_port");
    let local_port = match local {
        Some(entry) => Field::of(entry, name).port(report).map(|port| port.value),
        None => port.as_ref().map(|port| port.value.port),
    };
    let protocol = match item.get("protocol") {
        Some(entry) => {
            let protocol = Field::of(entry, name).parsed("a protocol", parse_protocol, report)?;
            Some(protocol)
        }
        None => None,
    };
    let place = read_place(item, name, report);
    let (target, port, local_port) = (target?, port?, local_port?);
    let written = port.value.protocol;
    let local_span = local.map_or(port.span, |entry| entry.value.span());
    if let Some(protocol) = &protocol
        && written == Protocol::Udp
        && protocol.value != written
    {
        report.error(|| {
            Finding::at(protocol.span, format!("{name} is of UDP and of TCP"))
                .also(port.span, "it is of UDP here")
                .hint("leave `protocol` out")
        });
        return None;
    }
    let protocol = protocol.map_or(written, |protocol| protocol.value);
    let (address, hides_own) = place?;
    let of_protocol = |port| ServicePort { protocol, port };
    Some(DraftLink {
        target,
        port: of_protocol(port.value.port),
        local_port: Located {
            value: LocalPort {
                address,
                port: of_protocol(local_port),
            },
            span: local_span,
        },
        hides_own,
    })
}

/// Reads the address of a link, and whether it may hide a port that the application serves itself.
fn read_place(item: Value<'_>, name: &str, report: &mut Report) -> Option<(LoopbackAddress, bool)> {
    let address = match item.get("address") {
        Some(entry) => Field::of(entry, name)
            .parsed("a loopback address", parse_address, report)
            .map(|address| address.value),
        None => Some(LoopbackAddress::LOCALHOST),
    };
    let (flag, hides_own) = match item.get("hide_own") {
        Some(entry) => {
            let field = Field::of(entry, name);
            (Some(field.span()), read_flag(&field, report))
        }
        None => (None, Some(false)),
    };
    let (address, hides_own) = (address?, hides_own?);
    if let Some(span) = flag
        && hides_own
        && !address.is_localhost()
    {
        report.error(|| {
            let message = format!("{name} hides no port of the application, as it is at {address}");
            Finding::at(span, message).hint("leave `hide_own` out")
        });
        return None;
    }
    Some((address, hides_own))
}

/// Reads the address inside the container.
fn parse_address(text: &str) -> Result<LoopbackAddress, Refusal> {
    let hint = "write one of 127.0.0.0/8, like `127.0.0.2`";
    if text.parse::<Ipv6Addr>().is_ok() {
        return Err(Refusal::new("is an address of IPv6", hint));
    }
    let address = text.parse::<Ipv4Addr>();
    let address = address.map_err(|_| Refusal::new("is not an IPv4 address", hint))?;
    LoopbackAddress::try_from(address).map_err(|invalid| Refusal::new(&invalid.to_string(), hint))
}
