//! Checks that concern more than one application or both files.

use std::collections::BTreeMap;

use flocker_model::{LocalPort, RoutePort, ServicePort};

use crate::application::Draft;
use crate::depends::{check_dependencies, check_placed_dependencies};
use crate::links::DraftLink;
use crate::nodes::DraftNode;
use crate::phrase::quote;
use crate::report::{Finding, Report};
use crate::routes::DraftRoute;
use crate::sharing::check_place_of_sharer;
use crate::source::{Located, Span};
use crate::suggest::{containing, nearest};

/// The names of the applications that are defined, however badly.
pub(crate) type Names<'d> = BTreeMap<&'d str, Span>;

/// Collects the names that are defined.
pub(crate) fn names(drafts: &[Draft]) -> Names<'_> {
    drafts
        .iter()
        .map(|draft| (draft.name.value.as_str(), draft.name.span))
        .collect()
}

/// Checks the applications against each other.
pub(crate) fn check_applications(drafts: &[Draft], report: &mut Report) {
    let names = names(drafts);
    let mut claims: BTreeMap<ServicePort, Vec<Claim<'_>>> = BTreeMap::new();
    for draft in drafts {
        for route in &draft.routes {
            let claim = (draft.name.value.as_str(), route);
            let external = route.external.value;
            let claims = claims.entry(external.port).or_default();
            let mut earlier = claims.iter();
            match earlier.find(|(_, first)| first.external.value.overlaps(external)) {
                Some(first) => report.error(|| port_claimed_twice(claim, *first)),
                None => claims.push(claim),
            }
        }
        check_links(draft, &names, report);
    }
    check_dependencies(drafts, |name| did_you_mean(name, &names), report);
}

/// An application and one of its routes.
type Claim<'d> = (&'d str, &'d DraftRoute);

fn port_claimed_twice((name, route): Claim<'_>, first: Claim<'_>) -> Finding {
    let port = route.external.value;
    let message = if first.1.external.value != port {
        let (one, other) = (at_addresses(port), at_addresses(first.1.external.value));
        let (name, first) = (quote(name), quote(first.0));
        format!("{name} routes {one}, and {first} {other}")
    } else if first.0 == name {
        format!("{} routes port {port} twice", quote(name))
    } else {
        format!(
            "{} and {} both route port {port}",
            quote(name),
            quote(first.0)
        )
    };
    Finding::at(route.external.span, message)
        .also(first.1.external.span, "routed here already")
        .hint(format!(
            "an external port leads to one application; choose another: \
             `{{external: ..., internal: {}}}`",
            route.internal.value
        ))
}

/// Writes a port with where it answers.
fn at_addresses(port: RoutePort) -> String {
    match port.address {
        None => format!("port {} at every address", port.port),
        Some(address) => format!("port {} at {address}", port.port),
    }
}

/// The ports of one container's loopback addresses that something is on.
struct LocalPorts<'d> {
    /// What the application itself serves, as far as its routes tell.
    served: BTreeMap<ServicePort, Span>,
    links: BTreeMap<LocalPort, &'d DraftLink>,
}

fn check_links(draft: &Draft, names: &Names<'_>, report: &mut Report) {
    let owner = quote(&draft.name.value);
    let served = |route: &DraftRoute| {
        let port = ServicePort {
            protocol: route.external.value.port.protocol,
            port: route.internal.value,
        };
        (port, route.internal.span)
    };
    let mut taken = LocalPorts {
        served: draft.routes.iter().map(served).collect(),
        links: BTreeMap::new(),
    };
    for link in &draft.links {
        let target = &link.target;
        if target.value == draft.name.value {
            report.error(|| {
                Finding::at(target.span, format!("{owner} has a link to itself"))
                    .hint("remove it; its own ports are on its localhost anyway")
            });
        } else if !names.contains_key(target.value.as_str()) {
            report.error(|| {
                let message = format!(
                    "{owner} has a link to {}, which is not defined",
                    quote(&target.value)
                );
                Finding::at(target.span, message).maybe_hint(did_you_mean(&target.value, names))
            });
        }
        check_local_port(link, &owner, &taken, report);
        taken.links.entry(link.local_port.value).or_insert(link);
    }
}

/// Checks that nothing else is on the port that a link takes. The application's own ports are only
/// in the way at 127.0.0.1: a link at another address is for programs that ask for that one.
fn check_local_port(link: &DraftLink, owner: &str, taken: &LocalPorts<'_>, report: &mut Report) {
    let port = link.local_port.value;
    let other_port = || {
        let (target, own) = (&link.target.value, link.port);
        let free = if port.address.is_localhost() {
            "127.0.0.2"
        } else {
            "127.0.0.3"
        };
        format!(
            "give it an `address` or a `local_port` of its own: \
             `{{application: {target}, port: {own}, address: {free}}}`"
        )
    };
    if let Some(first) = taken.links.get(&port) {
        report.error(|| {
            Finding::at(
                link.local_port.span,
                format!("two links of {owner} are on its {}", at_loopback(port)),
            )
            .also(first.local_port.span, "the first one is here")
            .hint(other_port())
        });
        return;
    }
    if let Some(served) = taken.served.get(&port.port)
        && port.address.is_localhost()
        && !link.hides_own
    {
        report.error(|| {
            let message =
                format!("a link of {owner} would hide what {owner} itself serves on port {port}");
            Finding::at(link.local_port.span, message)
                .also(*served, "it serves the port here")
                .hint(format!(
                    "{}, or add `hide_own: true`: routes still lead to {owner}",
                    other_port()
                ))
        });
    }
}

/// Writes a port of a container as programs in it know it.
fn at_loopback(port: LocalPort) -> String {
    if port.address.is_localhost() {
        format!("localhost:{}", port.port)
    } else {
        port.to_string()
    }
}

/// The node of each application that is placed, and where that was written.
pub(crate) type Places<'d> = BTreeMap<&'d str, (&'d str, Span)>;

/// Checks the places against the applications.
pub(crate) fn check_places(drafts: &[Draft], nodes: &[DraftNode], report: &mut Report) {
    let names = names(drafts);
    let places = check_placed_once(nodes, report);
    for (name, (_, span)) in &places {
        if !names.contains_key(name) {
            report.error(|| {
                Finding::at(*span, format!("application {} is not defined", quote(name)))
                    .maybe_hint(did_you_mean(name, &names))
            });
        }
    }
    for draft in drafts {
        if !places.contains_key(draft.name.value.as_str()) {
            continue;
        }
        let is_defined = |name: &str| names.contains_key(name);
        check_placed_dependencies(draft, is_defined, |name| places.contains_key(name), report);
        for link in &draft.links {
            let target = link.target.value.as_str();
            if names.contains_key(target) && !places.contains_key(target) {
                report.warning(|| dangling_link(draft, &link.target));
            }
        }
        check_place_of_sharer(draft, &places, report);
    }
}

/// Checks that no application is placed twice, and returns the place of each.
pub(crate) fn check_placed_once<'d>(nodes: &'d [DraftNode], report: &mut Report) -> Places<'d> {
    let mut places = Places::new();
    for node in nodes {
        for placed in &node.applications {
            let name = placed.value.as_str();
            let Some((first_node, first)) = places.get(name) else {
                places.insert(name, (&node.name.value, placed.span));
                continue;
            };
            report.error(|| {
                let message = if *first_node == node.name.value {
                    format!("{} is placed on {} twice", quote(name), quote(first_node))
                } else {
                    let (one, other) = (quote(first_node), quote(&node.name.value));
                    format!("{} is placed on two nodes, {one} and {other}", quote(name))
                };
                Finding::at(placed.span, message)
                    .also(*first, "placed here already")
                    .hint("an application runs on one node; remove it from the other place")
            });
        }
    }
    places
}

fn dangling_link(draft: &Draft, target: &Located<String>) -> Finding {
    let (owner, missing) = (quote(&draft.name.value), quote(&target.value));
    let message = format!("{owner} has a link to {missing}, which is placed on no node");
    Finding::at(target.span, message).hint(format!(
        "connections over this link will fail until {missing} is placed"
    ))
}

/// Names that a guess is chosen from: each costs time, and among more a guess is hardly right.
const GUESSED_NAMES: usize = 1000;

/// Guesses the application that was meant.
pub(crate) fn did_you_mean(name: &str, names: &Names<'_>) -> Option<String> {
    let candidates = || names.keys().copied().take(GUESSED_NAMES);
    // With nothing defined at all, the advice below would be about something else.
    candidates().next()?;
    let guess = nearest(name, candidates()).or_else(|| containing(name, candidates()));
    Some(match guess {
        Some(guess) => format!("did you mean {}?", quote(guess)),
        None => "define it in the application configuration".to_owned(),
    })
}
