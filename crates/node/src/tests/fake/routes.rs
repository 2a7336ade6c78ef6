//! Routes and links in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use flocker_model::{ContainerLinks, FirewallObstacle, Port, RoutePort, SourceNetwork};
use flocker_net::RoutingTable;
use flocker_remote::protocol::{Change, StepFailure};

use super::{Host, changed};
use crate::failure::{OrFailure as _, failure_of};
use crate::platform::Routes;

/// What the kernel knows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Network {
    pub(crate) routing: Option<RoutingTable>,
    /// By the process that holds the namespace.
    pub(crate) links: BTreeMap<u32, ContainerLinks>,
}

/// The routes of a machine in memory.
#[derive(Debug, Clone)]
pub(crate) struct FakeRoutes {
    pub(crate) host: Host,
}

impl Routes for FakeRoutes {
    async fn observe_routing(&self) -> Result<Option<RoutingTable>, StepFailure> {
        let observed = self
            .host
            .act(|state| Ok(state.running.network.routing.clone()));
        observed.await
    }

    async fn observe_firewall(
        &self,
        _bridge: &str,
    ) -> Result<BTreeSet<FirewallObstacle>, StepFailure> {
        // Nothing in memory is filtered.
        Ok(BTreeSet::new())
    }

    async fn ensure_routing(&self, table: &RoutingTable) -> Result<Change, StepFailure> {
        table.validate().or_failure()?;
        let ensured = self.host.act(|state| {
            let before = state.running.network.routing.replace(table.clone());
            Ok(changed(before.as_ref() != Some(table)))
        });
        ensured.await
    }

    async fn forget_connections(
        &self,
        _ports: &BTreeMap<RoutePort, BTreeSet<SourceNetwork>>,
    ) -> Result<(), StepFailure> {
        // There are none: nothing in memory is connected to.
        self.host.act(|_| Ok(())).await
    }

    async fn forget_strays(&self, _ports: &BTreeSet<RoutePort>) -> Result<(), StepFailure> {
        self.host.act(|_| Ok(())).await
    }

    async fn ensure_links(
        &self,
        process: u32,
        _gateway: Ipv4Addr,
        links: &ContainerLinks,
    ) -> Result<Change, StepFailure> {
        let ensured = self.host.act(|state| {
            if !state.running.processes.holds_namespace(process) {
                return Err(failure_of("its container may have stopped"));
            }
            let before = state.running.network.links.insert(process, links.clone());
            Ok(changed(before.unwrap_or_default() != *links))
        });
        ensured.await
    }

    async fn observe_links(&self, process: u32) -> Option<ContainerLinks> {
        let state = self.host.state();
        let holds = state.running.processes.holds_namespace(process);
        let links = state.running.network.links.get(&process);
        holds.then(|| links.cloned().unwrap_or_default())
    }

    async fn observe_listening_ports(&self) -> Result<BTreeSet<RoutePort>, StepFailure> {
        self.host
            .act(|_| Ok(Port::new(22).into_iter().map(RoutePort::from).collect()))
            .await
    }
}
