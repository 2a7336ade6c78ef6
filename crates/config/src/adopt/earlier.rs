//! Data that Docker and Compose keep, and that a new volume begins without.
//!
//! The application configuration does not name it. A plan that makes the volume warns the operator, who can
//! bring the data in first.

use std::collections::BTreeMap;
use std::fmt;

use flocker_model::shell_word;

use crate::adopt::adoption::{Adoption, unescaped};
use crate::adopt::data::Store;
use crate::adopt::mount::Data;
use crate::adopt::owners::Owners;
use crate::adopt::project::Project;
use crate::phrase::quote;
use crate::report::Finding;
use crate::source::{Located, Span};

/// The data that an application had in Compose. Its volume, while it is new, has nothing of it.
///
/// Displays as a warning about a new volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EarlierData {
    /// The name of the application.
    pub application: String,
    /// The parts of the data, each of which becomes a directory of the volume.
    pub parts: Vec<EarlierPart>,
}

/// The data of one directory of a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EarlierPart {
    /// The name of the directory.
    pub directory: String,
    /// The place that has the data so far.
    pub place: EarlierPlace,
}

/// A place that has data.
///
/// Displays with its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EarlierPlace {
    /// A Docker volume, by its name in Docker.
    DockerVolume(String),
    /// A directory, by its absolute path.
    Directory(String),
}

impl EarlierData {
    /// Says that a new volume begins without the data.
    pub fn message(&self) -> String {
        let places: Vec<String> = self
            .parts
            .iter()
            .map(|part| part.place.to_string())
            .collect();
        let places = match places.split_last() {
            Some((last, others)) if !others.is_empty() => {
                format!("{} and {last}", others.join(", "))
            }
            _ => places.join(""),
        };
        let application = quote(&self.application);
        format!("the volume of {application} begins empty, without the data of {places}")
    }

    /// Says how the data comes into a new volume.
    pub fn hint(&self) -> String {
        format!(
            "if there is data, stop Compose and bring it in before the first deploy: {}, where NODE is \
             the node that has it",
            self.import_command("NODE")
        )
    }

    /// Writes the command that makes a volume of all the data on a node.
    pub fn import_command(&self, node: &str) -> String {
        let options = self.parts.iter().map(|EarlierPart { directory, place }| {
            let source = match place {
                EarlierPlace::DockerVolume(name) => format!("docker-volume:{name}"),
                EarlierPlace::Directory(path) => path.clone(),
            };
            format!("--from {}", shell_word(&format!("{directory}={source}")))
        });
        let options = options.collect::<Vec<_>>().join(" ");
        let application = &self.application;
        format!("`flocker-cluster volume import {application} {options} --on {node}`")
    }
}

impl fmt::Display for EarlierData {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (message, hint) = (self.message(), self.hint());
        write!(formatter, "warning: {message}\nhint: {hint}")
    }
}

impl fmt::Display for EarlierPlace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DockerVolume(name) => write!(formatter, "the Docker volume {}", quote(name)),
            Self::Directory(path) => write!(formatter, "the directory {}", quote(path)),
        }
    }
}

/// Such data, and the place of the service that owns it.
#[derive(Debug, Clone)]
pub(crate) struct Earlier {
    pub(crate) span: Span,
    pub(crate) data: EarlierData,
}

impl Earlier {
    /// Writes it as a warning of the file.
    pub(crate) fn finding(&self) -> Finding {
        Finding::at(self.span, self.data.message()).hint(self.data.hint())
    }
}

/// Stands for the project's name where the directory of the file is not known.
const UNKNOWN_PROJECT: &str = "PROJECT";

/// Stands for the directory of the file where it is not known.
const UNKNOWN_DIRECTORY: &str = "/DIRECTORY/OF/THIS/FILE";

/// Notes for each application where the data of its volume is so far.
pub(crate) fn note_earlier_data(
    project: &Project,
    stores: &BTreeMap<String, Store>,
    owners: &Owners,
    adoption: &mut Adoption<'_>,
) {
    let mut found: BTreeMap<usize, Vec<EarlierPart>> = BTreeMap::new();
    for (data, owner) in owners {
        let Some(directory) = data.directory() else {
            continue;
        };
        let place = match data {
            Data::Volume(name) => {
                let Some(volume) = docker_volume(name, project, stores, adoption) else {
                    continue;
                };
                EarlierPlace::DockerVolume(volume)
            }
            Data::Directory(path) => EarlierPlace::Directory(absolute(path, adoption)),
            Data::Anonymous(..) => continue,
        };
        let part = EarlierPart { directory, place };
        found.entry(*owner).or_default().push(part);
    }
    for (owner, parts) in found {
        let Located { value, span } = &project.services[owner].name;
        let data = EarlierData {
            application: value.clone(),
            parts,
        };
        adoption.earlier.push(Earlier { span: *span, data });
    }
}

/// Returns what Docker calls a volume of the file; `None` for one that Docker does not keep.
fn docker_volume(
    name: &str,
    project: &Project,
    stores: &BTreeMap<String, Store>,
    adoption: &Adoption<'_>,
) -> Option<String> {
    if project.volumes.is_none() {
        // Fig did not put the project's name before it.
        return Some(name.to_owned());
    }
    let store = stores.get(name)?;
    if store.is_of_flocker {
        return None;
    }
    if let Some(name) = &store.docker_name {
        return Some(name.clone());
    }
    if store.is_external {
        return Some(name.to_owned());
    }
    Some(format!("{}_{name}", project_name(project, adoption)))
}

/// Returns the project's name by the rules of Compose.
///
/// **Source**: Docker's documentation, "Specify a project name".
fn project_name(project: &Project, adoption: &Adoption<'_>) -> String {
    let named = adoption.variables.get("COMPOSE_PROJECT_NAME");
    let named = named.or_else(|| project.name.as_deref().map(unescaped));
    let named = named.or_else(|| {
        let directory = adoption.surroundings.directory(adoption.beside)?;
        directory.rsplit('/').next().map(normalized)
    });
    named
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| UNKNOWN_PROJECT.to_owned())
}

/// Leaves out what no project's name has.
fn normalized(directory: &str) -> String {
    let is_kept = |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
    let name: String = directory.to_lowercase().chars().filter(is_kept).collect();
    name.trim_start_matches(['_', '-']).to_owned()
}

/// Returns the absolute path of a directory beside the file, or below `~`.
fn absolute(path: &str, adoption: &Adoption<'_>) -> String {
    let path = unescaped(&adoption.expanded(path));
    let whole = if path.starts_with('/') {
        path
    } else {
        let directory = adoption.surroundings.directory(adoption.beside);
        let directory = directory.unwrap_or_else(|| UNKNOWN_DIRECTORY.to_owned());
        format!("{directory}/{path}")
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in whole.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::normalized;

    #[test]
    fn a_project_is_named_after_its_directory_as_in_compose() {
        assert_eq!(normalized("My Shop.v2"), "myshopv2");
        assert_eq!(normalized("_a-b_c"), "a-b_c");
    }
}
