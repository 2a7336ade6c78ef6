//! What the operator can do about data that a container sees at other places than it should.

use std::collections::BTreeMap;

use flocker_model::{ApplicationName, DIRECTORIES_MARKER, MountPath, NodeName};

/// Says how the data of anonymous volumes comes to where it is kept.
pub(super) fn bring_in(
    application: &ApplicationName,
    node: &NodeName,
    paths: &BTreeMap<String, Option<String>>,
) -> String {
    let copies: Vec<String> = paths
        .iter()
        .filter_map(|(path, directory)| Some((path, directory.as_ref()?)))
        .map(|(path, directory)| {
            format!(
                "`mkdir -p {directory} && docker cp -a flocker-{application}:{path}/. {directory}`"
            )
        })
        .collect();
    let lost: Vec<&str> = paths
        .iter()
        .filter(|(_, directory)| directory.is_none())
        .map(|(path, _)| path.as_str())
        .collect();
    let mut parts = vec![format!("on {node}: `systemctl stop flocker-{application}`")];
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

/// Says how a volume's content comes into the other layout.
pub(super) fn convert(
    application: &ApplicationName,
    node: &NodeName,
    whole: Option<&MountPath>,
) -> String {
    match whole {
        Some(path) => format!(
            "keep `volume: {path}`; or, on {node} with the application stopped, move all files of \
             /flocker/{application} into a directory there, name that directory in `volumes` \
             (`DIRECTORY:{path}`), and `touch /flocker/{application}/{DIRECTORIES_MARKER}`"
        ),
        None => format!(
            "keep `volumes`; or, on {node} with the application stopped, move the files of the one \
             directory to the top of /flocker/{application} and remove \
             /flocker/{application}/{DIRECTORIES_MARKER}"
        ),
    }
}
