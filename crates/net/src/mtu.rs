//! How large packets may be: containers' are not larger than those that can leave the node.
//!
//! Docker gives a network 1500 bytes, whatever the node has. On a node with less, as in a tunnel or
//! a cloud's overlay network, connections of containers stall when an answer "too large" is lost.

use std::net::Ipv4Addr;

use futures_util::TryStreamExt as _;
use rtnetlink::packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use rtnetlink::packet_route::route::{RouteAttribute, RouteHeader, RouteMessage, RouteMetric};
use rtnetlink::{Handle, LinkUnspec, RouteMessageBuilder};

use crate::interfaces::{InterfaceError, has_gone, with_interfaces};
use crate::routing_table::Change;

/// Reads the largest packet, in bytes, that every default route of the network namespace that the
/// thread is in takes; `None` if it has no default route.
///
/// # Errors
/// When the kernel refuses.
pub(crate) fn observe_uplink_mtu() -> Result<Option<u32>, InterfaceError> {
    with_interfaces(async |handle| {
        let links: Vec<_> = handle.link().get().execute().try_collect().await?;
        observe_uplink(handle, &links).await
    })
}

/// Lowers the MTU of every interface but the loopback, of the network namespace that the thread is
/// in, to `mtu`. Lower ones stay as they are.
///
/// # Errors
/// When the kernel refuses.
pub(crate) fn lower_all(mtu: u32) -> Result<Change, InterfaceError> {
    with_interfaces(async |handle| {
        let links: Vec<_> = handle.link().get().execute().try_collect().await?;
        let mut change = Change::Unchanged;
        let outward = links
            .iter()
            .filter(|link| !link.header.flags.contains(LinkFlags::Loopback));
        for link in outward {
            if lower(handle, link, mtu).await? == Change::Changed {
                change = Change::Changed;
            }
        }
        Ok(change)
    })
}

/// As [`observe_uplink_mtu`], where the interfaces are known.
pub(crate) async fn observe_uplink(
    handle: &Handle,
    links: &[LinkMessage],
) -> Result<Option<u32>, rtnetlink::Error> {
    let all = RouteMessageBuilder::<Ipv4Addr>::new().build();
    let routes: Vec<_> = handle.route().get(all).execute().try_collect().await?;
    Ok(lowest_mtu(&routes, links))
}

/// Lowers the MTU of an interface to `mtu`, if it is higher.
pub(crate) async fn lower(
    handle: &Handle,
    link: &LinkMessage,
    mtu: u32,
) -> Result<Change, rtnetlink::Error> {
    if mtu_of(link).is_none_or(|found| found <= mtu) {
        return Ok(Change::Unchanged);
    }
    let index = link.header.index;
    let message = LinkUnspec::new_with_index(index).mtu(mtu).build();
    match handle.link().set(message).execute().await {
        Ok(()) => Ok(Change::Changed),
        Err(error) if has_gone(&error) => Ok(Change::Unchanged),
        Err(error) => Err(error),
    }
}

/// Finds the lowest MTU among default routes: that of the route if it has one, or of its interface.
fn lowest_mtu(routes: &[RouteMessage], links: &[LinkMessage]) -> Option<u32> {
    let of_interface = |index: u32| {
        let link = links.iter().find(|link| link.header.index == index);
        link.and_then(mtu_of)
    };
    let of_attribute = |attribute: &RouteAttribute| match attribute {
        RouteAttribute::Oif(index) => of_interface(*index),
        RouteAttribute::MultiPath(hops) => {
            let hops = hops.iter();
            hops.filter_map(|hop| of_interface(hop.interface_index))
                .min()
        }
        RouteAttribute::Metrics(metrics) => metrics.iter().find_map(|metric| match metric {
            RouteMetric::Mtu(mtu) => Some(*mtu),
            _ => None,
        }),
        _ => None,
    };
    let default_routes = routes.iter().filter(|route| {
        route.header.destination_prefix_length == 0
            && route.header.table == RouteHeader::RT_TABLE_MAIN
    });
    default_routes
        .flat_map(|route| &route.attributes)
        .filter_map(of_attribute)
        .min()
}

fn mtu_of(link: &LinkMessage) -> Option<u32> {
    let mut attributes = link.attributes.iter();
    attributes.find_map(|attribute| match attribute {
        LinkAttribute::Mtu(mtu) => Some(*mtu),
        _ => None,
    })
}
