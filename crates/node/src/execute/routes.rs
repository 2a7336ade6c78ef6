//! Changing the node's routing table.

use std::collections::BTreeSet;

use flocker_model::{LeadingPorts, NodeNetwork, RoutePort};
use flocker_remote::protocol::{Change, StepFailure};

use crate::machine::Machine;
use crate::places::reach;
use crate::platform::{Containers as _, Platform};

/// Holds new connections to ports.
pub(super) async fn hold(
    machine: &Machine<impl Platform>,
    ports: &BTreeSet<RoutePort>,
) -> Result<Change, StepFailure> {
    machine
        .change_network("hold-ports", |network| network.held.extend(ports))
        .await
}

/// Sends ports to where an application runs now.
pub(super) async fn switch(
    machine: &Machine<impl Platform>,
    ports: &LeadingPorts,
) -> Result<Change, StepFailure> {
    machine
        .change_network("switch-routes", |network| network.lead(ports))
        .await
}

/// Replaces the whole table.
pub(super) async fn program(
    machine: &Machine<impl Platform>,
    wanted: NodeNetwork,
) -> Result<Change, StepFailure> {
    // The bridge has to be there for the table to name it.
    machine.containers.ensure_network().await?;
    reach(|| "program-network.bridge-made".to_owned()).await;
    machine
        .change_network("program-network", |network| network.clone_from(&wanted))
        .await
}
