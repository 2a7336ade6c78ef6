//! Reverse proxies that find containers by Docker's labels.

use crate::adopt::adoption::Adoption;
use crate::adopt::project::{Project, Service};
use crate::adopt::yaml::Yaml;
use crate::phrase::{enumerate, quote};
use crate::source::Span;

/// The beginning of the labels that Traefik reads.
const OF_TRAEFIK: &str = "traefik.";

/// Warns of a service that would look for the others' labels in the Docker of its own node.
pub(crate) fn warn_of_docker_labels(project: &Project, adoption: &mut Adoption<'_>) {
    for service in &project.services {
        let Some(span) = socket(service).filter(|_| is_traefik(service)) else {
            continue;
        };
        let others = project.services.iter();
        let labelled: Vec<&str> = others
            .filter(|other| other.name.value != service.name.value && has_labels(other))
            .map(|other| other.name.value.as_str())
            .collect();
        let Some(first) = labelled.first() else {
            continue;
        };
        let owner = quote(&service.name.value);
        adoption.warn(
            span,
            format!(
                "{owner} does not reach {}, which it knows by Docker's labels",
                enumerate(&labelled, "and")
            ),
            format!(
                "it sees the containers of its own node only, and cannot connect to their addresses; \
                 name the services in a file of its file provider, such as `http://{first}:PORT`, and \
                 mount that file"
            ),
        );
    }
}

/// Tells whether a service is Traefik.
pub(crate) fn is_traefik(service: &Service) -> bool {
    let image = service.get("image").and_then(Yaml::text);
    image.is_some_and(|image| image.contains("traefik"))
}

/// Returns where a service is given the socket of its node's Docker.
fn socket(service: &Service) -> Option<Span> {
    let items = service.get("volumes").map(Yaml::one_or_many);
    let mut items = items.unwrap_or_default().into_iter();
    let found = items.find(|item| {
        let texts = item.texts();
        texts.iter().any(|(text, _)| text.contains("docker.sock"))
    });
    found.map(|item| item.span)
}

fn has_labels(service: &Service) -> bool {
    let Some(labels) = service.get("labels") else {
        return false;
    };
    if let Some(entries) = labels.entries() {
        return entries
            .iter()
            .any(|(name, _)| name.value.starts_with(OF_TRAEFIK));
    }
    let items = labels.one_or_many();
    items
        .iter()
        .filter_map(|item| item.text())
        .any(|text| text.starts_with(OF_TRAEFIK))
}
