//! Routes of the machine, and links inside its containers.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::net::Ipv4Addr;

use flocker_model::{ContainerLinks, FirewallObstacle, RoutePort, SourceNetwork};
use flocker_net::RoutingTable;
use flocker_remote::protocol::{Change, StepFailure};

/// The networking of one machine. A reboot forgets all of it; a namespace's links end with it.
pub(crate) trait Routes: Clone + Debug + Send + Sync + 'static {
    /// Reads the table that the machine routes by; `None` if there is none, or not a whole one, or
    /// one whose connections Docker would drop.
    fn observe_routing(
        &self,
    ) -> impl Future<Output = Result<Option<RoutingTable>, StepFailure>> + Send;

    /// Lists the machine's firewalls that drop connections to routes and links of containers on
    /// `bridge`.
    fn observe_firewall(
        &self,
        bridge: &str,
    ) -> impl Future<Output = Result<BTreeSet<FirewallObstacle>, StepFailure>> + Send;

    /// Makes the machine route by this table, all at once.
    fn ensure_routing(
        &self,
        table: &RoutingTable,
    ) -> impl Future<Output = Result<Change, StepFailure>> + Send;

    /// Forgets the connections that these ports redirected, but for those from the networks beside
    /// each.
    fn forget_connections(
        &self,
        ports: &BTreeMap<RoutePort, BTreeSet<SourceNetwork>>,
    ) -> impl Future<Output = Result<(), StepFailure>> + Send;

    /// Forgets flows of UDP to these ports that nothing redirected, because they were there before.
    fn forget_strays(
        &self,
        ports: &BTreeSet<RoutePort>,
    ) -> impl Future<Output = Result<(), StepFailure>> + Send;

    /// Makes these ports at loopback addresses, in the namespace that `process` holds, lead to
    /// `gateway`.
    fn ensure_links(
        &self,
        process: u32,
        gateway: Ipv4Addr,
        links: &ContainerLinks,
    ) -> impl Future<Output = Result<Change, StepFailure>> + Send;

    /// Reads the links of the namespace that `process` holds. One that has just ended has none.
    fn observe_links(&self, process: u32) -> impl Future<Output = Option<ContainerLinks>> + Send;

    /// Lists the ports that the machine's own programs listen on.
    fn observe_listening_ports(
        &self,
    ) -> impl Future<Output = Result<BTreeSet<RoutePort>, StepFailure>> + Send;
}
