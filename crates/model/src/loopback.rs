//! Addresses and ports of a container's loopback network, where its links are.

use std::fmt;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::{Port, RoutePort, ServicePort};

/// An address of the loopback network that a program can connect to: `127.0.0.1`, `127.1.0.5`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Ipv4Addr", into = "Ipv4Addr")]
pub struct LoopbackAddress(Ipv4Addr);

/// Why an address cannot be the one of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLoopback {
    /// It is outside of the loopback network.
    #[error("is not a loopback address")]
    Outside,
    /// It is the first or the last one of the network, which no program can connect to.
    #[error("is the first or the last address of 127.0.0.0/8")]
    Bound,
    /// Docker's name server listens there in every container of Flocker's network.
    ///
    /// **Source**: Docker's manual, “Networking overview”, DNS services.
    #[error("is the address of Docker's name server")]
    NameServer,
}

impl LoopbackAddress {
    /// The address that `localhost` means.
    pub const LOCALHOST: Self = Self(Ipv4Addr::LOCALHOST);

    /// Returns the address.
    pub const fn get(self) -> Ipv4Addr {
        self.0
    }

    /// Tells whether it is the one that `localhost` means.
    pub fn is_localhost(self) -> bool {
        self == Self::LOCALHOST
    }

    /// Tells whether it is left out where it is stored.
    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde calls it with a reference"
    )]
    pub(crate) fn is_default(&self) -> bool {
        self.is_localhost()
    }
}

impl Default for LoopbackAddress {
    fn default() -> Self {
        Self::LOCALHOST
    }
}

impl TryFrom<Ipv4Addr> for LoopbackAddress {
    type Error = InvalidLoopback;

    fn try_from(address: Ipv4Addr) -> Result<Self, InvalidLoopback> {
        match address.octets() {
            [127, 0, 0, 0] | [127, 255, 255, 255] => Err(InvalidLoopback::Bound),
            [127, 0, 0, 11] => Err(InvalidLoopback::NameServer),
            [127, ..] => Ok(Self(address)),
            _ => Err(InvalidLoopback::Outside),
        }
    }
}

impl From<LoopbackAddress> for Ipv4Addr {
    fn from(address: LoopbackAddress) -> Self {
        address.0
    }
}

impl fmt::Display for LoopbackAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// A port inside a container, at one loopback address: `5432` is at 127.0.0.1, `127.1.0.5:5432` is
/// elsewhere.
///
/// A port at 127.0.0.1 is stored without its address, as it was before links had any other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "RoutePort", into = "RoutePort")]
pub struct LocalPort {
    /// The address.
    pub address: LoopbackAddress,
    /// The port.
    pub port: ServicePort,
}

impl From<ServicePort> for LocalPort {
    /// A port without an address is at 127.0.0.1.
    fn from(port: ServicePort) -> Self {
        Self {
            address: LoopbackAddress::LOCALHOST,
            port,
        }
    }
}

impl From<Port> for LocalPort {
    fn from(port: Port) -> Self {
        ServicePort::from(port).into()
    }
}

impl TryFrom<RoutePort> for LocalPort {
    type Error = InvalidLoopback;

    fn try_from(RoutePort { address, port }: RoutePort) -> Result<Self, InvalidLoopback> {
        let address = address.map(LoopbackAddress::try_from).transpose()?;
        Ok(Self {
            address: address.unwrap_or_default(),
            port,
        })
    }
}

impl From<LocalPort> for RoutePort {
    /// Leaves out 127.0.0.1.
    fn from(LocalPort { address, port }: LocalPort) -> Self {
        Self {
            address: (!address.is_localhost()).then_some(address.get()),
            port,
        }
    }
}

impl fmt::Display for LocalPort {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        RoutePort::from(*self).fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_no_link_can_have_are_refused() {
        let read = |address: [u8; 4]| LoopbackAddress::try_from(Ipv4Addr::from(address));
        for address in [[127, 0, 0, 1], [127, 1, 0, 0], [127, 255, 255, 254]] {
            assert_eq!(read(address).unwrap().get().octets(), address);
        }
        for address in [[127, 0, 0, 0], [127, 255, 255, 255]] {
            assert_eq!(read(address), Err(InvalidLoopback::Bound));
        }
        assert_eq!(read([127, 0, 0, 11]), Err(InvalidLoopback::NameServer));
        for address in [[126, 0, 0, 1], [128, 0, 0, 1], [0, 0, 0, 0]] {
            assert_eq!(read(address), Err(InvalidLoopback::Outside));
        }
    }

    #[test]
    fn a_port_at_localhost_is_stored_without_its_address() {
        let text = r#"[5432,"53/udp","127.1.0.5:5432","127.1.0.5:53/udp"]"#;
        let ports: Vec<LocalPort> = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&ports).unwrap(), text);
        let long: LocalPort = serde_json::from_str(r#""127.0.0.1:5432""#).unwrap();
        assert_eq!(long, ports[0]);
        serde_json::from_str::<LocalPort>(r#""192.0.2.1:5432""#).unwrap_err();
    }
}
