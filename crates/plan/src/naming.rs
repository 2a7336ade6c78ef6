//! Machines and commands as the operator reads them.

use flocker_model::{ApplicationName, NodeId, NodeName, PoolProblem, render_rfc3339, shell_word};

/// Names a machine by what it is called, if anybody knows, and by its identity.
pub(crate) fn machine(id: NodeId, name: Option<&NodeName>) -> String {
    match name {
        Some(name) => format!("{name} (node {id})"),
        None => format!("node {id}"),
    }
}

/// Writes the command that sets a copy aside.
pub(crate) fn set_aside_command(application: &ApplicationName, node: &NodeName) -> String {
    format!("`flocker-cluster volume resolve {application} --set-aside {node}`")
}

/// Writes the command that sets a copy aside although no other has as much.
pub(crate) fn set_only_copy_aside_command(
    application: &ApplicationName,
    node: &NodeName,
) -> String {
    format!("`flocker-cluster volume resolve {application} --set-aside {node} --only-copy`")
}

/// Writes the command that stops applications on their node until they are started or deployed again.
pub(crate) fn stop_command<'a>(
    applications: impl IntoIterator<Item = &'a ApplicationName>,
) -> String {
    let units = applications
        .into_iter()
        .map(|name| format!("flocker-{name}"));
    format!("`systemctl stop {}`", units.collect::<Vec<_>>().join(" "))
}

/// Writes the command that imports data, given its sources as an import displays them.
pub(crate) fn import_command(
    application: &ApplicationName,
    node: &NodeName,
    sources: &str,
) -> String {
    let sources = sources.split(", ").map(shell_word);
    let from = sources.collect::<Vec<String>>().join(" --from ");
    format!("`flocker-cluster volume import {application} --from {from} --on {node}`")
}

/// Writes the command that makes a replica the volume, given when its newest snapshot was taken, in
/// seconds since 1970.
pub(crate) fn promote_command(
    application: &ApplicationName,
    node: &NodeName,
    taken: u64,
) -> String {
    let since = render_rfc3339(taken);
    format!(
        "`flocker-cluster volume promote {application} --on {node} --accept-loss-since {since}`"
    )
}

/// Says how a node gets at what is encrypted, and what comes of it.
pub(crate) fn load_key(node: &NodeName, dataset: &str) -> String {
    format!(
        "`zfs load-key {dataset}` on {node}; what ran there before its boot then starts by itself"
    )
}

/// Says how to find out what is wrong with a pool, and what may be done about it.
pub(crate) fn look_at_pool(node: &NodeName, pool: &str, problem: &PoolProblem) -> String {
    match problem {
        PoolProblem::NotImported => format!(
            "look at `zpool import` on {node}, which lists the pools that it finds on its disks; \
             should {pool} have another name now, import it under the old one"
        ),
        PoolProblem::Suspended => format!(
            "look at `zpool status {pool}` on {node}; once its devices are back, `zpool clear \
             {pool}` there lets it go on"
        ),
        PoolProblem::KeyNotLoaded { dataset } => load_key(node, dataset),
        PoolProblem::ReadOnly | PoolProblem::Other { .. } => {
            format!("look at `zpool status {pool}` on {node}")
        }
    }
}

/// Writes names with commas between them.
pub(crate) fn list(nodes: &[NodeName]) -> String {
    let names: Vec<&str> = nodes.iter().map(NodeName::as_str).collect();
    names.join(", ")
}

/// Says how one of two clones gets an identity of its own.
pub(crate) const NEW_IDENTITY: &str = "give one of them a new identity: `rm /var/lib/flocker/node-id` and \
    `zfs inherit flocker:node DATASET` there, with the dataset of its volumes";
