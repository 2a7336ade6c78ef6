//! The key `routes`: ports that answer on every node.

use flocker_model::Port;

use crate::fields::Field;
use crate::keys::{Foreign, KnownKeys};
use crate::report::{Finding, Report};
use crate::source::Located;
use crate::tree::Value;

const KEYS: KnownKeys = KnownKeys {
    keys: &["external", "internal"],
    foreign: &[
        Foreign::same("published", "external"),
        Foreign::same("target", "internal"),
        Foreign::same("host", "external"),
        Foreign::same("container", "internal"),
        Foreign::nothing("protocol", "leave it out; only TCP is supported"),
        Foreign::nothing(
            "host_ip",
            "a route answers at every address of every node, and cannot be limited",
        ),
        Foreign::nothing("mode", LEFT_OUT),
        Foreign::nothing("name", LEFT_OUT),
        Foreign::nothing("app_protocol", LEFT_OUT),
    ],
};

const LEFT_OUT: &str = "leave it out; a route is two ports";

/// A route as it was written.
#[derive(Debug, Clone)]
pub(crate) struct DraftRoute {
    pub(crate) external: Located<Port>,
    pub(crate) internal: Located<Port>,
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
        .collect()
}

fn read_route(item: Value<'_>, owner: &str, report: &mut Report) -> Option<DraftRoute> {
    let name = format!("a route of {owner}");
    let Some(entries) = item.entries() else {
        let port = Field::item(name, item).port(report)?;
        return Some(DraftRoute {
            external: port.clone(),
            internal: port,
        });
    };
    let meant = KEYS.check(&entries, &name, report);
    let mut port_of = |key: &str| {
        if let Some(entry) = item.get(key) {
            return Field::of(entry, &name).port(report);
        }
        if !meant.contains(&key) {
            report.error(|| {
                Finding::at(item.span(), format!("{name} has no `{key}` port"))
                    .hint("write `{external: 443, internal: 8443}`, or `443` if they are equal")
            });
        }
        None
    };
    let (external, internal) = (port_of("external"), port_of("internal"));
    Some(DraftRoute {
        external: external?,
        internal: internal?,
    })
}
