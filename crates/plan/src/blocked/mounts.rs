//! Data that a container sees at other places than it should: in words, and what can be done.

use std::collections::BTreeMap;
use std::fmt;

use flocker_model::{ApplicationName, HostPath, MountPath, NodeName};

use super::BlockedKind;
use crate::accounting::listed;
use crate::{HiddenData, Shown};

impl BlockedKind {
    /// Says what can be done about a container's mount points.
    pub(super) fn hint_about_mounts(&self) -> String {
        match self {
            Self::ImageVolumes { unaccounted, .. } => unaccounted.hint(),
            Self::UsersRemapped { node } => format!(
                "remove `userns-remap` from /etc/docker/daemon.json on {node}, `systemctl restart \
                 docker` there, and deploy again"
            ),
            Self::LayoutChanged { .. } => "keep `volumes`; docs/operations.md says under “From one mount \
                 point to several” how the files of a directory come to the top of a volume"
                .to_owned(),
            Self::NotWithItsVolume { node, owner } => {
                format!("place `{owner}` on {node} as well, with a volume of its own")
            }
            Self::LeftOnNode { node, paths } => {
                let sources: Vec<String> = paths.values().map(ToString::to_string).collect();
                format!(
                    "to keep the data, deploy once without the application, bring {} in with \
                     `flocker-cluster volume import` on {node}, and deploy again; to begin with \
                     nothing, deploy once without the application, and then with it",
                    sources.join(", ")
                )
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
            Self::LayoutChanged { node } => write!(
                f,
                "its volume on {node} is divided into directories, one for each mount point so far, and \
                 `volume` shows a volume as a whole"
            ),
            Self::LeftOnNode { node, paths } => write!(
                f,
                "so far it saw {}; with this configuration it would begin with an empty directory there",
                sources(node, paths)
            ),
            Self::DataHidden {
                node,
                volume,
                hidden,
            } => {
                let hidden: Vec<String> = hidden.iter().map(sentence).collect();
                write!(
                    f,
                    "with this configuration it would no longer see data of volume `{volume}` on \
                     {node}: {}",
                    hidden.join("; ")
                )
            }
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

/// Lists paths of a node, and where an application saw them.
fn sources(node: &NodeName, paths: &BTreeMap<MountPath, HostPath>) -> String {
    let paths = paths.iter();
    let seen: Vec<String> = paths
        .map(|(path, source)| format!("{source} of {node} at {path}"))
        .collect();
    seen.join(", ")
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

/// Says what a path shows, and what it would show.
fn sentence(hidden: &HiddenData) -> String {
    let path = &hidden.path;
    let directory = |directory: &str| match directory {
        "" => "the whole volume".to_owned(),
        _ => format!("its directory `{directory}`"),
    };
    let before = directory(&hidden.directory);
    let instead = match &hidden.instead {
        Shown::Volume { directory: next } => directory(next),
        Shown::Scratch { .. } => "a scratch directory of the node".to_owned(),
        Shown::Host { path } => format!("{path} of the node"),
        Shown::Memory => "a file system in memory".to_owned(),
        Shown::File => "a file of the configuration".to_owned(),
        Shown::Nothing => "none of it".to_owned(),
    };
    format!("{path}, which shows {before} so far, would show {instead}")
}

/// Says how an application sees its data as before, and how it is said that it need not.
pub(super) fn keep_in_sight(
    application: &ApplicationName,
    volume: &ApplicationName,
    hidden: &[HiddenData],
) -> String {
    let is_inner = |one: &HiddenData| {
        let mut mounts = hidden.iter().filter(|other| other.is_mount);
        mounts.any(|outer| outer.path != one.path && outer.path.relative(&one.path).is_some())
    };
    let back = |one: &HiddenData| {
        let HiddenData {
            path, directory, ..
        } = one;
        let key = match &one.instead {
            _ if one.is_mount && application != volume => {
                return format!("let it see `{volume}` at {path} as before");
            }
            _ if one.is_mount && directory.is_empty() => return format!("keep `volume: {path}`"),
            _ if one.is_mount => return format!("keep `{directory}:{path}` in `volumes`"),
            Shown::Scratch { .. } => "scratch",
            Shown::Memory => "tmpfs",
            Shown::File => "files",
            Shown::Volume { .. } | Shown::Host { .. } | Shown::Nothing => "volumes",
        };
        format!("take {path} out of `{key}`")
    };
    let outer = hidden.iter().filter(|one| one.is_mount || !is_inner(one));
    let back: Vec<String> = outer.map(back).collect();
    format!(
        "{}; to move the data within the volume, see “From one mount point to several” in \
         docs/operations.md; if it is not to see the data any more, deploy once without `{application}` \
         and then with this configuration: the volume keeps the data",
        back.join(", ")
    )
}
