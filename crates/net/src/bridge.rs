//! The bridge that containers are on.

use std::io;
use std::thread;

use futures_util::TryStreamExt as _;
use rtnetlink::packet_route::link::{
    InfoBridgePort, InfoPortData, LinkAttribute, LinkInfo, LinkMessage,
};
use rtnetlink::{Handle, LinkBridgePort};

use crate::routing_table::Change;

/// Why a bridge could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum EnsureBridgeError {
    /// No netlink socket.
    #[error("could not ask the kernel for the bridge's ports")]
    Socket(#[source] io::Error),
    /// The kernel refused.
    #[error("the kernel would not set up a port of the bridge")]
    Refused(#[source] rtnetlink::Error),
}

/// Lets containers on a bridge reach themselves through the node.
///
/// With `bridge-nf-call-iptables`, which Docker switches on, the kernel redirects a packet to a
/// container on the same bridge without routing it, and a bridge does not send a frame back to
/// where it came from, unless the port is in hairpin mode.
///
/// **Source**: `bridge(8)`, "hairpin on".
///
/// # Errors
/// When the kernel refuses. A bridge that does not exist has no ports.
pub(crate) fn ensure_hairpin(bridge: &str) -> Result<Change, EnsureBridgeError> {
    // On a thread of its own: the caller may be a task of an asynchronous runtime, in which another
    // runtime cannot be run. The thread is in the caller's network namespace.
    let ensured = thread::scope(|scope| {
        let work = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_io()
                .build()
                .map_err(EnsureBridgeError::Socket)?;
            runtime.block_on(ensure_ports(bridge))
        });
        work.join()
    });
    ensured.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

async fn ensure_ports(bridge: &str) -> Result<Change, EnsureBridgeError> {
    let (connection, handle, _unsolicited) =
        rtnetlink::new_connection().map_err(EnsureBridgeError::Socket)?;
    tokio::select! {
        change = ensure_ports_with(&handle, bridge) => change.map_err(EnsureBridgeError::Refused),
        () = connection => Err(EnsureBridgeError::Refused(rtnetlink::Error::RequestFailed)),
    }
}

async fn ensure_ports_with(handle: &Handle, bridge: &str) -> Result<Change, rtnetlink::Error> {
    let links: Vec<_> = handle.link().get().execute().try_collect().await?;
    let Some(bridge) = links.iter().find(|link| is_named(link, bridge)) else {
        return Ok(Change::Unchanged);
    };
    let ports = links
        .iter()
        .filter(|link| is_port_of(link, bridge.header.index) && !has_hairpin(link));
    let mut change = Change::Unchanged;
    for port in ports {
        let message = LinkBridgePort::new(port.header.index).hairpin(true).build();
        match handle.link().set_port(message).execute().await {
            Ok(()) => change = Change::Changed,
            Err(error) if has_gone(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(change)
}

fn is_named(link: &LinkMessage, name: &str) -> bool {
    let named = |attribute: &LinkAttribute| matches!(attribute, LinkAttribute::IfName(found) if found == name);
    link.attributes.iter().any(named)
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

/// The container stopped meanwhile.
fn has_gone(error: &rtnetlink::Error) -> bool {
    let rtnetlink::Error::NetlinkError(message) = error else {
        return false;
    };
    let errno = nix::errno::Errno::from_raw(message.raw_code().abs());
    matches!(errno, nix::errno::Errno::ENODEV | nix::errno::Errno::EINVAL)
}
