//! Machines and commands as the operator reads them.

use flocker_model::{ApplicationName, NodeId, NodeName, render_rfc3339};

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
