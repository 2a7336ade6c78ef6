//! Data that a container sees at other places than it should: in words, and what can be done.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use flocker_model::{ApplicationName, DirectoryName, MountPath, NodeName};

use super::BlockedKind;
use crate::accounting::listed;

impl BlockedKind {
    /// Says what can be done about a container's mount points.
    pub(super) fn hint_about_mounts(&self) -> String {
        match self {
            Self::ImageVolumes { unaccounted, .. } => unaccounted.hint(),
            Self::UsersRemapped { node } => format!(
                "remove `userns-remap` from /etc/docker/daemon.json on {node}, `systemctl restart \
                 docker` there, and deploy again"
            ),
            Self::LayoutChanged { whole, .. } => convert(whole.as_ref()),
            Self::DirectoryChanged { lost, .. } => {
                let directory = lost.first().map_or("", DirectoryName::as_str);
                format!(
                    "name the directory that has the data before the path, as in \
                     `{directory}:/PATH`; to rename it in the volume, see “From one mount point to \
                     several” in docs/operations.md"
                )
            }
            Self::NotWithItsVolume { node, owner } => {
                format!("place `{owner}` on {node} as well, with a volume of its own")
            }
            Self::OtherData { .. } => {
                "say in the configuration that it sees the volume as before; if other data is meant, \
                 take it out of the deployment for one deploy, which keeps the volume"
                    .to_owned()
            }
            _ => "look at the application's data first".to_owned(),
        }
    }

    /// Writes what is wrong with a container's mount points.
    pub(super) fn fmt_about_mounts(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ImageVolumes {
                node,
                image,
                unaccounted,
            } => write!(f, "{} (on {node})", unaccounted.problem(image)),
            Self::AnonymousVolumes { node, paths, .. } => {
                let (paths, are) = listed(&paths.keys().cloned().collect());
                write!(
                    f,
                    "its container on {node} has {paths} as {are} of Docker's, made by an earlier \
                     release of Flocker; such data does not move, and would be lost with the \
                     container"
                )
            }
            Self::UsersRemapped { node } => write!(
                f,
                "Docker on {node} runs with userns-remap, so that the container's users own nothing \
                 in its volume"
            ),
            Self::LayoutChanged {
                node,
                whole: Some(path),
            } => write!(
                f,
                "its volume on {node} is mounted whole at {path} so far; with `volumes`, the \
                 application would find empty directories instead of its data"
            ),
            Self::LayoutChanged { node, whole: None } => write!(
                f,
                "its volume on {node} has a directory for each mount point so far; with `volume`, \
                 the application would find those directories instead of its data"
            ),
            Self::DirectoryChanged { node, lost, new } => write!(
                f,
                "its volume on {node} has data in {}, which no mount point would show any more, and \
                 {} would be new and without it",
                names(lost),
                names(new)
            ),
            Self::NotWithItsVolume { node, owner } => write!(
                f,
                "it is to see the volume of `{owner}` on {node}, and `{owner}` is not placed there \
                 with a volume of its own"
            ),
            Self::OtherData { node, before, next } => write!(
                f,
                "its data is in the volume `{before}` on {node}; with this configuration it would run \
                 on the volume `{next}` instead"
            ),
            // Not about mount points.
            _ => Ok(()),
        }
    }
}

/// Says how the data of anonymous volumes comes to where it is kept.
pub(super) fn bring_in(
    application: &ApplicationName,
    node: &NodeName,
    (dataset, paths): (Option<&String>, &BTreeMap<String, Option<String>>),
) -> String {
    let copies: Vec<String> = paths
        .iter()
        .filter_map(|(path, directory)| Some((path, directory.as_ref()?)))
        .map(|(path, directory)| {
            format!(
                "`mkdir -p {directory} && docker cp -a flocker-{application}:{path}/. {directory}/`"
            )
        })
        .collect();
    let lost: Vec<&str> = paths
        .iter()
        .filter(|(_, directory)| directory.is_none())
        .map(|(path, _)| path.as_str())
        .collect();
    let mut parts = vec![format!("on {node}: `systemctl stop flocker-{application}`")];
    if let Some(dataset) = dataset.filter(|_| !copies.is_empty()) {
        parts.push(format!("`zfs mount {dataset}`"));
    }
    if !copies.is_empty() {
        let copies = copies.join(", ");
        parts.push(format!("{copies} to bring the data into the volume"));
    }
    if !lost.is_empty() {
        let lost = lost.join(", ");
        parts.push(format!(
            "`docker cp -a` what you need of {lost} to a safe place, as no mount point covers it"
        ));
    }
    parts.push(format!(
        "then `docker rm flocker-{application}` (without -v, which would destroy the volume), and \
         deploy again"
    ));
    parts.join(", ")
}

/// Says which key keeps the data in sight, and where it is written how the layout is changed.
fn convert(whole: Option<&MountPath>) -> String {
    let kept = match whole {
        Some(path) => format!("`volume: {path}`"),
        None => "`volumes`".to_owned(),
    };
    format!(
        "keep {kept}; docs/operations.md says under “From one mount point to several” how the files of \
         a volume come into directories of it, and back"
    )
}

/// Writes the names of directories with commas between them.
fn names(directories: &BTreeSet<DirectoryName>) -> String {
    let names: Vec<String> = directories.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}
