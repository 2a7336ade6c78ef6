//! Files that Compose would read together with this one, and Flocker does not.

use std::path::Path;

use crate::adopt::adoption::Adoption;
use crate::adopt::surroundings::PathKind;
use crate::phrase::quote;
use crate::report::Finding;
use crate::source::File;

/// **Source**: Docker's documentation, "Merge Compose files".
const OVERRIDES: &[&str] = &[
    "compose.override.yaml",
    "compose.override.yml",
    "docker-compose.override.yaml",
    "docker-compose.override.yml",
];

/// Names the files that Compose would read, too.
pub(crate) fn warn_of_unread_files(adoption: &mut Adoption<'_>) {
    let name = Path::new(adoption.beside).file_name();
    let name = name.and_then(|name| name.to_str()).unwrap_or_default();
    let is_file = |path: &str| matches!(adoption.kind(path), PathKind::File { .. });
    let beside: Vec<&str> = OVERRIDES
        .iter()
        .copied()
        .filter(|other| *other != name && is_file(other))
        .collect();
    for other in beside {
        warn(
            format!("Flocker does not read {} beside this file", quote(other)),
            adoption,
        );
    }
    let variables = adoption.variables;
    let named = variables
        .get("COMPOSE_FILE")
        .filter(|_| !variables.is_placeholder("COMPOSE_FILE"))
        .unwrap_or_default();
    let only = Path::new(&named).file_name().and_then(|it| it.to_str());
    let is_this = only == Some(name) && !named.contains(':');
    if !named.is_empty() && !is_this {
        let message = "Flocker does not read the files that the variable `COMPOSE_FILE` names";
        warn(message.to_owned(), adoption);
    }
}

fn warn(message: String, adoption: &mut Adoption<'_>) {
    adoption.report.warning(|| {
        Finding::whole_file(File::Application, message).hint(
            "`docker compose config --no-path-resolution` writes all of them as one file; save it \
                 beside this one",
        )
    });
}
