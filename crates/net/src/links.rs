//! Links: ports at loopback addresses inside a container.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use flocker_model::{ContainerLinks, LocalPort, LoopbackAddress};

use crate::conntrack::forget_loopback_flows;
use crate::interfaces::InterfaceError;
use crate::kernel_parameters::{KernelParameterError, ensure_parameter};
use crate::mtu::{lower_all, observe_uplink_mtu};
use crate::namespace::{NamespaceError, NetworkNamespace};
use crate::netlink::{Netlink, NetlinkError, observe_table};
use crate::program::run_operations;
use crate::routing_table::{Change, Target};
use crate::ruleset::{LINKS, LINKS_AT, TABLE, parse_container_marker, plan_container_ruleset};
use crate::set_encoding::{parse_service, parse_service_at};
use crate::table_state::TableState;
use crate::transaction::plan_transaction;

/// Why a container's links could not be programmed.
#[derive(Debug, thiserror::Error)]
pub enum EnsureLinksError {
    /// The container's network namespace could not be entered.
    #[error("could not reach the container's network")]
    Namespace(#[source] NamespaceError),
    /// The kernel's tables could not be read or changed.
    #[error("could not program the container's table `ip flocker`; nothing of it was changed")]
    Firewall(#[source] NetlinkError),
    /// Connections to `localhost` are not let out.
    #[error("the container's links are programmed, but do not work yet")]
    KernelParameter(#[source] KernelParameterError),
    /// Packets may be too large for the node's network.
    #[error("could not give the container's network the MTU of the node's")]
    Mtu(#[source] InterfaceError),
}

/// Why a container's links could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ObserveLinksError {
    /// The container's network namespace could not be entered.
    #[error("could not reach the container's network")]
    Namespace(#[source] NamespaceError),
    /// The kernel refused.
    #[error("could not read the container's table `ip flocker`")]
    Firewall(#[source] NetlinkError),
}

/// Makes ports at loopback addresses inside a container lead to link ports on the node, at
/// `gateway`, and does nothing when they do so already.
///
/// A link at 127.0.0.1 hides what the container serves at that port; one at another address hides
/// nothing at 127.0.0.1. The container's MTU becomes that of the node's default route, if it is higher.
///
/// # Errors
/// When the container has stopped, or the kernel refuses.
pub fn ensure_links(
    namespace: &NetworkNamespace,
    gateway: Ipv4Addr,
    links: &ContainerLinks,
) -> Result<Change, EnsureLinksError> {
    let mtu = observe_uplink_mtu().map_err(EnsureLinksError::Mtu)?;
    namespace
        .run(|| {
            let lowered = match mtu {
                Some(mtu) => lower_all(mtu).map_err(EnsureLinksError::Mtu)?,
                None => Change::Unchanged,
            };
            let linked = ensure_links_here(gateway, links)?;
            Ok(match lowered {
                Change::Changed => lowered,
                Change::Unchanged => linked,
            })
        })
        .map_err(EnsureLinksError::Namespace)?
}

fn ensure_links_here(
    gateway: Ipv4Addr,
    links: &ContainerLinks,
) -> Result<Change, EnsureLinksError> {
    let mut netlink = Netlink::open().map_err(EnsureLinksError::Firewall)?;
    let found = observe_table(&mut netlink, TABLE).map_err(EnsureLinksError::Firewall)?;
    if found.is_none() && links.is_empty() {
        return Ok(Change::Unchanged);
    }
    let ruleset = plan_container_ruleset(gateway, links);
    let operations = plan_transaction(found.as_ref(), &ruleset);
    let mut change = Change::Unchanged;
    if !operations.is_empty() {
        run_operations(&netlink, &operations).map_err(EnsureLinksError::Firewall)?;
        let before = found.and_then(|found| parse_targets(&found));
        let mut ports: BTreeSet<LocalPort> = before.unwrap_or_default().into_keys().collect();
        ports.extend(links.keys());
        forget_loopback_flows(&ports).map_err(EnsureLinksError::Firewall)?;
        change = Change::Changed;
    }
    let parameter = ensure_parameter("conf/all/route_localnet", "1");
    if parameter.map_err(EnsureLinksError::KernelParameter)? == Change::Changed {
        change = Change::Changed;
    }
    Ok(change)
}

/// Reads the links that a container has; `None` if its table is not what this version of the
/// program writes, in which case [`ensure_links`] puts it right.
///
/// # Errors
/// When the container has stopped, or the kernel refuses.
pub fn observe_links(
    namespace: &NetworkNamespace,
) -> Result<Option<ContainerLinks>, ObserveLinksError> {
    let observe = || {
        let mut netlink = Netlink::open()?;
        observe_table(&mut netlink, TABLE)
    };
    let found = namespace
        .run(observe)
        .map_err(ObserveLinksError::Namespace)?
        .map_err(ObserveLinksError::Firewall)?;
    match found {
        None => Ok(Some(ContainerLinks::new())),
        Some(found) => Ok(parse_links(&found)),
    }
}

/// Reads a table back; `None` if it is not whole.
pub(crate) fn parse_links(found: &TableState) -> Option<ContainerLinks> {
    let gateway = parse_container_marker(found.marker()?)?;
    let targets = parse_targets(found)?.into_iter();
    let links = targets
        .map(|(local, target)| (local, target.port))
        .collect();
    (plan_container_ruleset(gateway, &links).expected_state() == *found).then_some(links)
}

/// Reads where each port leads; `None` if a set has something else in it.
fn parse_targets(found: &TableState) -> Option<BTreeMap<LocalPort, Target>> {
    let at_localhost = found.targets_of(LINKS, |key| parse_service(key).map(LocalPort::from))?;
    if !found.sets.contains_key(LINKS_AT) {
        return Some(at_localhost);
    }
    let mut targets = found.targets_of(LINKS_AT, |key| {
        let (address, port) = parse_service_at(key)?;
        let address = LoopbackAddress::try_from(address).ok()?;
        Some(LocalPort { address, port })
    })?;
    targets.extend(at_localhost);
    Some(targets)
}
