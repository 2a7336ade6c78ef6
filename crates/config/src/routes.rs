//! The key `routes`: ports that answer on every node.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use flocker_model::{InvalidNetwork, Port, Protocol, RoutePort, SourceNetwork};

use crate::fields::Field;
use crate::keys::{Foreign, KnownKeys};
use crate::phrase::quote;
use crate::port_form::{PortRange, RouteForm, parse_bind_address, parse_protocol};
use crate::quantity::Refusal;
use crate::report::{Finding, Report};
use crate::source::{Located, Span};
use crate::tree::{Entry, ScalarKind, Value};

const KEYS: KnownKeys = KnownKeys {
    keys: &[
        "external",
        "internal",
        "protocol",
        "address",
        "from",
        "published",
        "target",
        "host_ip",
    ],
    foreign: &[
        Foreign::same("host", "external"),
        Foreign::same("container", "internal"),
        Foreign::nothing("mode", LEFT_OUT),
        Foreign::nothing("name", LEFT_OUT),
        Foreign::nothing("app_protocol", LEFT_OUT),
    ],
};

const LEFT_OUT: &str = "leave it out; a route is two ports, and who may connect";

/// A route as it was written.
#[derive(Debug, Clone)]
pub(crate) struct DraftRoute {
    pub(crate) external: Located<RoutePort>,
    pub(crate) internal: Located<Port>,
    pub(crate) from: BTreeSet<SourceNetwork>,
}

/// Reads the routes of the application that messages call `owner`.
pub(crate) fn read_routes(field: &Field<'_>, owner: &str, report: &mut Report) -> Vec<DraftRoute> {
    let hint = || {
        field
            .value
            .text()
            .map(|text| field.line(&format!("[{text}]")))
    };
    let items = field.list("a list of ports", report, hint);
    items
        .unwrap_or_default()
        .into_iter()
        .filter_map(|item| read_route(item, owner, report))
        .flatten()
        .collect()
}

/// Reads one item, which may be a range.
fn read_route(item: Value<'_>, owner: &str, report: &mut Report) -> Option<Vec<DraftRoute>> {
    let name = format!("a route of {owner}");
    if let Some(entries) = item.entries() {
        return read_mapping((item, &entries), name, report);
    }
    let field = Field::item(name, item);
    let is_text = item
        .scalar()
        .is_some_and(|scalar| scalar.kind == ScalarKind::String);
    if is_text {
        let form = field.parsed("a port", RouteForm::parse, report)?;
        return Some(drafts(&form.value, form.span, form.span, &BTreeSet::new()));
    }
    let port = field.port(report)?;
    let form = RouteForm {
        address: None,
        external: port.value.into(),
        internal: port.value.into(),
        protocol: Protocol::Tcp,
    };
    Some(drafts(&form, port.span, port.span, &BTreeSet::new()))
}

/// Writes the routes out; ranges that do not fit were reported.
fn drafts(
    form: &RouteForm,
    external_span: Span,
    internal_span: Span,
    from: &BTreeSet<SourceNetwork>,
) -> Vec<DraftRoute> {
    let routes = form.ports().into_iter().flatten();
    let draft = |(external, internal)| DraftRoute {
        external: Located {
            value: external,
            span: external_span,
        },
        internal: Located {
            value: internal,
            span: internal_span,
        },
        from: from.clone(),
    };
    routes.map(draft).collect()
}

/// Reads the long form.
fn read_mapping(
    (item, entries): (Value<'_>, &[Entry<'_>]),
    name: String,
    report: &mut Report,
) -> Option<Vec<DraftRoute>> {
    let is_port = |entry: &&Entry<'_>| entry.key.value == "port";
    let known: Vec<Entry<'_>> = entries.iter().filter(|it| !is_port(it)).copied().collect();
    let mut meant = KEYS.check(&known, &name, report);
    if let Some(port) = entries.iter().find(is_port) {
        report.error(|| unknown_port(*port, item, &name));
        meant.extend(["external", "internal"]);
    }
    let mut reader = Mapping { item, name, report };
    let (external, internal) = (
        reader.port_range(("external", "published"), &meant),
        reader.port_range(("internal", "target"), &meant),
    );
    let protocol = reader.value(("protocol", "protocol"), "a protocol", parse_protocol);
    let address = reader.value(("address", "host_ip"), "an address", parse_bind_address);
    let from = reader.from();
    let (external, internal) = (external?, internal?);
    let form = RouteForm {
        address: address.ok()?.flatten(),
        external: external.value,
        internal: internal.value,
        protocol: protocol.ok()?.unwrap_or_default(),
    };
    if let Err(refusal) = form.ports() {
        let Mapping { name, report, .. } = reader;
        report.error(|| {
            let message = format!("{name} {}", refusal.problem);
            Finding::at(external.span, message).maybe_hint(refusal.hint)
        });
        return None;
    }
    Some(drafts(&form, external.span, internal.span, &from?))
}

/// Says what to write in the place of `port`, which links have: it stands for one port of the two, or
/// for both.
fn unknown_port(port: Entry<'_>, item: Value<'_>, name: &str) -> Finding {
    let has = |ours: &str, theirs: &str| item.get(ours).or_else(|| item.get(theirs)).is_some();
    let text = port.value.text();
    let text = text.filter(|text| PortRange::parse(text).is_ok());
    let both = text.map(|text| format!("external: {text}, internal: {text}"));
    let text = text.unwrap_or("8443");
    let hint = match (
        has("external", "published"),
        has("internal", "target"),
        both,
    ) {
        (true, true, _) => {
            "leave it out: a route has an `external` and an `internal` port".to_owned()
        }
        (true, false, _) => format!("for the port inside the container, write `internal: {text}`"),
        (false, true, _) => format!("for the port that answers, write `external: {text}`"),
        (false, false, Some(both)) => {
            let is_alone = item.entries().is_some_and(|entries| entries.len() == 1);
            let write = if is_alone { text } else { &both };
            format!("write `{write}` if the node and the container have the same port")
        }
        (false, false, None) => {
            "write `{external: 443, internal: 8443}`, or `443` if they are equal".to_owned()
        }
    };
    let message = format!("{name} has an unknown key `port`");
    Finding::at(port.key.span, message).hint(hint)
}

/// A mistake was reported.
struct Reported;

/// Reads the values of the long form.
struct Mapping<'t, 'r> {
    item: Value<'t>,
    name: String,
    report: &'r mut Report,
}

impl<'t> Mapping<'t, '_> {
    /// Finds a key that Compose calls otherwise.
    fn entry(&mut self, ours: &str, theirs: &str) -> Option<Field<'t>> {
        let own = self.item.get(ours);
        let foreign = self.item.get(theirs).filter(|_| ours != theirs);
        if let (Some(own), Some(foreign)) = (own, foreign) {
            let name = &self.name;
            self.report.error(|| {
                let (ours, theirs) = (quote(ours), quote(theirs));
                let message = format!("{name} has both {ours} and {theirs}");
                Finding::at(foreign.key.span, message)
                    .also(own.key.span, "the other one is here")
                    .hint("they are the same; remove one")
            });
        }
        let entry = own.or(foreign)?;
        Some(Field::of(entry, &self.name))
    }

    /// Reads a port or range, which must be there.
    fn port_range(
        &mut self,
        (ours, theirs): (&str, &str),
        meant: &[&str],
    ) -> Option<Located<PortRange>> {
        let Some(field) = self.entry(ours, theirs) else {
            if !meant.contains(&ours) {
                let (item, name) = (self.item, &self.name);
                self.report.error(|| {
                    Finding::at(item.span(), format!("{name} has no `{ours}` port"))
                        .hint("write `{external: 443, internal: 8443}`, or `443` if they are equal")
                });
            }
            return None;
        };
        let scalar = field.value.scalar();
        if scalar.is_some_and(|scalar| scalar.kind == ScalarKind::String) {
            return field.parsed("a port", PortRange::parse, self.report);
        }
        let port = field.port(self.report)?;
        Some(Located {
            value: port.value.into(),
            span: port.span,
        })
    }

    /// Reads a word, which may be missing.
    ///
    /// # Errors
    /// Reports what is wrong with it.
    fn value<T>(
        &mut self,
        (ours, theirs): (&str, &str),
        expected: &str,
        parse: impl FnOnce(&str) -> Result<T, Refusal>,
    ) -> Result<Option<T>, Reported> {
        let Some(field) = self.entry(ours, theirs) else {
            return Ok(None);
        };
        let read = field.parsed(expected, parse, self.report);
        read.map(|read| Some(read.value)).ok_or(Reported)
    }

    /// Reads the networks that may connect; `None` is a mistake.
    fn from(&mut self) -> Option<BTreeSet<SourceNetwork>> {
        let Some(field) = self.entry("from", "from") else {
            return Some(BTreeSet::new());
        };
        let items = match field.value.text() {
            Some(_) => vec![field.value],
            None => field.list("a list of networks", self.report, || None)?,
        };
        if items.is_empty() {
            self.report.error(|| {
                Finding::at(field.span(), format!("{} lists no network", field.what)).hint(
                    "leave it out if everybody may connect; for programs on the node alone, \
                     write `address: 127.0.0.1`",
                )
            });
            return None;
        }
        let what = format!("a network in {}", field.what);
        let networks: Vec<Option<SourceNetwork>> = items
            .into_iter()
            .map(|item| {
                let field = Field::item(what.clone(), item);
                let network = field.parsed("a network", parse_network, self.report)?;
                Some(network.value)
            })
            .collect();
        networks.into_iter().collect()
    }
}

fn parse_network(text: &str) -> Result<SourceNetwork, Refusal> {
    text.parse().map_err(|invalid: InvalidNetwork| {
        let hint = match &invalid {
            InvalidNetwork::Form => Some("write `10.0.0.0/8` or `192.0.2.7`".to_owned()),
            InvalidNetwork::Version6 => None,
            InvalidNetwork::Inside(network) => {
                let address = text.split('/').next().unwrap_or_default();
                let address = address.parse().unwrap_or(Ipv4Addr::UNSPECIFIED);
                Some(format!(
                    "write `{network}` for the network, or `{address}` for the one address"
                ))
            }
        };
        Refusal {
            problem: invalid.to_string(),
            hint,
        }
    })
}
