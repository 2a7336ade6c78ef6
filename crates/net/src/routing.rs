//! A node's firewall table in the kernel.

use std::collections::{BTreeMap, BTreeSet};

use flocker_model::{RoutePort, SourceNetwork};

use crate::bridge::ensure_bridge;
use crate::docker_firewall::{DockerFirewall, observe_docker_chains};
use crate::interfaces::InterfaceError;
use crate::kernel_parameters::{KernelParameterError, ensure_parameter};
use crate::netlink::{Netlink, NetlinkError, observe_table};
use crate::program::run_operations;
use crate::routing_table::{Change, InvalidRoutingTable, RoutingTable};
use crate::ruleset::{Ruleset, TABLE, parse_node_marker, plan_node_ruleset};
use crate::set_encoding::{parse_address, parse_network, parse_service, parse_service_at};
use crate::table_state::TableState;
use crate::transaction::{Operation, plan_transaction};

/// How often a transaction is worked out anew when others changed the firewall under way.
const ATTEMPTS: u32 = 5;

/// What [`ensure_routing`] found and did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EnsuredRouting {
    /// Whether anything had to be told to the kernel.
    pub change: Change,
    /// Whether Docker's firewall lets our connections pass. `Absent` is right on a node without
    /// Docker's firewall; where Docker only starts later, call [`ensure_routing`] again then.
    pub docker_firewall: DockerFirewall,
}

/// Why a node's routing could not be programmed.
#[derive(Debug, thiserror::Error)]
pub enum EnsureRoutingError {
    /// The table cannot be programmed as it is.
    #[error("the routing table is not usable")]
    Invalid(#[source] InvalidRoutingTable),
    /// The kernel's tables could not be read or changed.
    #[error("could not program table `ip flocker`; nothing of it was changed")]
    Firewall(#[source] NetlinkError),
    /// Forwarding could not be switched on.
    #[error("table `ip flocker` is programmed, but the kernel does not forward yet")]
    KernelParameter(#[source] KernelParameterError),
    /// Containers cannot reach themselves.
    #[error("table `ip flocker` is programmed, but containers cannot reach their own routes yet")]
    Bridge(#[source] InterfaceError),
}

/// Why a node's routing could not be read.
#[derive(Debug, thiserror::Error)]
#[error("could not read table `ip flocker`")]
pub struct ObserveRoutingError(#[source] pub NetlinkError);

/// Makes the kernel route as `table` says, in one transaction, and does nothing when it does so
/// already.
///
/// Open connections stay open. Afterwards the kernel forwards (`ip_forward`), lets connections of
/// 127.0.0.1 leave (`route_localnet`), which the table makes safe, and lets containers that are on
/// the bridge by then reach themselves. The bridge's MTU is not higher than the node's own.
///
/// # Errors
/// When the table is not usable, or the kernel refuses.
pub fn ensure_routing(table: &RoutingTable) -> Result<EnsuredRouting, EnsureRoutingError> {
    table.validate().map_err(EnsureRoutingError::Invalid)?;
    let ruleset = plan_node_ruleset(table);
    let mut ensured = ensure_tables(&ruleset).map_err(EnsureRoutingError::Firewall)?;
    let mut changes = vec![ensure_bridge(&table.bridge).map_err(EnsureRoutingError::Bridge)?];
    for parameter in ["ip_forward", "conf/all/route_localnet"] {
        let change = ensure_parameter(parameter, "1");
        changes.push(change.map_err(EnsureRoutingError::KernelParameter)?);
    }
    if changes.contains(&Change::Changed) {
        ensured.change = Change::Changed;
    }
    Ok(ensured)
}

fn ensure_tables(ruleset: &Ruleset) -> Result<EnsuredRouting, NetlinkError> {
    let mut netlink = Netlink::open()?;
    let mut attempt = 1;
    loop {
        let found = observe_table(&mut netlink, TABLE)?;
        let chains = observe_docker_chains(&mut netlink)?;
        let firewall = chains.state();
        let mut operations = plan_transaction(found.as_ref(), ruleset);
        let edits = chains.edits.into_iter();
        operations.extend(edits.map(|(chain, edit)| Operation::EditDockerChain(chain, edit)));
        if operations.is_empty() {
            return Ok(EnsuredRouting {
                change: Change::Unchanged,
                docker_firewall: firewall,
            });
        }
        match run_operations(&netlink, &operations) {
            Ok(()) => {
                let accepts = firewall != DockerFirewall::Absent;
                return Ok(EnsuredRouting {
                    change: Change::Changed,
                    docker_firewall: if accepts {
                        DockerFirewall::Accepts
                    } else {
                        DockerFirewall::Absent
                    },
                });
            }
            // A chain or set came or went since it was looked at: look again.
            Err(NetlinkError::Transaction { .. }) if attempt < ATTEMPTS => attempt += 1,
            Err(error) => return Err(error),
        }
    }
}

/// Reads the routing that the kernel has, if it is whole.
///
/// `None` when there is no table, or when it is not exactly what this version of the program would
/// have written for what its sets contain: somebody else changed it, or another version wrote it.
/// `None` also when Docker's chain DOCKER-USER is there and our rule is not where it belongs, so
/// that Docker would drop connections. In all these cases [`ensure_routing`] puts it right.
///
/// # Errors
/// When the kernel refuses.
pub fn observe_routing() -> Result<Option<RoutingTable>, ObserveRoutingError> {
    let mut netlink = Netlink::open().map_err(ObserveRoutingError)?;
    let found = observe_table(&mut netlink, TABLE).map_err(ObserveRoutingError)?;
    let Some(routing) = found.as_ref().and_then(parse_routing) else {
        return Ok(None);
    };
    let chains = observe_docker_chains(&mut netlink).map_err(ObserveRoutingError)?;
    Ok((chains.state() != DockerFirewall::LacksRule).then_some(routing))
}

/// Reads the digest of the routing that the kernel has, if the table is whole.
///
/// # Errors
/// When the kernel refuses.
pub fn observe_digest() -> Result<Option<String>, ObserveRoutingError> {
    Ok(observe_routing()?.map(|table| table.digest))
}

/// Reads the number that the kernel increases with every change to any of its firewall tables.
///
/// # Errors
/// When the kernel refuses.
pub fn observe_generation() -> Result<u32, ObserveRoutingError> {
    let mut netlink = Netlink::open().map_err(ObserveRoutingError)?;
    netlink.observe_generation().map_err(ObserveRoutingError)
}

/// Reads a table back; `None` if it is not whole.
pub(crate) fn parse_routing(found: &TableState) -> Option<RoutingTable> {
    let (digest, bridge) = parse_node_marker(found.marker()?)?;
    let everywhere = |port| RoutePort {
        address: None,
        port,
    };
    let at = |(address, port)| RoutePort {
        address: Some(address),
        port,
    };
    let routes = found.targets("routes")?.into_iter();
    let routes = routes.map(|(port, to)| (everywhere(port), to));
    let routes_at = found.targets_of("routes-at", parse_service_at)?.into_iter();
    let routes_at = routes_at.map(|(port, to)| (at(port), to));
    let held = found
        .keys("held", parse_service)?
        .into_iter()
        .map(everywhere);
    let held_at = found.keys("held-at", parse_service_at)?.into_iter().map(at);
    let table = RoutingTable {
        bridge,
        routes: routes.chain(routes_at).collect(),
        from: parse_from(found)?,
        links: found.targets("links")?,
        wires: found.targets("wires")?,
        peers: found.keys("peers", parse_address)?,
        held: held.chain(held_at).collect(),
        digest,
    };
    table.validate().ok()?;
    (plan_node_ruleset(&table).expected_state() == *found).then_some(table)
}

/// Reads from which networks routes can be reached.
fn parse_from(found: &TableState) -> Option<BTreeMap<RoutePort, BTreeSet<SourceNetwork>>> {
    let mut from: BTreeMap<RoutePort, BTreeSet<SourceNetwork>> = BTreeMap::new();
    for (first, state) in &found.sets.get("allowed")?.elements {
        let port = RoutePort::from(parse_service(first)?);
        let network = parse_network(first, &state.end)?;
        from.entry(port).or_default().insert(network);
    }
    for (first, state) in &found.sets.get("allowed-at")?.elements {
        let (address, port) = parse_service_at(first)?;
        let port = RoutePort {
            address: Some(address),
            port,
        };
        let network = parse_network(first, &state.end)?;
        from.entry(port).or_default().insert(network);
    }
    Some(from)
}
