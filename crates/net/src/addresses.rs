//! Addresses of this machine's interfaces.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use futures_util::TryStreamExt as _;
use rtnetlink::packet_route::address::AddressAttribute;
use rtnetlink::packet_route::link::LinkAttribute;

/// An address of one of this machine's interfaces.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LocalAddress {
    /// The interface.
    pub interface: String,
    /// The address.
    pub address: IpAddr,
    /// Bits of the address that all on the same network have in common.
    pub prefix_length: u8,
}

/// Why this machine's addresses could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ObserveAddressesError {
    /// No netlink socket.
    #[error("could not ask the kernel for addresses")]
    Socket(#[source] std::io::Error),
    /// The kernel refused.
    #[error("the kernel would not list addresses")]
    List(#[source] rtnetlink::Error),
}

/// Reads all addresses of all interfaces, of the network namespace that the thread is in.
///
/// # Errors
/// When the kernel refuses.
pub async fn observe_local_addresses() -> Result<Vec<LocalAddress>, ObserveAddressesError> {
    let (connection, handle, _unsolicited) =
        rtnetlink::new_connection().map_err(ObserveAddressesError::Socket)?;
    let list = async {
        let links: Vec<_> = handle.link().get().execute().try_collect().await?;
        let addresses: Vec<_> = handle.address().get().execute().try_collect().await?;
        Ok((links, addresses))
    };
    let (links, addresses) = tokio::select! {
        listed = list => listed.map_err(ObserveAddressesError::List)?,
        () = connection => return Err(ObserveAddressesError::List(rtnetlink::Error::RequestFailed)),
    };
    let names: BTreeMap<u32, String> = links
        .into_iter()
        .filter_map(|link| {
            let name = link.attributes.into_iter().find_map(|attribute| {
                if let LinkAttribute::IfName(name) = attribute {
                    Some(name)
                } else {
                    None
                }
            });
            Some((link.header.index, name?))
        })
        .collect();
    let mut found: Vec<_> = addresses
        .into_iter()
        .filter_map(|message| {
            Some(LocalAddress {
                interface: names.get(&message.header.index)?.clone(),
                address: own_address(&message.attributes)?,
                prefix_length: message.header.prefix_len,
            })
        })
        .collect();
    found.sort();
    Ok(found)
}

/// Reads the IPv4 address of an interface; `None` if there is no such interface, or it has none.
///
/// # Errors
/// When the kernel refuses.
pub async fn observe_interface_address(
    interface: &str,
) -> Result<Option<Ipv4Addr>, ObserveAddressesError> {
    let addresses = observe_local_addresses().await?;
    Ok(addresses
        .into_iter()
        .filter(|address| address.interface == interface)
        .find_map(|address| match address.address {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(_) => None,
        }))
}

/// On a point-to-point interface `IFA_ADDRESS` is the other end's; `IFA_LOCAL` is always our own,
/// but IPv6 does not send it.
fn own_address(attributes: &[AddressAttribute]) -> Option<IpAddr> {
    let local = attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Local(address) => Some(*address),
        _ => None,
    });
    local.or_else(|| {
        attributes.iter().find_map(|attribute| match attribute {
            AddressAttribute::Address(address) => Some(*address),
            _ => None,
        })
    })
}
