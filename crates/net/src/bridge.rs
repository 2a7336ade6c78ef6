//! The bridge that containers are on.

use futures_util::TryStreamExt as _;
use rtnetlink::packet_route::link::{
    InfoBridgePort, InfoPortData, LinkAttribute, LinkInfo, LinkMessage,
};
use rtnetlink::{Handle, LinkBridgePort};

use crate::interfaces::{InterfaceError, has_gone, is_named, with_interfaces};
use crate::mtu::{lower, observe_uplink};
use crate::routing_table::Change;

/// Lets containers on a bridge reach themselves through the node, and keeps packets to them as
/// small as those that leave the node.
///
/// With `bridge-nf-call-iptables`, which Docker switches on, the kernel redirects a packet to a
/// container on the same bridge without routing it, and a bridge does not send a frame back to
/// where it came from, unless the port is in hairpin mode.
///
/// **Source**: `bridge(8)`, "hairpin on".
///
/// # Errors
/// When the kernel refuses. A bridge that does not exist has no ports.
pub(crate) fn ensure_bridge(bridge: &str) -> Result<Change, InterfaceError> {
    with_interfaces(async |handle| {
        let links: Vec<_> = handle.link().get().execute().try_collect().await?;
        let Some(bridge) = links.iter().find(|link| is_named(link, bridge)) else {
            return Ok(Change::Unchanged);
        };
        let uplink = observe_uplink(handle, &links).await?;
        let lowered = match uplink {
            Some(mtu) => lower(handle, bridge, mtu).await?,
            None => Change::Unchanged,
        };
        let hairpin = ensure_hairpin(handle, (&links, bridge)).await?;
        Ok(if [lowered, hairpin].contains(&Change::Changed) {
            Change::Changed
        } else {
            Change::Unchanged
        })
    })
}

async fn ensure_hairpin(
    handle: &Handle,
    (links, bridge): (&[LinkMessage], &LinkMessage),
) -> Result<Change, rtnetlink::Error> {
    let ports = links
        .iter()
        .filter(|link| is_port_of(link, bridge.header.index) && !has_hairpin(link));
    let mut change = Change::Unchanged;
    for port in ports {
        let message = LinkBridgePort::new(port.header.index).hairpin(true).build();
        match handle.link().set_port(message).execute().await {
            Ok(()) => change = Change::Changed,
            // The container stopped meanwhile.
            Err(error) if has_gone(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(change)
}

fn is_port_of(link: &LinkMessage, bridge: u32) -> bool {
    link.attributes.contains(&LinkAttribute::Controller(bridge))
}

fn has_hairpin(link: &LinkMessage) -> bool {
    let information = link
        .attributes
        .iter()
        .filter_map(|attribute| match attribute {
            LinkAttribute::LinkInfo(information) => Some(information),
            _ => None,
        });
    information.flatten().any(|information| {
        matches!(information, LinkInfo::PortData(InfoPortData::BridgePort(port))
            if port.contains(&InfoBridgePort::HairpinMode(true)))
    })
}
