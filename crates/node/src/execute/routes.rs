//! Changing the node's routing table.

use std::collections::{BTreeMap, BTreeSet};

use flocker_model::{Endpoint, NodeNetwork, Port};
use flocker_remote::protocol::{Change, StepFailure};

use crate::failure::OrFailure as _;
use crate::machine::Machine;

/// Translates the network layer's word for whether anything had to be done.
fn change(change: flocker_net::Change) -> Change {
    match change {
        flocker_net::Change::Unchanged => Change::Unchanged,
        flocker_net::Change::Changed => Change::Changed,
    }
}

/// Holds new connections to ports.
pub(super) async fn hold(machine: &Machine, ports: &BTreeSet<Port>) -> Result<Change, StepFailure> {
    machine
        .change_network(|network| network.held.extend(ports))
        .await
        .map(change)
}

/// Sends ports to where an application runs now.
pub(super) async fn switch(
    machine: &Machine,
    routes: BTreeMap<Port, Endpoint>,
    links: BTreeMap<Port, Endpoint>,
) -> Result<Change, StepFailure> {
    machine
        .change_network(|network| {
            for port in routes.keys().chain(links.keys()) {
                network.held.remove(port);
            }
            network.routes.extend(routes);
            network.links.extend(links);
        })
        .await
        .map(change)
}

/// Replaces the whole table.
pub(super) async fn program(machine: &Machine, wanted: NodeNetwork) -> Result<Change, StepFailure> {
    // The bridge has to be there for the table to name it.
    machine.docker.ensure_network().await.or_failure()?;
    machine
        .change_network(|network| *network = wanted)
        .await
        .map(change)
}
