//! Connections that the kernel remembers.
//!
//! **Source**: `linux/netfilter/nfnetlink_conntrack.h` (`CTA_*`), `conntrack(8)`.

use std::collections::BTreeSet;

use flocker_model::Port;
use nix::libc;

use crate::netlink::{Netlink, NetlinkError, Request, attributes, find};
use crate::ruleset::OWN_MARK;

/// `IPCTNL_MSG_CT_GET`
const GET: libc::c_int = 1;
/// `IPCTNL_MSG_CT_DELETE`
const DELETE: libc::c_int = 2;
const TUPLE_ORIGINAL: u16 = 1;
const MARK: u16 = 8;
const ID: u16 = 12;
const ZONE: u16 = 18;
const TUPLE_PROTOCOL: u16 = 2;
const PROTOCOL_NUMBER: u16 = 1;
const PROTOCOL_DESTINATION_PORT: u16 = 3;
const TCP: u8 = 6;

/// Why remembered connections could not be forgotten.
#[derive(Debug, thiserror::Error)]
#[error("could not make the kernel forget connections; they may stick to where they went before")]
pub struct ForgetConnectionsError(#[source] pub NetlinkError);

/// What identifies a connection to the kernel.
struct Tracked {
    tuple: Vec<u8>,
    id: Vec<u8>,
    zone: Option<Vec<u8>>,
}

/// Makes the kernel forget the connections that it redirects because they asked for one of `ports`;
/// returns how many there were.
///
/// Their clients' next packet is taken for a new connection, is redirected to where the port leads
/// now, and is answered with a reset there, so that the client connects again at once instead of
/// waiting for a node that no longer runs the application. Other connections to ports of the same
/// number, a container's to some database elsewhere say, are left alone.
///
/// # Errors
/// When the kernel refuses.
pub fn forget_connections(ports: &BTreeSet<Port>) -> Result<usize, ForgetConnectionsError> {
    if ports.is_empty() {
        return Ok(0);
    }
    let mut netlink = Netlink::open().map_err(ForgetConnectionsError)?;
    forget(&mut netlink, ports).map_err(ForgetConnectionsError)
}

fn forget(netlink: &mut Netlink, ports: &BTreeSet<Port>) -> Result<usize, NetlinkError> {
    let list = Request::new(libc::NFNL_SUBSYS_CTNETLINK, GET).dump();
    let replies = netlink.ask(&list, "list connections")?;
    let pinned = replies
        .iter()
        .filter_map(|reply| parse_pinned(reply.attributes(), ports));
    let mut forgotten = 0;
    for connection in pinned {
        let mut request = Request::new(libc::NFNL_SUBSYS_CTNETLINK, DELETE)
            .acknowledged()
            .nested(TUPLE_ORIGINAL, &connection.tuple)
            .bytes(ID, &connection.id);
        if let Some(zone) = &connection.zone {
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

/// Parses a connection, if it is one that our tables redirected for one of the ports.
fn parse_pinned(payload: &[u8], ports: &BTreeSet<Port>) -> Option<Tracked> {
    let mark = find(payload, MARK)?.number()?;
    if mark & OWN_MARK == 0 {
        return None;
    }
    let tuple = find(payload, TUPLE_ORIGINAL)?;
    let protocol = find(tuple.value, TUPLE_PROTOCOL)?;
    let number = find(protocol.value, PROTOCOL_NUMBER)?;
    let destination = find(protocol.value, PROTOCOL_DESTINATION_PORT)?;
    let (port, _) = destination.value.split_first_chunk::<2>()?;
    let port = Port::new(u16::from_be_bytes(*port))?;
    if number.value != [TCP] || !ports.contains(&port) {
        return None;
    }
    Some(Tracked {
        tuple: tuple.value.to_vec(),
        id: find(payload, ID)?.value.to_vec(),
        zone: attributes(payload)
            .find(|attribute| attribute.kind == ZONE)
            .map(|zone| zone.value.to_vec()),
    })
}
