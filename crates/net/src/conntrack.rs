//! Connections that the kernel remembers, and flows of UDP, which it remembers alike.
//!
//! **Source**: `linux/netfilter/nfnetlink_conntrack.h` (`CTA_*`), `conntrack(8)`.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::Ipv4Addr;

use flocker_model::{
    LocalPort, LoopbackAddress, Port, Protocol, RoutePort, ServicePort, SourceNetwork,
};
use nix::ifaddrs::getifaddrs;
use nix::libc;

use crate::netlink::{Netlink, NetlinkError, Request, attributes, find};
use crate::ruleset::OWN_MARK;
use crate::set_encoding::{ProtocolNumber as _, parse_address};

/// `IPCTNL_MSG_CT_GET`
const GET: libc::c_int = 1;
/// `IPCTNL_MSG_CT_DELETE`
const DELETE: libc::c_int = 2;
const TUPLE_ORIGINAL: u16 = 1;
const MARK: u16 = 8;
const ID: u16 = 12;
const ZONE: u16 = 18;
const TUPLE_ADDRESSES: u16 = 1;
const SOURCE_ADDRESS: u16 = 1;
const DESTINATION_ADDRESS: u16 = 2;
const TUPLE_PROTOCOL: u16 = 2;
const PROTOCOL_NUMBER: u16 = 1;
const PROTOCOL_DESTINATION_PORT: u16 = 3;

/// Why remembered connections could not be forgotten.
#[derive(Debug, thiserror::Error)]
pub enum ForgetConnectionsError {
    /// The kernel refused.
    #[error(
        "could not make the kernel forget connections; they may stick to where they went before"
    )]
    Kernel(#[source] NetlinkError),
    /// This machine's own addresses are unknown.
    #[error("could not list this machine's addresses, to find flows of UDP that miss a new route")]
    Addresses(#[source] io::Error),
}

/// What is known of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Tracked {
    /// Whether our table redirected it.
    is_ours: bool,
    source: Ipv4Addr,
    /// The address and port that its first packet was sent to.
    destination: Ipv4Addr,
    port: ServicePort,
    /// The connection's name for the kernel.
    key: Key,
}

/// What identifies a connection to the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Key {
    tuple: Vec<u8>,
    id: Vec<u8>,
    zone: Option<Vec<u8>>,
}

impl Tracked {
    /// Returns the ports that can be meant by the address and port that the first packet was sent to.
    fn asks_for(&self) -> [RoutePort; 2] {
        let at_one_address = RoutePort {
            address: Some(self.destination),
            port: self.port,
        };
        [at_one_address, self.port.into()]
    }
}

/// Makes the kernel forget the connections that it redirects because they asked for one of `ports`;
/// returns how many there were. Those from the networks beside the port are left alone.
///
/// The next packet of a connection of TCP is taken for a new connection, is redirected to where the
/// port leads now, and is answered with a reset there, so that the client connects again at once
/// instead of waiting for a node that no longer runs the application. The next packet of a flow of
/// UDP goes to where the port leads now. Other connections to ports of the same number, a container's
/// to some database elsewhere say, are left alone.
///
/// # Errors
/// When the kernel refuses.
pub fn forget_connections(
    ports: &BTreeMap<RoutePort, BTreeSet<SourceNetwork>>,
) -> Result<usize, ForgetConnectionsError> {
    if ports.is_empty() {
        return Ok(0);
    }
    let is_pinned = |connection: &Tracked| {
        let asks_for = connection.asks_for();
        let kept = asks_for.iter().find_map(|port| ports.get(port));
        let is_kept = |kept: &BTreeSet<SourceNetwork>| {
            let mut kept = kept.iter();
            kept.any(|network| network.contains_address(connection.source))
        };
        connection.is_ours && kept.is_some_and(|kept| !is_kept(kept))
    };
    forget_with(is_pinned).map_err(ForgetConnectionsError::Kernel)
}

/// Makes the kernel forget flows of UDP that were sent to one of `ports` of this machine and that no
/// route redirected; returns how many there were.
///
/// A client that has sent before a route was there, and goes on sending, would miss it for ever: the
/// kernel asks the table only for the first packet of a flow.
///
/// # Errors
/// When the kernel refuses.
pub fn forget_strays(ports: &BTreeSet<RoutePort>) -> Result<usize, ForgetConnectionsError> {
    let of_udp = ports
        .iter()
        .filter(|port| port.port.protocol == Protocol::Udp);
    let ports: BTreeSet<RoutePort> = of_udp.copied().collect();
    if ports.is_empty() {
        return Ok(0);
    }
    let own = own_addresses().map_err(ForgetConnectionsError::Addresses)?;
    let is_stray = |connection: &Tracked| {
        let to_us = connection.destination.is_loopback() || own.contains(&connection.destination);
        let asks_for = connection.asks_for();
        !connection.is_ours && to_us && asks_for.iter().any(|port| ports.contains(port))
    };
    forget_with(is_stray).map_err(ForgetConnectionsError::Kernel)
}

/// Makes the kernel forget flows of UDP to these ports, redirected or not.
///
/// # Errors
/// When the kernel refuses.
pub(crate) fn forget_loopback_flows(ports: &BTreeSet<LocalPort>) -> Result<usize, NetlinkError> {
    let of_udp = |port: &LocalPort| port.port.protocol == Protocol::Udp;
    if !ports.iter().any(of_udp) {
        return Ok(0);
    }
    forget_with(|connection| {
        let asked = LoopbackAddress::try_from(connection.destination).map(|address| LocalPort {
            address,
            port: connection.port,
        });
        asked.is_ok_and(|port| of_udp(&port) && ports.contains(&port))
    })
}

fn own_addresses() -> io::Result<BTreeSet<Ipv4Addr>> {
    let addresses = getifaddrs()?.filter_map(|interface| {
        let address = interface.address?;
        Some(address.as_sockaddr_in()?.ip())
    });
    Ok(addresses.collect())
}

/// Forgets the connections that are meant.
fn forget_with(is_meant: impl Fn(&Tracked) -> bool) -> Result<usize, NetlinkError> {
    let mut netlink = Netlink::open()?;
    let list = Request::new(libc::NFNL_SUBSYS_CTNETLINK, GET).dump();
    let replies = netlink.ask(&list, "list connections")?;
    let tracked = replies.iter().filter_map(|reply| parse(reply.attributes()));
    let mut forgotten = 0;
    for connection in tracked.filter(is_meant) {
        let key = connection.key;
        let mut request = Request::new(libc::NFNL_SUBSYS_CTNETLINK, DELETE)
            .acknowledged()
            .nested(TUPLE_ORIGINAL, &key.tuple)
            .bytes(ID, &key.id);
        if let Some(zone) = &key.zone {
            request = request.bytes(ZONE, zone);
        }
        match netlink.ask(&request, "forget a connection") {
            Ok(_) => forgotten += 1,
            // It ended by itself.
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(forgotten)
}

/// Parses a connection of TCP or UDP over IPv4.
fn parse(payload: &[u8]) -> Option<Tracked> {
    let mark = find(payload, MARK).and_then(|mark| mark.number());
    let tuple = find(payload, TUPLE_ORIGINAL)?;
    let addresses = find(tuple.value, TUPLE_ADDRESSES)?;
    let address = |kind| parse_address(find(addresses.value, kind)?.value);
    let protocol = find(tuple.value, TUPLE_PROTOCOL)?;
    let number = find(protocol.value, PROTOCOL_NUMBER)?;
    let port = find(protocol.value, PROTOCOL_DESTINATION_PORT)?;
    let (port, _) = port.value.split_first_chunk::<2>()?;
    Some(Tracked {
        is_ours: mark.is_some_and(|mark| mark & OWN_MARK != 0),
        source: address(SOURCE_ADDRESS)?,
        destination: address(DESTINATION_ADDRESS)?,
        port: ServicePort {
            protocol: Protocol::of_number(*number.value.first()?)?,
            port: Port::new(u16::from_be_bytes(*port))?,
        },
        key: Key {
            tuple: tuple.value.to_vec(),
            id: find(payload, ID)?.value.to_vec(),
            zone: attributes(payload)
                .find(|attribute| attribute.kind == ZONE)
                .map(|zone| zone.value.to_vec()),
        },
    })
}
