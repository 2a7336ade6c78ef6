//! Data that applications had in Compose: a plan warns of the volumes, and of the directories of volumes,
//! that begin without it.

use std::collections::BTreeSet;

use flocker_config::{EarlierData, EarlierPart, EarlierPlace};
use flocker_model::{
    ApplicationName, ContainerSpecification, ImportPart, NodeName, Observed, VolumeCopy, printable,
    shell_word,
};
use flocker_plan::{Action, Plan};
use serde_json::{Value, json};

/// A warning of data that a plan leaves behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LeftBehind {
    application: String,
    message: String,
    hint: String,
}

impl LeftBehind {
    /// Writes it for programs, like a note.
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "note": "earlier-data", "application": printable(&self.application),
            "message": printable(&self.message), "hint": printable(&self.hint),
        })
    }
}

impl std::fmt::Display for LeftBehind {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "warning: {}\nhint: {}", self.message, self.hint)
    }
}

/// Lists the data that begins empty with this plan. A volume or directory is warned about while it is
/// new, and not again.
pub(crate) fn left_behind(
    plan: &Plan,
    observed: &Observed,
    earlier: &[EarlierData],
) -> Vec<LeftBehind> {
    let warning = |data: &EarlierData| {
        if is_created(plan, &data.application) {
            return Some(LeftBehind {
                application: data.application.clone(),
                message: data.message(),
                hint: data.hint(),
            });
        }
        let volume = Volume::find(&data.application, observed)?;
        let known = volume.known_directories(observed)?;
        let started = started_directories(plan, volume.application);
        let is_new = |part: &&EarlierPart| {
            let directory = part.directory.as_str();
            started.contains(directory) && !known.contains(directory)
        };
        let parts: Vec<&EarlierPart> = data.parts.iter().filter(is_new).collect();
        (!parts.is_empty()).then(|| volume.warn(data, &parts))
    };
    earlier.iter().filter_map(warning).collect()
}

/// Tells whether the plan makes the volume.
fn is_created(plan: &Plan, name: &str) -> bool {
    let mut actions = plan.steps().iter().map(|step| &step.action);
    actions.any(|action| {
        matches!(action, Action::CreateVolume { application, .. } if application.as_str() == name)
    })
}

/// Lists the directories of a volume that the plan's containers see.
fn started_directories(plan: &Plan, owner: &ApplicationName) -> BTreeSet<String> {
    let actions = plan.steps().iter().map(|step| &step.action);
    let started = actions.filter_map(|action| match action {
        Action::StartApplication { specification, .. } => Some(&**specification),
        _ => None,
    });
    started.flat_map(|it| directories(it, owner)).collect()
}

/// Lists the directories of a volume that a container sees.
fn directories(specification: &ContainerSpecification, owner: &ApplicationName) -> Vec<String> {
    if specification.volume_owner() != Some(owner) {
        return Vec::new();
    }
    let own = specification.directories.values();
    let shared = specification.shared.iter();
    let shared = shared.flat_map(|shared| shared.mounts.values());
    let all = own.chain(shared.filter_map(|mount| mount.directory.as_ref()));
    all.map(ToString::to_string).collect()
}

/// A volume that exists.
struct Volume<'o> {
    application: &'o ApplicationName,
    /// Its owner.
    node: &'o NodeName,
    copy: &'o VolumeCopy,
}

impl<'o> Volume<'o> {
    fn find(name: &str, observed: &'o Observed) -> Option<Self> {
        observed.seen().find_map(|(node, state)| {
            let mut volumes = state.volumes.iter();
            let (application, copy) = volumes.find(|(application, copy)| {
                application.as_str() == name && copy.owned_epoch().is_some()
            })?;
            Some(Self {
                application,
                node,
                copy,
            })
        })
    }

    /// Lists the directories that containers saw so far, or that an import has made; `None` if nothing
    /// is known of them.
    fn known_directories(&self, observed: &Observed) -> Option<BTreeSet<String>> {
        let remembered = observed
            .seen()
            .flat_map(|(_, state)| state.remembered.applications.values());
        let seen = remembered.flat_map(|it| directories(&it.specification, self.application));
        let imported = self.copy.import.iter();
        let imported = imported.flat_map(|import| import.split(", "));
        let imported = imported.filter_map(|part| match part.parse() {
            Ok(ImportPart::Directory(directory, _)) => Some(directory.to_string()),
            _ => None,
        });
        let known: BTreeSet<String> = seen.chain(imported).collect();
        (!known.is_empty()).then_some(known)
    }

    fn warn(&self, data: &EarlierData, parts: &[&EarlierPart]) -> LeftBehind {
        let begins = parts.iter().map(|EarlierPart { directory, place }| {
            format!("directory `{directory}` without the data of {place}")
        });
        let begins = begins.collect::<Vec<_>>().join(", and ");
        LeftBehind {
            application: data.application.clone(),
            message: format!("the volume of `{}` gets a new {begins}", data.application),
            hint: self.hint(data, parts),
        }
    }

    /// Says how the data comes into the volume.
    fn hint(&self, data: &EarlierData, parts: &[&EarlierPart]) -> String {
        let Self {
            application, node, ..
        } = self;
        match (&self.copy.mounted, &self.copy.import) {
            (Some(mounted), _) => {
                let copies = parts.iter().map(|part| copy_command(part, mounted));
                format!(
                    "if there is data, stop Compose and copy it on {node} before this deploy: {}",
                    copies.collect::<Vec<_>>().join(" and ")
                )
            }
            (None, Some(_)) => format!(
                "to import all of it, `flocker-cluster volume resolve {application} --set-aside {node} \
                 --only-copy` keeps what was imported under another name; then run {}",
                data.import_command(node.as_str())
            ),
            (None, None) => format!(
                "if there is data, first start `{application}` on {node} as it was deployed last, and run \
                 `flocker-cluster plan` again, which then says how to copy the data"
            ),
        }
    }
}

/// Writes the command that copies a part of the data into a volume that is mounted.
fn copy_command(part: &EarlierPart, mounted: &str) -> String {
    let EarlierPart { directory, place } = part;
    let source = match place {
        EarlierPlace::DockerVolume(name) => format!("/var/lib/docker/volumes/{name}/_data/"),
        EarlierPlace::Directory(path) => format!("{path}/"),
    };
    let (source, target) = (
        shell_word(&source),
        shell_word(&format!("{mounted}/{directory}/")),
    );
    format!("`rsync -aHAXS --numeric-ids {source} {target}`")
}

#[cfg(test)]
mod tests;
